//! `invert`: from a picture to the code that makes it.

pub(super) mod check;
pub(super) mod job;
mod params;

use super::{degrade, shared};
use crate::builtin::{Args, Builtin, Category, Context, Depends, Example, ModelFacts, Signature};
use crate::error::{Error, Result};
use crate::invert::methods::{self, HYBRID, OPTIMIZE};
use crate::invert::{self, Checkpoint, Config, Init, Inversion, METHODS, Method, TERMS};
use crate::space::Space;
use crate::value::{Loaded, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest time between two checkpoints: the most work that a crash may lose.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);

/// Parameters that only some methods read, besides the methods' own.
const SPECIAL: [&str; 4] = ["passes", "lr", "encoder", "w_encoder"];

/// `invert(picture, space: W+, method: …, steps: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "invert",
        params: &params::ALL,
        returns: "Inversion",
        infer: check::infer,
    },
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
            code: "invert(sample(seed: 3), method: hyper, steps: 1)",
            note: "a pass of the encoder, then what its code leaves out, in the weights",
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
    let usual = if given.encoder && !given.started { &HYBRID } else { &OPTIMIZE };
    let space = space.unwrap_or_else(|| usual_space(usual, facts));
    Some(if usual.works_in(space) && facts.encodes(space) { usual } else { &OPTIMIZE })
}

/// The space that a method searches unless one is given.
fn usual_space(method: &Method, facts: &ModelFacts) -> Space {
    if facts.pair && method.encoder { facts.encoded() } else { method.usual_space(&facts.spaces) }
}

/// The parameters that are given and that only some methods read. The encoder is read by a term as
/// well.
fn special(given: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    let all = SPECIAL.into_iter().chain(METHODS.iter().flat_map(|m| m.params).map(|p| p.name));
    let read = ["encoder", "w_encoder"];
    all.filter(move |name| given(name) && !(read.contains(name) && given("in_domain")))
}

/// Activations of a step, kept for the backward pass: each layer's map before and after its
/// convolution, its noise and its activation, and their slopes.
pub(super) fn cost(_: &Args, ctx: &Context<'_>) -> u64 {
    let Some(model) = &ctx.model else { return 0 };
    let maps = model.facts.network.iter().map(|l| (l.maps * l.area) as u64).sum::<u64>();
    4 * 6 * maps.max(model.facts.pixels() as u64)
}

/// What `invert(x)` does without further arguments to find a code, with another number of steps;
/// nothing is added to a map.
pub(super) fn usual(facts: &ModelFacts, steps: usize, seed: u64) -> Config {
    let given = Given::new(facts, |_| false);
    let method = chosen("auto", None, (facts, given)).unwrap_or(&OPTIMIZE);
    Config { steps, seed, ..auto(usual_space(method, facts), method) }.unfinished()
}

/// The configuration of a method that `auto` has chosen: its code can be edited.
fn auto(space: Space, method: &'static Method) -> Config {
    let mut config = Config::new(space, method);
    if space == Space::WPlus {
        config.weights.set("offset", methods::EDITABLE);
    }
    config
}

fn config(args: &Args, model: &Loaded, ctx: &Context<'_>) -> Result<Config> {
    let (word, space) = (args.word("method")?, args.space("space")?);
    let given = Given::new(&model.facts, |name| args.get(name).is_some());
    let method = chosen(word, space, (&model.facts, given))
        .ok_or_else(|| Error::runtime(format!("no method {word}")).at(args.span("method")))?;
    let space = space.unwrap_or_else(|| usual_space(method, &model.facts));
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

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let mut config = config(args, &model, ctx)?;
    let (pictures, photographs) = job::whole_pictures(args, "picture", (ctx, &config))?;
    let labels = job::labels(args, &model, (&config, &pictures))?;
    if let Some(folder) = &ctx.checkpoints {
        // The name is what is computed: a rerun of the same script finds its own checkpoint,
        // another one never does, nor does one by a gannet that writes them otherwise.
        let classes = labels.as_ref().map(invert::content_hash).transpose()?.unwrap_or_default();
        let (lpips, judge) = (&config.lpips, &config.discriminator);
        let encoder = (&config.encoder, &config.w_encoder);
        let networks = format!(" {lpips:?} {:?} {encoder:?} {judge:?}", config.recogniser);
        let what = format!(
            "{} {} {} {}{classes}{networks}",
            invert::CHECKPOINT_FORMAT,
            model.facts.fingerprint,
            invert::content_hash(&pictures)?,
            config.describe()?
        );
        let key = shared::key(&what);
        let path = folder.join(format!("invert-{key}.safetensors"));
        config.checkpoint = Some(Checkpoint { path, every: CHECKPOINT_EVERY });
    }
    let found = job::with_job(&model, (&config, labels.as_ref()), &ctx.control, |job| {
        invert::invert(job, &pictures, &config).map_err(|e| e.at(args.span))
    })?;
    Ok(Value::Inversion(Arc::new(Inversion { photographs, ..found })))
}
