//! `diagnose`: why a picture is not reached, and what would help.

use super::ladder::{number, one};
use super::{invert as inverting, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::control::Stop;
use crate::error::Result;
use crate::face;
use crate::image::{Pyramid, Raster};
use crate::invert::methods::OPTIMIZE;
use crate::invert::{self, Config, Inversion, Job, Rung, climb};
use crate::space::Space;
use crate::value::{Cell, Loaded, Table, Value};
use candle_core::Tensor;
use std::sync::Arc;

/// Most steps of the trial of a rung.
const TRIAL: usize = 30;
/// PSNR in dB under which the method itself fails.
const REACHED: f64 = 20.0;
/// PSNR in dB by which a picture may be behind a sample of the generator: twice the error is 6.
const NEAR: f64 = 3.0;
const FAR: f64 = 6.0;
/// Gain in dB from which a rung is worth its steps.
const GAIN: f64 = 0.1;

/// `diagnose(x, steps: 60)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "diagnose",
        params: &[
            Param::required(
                "x",
                &[Kind::Image, Kind::Latent],
                "a picture of the generator's size, an inversion, or a code (rendered)",
            ),
            Param::optional(
                "steps",
                &[Kind::Number],
                "60",
                "gradient steps of the inversion and of the self-test",
            )
            .whole(1, 100_000),
            shared::SEED,
            shared::CLASS,
            shared::LABELS,
        ],
        returns: "Table",
        infer,
    },
    category: Category::Invert,
    summary: "says why a picture is or is not reached, and which rung of the ladder would help",
    details: "A short inversion of the picture, and of a sample of the generator by the same \
              method (the self-test): what is possible where the picture is certainly in range. A \
              picture that stays 6 dB or more behind is called out of range. The loss is taken \
              apart by term. Then 30 steps on every rung above, from the code so far, measure \
              what the rung gains and what a step costs. The face and its frame are looked for \
              where the generator brings a network for it. An inversion is not searched again: \
              it takes the place of the short one.",
    examples: &[
        Example { code: "diagnose(sample(seed: 3), steps: 5)", note: "of a picture" },
        Example {
            code: "r = invert(sample(seed: 3), space: W, steps: 5); diagnose(r, steps: 5)",
            note: "of an inversion",
        },
    ],
    cost: Some(inverting::cost),
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    inverting::check::check_picture(call, "x")?;
    Ok(Type::Table)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let given = match args.need("x")? {
        Value::Inversion(i) => Some(i.clone()),
        _ => None,
    };
    let model = match &given {
        Some(i) => ctx.model_of(&i.code)?,
        None => ctx.model()?.clone(),
    };
    let picture = match &given {
        Some(i) => i.target.clone(),
        None => inverting::job::pictures(args, "x", ctx)?.0,
    };
    one(&picture).map_err(|e| e.at(args.span("x")))?;
    let steps = args.need_count("steps")?;
    let config = match &given {
        Some(i) => short(&i.config, steps),
        None => inverting::usual(&model.facts, steps, args.seed(ctx)?),
    };
    let labels = match &given {
        Some(i) => i.code.labels().cloned(),
        None => inverting::job::labels(args, &model, (&config, &picture))?,
    };
    let mut notes: Vec<String> = face(&picture, &model, ctx)?.into_iter().collect();
    let (base, trials) =
        inverting::job::with_job(&model, (&config, labels.as_ref()), &ctx.control, |job| {
            diagnosed(job, &picture, (&config, given), &mut notes).map_err(|e| e.at(args.span))
        })?;
    Ok(Value::Table(Arc::new(table(&base, &trials, notes))))
}

/// Inversions of rungs.
type Trials = Vec<(Rung, Inversion)>;

/// The inversion, or a short one, and trials of the rungs above it; notes say what they show.
fn diagnosed(
    job: &Job<'_>,
    picture: &Tensor,
    (config, given): (&Config, Option<Arc<Inversion>>),
    notes: &mut Vec<String>,
) -> Result<(Arc<Inversion>, Trials)> {
    let base = match given {
        Some(found) => found,
        None => Arc::new(invert::invert(job, picture, config)?),
    };
    let stopped = || job.control.stop() == Stop::Keep;
    if !stopped() {
        let own = invert::self_test(job, config)?;
        notes.push(range(&base, &own));
    }
    notes.extend(terms(&base));
    let mut trials = Vec::new();
    for rung in Rung::all(job.generator)? {
        if rung.contains(Rung::of(&base)) && !stopped() {
            // A pass of an encoder is no step whose time and gain say anything of the others.
            let (steps, method) = (config.steps.min(TRIAL), &OPTIMIZE);
            let trial = Config { steps, method, ..config.clone() };
            trials.push((rung, climb(job, picture, &trial, (rung, Some(&base.code)))?));
        }
    }
    notes.push(if stopped() { "stopped before its end".into() } else { advice(&base, &trials) });
    Ok((base, trials))
}

/// The same search with other steps, from its space's own start.
fn short(config: &Config, steps: usize) -> Config {
    let own = Config::new(config.space, config.method);
    let mut short = Config {
        steps,
        init: own.init,
        restarts: 1,
        until: None,
        plateau: None,
        coarse: None,
        checkpoint: None,
        ..config.clone()
    };
    for name in ["tune", "fill"] {
        if config.method.params.iter().any(|p| p.name == name) {
            short.settings.set(name, steps as f64);
        }
    }
    short
}

/// Whether there is a face, and its frame; `None` without a network that finds faces.
fn face(picture: &Tensor, model: &Loaded, ctx: &Context<'_>) -> Result<Option<String>> {
    let Some(network) = model.features()?.filter(|_| model.facts.landmarks) else {
        return Ok(None);
    };
    let Some(raster) = Raster::from_tensor(picture)?.into_iter().next() else { return Ok(None) };
    let size = [raster.width, raster.height];
    let pyramid = Pyramid::new(raster.converted(network.channels())?.0)?;
    let found = face::find(network, &pyramid, &ctx.control)?;
    let guess = found.as_ref().map_or(0.0, |f| f.confidence);
    Ok(Some(match found.filter(face::Found::sure) {
        None => format!("face: none found (best guess: confidence {guess:.2})"),
        Some(f) if f.fills(size) => {
            format!("face: framed as in the training pictures (confidence {guess:.2})")
        }
        Some(f) => format!(
            "face: {}, turned by {:.0}°, not framed as in the training pictures: image(path) \
             aligns it",
            f.place(),
            f.frame.degrees()
        ),
    }))
}

/// Compares a picture with a sample of the generator.
fn range(base: &Inversion, own: &Inversion) -> String {
    // Passes that were left open are decided in the configuration that ran.
    let (plan, space) = (own.config.plan(), own.config.space);
    let (here, own) = (number(base, "psnr").unwrap_or(0.0), number(own, "psnr").unwrap_or(0.0));
    let verdict = match own - here {
        _ if own < REACHED => "too few steps to tell: give more steps",
        gap if gap >= FAR => "out of the generator's range",
        gap if gap >= NEAR => "at the edge of the generator's range",
        _ => "in the generator's range",
    };
    format!(
        "{verdict}: the picture is reached with {here:.1} dB, a sample of the generator with \
         {own:.1} dB in {plan} in {space}"
    )
}

/// The terms of the loss at the best point.
fn terms(base: &Inversion) -> Option<String> {
    let (trace, best) = (base.trace.first()?, *base.best_step.first()?);
    let row = trace.steps.iter().rposition(|step| *step <= best)?;
    let values = trace.terms.get(row)?;
    let whole: f64 = values.iter().sum();
    let share = |(name, v): (&String, &f64)| {
        format!("{name} {:.0} %", 100.0 * v / whole.max(f64::MIN_POSITIVE))
    };
    let shares: Vec<String> = trace.names.iter().zip(values).map(share).collect();
    Some(format!("the loss, {whole:.4}, is {}", shares.join(", ")))
}

/// Seconds of a step.
fn step_time(found: &Inversion) -> f64 {
    found.seconds / found.steps.max(1) as f64
}

fn gain(base: &Inversion, trial: &Inversion) -> f64 {
    number(trial, "psnr").unwrap_or(0.0) - number(base, "psnr").unwrap_or(0.0)
}

/// What an inversion on a rung means for edits.
const fn edits(rung: Rung) -> &'static str {
    match rung {
        Rung::Space(Space::Z) => "every edit stays natural",
        Rung::Space(Space::W) => "edits stay natural",
        Rung::Space(Space::WPlus) => "edits are safe while the offset is below 0.5 σ",
        Rung::Space(Space::S) => "local edits, less safe than in W",
        Rung::Space(_) => "edits move the code, the map only follows",
        Rung::Weights => "edits as those of its code, on a changed generator",
    }
}

/// The rung that helps most.
fn advice(base: &Inversion, trials: &[(Rung, Inversion)]) -> String {
    let now = Rung::of(base);
    let by = |a: &&(Rung, Inversion), b: &&(Rung, Inversion)| {
        gain(base, &a.1).total_cmp(&gain(base, &b.1))
    };
    let Some((rung, trial)) = trials.iter().max_by(by) else {
        let name = now.name();
        return format!("no rung of the ladder goes on from {name}: give more steps, or ladder(x)");
    };
    let (gained, steps, usual) = (gain(base, trial), trial.steps, rung.usual_steps());
    if gained < GAIN {
        return format!("no rung above {} comes nearer in {steps} steps", now.name());
    }
    let call = match rung {
        Rung::Space(space) => format!("space: {space}"),
        Rung::Weights => "method: pti".to_owned(),
    };
    format!(
        "{call} helps most: {gained:+.1} dB in {steps} steps from here; about {:.0} s for {usual} \
         steps; {}",
        step_time(trial) * usual as f64,
        edits(*rung)
    )
}

fn table(base: &Inversion, trials: &[(Rung, Inversion)], notes: Vec<String>) -> Table {
    let row = |rung: Rung, found: &Inversion, gained: Option<f64>| {
        let number = |v: Option<f64>, digits| match v {
            Some(v) => Cell::Number(v, digits),
            None => Cell::Text("–".into()),
        };
        let whole = step_time(found) * rung.usual_steps() as f64;
        vec![
            Cell::Text(rung.name().into()),
            Cell::Number(found.steps as f64, 0),
            number(self::number(found, "psnr"), 2),
            number(gained, 2),
            Cell::Number(whole, 0),
            Cell::Text(edits(rung).into()),
        ]
    };
    let first = row(Rung::of(base), base, None);
    let others = trials.iter().map(|(rung, found)| row(*rung, found, Some(gain(base, found))));
    let columns = ["rung", "steps", "psnr", "gain", Table::SECONDS, "edits"];
    Table {
        columns: columns.map(str::to_owned).to_vec(),
        rows: std::iter::once(first).chain(others).collect(),
        notes,
        definitions: vec![
            "steps: taken here, on the first rung by the inversion itself".into(),
            "psnr: in dB; gain: over the first row, in dB".into(),
            "seconds: of a complete inversion with the usual steps, from the time of the steps \
             taken here"
                .into(),
        ],
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins::ladder::tests::value;

    fn told(program: &str) -> Arc<Table> {
        let Value::Table(t) = value(program) else { panic!() };
        t
    }

    fn rungs(t: &Table) -> Vec<&str> {
        let name = |row: &'_ Vec<Cell>| match &row[0] {
            Cell::Text(name) => Some(name.clone()),
            Cell::Number(..) => None,
        };
        let names: Vec<String> = t.rows.iter().filter_map(name).collect();
        ["Z", "W", "W+", "S", "F", "pti"]
            .into_iter()
            .filter(|n| names.iter().any(|m| m == n))
            .collect()
    }

    #[test]
    fn a_white_picture_is_out_of_range_and_a_sample_is_not() {
        let white = told("diagnose(blank(), steps: 60)");
        let own = told("diagnose(sample(seed: 3), steps: 60)");
        let starts = |t: &Table, what: &str| t.notes.iter().any(|n| n.starts_with(what));
        assert!(starts(&own, "in the generator's range"), "{:?}", own.notes);
        assert!(!starts(&white, "in the generator's range"), "{:?}", white.notes);
        assert!(own.notes.iter().any(|n| n.contains("the loss") && n.contains("l2")));
        assert_eq!(rungs(&own), ["W+", "S", "F", "pti"]);
        assert!((2..=5).contains(&own.notes.len()));
    }

    #[test]
    fn an_inversion_is_not_searched_again() {
        let of = |space: &str| {
            told(&format!("diagnose(invert(sample(seed: 3), {space}, steps: 7), steps: 3)"))
        };
        let w = of("space: W, method: optimize");
        assert_eq!(rungs(&w), ["W", "W+", "S", "F", "pti"]);
        assert_eq!(w.rows[0][1], Cell::Number(7.0, 0));
        assert_eq!(w.rows[1][1], Cell::Number(3.0, 0));
        assert_eq!(rungs(&of("space: W, method: pti, tune: 100")), ["pti"]);
        assert_eq!(rungs(&of("space: F")), ["F"]);
    }
}
