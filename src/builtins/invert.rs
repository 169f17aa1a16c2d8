//! `invert`: from a picture to the code that makes it.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Kind, ModelFacts,
    Param, Signature, Type, all_images,
};
use crate::error::{Error, Result};
use crate::invert::{self, Checkpoint, Config, Init, Job, Method};
use crate::metric::Perceptual;
use crate::space::Space;
use crate::value::{Loaded, Value};
use candle_core::Tensor;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// At most this long between two checkpoints: what a dropped line may cost.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);

/// Passes of an encoder that may be asked for; more than a few hardly change anything.
const MOST_PASSES: usize = 1000;

/// `invert(picture, space: W+, method: …, steps: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "invert",
        params: &[
            Param::required(
                "picture",
                &[Kind::Image, Kind::Latent, Kind::List],
                "pictures of the generator's size, or a list of them; of a code its picture",
            ),
            Param::optional(
                "space",
                &[Kind::Space],
                "-",
                "Z, W, W+, S (styles) or N (noise maps only); W+ where the generator has one, W \
                for the projector, Z where there is no W",
            ),
            Param::optional(
                "method",
                &[Kind::Choice],
                "auto",
                "`optimize`: Adam; `projector`: NVIDIA's, in W; `encoder`: \
                refinement passes of the generator's own encoder; `hybrid`: these, then optimize; `auto`: hybrid where \
                there is an encoder, the space is W or W+ and no start is given, else optimize",
            )
            .choices(&["auto", "optimize", "projector", "encoder", "hybrid"]),
            Param::optional(
                "steps",
                &[Kind::Number],
                "-",
                "gradient steps; optimize 400, projector 1000, hybrid 200; of \
                `method: encoder` its passes",
            ),
            Param::optional(
                "passes",
                &[Kind::Number],
                "-",
                "of the encoder, before any gradient step; as many as it was \
                trained for",
            )
            .named(),
            Param::optional(
                "init",
                &[Kind::Choice, Kind::Latent],
                "-",
                "`mean` of w, `random`, `best_of: k` samples, or a code \
                (`latent` with `start`)",
            )
            .choices(&["mean", "random", "best_of:", "latent"])
            .named(),
            Param::optional("start", &[Kind::Latent], "-", "the code that `init: latent` starts from").named(),
            Param::optional("best_of", &[Kind::Number], "-", "the same as `init: best_of: k`").named(),
            Param::optional("lr", &[Kind::Number], "-", "peak learning rate").named(),
            Param::optional("l2", &[Kind::Number], "-", "weight of the squared error on [-1, 1]").named(),
            Param::optional("l1", &[Kind::Number], "-", "weight of the absolute error on [-1, 1]").named(),
            Param::optional("perceptual", &[Kind::Number], "-", "weight of the perceptual distance").named(),
            Param::optional("offset", &[Kind::Number], "-", "weight that keeps the layers of a W+ code together")
                .named(),
            Param::optional("noise", &[Kind::Bool], "-", "search the noise maps as well").named(),
            Param::optional("seed", &[Kind::Number], "-", "of everything random; the session's unless given").named(),
            shared::CLASS,
        ],
        returns: "Inversion",
        infer,
    },
    category: Category::Invert,
    summary: "finds the code that makes a picture",
    details: "An Inversion stands for its code wherever a code is wanted. Ctrl-C stops it and keeps the best so far. \
              Several pictures at once, as `invert([image(\"a.png\"), image(\"b.png\")])`, take less time than one \
              after the other and give exactly what each gives alone: `[one for one in r]` takes them apart. Every \
              term of the loss stays apart in the trace. An encoder begins at the mean of w (or the start it is given) \
              and corrects the code by looking at target and reconstruction, pass after pass; the best pass by the \
              loss is kept, and where hybrid goes on from. In W the layers' corrections are averaged. Methods: \
              Image2StyleGAN (optimize), Karras et al. 2020 appendix D (projector), e4e and ReStyle (encoder).",
    examples: &[
        Example {
            code: "invert(sample(seed: 3), space: W, steps: 20)",
            note: "the self-test: a picture that the generator made",
        },
        Example {
            code: "invert(sample(seed: 3), space: Z, init: best_of: 8, steps: 10)",
            note: "in Z, from the best of 8",
        },
        Example {
            code: "invert(sample(seed: 3), method: encoder, steps: 2)",
            note: "two passes of the encoder, no gradient",
        },
        Example {
            code: "invert([render(sample(seed: 3)), render(sample(seed: 4))], space: W, steps: 5)",
            note: "two pictures at once",
        },
        Example {
            code: "invert(sample(seed: 3), method: hybrid, passes: 1, steps: 10)",
            note: "one pass, then ten gradient steps in W+",
        },
    ],
    cost: Some(cost),
    definition: None,
    run,
};

fn usual(spaces: &[Space], method: &str) -> Space {
    let order = if method == "projector" {
        [Space::W, Space::WPlus, Space::Z]
    } else {
        [Space::WPlus, Space::W, Space::Z]
    };
    order.into_iter().find(|s| spaces.contains(s)).unwrap_or(Space::Z)
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let Some(m) = call.model.clone() else { return Ok(Type::Inversion(CodeType::default())) };
    let method = match call.value("method") {
        Some(Const::Choice(w, _)) => w.clone(),
        _ => "auto".into(),
    };
    let at = |name: &str| call.arg(name).map_or(call.span, |a| a.span);
    if matches!(method.as_str(), "encoder" | "hybrid") && !m.encoder {
        return Err(Error::check(format!(
            "{} brings no encoder, which `method: {method}` needs",
            m.name
        ))
        .at(at("method"))
        .hint("method: optimize"));
    }
    let space = shared::space(call, "space").unwrap_or_else(|| usual(&m.spaces, &method));
    if space != Space::N {
        shared::check_space(space, &m, at("space"))?;
    }
    if matches!(method.as_str(), "encoder" | "hybrid")
        && Method::parse(&method).is_some_and(|m| !m.works_in(space))
    {
        return Err(Error::check(format!(
            "an encoder gives W or W+ codes, it does not search {space}"
        ))
        .at(at("space"))
        .hint("space: W+, or method: optimize"));
    }
    if method == "projector" && !m.spaces.contains(&Space::W) {
        return Err(Error::check(format!("the projector searches W, {} has none", m.name))
            .at(at("method"))
            .hint("method: optimize"));
    }
    if method == "projector" && space != Space::W {
        return Err(Error::check(format!("the projector searches W, not {space}"))
            .at(at("space"))
            .hint("space: W"));
    }
    let picture = match call.arg("picture").map(|a| a.ty.clone()) {
        Some(Type::List(each)) => Some(*each),
        other => other,
    };
    if let Some(Type::Image(Some(size))) = picture {
        fits(size, &m).map_err(|e| e.at(at("picture")))?;
    }
    let found = if space == Space::N { Space::W } else { space };
    let layers = m.layers(found);
    Ok(Type::Inversion(CodeType {
        space: (space != Space::N).then_some(found),
        layers,
        model: Some(m),
        count: None,
        origin: Some("inverted".into()),
    }))
}

fn fits(size: [usize; 3], m: &ModelFacts) -> Result<()> {
    let [c, h, w] = size;
    if [c, h, w] == [m.channels, m.height, m.width] {
        return Ok(());
    }
    Err(Error::check(format!(
        "the picture is {w}×{h}×{c}, {} makes {}×{}×{}",
        m.name, m.width, m.height, m.channels
    ))
    .hint("image(path) fits a picture to the current generator; load the generator before it"))
}

/// Activations of a step, kept for the backward pass: about 40 maps of 64 channels at full
/// resolution.
fn cost(_: &Args, ctx: &Context<'_>) -> u64 {
    let pixels = ctx.model.as_ref().map_or(0, |m| m.facts.pixels()) as u64;
    pixels * 64 * 4 * 40
}

fn config(args: &Args, model: &Loaded, ctx: &Context<'_>) -> Result<Config> {
    let word = args.word("method")?;
    let space = args.space("space")?.unwrap_or_else(|| usual(&model.facts.spaces, word));
    let method = match word {
        "auto" => auto(args, model, space),
        w => Method::parse(w)
            .ok_or_else(|| Error::runtime(format!("no method {w}")).at(args.span("method")))?,
    };
    let mut c = Config::new(space, method);
    c.seed = args.seed(ctx)?;
    (c.passes, c.steps) = steps(args, &c)?;
    let weight = |name: &str| args.number(name, 0.0..=1e12);
    c.lr = weight("lr")?.unwrap_or(c.lr);
    c.losses.l2 = weight("l2")?.unwrap_or(c.losses.l2);
    c.losses.l1 = weight("l1")?.unwrap_or(c.losses.l1);
    c.losses.offset = weight("offset")?.unwrap_or(c.losses.offset);
    c.losses.perceptual = weight("perceptual")?.or(c.losses.perceptual);
    if args.get("noise").is_some() {
        c.noise = args.flag("noise")?;
    }
    c.init = init(args, c.init)?;
    Ok(c)
}

/// Hybrid where an encoder can help: a start that was given is the user's own, and no encoder moves
/// z.
fn auto(args: &Args, model: &Loaded, space: Space) -> Method {
    let started = ["init", "start", "best_of"].iter().any(|name| args.get(name).is_some());
    let hybrid = model.facts.encoder && !started && Method::Hybrid.works_in(space);
    if hybrid { Method::Hybrid } else { Method::Optimize }
}

/// Passes and gradient steps; `steps` of the encoder are its passes.
fn steps(args: &Args, c: &Config) -> Result<(Option<usize>, usize)> {
    let passes = args.count("passes", 0..=MOST_PASSES)?;
    if passes.is_some() && !c.method.encodes() {
        return Err(Error::runtime(format!(
            "method {} makes no passes of an encoder",
            c.method.name()
        ))
        .at(args.span("passes"))
        .hint("leave `passes` out, or use method: hybrid"));
    }
    if c.method != Method::Encoder {
        return Ok((passes, args.count("steps", 0..=1_000_000)?.unwrap_or(c.steps)));
    }
    match (passes, args.count("steps", 0..=MOST_PASSES)?) {
        (Some(_), Some(_)) => {
            Err(Error::runtime("the steps of the encoder are its passes: both are given")
                .at(args.span("steps"))
                .hint("give one of them"))
        }
        (passes, steps) => Ok((passes.or(steps), 0)),
    }
}

fn init(args: &Args, usual: Init) -> Result<Init> {
    if let Some(k) = args.count("best_of", 1..=100_000)? {
        return Ok(Init::BestOf(k));
    }
    let wrong = |what: &str| Err(Error::runtime(what.to_owned()).at(args.span("init")));
    match args.get("init") {
        None if args.get("start").is_some() => Ok(Init::Latent(args.latent("start")?)),
        None => Ok(usual),
        Some(Value::Word(w, value)) => match (w.as_str(), value.as_deref()) {
            ("mean", _) => Ok(Init::Mean),
            ("random", _) => Ok(Init::Random),
            ("best_of", Some(Value::Number(k))) if *k >= 1.0 && k.fract() == 0.0 && *k <= 1e5 => {
                Ok(Init::BestOf(*k as usize))
            }
            ("best_of", _) => wrong("`best_of` wants how many: init: best_of: 8"),
            ("latent", _) if args.get("start").is_some() => Ok(Init::Latent(args.latent("start")?)),
            _ => wrong("`init: latent` wants its code: start: code"),
        },
        Some(_) => Ok(Init::Latent(args.latent("init")?)),
    }
}

/// All pictures in one batch, `[N, C, R, R]`.
fn pictures(args: &Args, ctx: &Context<'_>) -> Result<Tensor> {
    let facts = &ctx.model()?.facts;
    let images = all_images(&args.many("picture"), ctx)?;
    for image in &images {
        let [_, c, h, w] = image.dims();
        fits([c, h, w], facts).map_err(|e| e.at(args.span("picture")))?;
    }
    match &images[..] {
        [] => Err(Error::runtime("there is no picture to invert").at(args.span("picture"))),
        [one] => Ok(one.data.clone()),
        several => Ok(Tensor::cat(&several.iter().map(|i| &i.data).collect::<Vec<_>>(), 0)?),
    }
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let pictures = pictures(args, ctx)?;
    let mut config = config(args, &model, ctx)?;
    let perceptual = model.features.clone().map(Perceptual::new);
    let labels = shared::needed_labels(args, &model, pictures.dim(0)?)?;
    if let Some(folder) = &ctx.checkpoints {
        // The name is what is computed: a rerun of the same script finds its own checkpoint,
        // another one never does.
        let classes = labels.as_ref().map(invert::content_hash).transpose()?.unwrap_or_default();
        let what = format!(
            "{} {} {}{classes}",
            model.facts.fingerprint,
            invert::content_hash(&pictures)?,
            config.describe()?
        );
        let key: String =
            Sha256::digest(what).iter().take(12).map(|b| format!("{b:02x}")).collect();
        let path = folder.join(format!("invert-{key}.safetensors"));
        config.checkpoint = Some(Checkpoint { path, every: CHECKPOINT_EVERY });
    }
    let job = Job {
        perceptual: perceptual.as_ref(),
        labels: labels.as_ref(),
        encoder: if config.method.encodes() { model.encoder()? } else { None },
        stats: model.stats()?,
        ..Job::new(&*model.generator, &ctx.control)
    };
    let found = invert::invert(&job, &pictures, &config).map_err(|e| e.at(args.span))?;
    Ok(Value::Inversion(Arc::new(found)))
}
