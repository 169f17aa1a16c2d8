//! `degrade`: pictures made worse as `invert` undoes it.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::invert::{DEGRADATIONS, Degrader, Numbers, degradations};
use crate::value::{Image, Value};

/// `degrade(x, grey: …, blur: …, down: …, jpeg: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "degrade", params: &PARAMS, returns: "Image", infer },
    category: Category::Invert,
    summary: "makes pictures small, grey, blurred or JPEG, as `invert` undoes it",
    details: "In the order grey, blur, down, jpeg, whatever the order in the call. Grey is the luma \
              of BT.601 in every channel; the blur is scipy's `gaussian_filter`; down takes means \
              over squares; JPEG is that of libjpeg with chroma at half the size. \
              `invert(degrade(x, down: 4), down: 4)` shows what is found again.",
    examples: &[Example {
        code: "degrade(sample(seed: 1), down: 4, grey: true)",
        note: "a small grey picture",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

const PARAMS: [Param; 1 + DEGRADATIONS.len()] = {
    let x = Param::required("x", &[Kind::Image, Kind::Latent], "pictures; a code is rendered");
    let mut all = [x; 1 + DEGRADATIONS.len()];
    let mut i = 0;
    while i < DEGRADATIONS.len() {
        all[i + 1] = DEGRADATIONS[i].param;
        i += 1;
    }
    all
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if DEGRADATIONS.iter().all(|d| call.arg(d.name).is_none()) {
        return Err(Error::check("nothing is done to the picture").at(call.span).hint("down: 4"));
    }
    let size = match (call.arg("x").map(|a| &a.ty), call.model.as_deref()) {
        (Some(Type::Image(size)), _) => *size,
        (Some(_), Some(m)) => Some([m.channels, m.height, m.width]),
        _ => None,
    };
    let down = match (call.arg("down"), call.value("down")) {
        (None, _) => Some(1),
        (_, Some(Const::Number(k))) if *k >= 1.0 => Some(*k as usize),
        _ => None,
    };
    let small = |([c, h, w], down): ([usize; 3], usize)| [c, h / down, w / down];
    Ok(Type::Image(size.zip(down).map(small)))
}

/// The strengths that a call gives.
pub(super) fn strengths(args: &Args) -> Result<Numbers> {
    let mut all = Numbers::default();
    for kind in DEGRADATIONS.iter().filter(|kind| args.given(kind.name)) {
        let strength = match args.get(kind.name) {
            Some(Value::Bool(yes)) => Some(f64::from(u8::from(*yes))),
            _ => args.number(kind.name)?,
        };
        strength.into_iter().for_each(|strength| all.set(kind.name, strength));
    }
    Ok(all)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let image = args.images("x", ctx)?;
    let (strengths, [_, c, h, w]) = (strengths(args)?, image.dims());
    let made = Degrader::new(&strengths, [c, h, w], image.data.device());
    let data = match made.map_err(|e| e.at(args.span))? {
        Some(degrader) => degrader.apply(&image.data)?,
        None => image.data.clone(),
    };
    let origin = format!("{} · {}", image.origin, degradations(&strengths));
    Ok(Value::Image(Image { captions: image.captions, ..Image::new(data, origin) }))
}
