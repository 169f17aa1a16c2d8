//! `invert`: from a picture to the code that makes it.

mod params;

use super::{degrade, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Depends, Example, ModelFacts,
    Signature, Type, all_images, as_check,
};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::image::Photograph;
use crate::invert::methods::{self, HYBRID, OPTIMIZE};
use crate::invert::{self, Checkpoint, Config, Init, Inversion, Job, METHODS, Method, TERMS};
use crate::metric::{Lpips, Perceptual, Recognition};
use crate::network::discriminator;
use crate::space::Space;
use crate::value::{Image, Loaded, Value};
use candle_core::Tensor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest time between two checkpoints: the most work that a crash may lose.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);

/// Parameters that only some methods read, besides the methods' own.
const SPECIAL: [&str; 4] = ["passes", "lr", "encoder", "w_encoder"];

/// `invert(picture, space: W+, method: …, steps: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "invert", params: &params::ALL, returns: "Inversion", infer },
    category: Category::Invert,
    summary: "finds the code that makes a picture",
    details: params::DETAILS,
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
            code: "invert(sample(seed: 3), space: PN+, prior_pn: 0.001, steps: 10)",
            note: "in PN+, held near the prior",
        },
        Example {
            code: "invert(sample(seed: 3), method: encoder, steps: 2)",
            note: "two passes of the encoder, no gradient",
        },
        Example {
            code: "invert(sample(seed: 3), method: residual, steps: 1)",
            note: "a pass of the encoder, then what its code leaves out, in a map",
        },
        Example {
            code: "invert([render(sample(seed: 3)), render(sample(seed: 4))], space: W, steps: 5)",
            note: "two pictures at once",
        },
        Example {
            code: "invert(sample(seed: 3), method: hybrid, passes: 1, steps: 10)",
            note: "one pass, then ten gradient steps in W+",
        },
        Example {
            code: "invert(sample(seed: 3), method: lbfgs, space: Z, steps: 12, history: 5)",
            note: "twelve evaluations of L-BFGS",
        },
        Example {
            code: "invert(sample(seed: 3), space: Z, optimizer: ranger, schedule: cosine, steps: 9)",
            note: "another optimizer and learning rate",
        },
        Example {
            code: "invert(sample(seed: 3), method: basincma, space: Z, generations: 1, refine: 2, steps: 3)",
            note: "one generation of BasinCMA, then three steps of Adam",
        },
        Example {
            code: "small = degrade(sample(seed: 3), down: 4, grey: true); \
                   invert(small, down: 4, grey: true, space: W, steps: 5)",
            note: "a small grey picture at full size and in colour",
        },
        Example {
            code: "invert(degrade(sample(seed: 3), blur: 1), method: mimicgan, rounds: 2, \
                   surrogate: 3, steps: 9)",
            note: "what has happened to the picture is found too",
        },
        Example {
            code: "invert(sample(seed: 3), method: mganprior, codes: 3, steps: 5)",
            note: "three codes in one picture",
        },
        Example {
            code: "a = sample(seed: 3); frames = [render(lerp(a, sample(seed: 4), t)) for t in \
                   [0, 0.5, 1]]; r = invert(frames, method: consecutive, steps: 5); \
                   codes = [c for c in r]; codes[2] - codes[0]",
            note: "three frames of one motion, and its direction",
        },
        Example {
            code: "invert(sample(seed: 3), space: W, discriminator: 0.1, adversarial: 0.01, \
                   steps: 5)",
            note: "also near in the discriminator's features, and real to it",
        },
        Example {
            code: "invert(degrade(sample(seed: 3), grey: true), grey: true, method: dgp, \
                   best_of: 4, steps: 2)",
            note: "colours by Deep Generative Prior",
        },
        Example {
            code: "invert(sample(seed: 3), method: pti, steps: 5, tune: 3, locality: 0.1)",
            note: "tuned weights that leave other pictures alone",
        },
        Example {
            code: "invert(sample(seed: 3), mask: mask(box: [0, 0, 1, 0.5]), space: W, steps: 5)",
            note: "only the upper half counts",
        },
    ],
    cost: Some(cost),
    cache: Some(Depends::Networks),
    definition: None,
    run,
};

/// Whether there is an encoder, and whether a start is given, which is the user's own.
#[derive(Clone, Copy)]
struct Given {
    encoder: bool,
    started: bool,
}

impl Given {
    /// By the parameters that are given.
    fn new(facts: &ModelFacts, given: impl Fn(&str) -> bool) -> Self {
        let started = ["init", "start", "best_of"].iter().any(|name| given(name));
        Self { encoder: facts.encoder || given("encoder"), started }
    }
}

/// The method that is written, or what `auto` is: hybrid where an encoder can help.
fn chosen(
    word: &str,
    space: Option<Space>,
    (facts, given): (&ModelFacts, Given),
) -> Option<&'static Method> {
    if word != "auto" {
        return methods::find(word);
    }
    let space = space.unwrap_or_else(|| OPTIMIZE.usual_space(&facts.spaces));
    let hybrid = given.encoder && !given.started && HYBRID.works_in(space);
    Some(if hybrid { &HYBRID } else { &OPTIMIZE })
}

/// The parameters that are given and that only some methods read. The encoder is read by a term as
/// well.
fn special(given: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    let all = SPECIAL.into_iter().chain(METHODS.iter().flat_map(|m| m.params).map(|p| p.name));
    let read = ["encoder", "w_encoder"];
    all.filter(move |name| given(name) && !(read.contains(name) && given("in_domain")))
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    shared::check_needed_condition(call, call.model.as_deref())?;
    let Some(m) = call.model.clone() else { return Ok(Type::Inversion(CodeType::default())) };
    let word = match (call.value("method"), call.arg("method")) {
        (Some(Const::Choice(w, _)), _) => w.as_str(),
        (None, Some(_)) => "",
        _ => "auto",
    };
    let at = |name: &str| call.arg(name).map_or(call.span, |a| a.span);
    let written = |name: &str| call.arg(name).is_some();
    let (found, given) = (Given::new(&m, written), shared::space(call, "space"));
    let method = chosen(word, given, (&m, found));
    let space = given.unwrap_or_else(|| method.unwrap_or(&OPTIMIZE).usual_space(&m.spaces));
    let check = |found: Result<()>, name: &str| found.map_err(|e| as_check(e).at(at(name)));
    if let Some(method) = method {
        check(method.check_encoder(found.encoder, &m.name), "method")?;
        check(method.check_residual(m.residual, &m.name), "method")?;
    }
    if !matches!(space, Space::N | Space::F) {
        shared::check_space(space, &m, at("space"))?;
    }
    if let Some(method) = method {
        check(method.check_space(space), "space")?;
        for name in special(written) {
            check(method.check_parameter(name), name)?;
        }
    }
    if let Some(arg) = call.arg("layer") {
        let refuse = |e: Error| as_check(e).at(arg.span);
        if space != Space::F && (given.is_some() || method.is_some()) {
            let message = format!("`layer` is searched in F, not in {space}");
            return Err(refuse(Error::check(message).hint("space: F, or leave `layer` out")));
        }
        if let Some(Const::Text(name)) = call.value("layer") {
            shared::layer(&m, name, |l| l.maps).map_err(refuse)?;
        }
    }
    if let (Some(Const::Bool(true)), false) = (call.value("pose"), m.can.camera || m.can.transform)
    {
        let message = format!("{} has neither a camera nor a transform to search", m.name);
        return Err(Error::check(message).at(at("pose")).hint("leave `pose` out"));
    }
    let picture = match call.arg("picture").map(|a| a.ty.clone()) {
        Some(Type::List(each)) => Some(*each),
        other => other,
    };
    if let Some(Type::Image(Some(size))) = picture {
        let known = match (call.arg("down"), call.value("down")) {
            (None, _) => Some(1),
            (_, Some(Const::Number(k))) => Some((*k as usize).max(1)),
            _ => None,
        };
        let grey = call.arg("grey").is_some();
        let small = known.is_none_or(|k| degraded(size, &m, (k, grey)));
        if !small {
            fits(size, &m).map_err(|e| e.at(at("picture")))?;
        }
    }
    let found = match space {
        Space::N => Space::W,
        // What is found beside the code does not show in its type.
        Space::F if m.spaces.contains(&Space::WPlus) => Space::WPlus,
        Space::F => Space::Z,
        other => other,
    };
    let layers = m.layers(found);
    Ok(Type::Inversion(CodeType {
        space: (space != Space::N).then_some(found),
        layers,
        model: Some(m),
        count: None,
        origin: Some("inverted".into()),
        ..CodeType::default()
    }))
}

/// Whether a picture is a degraded one of the generator: so many times smaller on each side, or
/// grey.
fn degraded([c, h, w]: [usize; 3], m: &ModelFacts, (down, grey): (usize, bool)) -> bool {
    let channels = c == m.channels || (grey && c == 1);
    channels && [h * down, w * down] == [m.height, m.width]
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

/// Activations of a step, kept for the backward pass: each layer's map before and after its
/// convolution, its noise and its activation, and their slopes.
pub(super) fn cost(_: &Args, ctx: &Context<'_>) -> u64 {
    let Some(model) = &ctx.model else { return 0 };
    let maps = model.facts.network.iter().map(|l| (l.maps * l.area) as u64).sum::<u64>();
    4 * 6 * maps.max(model.facts.pixels() as u64)
}

/// What `invert(x)` does without further arguments, with another number of steps.
pub(super) fn usual(facts: &ModelFacts, steps: usize, seed: u64) -> Config {
    let given = Given::new(facts, |_| false);
    let method = chosen("auto", None, (facts, given)).unwrap_or(&OPTIMIZE);
    Config { steps, seed, ..auto(method.usual_space(&facts.spaces), method) }
}

/// The configuration of a method that `auto` has chosen: its code can be edited.
fn auto(space: Space, method: &'static Method) -> Config {
    let mut config = Config::new(space, method);
    if space == Space::WPlus {
        config.weights.set("offset", methods::EDITABLE);
    }
    config
}

/// Refuses a picture of another size than the generator's, and one without its needed condition.
pub(super) fn check_picture(call: &CheckedCall<'_>, name: &str) -> Result<()> {
    shared::check_needed_condition(call, call.model.as_deref())?;
    let (Some(m), Some(arg)) = (&call.model, call.arg(name)) else { return Ok(()) };
    match arg.ty {
        Type::Image(Some(size)) => fits(size, m).map_err(|e| e.at(arg.span)),
        _ => Ok(()),
    }
}

fn config(args: &Args, model: &Loaded, ctx: &Context<'_>) -> Result<Config> {
    let (word, space) = (args.word("method")?, args.space("space")?);
    let given = Given::new(&model.facts, |name| args.get(name).is_some());
    let method = chosen(word, space, (&model.facts, given))
        .ok_or_else(|| Error::runtime(format!("no method {word}")).at(args.span("method")))?;
    let space = space.unwrap_or_else(|| method.usual_space(&model.facts.spaces));
    for name in special(|name| args.given(name)) {
        method.check_parameter(name).map_err(|e| e.at(args.span(name)))?;
    }
    let mut c = if word == "auto" { auto(space, method) } else { Config::new(space, method) };
    c.seed = args.seed(ctx)?;
    (c.passes, c.steps) = steps(args, &c)?;
    let weight = |name: &str| args.number(name);
    c.restarts = args.count("restarts")?.unwrap_or(c.restarts);
    (c.until, c.plateau) = (weight("until")?, weight("plateau")?);
    for term in TERMS {
        if let Some(w) = weight(term.name)? {
            c.weights.set(term.name, w);
        }
    }
    c.degrade = degrade::strengths(args)?;
    c.coarse = args.count("coarse")?.or(c.coarse);
    c.lpips = path(args, "lpips_net").map(|net| (net, path(args, "lpips_heads")));
    (c.recogniser, c.encoder) = (path(args, "identity_net"), path(args, "encoder"));
    c.w_encoder = path(args, "w_encoder");
    if c.w_encoder.is_some() && c.encoder.is_none() {
        return Err(Error::runtime("`w_encoder` finds the code which `encoder` begins with")
            .at(args.span("w_encoder"))
            .hint("encoder: \"hyperstyle_ffhq.pt\""));
    }
    c.discriminator = path(args, "discriminator_file");
    c.levels = args.count("levels")?;
    for param in method.params {
        if !param.choices.is_empty() {
            if args.get(param.name).is_some() {
                c.words.choose(param, args.word(param.name)?)?;
            }
        } else if let Some(value) = weight(param.name)? {
            c.settings.set(param.name, value);
        }
    }
    c.lr = weight("lr")?.unwrap_or_else(|| c.usual_lr());
    if args.get("noise").is_some() {
        c.noise = args.flag("noise")?;
    }
    c.pose = args.flag("pose")?;
    if args.get("layer").is_some() {
        let at = |e: Error| e.at(args.span("layer"));
        if space != Space::F {
            return Err(at(Error::runtime(format!("`layer` is searched in F, not in {space}"))
                .hint("space: F, or leave `layer` out")));
        }
        let name = args.text("layer")?;
        shared::layer(&model.facts, name, |l| l.maps).map_err(at)?;
        let layers = &model.generator()?.spec().layers;
        c.layer = layers.iter().position(|l| l.name == name);
    }
    if let Some(Value::Mask(mask)) = args.get("mask") {
        let size = (model.facts.height, model.facts.width);
        mask.check(size).map_err(|e| e.at(args.span("mask")))?;
        c.mask = Some(mask.as_ref().clone());
    }
    c.init = init(args, c.init)?;
    Ok(c)
}

/// The file that a parameter names.
fn path(args: &Args, name: &str) -> Option<PathBuf> {
    match args.get(name) {
        Some(Value::Text(path)) => Some(PathBuf::from(path)),
        _ => None,
    }
}

/// Passes and gradient steps; `steps` of the encoder are its passes.
fn steps(args: &Args, c: &Config) -> Result<(Option<usize>, usize)> {
    let passes = args.count("passes")?;
    if c.method.steps.is_some() {
        return Ok((passes, args.count("steps")?.unwrap_or(c.steps)));
    }
    match (passes, args.count_to("steps", params::MOST_PASSES as usize)?) {
        (Some(_), Some(_)) => {
            Err(Error::runtime("the steps of the encoder are its passes: both are given")
                .at(args.span("steps"))
                .hint("give one of them"))
        }
        (passes, steps) => Ok((passes.or(steps), 0)),
    }
}

fn init(args: &Args, usual: Init) -> Result<Init> {
    if let Some(k) = args.count("best_of")? {
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

/// All pictures of an argument in one batch, `[N, C, R, R]`, and the photographs that they were cut from.
pub(super) fn pictures(
    args: &Args,
    name: &str,
    ctx: &Context<'_>,
) -> Result<(Tensor, Vec<Option<Photograph>>)> {
    whole_pictures(args, name, (ctx, &Config::new(Space::W, &OPTIMIZE)))
}

/// As [`pictures`]; those that are degraded as the configuration says are enlarged.
fn whole_pictures(
    args: &Args,
    name: &str,
    (ctx, config): (&Context<'_>, &Config),
) -> Result<(Tensor, Vec<Option<Photograph>>)> {
    let facts = &ctx.model()?.facts;
    let mut images = all_images(&args.many(name), ctx)?;
    let down = config.degrade.get("down").map_or(1, |k| k as usize);
    let grey = config.degrade.get("grey") == Some(1.0);
    for image in &mut images {
        let [_, c, h, w] = image.dims();
        if fits([c, h, w], facts).is_err() && degraded([c, h, w], facts, (down, grey)) {
            let data = invert::enlarge(&image.data, down)?;
            let all = [data.dim(0)?, facts.channels, facts.height, facts.width];
            *image = Image::new(data.broadcast_as(&all)?.contiguous()?, image.origin.clone());
        }
    }
    for image in &images {
        let [_, c, h, w] = image.dims();
        fits([c, h, w], facts).map_err(|e| e.at(args.span(name)))?;
    }
    let each = |i: &Image| (0..i.dims()[0]).map(|k| i.photograph(k).cloned()).collect::<Vec<_>>();
    let mut photographs: Vec<_> = images.iter().flat_map(each).collect();
    if photographs.iter().all(Option::is_none) {
        photographs.clear();
    }
    let data = match &images[..] {
        [] => return Err(Error::runtime("there is no picture to invert").at(args.span(name))),
        [one] => one.data.clone(),
        several => Tensor::cat(&several.iter().map(|i| &i.data).collect::<Vec<_>>(), 0)?,
    };
    Ok((data, photographs))
}

/// Calls `search` with the generator of a model, the networks that it brings and the labels.
///
/// # Errors
/// Those of `search`, and when a network of the model cannot be loaded.
pub(super) fn with_job<T>(
    model: &Loaded,
    (config, labels): (&Config, Option<&Tensor>),
    control: &Control,
    search: impl FnOnce(&Job<'_>) -> Result<T>,
) -> Result<T> {
    // A network that does not count is not read.
    let device = model.generator()?.device();
    let lpips = match &config.lpips {
        Some((network, heads)) if config.weighs("lpips") => {
            Some(Lpips::open(network, heads.as_deref(), device)?)
        }
        _ => None,
    };
    let recognition = match &config.recogniser {
        Some(path) if config.weighs("identity") => Some(Recognition::open(path, device)?),
        _ => None,
    };
    let named = config.encoder.as_deref().filter(|_| config.reads_encoder());
    let named =
        named.map(|path| model.encoder_in(path, config.w_encoder.as_deref())).transpose()?;
    let encoder = match &named {
        Some(named) => Some(&**named),
        None if config.reads_encoder() => model.encoder()?,
        None => None,
    };
    let judged = config.reads_discriminator();
    let given = match &config.discriminator {
        Some(file) if judged => Some(discriminator::open(file, device)?),
        _ => None,
    };
    let discriminator = match &given {
        Some(given) => Some(&**given),
        None if judged => model.discriminator()?,
        None => None,
    };
    let perceptual = match model.features()? {
        Some(own) => Some(Perceptual::new(own.clone())),
        // Without a discriminator a perceptual distance is compared instead of its features.
        None if config.borrows_features(model.spec()) || (judged && discriminator.is_none()) => {
            model.general_features()?.map(Perceptual::borrowed)
        }
        None => None,
    };
    search(&Job {
        perceptual: perceptual.as_ref(),
        lpips: lpips.as_ref(),
        recognition: recognition.as_ref(),
        discriminator,
        labels,
        encoder,
        residual: if config.method.residual { model.residual()? } else { None },
        stats: Some(&|| model.stats()),
        ..Job::new(&**model.generator()?, control)
    })
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let mut config = config(args, &model, ctx)?;
    let (pictures, photographs) = whole_pictures(args, "picture", (ctx, &config))?;
    let labels = shared::needed_labels(args, &model, pictures.dim(0)?)?;
    if let Some(folder) = &ctx.checkpoints {
        // The name is what is computed: a rerun of the same script finds its own checkpoint,
        // another one never does.
        let classes = labels.as_ref().map(invert::content_hash).transpose()?.unwrap_or_default();
        let (lpips, judge) = (&config.lpips, &config.discriminator);
        let encoder = (&config.encoder, &config.w_encoder);
        let networks = format!(" {lpips:?} {:?} {encoder:?} {judge:?}", config.recogniser);
        let what = format!(
            "{} {} {}{classes}{networks}",
            model.facts.fingerprint,
            invert::content_hash(&pictures)?,
            config.describe()?
        );
        let key = shared::key(&what);
        let path = folder.join(format!("invert-{key}.safetensors"));
        config.checkpoint = Some(Checkpoint { path, every: CHECKPOINT_EVERY });
    }
    let found = with_job(&model, (&config, labels.as_ref()), &ctx.control, |job| {
        invert::invert(job, &pictures, &config).map_err(|e| e.at(args.span))
    })?;
    Ok(Value::Inversion(Arc::new(Inversion { photographs, ..found })))
}
