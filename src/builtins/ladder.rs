//! `ladder`: a picture inverted in every space of the generator, and what each gains and costs.

use super::{invert as inverting, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Depends, Example, Kind, Param, Signature, Type,
};
use crate::direction::{self, Forms};
use crate::error::{Error, Result};
use crate::generator::{spaces, whitening};
use crate::invert::{Inversion, Rung, ladder};
use crate::latent::Direction;
use crate::metric::{Features, Identity, Level, Metric};
use crate::render::{Chart, Plot};
use crate::space::Space;
use crate::value::{Cell, Image, Loaded, Table, Value};
use candle_core::Tensor;
use std::sync::Arc;

/// Steps of the direction by which codes are edited on trial.
const STRENGTH: f64 = 2.0;

/// `ladder(x, steps: 100)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "ladder",
        params: &[
            Param::required(
                "x",
                &[Kind::Image, Kind::Latent],
                "a picture of the generator's size; a code is rendered",
            ),
            Param::optional("steps", &[Kind::Number], "100", "gradient steps of each rung")
                .whole(1, 100_000),
            shared::SEED,
            shared::CLASS,
            shared::LABELS,
        ],
        returns: "Table",
        infer,
    },
    category: Category::Invert,
    summary: "inverts a picture in every space, from Z to the weights, and compares the results",
    details: "One inversion for each rung that the generator has: Z, W, W+, S, F and pti, the \
              generator's weights around the code of W. Each rung begins at the code of the one \
              before; F begins at that of W+. A rung searches the one it begins at too, so its \
              loss is never larger (its PSNR can be, where the loss is perceptual). Further up \
              the picture is reached better and edited less safely: `identity` and `edit` are \
              measured after a step of 2 along a direction of the generator. \
              `ladder(x)[\"W+\"]` is the inversion of a rung, `ladder(x)[\"psnr\"]` a column. \
              Ctrl-C keeps the rungs so far. `:details` says what the columns mean.",
    examples: &[
        Example { code: "ladder(sample(seed: 3), steps: 5)", note: "every rung, five steps each" },
        Example {
            code: "show ladder(sample(seed: 3), steps: 3)[\"W+\"] + 2*direction(\"smile\")",
            note: "the code of a rung, edited",
        },
        Example { code: "max(ladder(sample(seed: 3), steps: 3)[\"psnr\"])", note: "a column" },
    ],
    cost: Some(inverting::cost),
    cache: Some(Depends::Networks),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    inverting::check::check_picture(call, "x")?;
    Ok(Type::Table)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let (picture, photographs) = inverting::job::pictures(args, "x", ctx)?;
    one(&picture).map_err(|e| e.at(args.span("x")))?;
    let config = inverting::usual(&model.facts, args.need_count("steps")?, args.seed(ctx)?);
    let labels = inverting::job::labels(args, &model, (&config, &picture))?;
    let rungs = Rung::all(&**model.generator()?)?;
    let found =
        inverting::job::with_job(&model, (&config, labels.as_ref()), &ctx.control, |job| {
            ladder(job, &picture, &config, &rungs).map_err(|e| e.at(args.span))
        })?;
    let found: Vec<(Rung, Inversion)> = found
        .into_iter()
        .map(|(rung, i)| (rung, Inversion { photographs: photographs.clone(), ..i }))
        .collect();
    Ok(Value::Table(Arc::new(table(found, &rungs, &model, ctx)?)))
}

/// Refuses several pictures.
pub(super) fn one(pictures: &Tensor) -> Result<()> {
    match pictures.dim(0)? {
        1 => Ok(()),
        n => Err(Error::runtime(format!("these are {n} pictures, it takes one"))
            .hint("choose one of them: x[0]")),
    }
}

/// Mean of a number of an inversion.
pub(super) fn number(found: &Inversion, name: &str) -> Option<f64> {
    found.numbers.iter().find(|n| n.name == name).map(|n| n.value)
}

/// The columns after the rungs, with their digits and definitions.
const COLUMNS: [(&str, usize, &str); 11] = [
    ("psnr", 2, "peak signal to noise ratio in dB; more is nearer"),
    ("ssim", 4, "structural similarity, 1 for the same picture"),
    ("perceptual", 4, "distance in the features of the generator's network; less is nearer"),
    (
        "offset",
        2,
        "distance of the rows of a W+ code from their mean, in σ of w; edits stay safe \
                   below 0.5",
    ),
    (
        "distance",
        2,
        "distance of the code from the mean of its space, in σ; a typical sample has \
                     about 1, above 2.5 it lies outside the training",
    ),
    ("pn", 2, "√(mean v²) of the code in PN or PN+; a typical sample has about 1"),
    (
        "nscd",
        4,
        "1 − cosine of the styles to their usual direction, averaged over the layers (LSAP, Cao et \
         al. 2022); more is edited less safely",
    ),
    (
        "identity",
        3,
        "cosine of the identity embeddings before and after the edit; 1 is the same \
                     person",
    ),
    (
        "edit",
        2,
        "change of the attribute by the edit, as a share of the change that was measured \
                 for the direction on samples; 1 is what samples do",
    ),
    ("kB", 1, "size of what the inversion found, in a file without compression, in 1000 bytes"),
    (Table::SECONDS, 1, "time that the rung took when it was computed"),
];

fn table(
    found: Vec<(Rung, Inversion)>,
    rungs: &[Rung],
    model: &Loaded,
    ctx: &Context<'_>,
) -> Result<Table> {
    let probe = Probe::of(model, &found)?;
    let mut values = Vec::with_capacity(found.len());
    for (_, i) in &found {
        let (identity, edit) = match &probe {
            Some(probe) => probe.edited(i, ctx)?,
            None => (None, None),
        };
        values.push([
            number(i, "psnr"),
            number(i, "ssim"),
            number(i, "perceptual"),
            i.diagnosis.offsets.as_ref().and_then(|o| o.first().copied()),
            i.diagnosis.mean_distance.first().copied(),
            pn_norm(model, i)?,
            i.diagnosis.nscd.as_ref().and_then(|(each, _)| each.first().copied()),
            identity,
            edit,
            Some(i.code.parts.stored_bytes() as f64 / 1000.0),
            Some(i.seconds),
        ]);
    }
    let known = |k: &usize| values.iter().any(|row| row.get(*k).is_some_and(Option::is_some));
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(known).collect();
    let columns = || shown.iter().filter_map(|k| COLUMNS.get(*k));
    let row = |((rung, _), row): (&(Rung, Inversion), &[Option<f64>; 11])| {
        let cell = |k: &usize| match (row.get(*k).copied().flatten(), COLUMNS.get(*k)) {
            (Some(v), Some((_, digits, _))) => Cell::Number(v, *digits),
            _ => Cell::Text("–".into()),
        };
        std::iter::once(Cell::Text(rung.name().into())).chain(shown.iter().map(cell)).collect()
    };
    let mut notes = Vec::new();
    if found.len() < rungs.len() || found.iter().any(|(_, i)| i.stopped_at().is_some()) {
        let last = found.last().map_or("", |(rung, _)| rung.name());
        notes.push(format!("stopped in {last}, rung {} of {}", found.len(), rungs.len()));
    }
    if let Some(probe) = &probe {
        notes.push(format!("the edit is +{STRENGTH}·{}", crate::safe::Safe(probe.name())));
    }
    notes.push("[\"W+\"] is the inversion of a rung · :details defines the columns".into());
    let names = std::iter::once("rung".to_owned()).chain(columns().map(|(n, ..)| (*n).to_owned()));
    Ok(Table {
        columns: names.collect(),
        rows: found.iter().zip(&values).map(row).collect(),
        notes,
        definitions: columns().map(|(name, _, about)| format!("{name}: {about}")).collect(),
        pictures: pictures(&found, model),
        plots: plot(&found).into_iter().collect(),
        found: found.into_iter().map(|(_, i)| Arc::new(i)).collect(),
    })
}
/// Norm of a code in PN or PN+; `None` where no way leads there.
fn pn_norm(model: &Loaded, found: &Inversion) -> Result<Option<f64>> {
    let to = match found.code.space.base() {
        Space::W => Space::PN,
        Space::WPlus => Space::PNPlus,
        _ => return Ok(None),
    };
    let code = spaces::lift(&**model.generator()?, &found.code, to)?;
    Ok(whitening::norms(code.point())?.first().copied())
}

/// The target, then the picture of every rung.
fn pictures(found: &[(Rung, Inversion)], model: &Loaded) -> Vec<Image> {
    let image = |data: &Tensor, caption: String| Image {
        captions: vec![caption],
        model: Some(model.id()),
        ..Image::new(data.clone(), "ladder")
    };
    let target = found.first().map(|(_, i)| image(&i.target, "target".into()));
    let rung = |(rung, i): &(Rung, Inversion)| {
        let psnr = number(i, "psnr").map(|db| format!(" {db:.1} dB")).unwrap_or_default();
        image(&i.reconstruction, format!("{}{psnr}", rung.name()))
    };
    target.into_iter().chain(found.iter().map(rung)).collect()
}

/// PSNR over the rungs; none for a single rung, or an infinite PSNR.
fn plot(found: &[(Rung, Inversion)]) -> Option<Plot> {
    let point = |(k, (_, i)): (usize, &(Rung, Inversion))| Some((k as f64, number(i, "psnr")?));
    let points: Vec<(f64, f64)> = found.iter().enumerate().filter_map(point).collect();
    let names: Vec<&str> = found.iter().map(|(rung, _)| rung.name()).collect();
    let drawn = points.len() > 1 && points.iter().all(|(_, y)| y.is_finite());
    drawn.then(|| {
        Plot::Chart(Chart {
            x: format!("rung: {}", names.join(", ")),
            y: "psnr in dB".into(),
            log: false,
            joined: true,
            series: vec![("psnr".into(), points)],
        })
    })
}

/// An edit that shows what can be done with a code.
struct Probe {
    forms: Forms,
    features: Arc<Features>,
    identity: Identity,
}

impl Probe {
    /// The first calibrated direction of a generator that moves the codes of every rung, or else
    /// the first one; `None` without directions or a network that knows identities.
    fn of(model: &Loaded, found: &[(Rung, Inversion)]) -> Result<Option<Self>> {
        let Some(features) = model.features()?.cloned() else { return Ok(None) };
        let Some(identity) = Identity::new(features.clone()) else { return Ok(None) };
        let directions = model.directions()?;
        let calibrated = |d: &&Direction| {
            let about = d.about.as_ref();
            about.is_some_and(|a| a.per_step != 0.0 && a.variance.is_none())
        };
        let first = directions.by_name().filter_map(|all| all.first()).filter(calibrated);
        let all: Vec<Forms> = first.filter_map(|d| directions.forms(&d.name)).collect();
        let everywhere = |f: &&Forms| found.iter().all(|(_, i)| f.moving(i.code.space).is_ok());
        let forms = all.iter().find(everywhere).or(all.first()).cloned();
        Ok(forms.map(|forms| Self { forms, features, identity }))
    }

    fn name(&self) -> &str {
        &self.forms.first().name
    }

    /// Identity after the edit, and its effect as a share of the calibrated one; `None` where the
    /// direction has no form for the code, or the network does not read its attribute.
    fn edited(&self, found: &Inversion, ctx: &Context<'_>) -> Result<(Option<f64>, Option<f64>)> {
        let Ok(form) = self.forms.moving(found.code.space) else { return Ok((None, None)) };
        let before = &found.reconstruction;
        let after = ctx.picture(&direction::apply(&found.code, STRENGTH, form)?)?.data;
        let identity = self.identity.measure(before, &after)?.first().copied();
        let Some(about) = &form.about else { return Ok((identity, None)) };
        let readings = [before, &after].map(|x| self.reading(x, &about.attribute));
        let [before, after] = readings;
        let change = before?.zip(after?).map(|(a, b)| (b - a) / (STRENGTH * about.per_step));
        Ok((identity, change))
    }

    /// The attribute of a picture, where the network reads it as one number.
    fn reading(&self, picture: &Tensor, attribute: &str) -> Result<Option<f64>> {
        let all = self.features.read(picture)?;
        let found = all.first().and_then(|all| all.iter().find(|f| f.name == attribute));
        Ok(match found.map(|f| &f.level) {
            Some(Level::Number(v) | Level::Probability(v)) => Some(*v),
            _ => None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use crate::render::Block;
    use crate::value::Models;
    use std::collections::BTreeMap;

    struct Nowhere;

    impl Output for Nowhere {
        fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
            Ok(())
        }

        fn print(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    /// What an expression gives on the toy generator.
    pub(in super::super) fn value(expression: &str) -> Value {
        let mut state = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        let source = Source::new("test", format!("it = {expression}")).unwrap();
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut Nowhere).unwrap();
        state.names["it"].clone()
    }

    #[test]
    fn every_rung_has_a_row_a_picture_and_its_inversion() {
        let Value::Table(t) = value("ladder(sample(seed: 3), steps: 25)") else { panic!() };
        let names = ["Z", "W", "W+", "S", "F", "pti"];
        let first = |row: &Vec<Cell>| row[0].clone();
        let wanted: Vec<Cell> = names.iter().map(|n| Cell::Text((*n).into())).collect();
        assert_eq!(t.rows.iter().map(first).collect::<Vec<_>>(), wanted);
        let captions: Vec<&str> = t.pictures.iter().map(|i| i.captions[0].as_str()).collect();
        assert!(captions[0] == "target" && captions.len() == 7 && captions[3].starts_with("W+ "));
        assert_eq!((t.found.len(), t.plots.len()), (6, 1));
        let column = |name: &str| t.columns.iter().position(|c| c == name).unwrap();
        for (row, i) in t.rows.iter().zip(&t.found) {
            let of = |name: &str| match row[column(name)] {
                Cell::Number(v, _) => v,
                Cell::Text(_) => panic!("{name}"),
            };
            assert_eq!(of("psnr"), i.numbers[0].value);
            assert!(of("identity") <= 1.0 + 1e-9);
        }
        // Z and W of the toy are 16 numbers, W+ has a row for each layer.
        let bytes = |k: usize| t.found[k].code.parts.stored_bytes();
        let rows = t.found[2].code.point().dims()[1];
        assert_eq!((bytes(0), bytes(1), bytes(2)), (64, 64, 64 * rows));
        // A map and changes of weights take two bytes for a number.
        for (k, point) in [(4, bytes(2)), (5, bytes(1))] {
            let beside = t.found[k].code.parts.iter().filter(|(part, _)| part.halved());
            let numbers: usize = beside.map(|(_, tensor)| tensor.elem_count()).sum();
            assert_eq!(bytes(k), point + 2 * numbers);
        }
    }

    #[test]
    fn a_rung_is_an_inversion_and_a_column_is_numbers() {
        let Value::Inversion(i) = value("ladder(sample(seed: 3), steps: 2)[\"pti\"]") else {
            panic!()
        };
        assert_eq!(i.config.method.name, "pti");
        let Value::List(all) = value("ladder(sample(seed: 3), steps: 2)[\"psnr\"]") else {
            panic!()
        };
        assert_eq!(all.len(), 6);
    }
}
