//! `render`: the picture of a code.

use super::shared;
use crate::builtin::{
    Args, Bounds, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::{self, Generator, Input, Noise, Transform, spaces};
use crate::latent::Part;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Image, Value};
use candle_core::Tensor;

/// `render(code, noise: const, psi: 1, rotate: 0, shift: [0, 0])`
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
                "truncation towards the mean w; 1 leaves w unchanged",
            )
            .within(-10.0, 10.0),
            Param::optional("cutoff", &[Kind::Number], "-", "truncate only layers below this one")
                .whole(0, 1 << 16)
                .named(),
            Param::optional(
                "seed",
                &[Kind::Number],
                "-",
                "seed of random noise; by default the session's",
            )
            .seed()
            .named(),
            Param::optional(
                "rotate",
                &[Kind::Number],
                "-",
                "degrees counterclockwise, inside the network: StyleGAN3",
            )
            .within(-3600.0, 3600.0)
            .named(),
            Param::optional(
                "shift",
                &[Kind::List],
                "-",
                "to the right and down after that, in sides of the picture: StyleGAN3",
            )
            .named(),
            shared::CLASS,
            shared::LABELS,
        ],
        returns: "Image",
        infer,
    },
    category: Category::Generate,
    summary: "the picture of a code",
    details: "Range [-1, 1], not clamped. Truncation follows StyleGAN: w = mean + psi·(w − mean) \
              on the layers below `cutoff`. `rotate` and `shift` are those of StyleGAN3's \
              gen_images.py.",
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
    shared::check_labels(call)?;
    let model = shared::model_of(call, "code");
    if let (Some(m), Some(cutoff), Some(arg)) =
        (&model, shared::count(call, "cutoff"), call.arg("cutoff"))
        && cutoff > m.num_ws
    {
        let bounds = Bounds { from: 0.0, to: m.num_ws as f64, whole: true };
        let kind = crate::error::Kind::Check;
        return Err(bounds.refusal(kind, "cutoff", (cutoff as f64, arg.span)));
    }
    Ok(shared::picture(model.as_ref()))
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
            .at(args.span(if args.get("labels").is_some() { "labels" } else { "class" }))
            .hint("leave it out, or draw the code with it: sample(class: 0)"));
        }
        code.parts.insert(Part::Labels, labels);
    }
    let psi = args.need_number("psi")?;
    let cutoff = args.count_to("cutoff", model.facts.num_ws)?;
    let own = spaces::input_of(&code);
    let noise = match args.word("noise")? {
        "none" => Noise::None,
        "random" => Noise::Random { seed: args.seed(ctx)?, first: 0 },
        _ => own.noise,
    };
    let g = &**model.generator()?;
    let input = Input { noise, transform: transform(args, g)?, ..own };
    let cut = spaces::truncated(g, &code, psi, cutoff)?;
    Ok(Value::Image(Image {
        data: generator::pictures(g, &cut, &input, (&ctx.control, "render"))?,
        captions: Vec::new(),
        origin: format!("render of {}", code.origin),
        notes: Vec::new(),
        model: Some(model.id()),
    }))
}

/// The requested transform; `None` when the picture is not moved.
fn transform(args: &Args, g: &dyn Generator) -> Result<Option<Tensor>> {
    let rotate = args.number("rotate")?.unwrap_or(0.0);
    let moved = Transform { rotate, shift: shift(args)? };
    if moved == Transform::default() {
        return Ok(None);
    }
    if !g.spec().inputs.transform {
        let asked = if args.get("rotate").is_some() { "rotate" } else { "shift" };
        let message = format!(
            "{} cannot turn or shift what it draws: {} has no coordinates to move",
            Safe(&g.spec().name),
            Safe(&g.spec().family)
        );
        return Err(Error::runtime(message).at(args.span(asked)).hint(
            "leave `rotate` and `shift` out; they are for generators of the family StyleGAN3",
        ));
    }
    Ok(Some(moved.matrix(g.device())?))
}

/// The two numbers of `shift`, zeros unless given.
fn shift(args: &Args) -> Result<[f64; 2]> {
    let wrong = || {
        Error::runtime("`shift` is two numbers from -10 to 10: to the right, and down")
            .at(args.span("shift"))
            .hint("in sides of the picture: `shift: [0.1, 0]`")
    };
    let number = |v: &Value| match v {
        Value::Number(v) if v.abs() <= 10.0 => Ok(*v),
        _ => Err(wrong()),
    };
    match args.get("shift") {
        None => Ok([0.0; 2]),
        Some(Value::List(both)) if both.len() == 2 => Ok([number(&both[0])?, number(&both[1])?]),
        Some(_) => Err(wrong()),
    }
}
