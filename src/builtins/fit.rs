//! `fit`: what a generator lacks, made from its own samples.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::fit::{self, Fitted, Limit, Pass, Report, Setting};
use crate::latent::ModelId;
use crate::limits::LIMITS;
use crate::network::REGRESSION;
use crate::safe::Safe;
use crate::space::Space;
use crate::store::Outlet;
use crate::value::{Cell, Loaded, Table, Value, trunk};
use crate::weights::{self, Array, Data, Manifest, safetensors};
use candle_core::{DType, Device, Tensor};
use half::f16;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Minutes unless given.
const MINUTES: f64 = 20.0;

/// `fit(encoder, minutes: 20)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "fit",
        params: &[
            Param::required(
                "what",
                &[Kind::Choice],
                "`encoder`: a network that gives the code of a picture",
            )
            .choices(&["encoder"]),
            Param::optional("minutes", &[Kind::Number], "-", "how long; 20 unless given")
                .within(0.01, 100_000.0)
                .named(),
            Param::optional(
                "steps",
                &[Kind::Number],
                "-",
                "in place of minutes: steps of training in all, so that the result is the same on \
                 every run; 0 for the ridge regression alone",
            )
            .whole(0, 1_000_000)
            .named(),
            Param::optional(
                "samples",
                &[Kind::Number],
                "1024",
                "samples of the ridge regression, fewer where the time is short",
            )
            .whole(32, 4000)
            .named(),
            Param::optional(
                "out",
                &[Kind::Text],
                "-",
                "the file to write; beside the generator's file unless given",
            )
            .writes()
            .named(),
            shared::SEED,
        ],
        returns: "Table",
        infer,
    },
    category: Category::Invert,
    summary: "makes an encoder for the current generator from its own samples",
    details: "Draws samples of the generator, predicts their codes of W from the averaged maps of a \
              small network by ridge regression (each principal axis of w with the penalty that \
              suits other samples best), then trains network and regression together (Adam) for \
              the rest of the time, while further samples come in. What is nearest on samples that \
              were held out is kept. The file goes beside the generator's, \
              `people.encoder.safetensors` for `people.safetensors`, and is found there whenever \
              the generator is loaded: `invert(x)` then begins with passes of the encoder, \
              `method: encoder` runs them alone. Each pass moves the code by what the encoder sees \
              differ between the target and the picture so far (ReStyle, Alaluf et al. 2021). \
              Ctrl-C ends it and keeps what it has; a second call goes on where the first one \
              ended: samples and state wait in `checkpoints/fit-…` of the state folder, up to \
              300 MB, and may be removed. Generators of three channels from 64 pixels on begin with \
              the embedded attribute network, others with random convolutions. On the command line: \
              `gannet fit encoder MODEL`.",
    examples: &[Example {
        code: "fit(encoder, samples: 32, steps: 2, out: \"toy.encoder.safetensors\")",
        note: "a short fit, with its scores on samples that were held out",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if let (Some(arg), Some(_)) = (call.arg("minutes"), call.arg("steps")) {
        let e = Error::check("both `minutes` and `steps` are given").at(arg.span);
        return Err(e.hint("steps gives the same result on every run"));
    }
    if let Some(m) = call.model.as_ref().filter(|m| !m.spaces.contains(&Space::W)) {
        let message = format!("{} has no W, and encoders give codes of W", m.name);
        return Err(Error::check(message).at(call.span).hint("use method: optimize, or lbfgs"));
    }
    if let Some(Const::Text(path)) = call.value("out") {
        let span = call.arg("out").map_or(call.span, |a| a.span);
        named(path).map_err(|e| crate::builtin::as_check(e).at(span))?;
    }
    Ok(Type::Table)
}

/// Refuses a name that nothing would load.
fn named(path: &str) -> Result<()> {
    if Path::new(path).extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")) {
        return Ok(());
    }
    let stem = Safe(path);
    Err(Error::runtime(format!("{stem}: an encoder is saved as safetensors"))
        .hint("out: \"NAME.encoder.safetensors\""))
}

/// Where the encoder goes.
struct Place {
    outlet: Outlet,
    name: PathBuf,
    /// The generator's source, when the encoder is found with it.
    source: Option<String>,
}

fn place(args: &Args, model: &Loaded, ctx: &Context<'_>) -> Result<Place> {
    if args.get("out").is_some() {
        let path = args.text("out")?;
        named(path).map_err(|e| e.at(args.span("out")))?;
        let confined = ctx.confined;
        let outlet = if confined { Outlet::below(&ctx.out) } else { Outlet::anywhere(&ctx.out) };
        return Ok(Place { outlet, name: path.into(), source: None });
    }
    let here = ModelId { name: String::new(), fingerprint: model.facts.fingerprint.clone() };
    let Some((source, Some(file))) = ctx.models.source(&here) else {
        let name = Safe(&model.facts.name);
        let message = format!("{name} is no file, so there is no place beside it");
        return Err(Error::runtime(message).hint("out: \"NAME.encoder.safetensors\""));
    };
    if ctx.confined {
        let e = Error::runtime("a script saves below --out, the generator's file is elsewhere");
        return Err(e.hint("out: \"NAME.encoder.safetensors\", or gannet fit encoder MODEL"));
    }
    Ok(Place { outlet: Outlet::anywhere(Path::new("")), name: file, source: Some(source) })
}

/// Refuses to write over anything but an encoder that was fitted to the same generator.
fn free(place: &Place, fingerprint: &str) -> Result<()> {
    let path = place.outlet.path(&place.name);
    let shown = path.to_string_lossy().into_owned();
    place
        .outlet
        .check(&place.name)
        .map_err(|e| Error::io(format!("cannot write {}", Safe(&shown)), &e))?;
    if !path.exists() {
        return Ok(());
    }
    let config = weights::open(&path, &LIMITS).map(|f| f.config().clone()).unwrap_or_default();
    if config.get("kind").is_some_and(|k| k == REGRESSION)
        && config.get("generator").is_some_and(|g| g == fingerprint)
    {
        return Ok(());
    }
    Err(Error::runtime(format!("{} is there, and no encoder that was fitted here", Safe(&shown)))
        .hint("give another file with `out`, or move that one away"))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = ctx.model()?.clone();
    let place = place(args, &model, ctx).map_err(|e| e.at(args.span))?;
    free(&place, &model.facts.fingerprint).map_err(|e| e.at(args.span))?;
    let seed = args.seed(ctx)?;
    let start = trunk::trunk(model.spec(), seed, model.device())?;
    let limit = match (args.count("steps")?, args.number("minutes")?) {
        (Some(steps), _) => Limit::Steps(steps),
        (None, minutes) => Limit::Time(Duration::from_secs_f64(60.0 * minutes.unwrap_or(MINUTES))),
    };
    let what = format!("{} {seed} {:?}", model.facts.fingerprint, start.shape);
    let key = shared::key(&what);
    let folder = ctx.checkpoints.as_ref().map(|f| f.join(format!("fit-{key}")));
    let setting = Setting { seed, samples: args.need_count("samples")?, limit, folder };
    let found = fit::fit(&**model.generator()?, &start, &setting, &ctx.control)
        .map_err(|e| e.at(args.span))?;
    let bytes = bytes(&found, seed)?;
    let path = place.outlet.path(&place.name).to_string_lossy().into_owned();
    if !ctx.replaying {
        place
            .outlet
            .replace(&place.name, &bytes)
            .map_err(|e| Error::io(format!("cannot write {}", Safe(&path)), &e).at(args.span))?;
        if let Some(source) = &place.source {
            ctx.model = Some(ctx.models.load(source)?);
        }
    }
    Ok(Value::Table(Arc::new(table(&found.report, &path))))
}

/// The file of an encoder, in half precision.
fn bytes(found: &Fitted, seed: u64) -> Result<Vec<u8>> {
    let array = |(name, t): (&String, &Tensor)| {
        let values: Vec<f32> =
            t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let halves = values.iter().map(|v| f16::from_f32(*v)).collect();
        Ok((name.clone(), Array { shape: t.dims().to_vec(), data: Data::F16(halves) }))
    };
    let all = found.tensors.iter().map(array).collect::<Result<BTreeMap<String, Array>>>()?;
    let config = serde_json::to_value(&found.config)
        .map_err(|e| Error::runtime(format!("the settings of the encoder: {e}")))?;
    let manifest = Manifest {
        format: 1,
        family: "encoder".into(),
        config,
        provenance: json!({"made": "gannet fit encoder", "seed": seed, "held_out": found.report}),
    };
    safetensors::write(&all, Some(&manifest))
}

/// The scores, the mean code first.
fn table(report: &Report, path: &str) -> Table {
    let row = |p: &Pass| {
        let name = match p.passes {
            0 => "mean code".to_owned(),
            1 => "1 pass".to_owned(),
            n => format!("{n} passes"),
        };
        vec![Cell::Text(name), Cell::Number(p.r2, 3), Cell::Number(p.psnr, 2)]
    };
    let kept = match report.kept {
        0 => "of the ridge regression".to_owned(),
        step => format!("of step {step}"),
    };
    let notes = vec![
        format!(
            "{} samples, {} steps, {:.0} s; the weights {kept} were the best",
            report.samples, report.steps, report.seconds
        ),
        format!(
            "R² of w on 32 held-out samples: {:.3}, of the ridge regression alone {:.3}",
            report.r2, report.r2_ridge
        ),
        format!("saved as {}", Safe(path)),
    ];
    let definitions = [
        "codes: where the code comes from",
        "r2: 1 − ∑‖w − ŵ‖² / ∑‖w − mean‖² over the held-out samples of the rows",
        "psnr: of the pictures that the codes make, at full size, in dB; the mean over the samples",
    ];
    Table {
        columns: ["codes", "r2", "psnr"].map(String::from).to_vec(),
        rows: report.passes.iter().map(row).collect(),
        notes,
        definitions: definitions.map(String::from).to_vec(),
        ..Table::default()
    }
}
