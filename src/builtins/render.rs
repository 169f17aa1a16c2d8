//! `render`: the picture of a code.

mod maps;

use super::shared;
use crate::builtin::{
    Args, Bounds, Builtin, Category, CheckedCall, Const, Context, Depends, Example, Kind,
    ModelFacts, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::{self, CAMERA, Camera, Generator, Input, Noise, Transform, spaces};
use crate::latent::{Code, Part};
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Image, Value};
use candle_core::Tensor;

/// `render(code, noise: const, psi: 1, rotate: 0, shift: [0, 0], truncation: 1)`
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
            Param::optional(
                "yaw",
                &[Kind::Number],
                "-",
                "degrees around the vertical axis of a scene, 0 from the front: EG3D",
            )
            .within(-3600.0, 3600.0)
            .named(),
            Param::optional(
                "pitch",
                &[Kind::Number],
                "-",
                "degrees around the horizontal axis, negative from above: EG3D",
            )
            .within(-90.0, 90.0)
            .named(),
            Param::optional(
                "fov",
                &[Kind::Number],
                "-",
                "field of view in degrees, else 18.837: EG3D",
            )
            .within(0.1, 170.0)
            .named(),
            Param::optional(
                "camera",
                &[Kind::Text],
                "-",
                "a file with a camera's 25 numbers (matrix from camera to world 4×4, intrinsics \
                 3×3) or one such row for each picture: EG3D",
            )
            .reads_it()
            .named(),
            Param::optional(
                "depth",
                &[Kind::Bool],
                "false",
                "how near is what is seen in place of its colour, in grey: EG3D",
            )
            .named(),
            Param::optional(
                "layer",
                &[Kind::Text],
                "-",
                "the feature maps of this layer in place of the picture, each from black to white",
            )
            .reads_nothing()
            .named(),
            Param::optional(
                "channels",
                &[Kind::Range, Kind::Number],
                "-",
                "which of that layer's channels, the first 16 unless given",
            )
            .named(),
            Param::optional(
                "truncation",
                &[Kind::Number],
                "-",
                "the truncation whose stored statistics are used, 1 by default: BigGAN-deep",
            )
            .within(0.02, 1.0)
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
              gen_images.py. `truncation` is that of Hugging Face's BigGAN-deep, which stores \
              the statistics of its norms for each: give it the psi of the sample. \
              `yaw` and `pitch` move the camera of EG3D around what its file says as its \
              gen_samples.py does; one code with several cameras gives a picture for each. In a \
              depth map the nearest point of each picture is white, the farthest black. \
              `layer` names are those that the layer inspector of `explore` lists. \
              `noise: random` also scatters the samples along EG3D's rays by the seed.",
    examples: &[
        Example { code: "render(sample(seed: 5), psi: 0.7)", note: "truncated" },
        Example {
            code: "render(sample(n: 2, seed: 5), noise: none)",
            note: "two pictures without noise",
        },
        Example {
            code: "grid(render(sample(seed: 5), layer: \"b8.conv0\", channels: 0..6), columns: 3)",
            note: "what six channels of a layer see",
        },
    ],
    cost: Some(cost),
    cache: Some(Depends::Generator),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let model = shared::model_of(call, "code");
    shared::check_condition(call, model.as_deref())?;
    if let Some(m) = &model {
        check_options(call, m)?;
    }
    if let (Some(m), Some(cutoff), Some(arg)) =
        (&model, shared::count(call, "cutoff"), call.arg("cutoff"))
        && cutoff > m.num_ws
    {
        let bounds = Bounds { from: 0.0, to: m.num_ws as f64, whole: true };
        let kind = crate::error::Kind::Check;
        return Err(bounds.refusal(kind, "cutoff", (cutoff as f64, arg.span)));
    }
    if let (None, Some(arg)) = (call.arg("layer"), call.arg("channels")) {
        return Err(Error::check("`channels` are those of a layer")
            .at(arg.span)
            .hint("say which: layer: \"b8.conv0\""));
    }
    // Maps have other sizes than pictures.
    let depth =
        call.arg("depth").is_some() && !matches!(call.value("depth"), Some(Const::Bool(false)));
    match depth || call.arg("layer").is_some() {
        true => Ok(Type::Image(None)),
        false => Ok(shared::picture(model.as_ref())),
    }
}

/// Refuses options for which the generator has nothing, as far as the call shows it.
fn check_options(call: &CheckedCall<'_>, m: &ModelFacts) -> Result<()> {
    let zero = |p: &str| matches!(call.value(p), Some(Const::Number(v)) if *v == 0.0);
    let told = |p: &str| call.value(p).is_some();
    let off = matches!(call.value("depth"), Some(Const::Bool(false)));
    let lacking = [
        ("rotate", m.can.transform || zero("rotate") || !told("rotate")),
        ("yaw", m.can.camera),
        ("pitch", m.can.camera),
        ("fov", m.can.camera),
        ("camera", m.can.camera),
        ("depth", m.can.camera || off || !told("depth")),
        ("truncation", m.can.truncation),
    ];
    for (option, fits) in lacking {
        if let (Some(arg), false) = (call.arg(option), fits) {
            return Err(
                lacks(Error::check, option, (m.name.as_str(), m.family.as_str())).at(arg.span)
            );
        }
    }
    maps::check(call, m)?;
    if let (Some(Const::Number(psi)), Some(arg)) = (call.value("psi"), call.arg("psi"))
        && *psi != 1.0
        && !m.spaces.contains(&Space::W)
    {
        let e = Error::check(format!("{} has no W in which psi acts", Safe(&m.name)));
        return Err(e.at(arg.span).hint(match m.can.scales_z {
            true => "give it to the draw: sample(psi: …)",
            false => "leave `psi` out",
        }));
    }
    Ok(())
}

/// The error of an option for which a generator of this name and family has nothing.
fn lacks(error: fn(String) -> Error, option: &str, (name, family): (&str, &str)) -> Error {
    let (name, family) = (Safe(name), Safe(family));
    match option {
        "rotate" | "shift" => error(format!(
            "{name} cannot turn or shift what it draws: {family} has no coordinates to move"
        ))
        .hint("leave `rotate` and `shift` out; they are for generators of the family StyleGAN3"),
        "truncation" => {
            error(format!("{name} stores no statistics to choose by a truncation: {family}")).hint(
                "leave `truncation` out; it is for BigGAN-deep as Hugging Face stores it. `psi` \
                 truncates codes",
            )
        }
        _ => error(format!("{name} has no camera: {family} draws pictures, not scenes"))
            .hint(format!("leave `{option}` out; it is for generators of the family EG3D")),
    }
}

/// The option's error for a generator.
fn lacking(g: &dyn Generator, option: &str) -> Error {
    lacks(Error::runtime, option, (g.spec().name.as_str(), g.spec().family.as_str()))
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
    let (transform, truncation) = (transform(args, g)?, truncation(args, g)?);
    let input = Input { noise, transform, truncation, ..own };
    let cut = spaces::truncated(g, &code, psi, cutoff)?;
    let (cut, input) =
        seen_by(camera(args, g)?, cut, input).map_err(|e| e.at(args.span("camera")))?;
    let watch = (&ctx.control, "render");
    let (data, captions) = match (args.get("layer"), args.flag("depth")?) {
        (Some(_), true) => {
            return Err(Error::runtime("`depth` and `layer` ask for two different maps")
                .at(args.span("layer"))
                .hint("leave one of them out"));
        }
        (Some(_), false) => maps::maps(args, &model, (&cut, &input), ctx)?,
        (None, true) => {
            with_camera("depth", args, g)?;
            (nearness(&generator::depths(g, &cut, &input, watch)?)?, Vec::new())
        }
        (None, false) => (generator::pictures(g, &cut, &input, watch)?, Vec::new()),
    };
    Ok(Value::Image(Image {
        captions,
        model: Some(model.id()),
        ..Image::new(data, format!("render of {}", code.origin))
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
        return Err(lacking(g, asked).at(args.span(asked)));
    }
    Ok(Some(moved.matrix(g.device())?))
}

/// The requested truncation; `None` for the generator's usual one.
fn truncation(args: &Args, g: &dyn Generator) -> Result<Option<f64>> {
    let asked = args.number("truncation")?;
    if asked.is_none() || g.spec().inputs.truncation {
        return Ok(asked);
    }
    Err(lacking(g, "truncation").at(args.span("truncation")))
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

/// Refuses a parameter of the camera for a generator that has none.
fn with_camera(parameter: &str, args: &Args, g: &dyn Generator) -> Result<()> {
    if g.spec().inputs.camera {
        return Ok(());
    }
    Err(lacking(g, parameter).at(args.span(parameter)))
}

/// The requested cameras, `[N, 25]`; `None` for the generator's own view.
fn camera(args: &Args, g: &dyn Generator) -> Result<Option<Tensor>> {
    let turned = ["yaw", "pitch", "fov"].into_iter().find(|p| args.get(p).is_some());
    if let Some(parameter) = turned.or_else(|| args.get("camera").map(|_| "camera")) {
        with_camera(parameter, args, g)?;
    }
    match (turned, args.get("camera")) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let read = cameras(args.text("camera")?).map_err(|e| e.at(args.span("camera")))?;
            Ok(Some(read.to_device(g.device())?))
        }
        (Some(parameter), Some(_)) => {
            let message = format!("`camera` says all of the view, and so does `{parameter}`");
            Err(Error::runtime(message).at(args.span(parameter)).hint("leave one of them out"))
        }
        (Some(parameter), None) => {
            let orbit = g.orbit().ok_or_else(|| {
                Error::runtime("the generator does not say what its cameras look at")
                    .at(args.span(parameter))
                    .hint("give all numbers: `camera: \"camera.npy\"`")
            })?;
            let usual = Camera::FRONTAL;
            let number =
                |name: &str, usual: f64| -> Result<f64> { Ok(args.number(name)?.unwrap_or(usual)) };
            let [yaw, pitch] = [number("yaw", usual.yaw), number("pitch", usual.pitch)];
            let camera = Camera { yaw: yaw?, pitch: pitch?, fov: number("fov", usual.fov)? };
            Ok(Some(camera.numbers(&orbit, g.device()).map_err(|e| e.at(args.span(parameter)))?))
        }
    }
}

/// The cameras of a file, `[N, 25]`.
fn cameras(path: &str) -> Result<Tensor> {
    let read = shared::only_array(path, "a file of cameras holds one array, [N, 25]")?;
    let rows = match read.dims() {
        [CAMERA] => 1,
        [n, CAMERA] if *n > 0 => *n,
        other => {
            let message = format!("an array of shape {other:?} in {} is no camera", Safe(path));
            return Err(Error::runtime(message)
                .hint("a camera is 25 numbers: 16 from camera to world, 9 intrinsics"));
        }
    };
    Ok(read.reshape((rows, CAMERA))?)
}

/// The codes and inputs of what cameras see: a single code is seen by each of them.
fn seen_by(cameras: Option<Tensor>, code: Code, input: Input) -> Result<(Code, Input)> {
    let Some(cameras) = cameras else { return Ok((code, input)) };
    let (n, views) = (code.count(), cameras.dim(0)?);
    let input = Input { camera: Some(cameras), ..input };
    if views == 1 || views == n {
        return Ok((code, input));
    }
    if n != 1 {
        return Err(Error::runtime(format!("{views} cameras for {n} codes"))
            .hint("give one camera for all codes, one for each, or one code for all cameras"));
    }
    let parts = code.parts.map(|_, part| Ok(Tensor::cat(&vec![part; views], 0)?))?;
    Ok((Code { parts, ..code }, input))
}

/// A depth map as a picture: the nearest point of each 1, the farthest −1.
fn nearness(depth: &Tensor) -> Result<Tensor> {
    Ok(maps::stretched(depth)?.neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Span;
    use crate::generator::toy::toy;
    use candle_core::Device;

    #[test]
    fn a_truncation_is_for_generators_that_store_statistics() {
        let g = toy(0, &Device::Cpu).expect("toy");
        let params = BUILTIN.signature.params;
        let args = |value: Option<f64>| {
            let given = |p: &Param| value.filter(|_| p.name == "truncation");
            let value = |p: &Param| given(p).map(|v| (Value::Number(v), Span::default()));
            let values = params.iter().map(|p| value(p).into_iter().collect()).collect();
            Args { params, values, written: Vec::new(), span: Span::default() }
        };
        assert_eq!(truncation(&args(None), &*g).expect("not asked"), None);
        let e = truncation(&args(Some(0.43)), &*g).expect_err("refused");
        assert!(e.message().contains("no statistics") && e.repair().is_some(), "{e}");
    }
}
