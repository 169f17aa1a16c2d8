//! `render`: the picture of a code.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::{self, Input, Noise, spaces};
use crate::space::Space;
use crate::value::{Image, Value};

/// `render(code, noise: const, psi: 1)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "render",
        params: &[
            Param::required("code", &[Kind::Latent, Kind::Path], "codes of any space"),
            Param::optional(
                "noise",
                &[Kind::Choice],
                "const",
                "`const`: the maps stored with the generator, or found with \
                the code; `none`; `random`: from the seed",
            )
            .choices(&["const", "none", "random"]),
            Param::optional(
                "psi",
                &[Kind::Number],
                "1",
                "truncation towards the mean w; 1 is none",
            ),
            Param::optional("cutoff", &[Kind::Number], "-", "truncate only layers below this one")
                .named(),
            Param::optional(
                "seed",
                &[Kind::Number],
                "-",
                "of random noise; the session's unless given",
            )
            .named(),
            shared::CLASS,
        ],
        returns: "Image",
        infer,
    },
    category: Category::Generate,
    summary: "the picture of a code",
    details: "Range [-1, 1], not clamped. Truncation follows StyleGAN: w = mean + psi·(w − mean) on the layers below `cutoff`.",
    examples: &[
        Example { code: "render(sample(seed: 5), psi: 0.7)", note: "truncated" },
        Example {
            code: "render(sample(n: 2, seed: 5), noise: none)",
            note: "two pictures without noise",
        },
    ],
    cost: Some(cost),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    Ok(shared::picture(shared::model_of(call, "code").as_ref()))
}

/// Feature maps of the widest layers dominate: about 64 channels at full resolution, twice.
fn cost(args: &Args, ctx: &Context<'_>) -> u64 {
    let Ok(code) = args.latent("code") else { return 0 };
    let pixels = ctx.model_of(&code).map_or(0, |m| m.facts.pixels()) as u64;
    (code.count() as u64).saturating_mul(pixels * 64 * 4 * 2)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let mut code = args.latent("code")?;
    let model = ctx.model_of(&code).map_err(|e| e.at(args.span("code")))?;
    if let Some(labels) = shared::labels(args, &model, code.count())? {
        if code.space != Space::Z {
            return Err(Error::runtime(format!(
                "the class of a {} code is fixed: it entered between Z and W",
                code.space
            ))
            .at(args.span("class"))
            .hint("leave `class` out, or draw the code with it: sample(class: 0)"));
        }
        code.labels = Some(labels);
    }
    let psi = args.need_number("psi", -10.0..=10.0)?;
    let cutoff = args.count("cutoff", 0..=model.facts.num_ws)?;
    let own = spaces::input_of(&code);
    let noise = match args.word("noise")? {
        "none" => Noise::None,
        "random" => Noise::Random { seed: args.seed(ctx)?, first: 0 },
        _ => own.noise,
    };
    let input = Input { noise, ..own };
    let g = &*model.generator;
    let cut = spaces::truncated(g, &code, psi, cutoff)?;
    Ok(Value::Image(Image {
        data: generator::pictures(g, &cut, &input, (&ctx.control, "render"))?,
        captions: Vec::new(),
        origin: format!("render of {}", code.origin),
        notes: Vec::new(),
        model: Some(model.id()),
    }))
}
