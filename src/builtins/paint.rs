//! `paint`: units of a layer inside a mask.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Param, Signature, Type,
    as_check, range_within,
};
use crate::error::{Error, Result};
use crate::generator::{Generator, codes, spaces};
use crate::invert::Mask;
use crate::latent::{Code, Part};
use crate::safe::Safe;
use crate::value::Value;
use candle_core::{DType, Tensor};
use std::ops::Range;

/// `paint(code, layer: "b8.conv0", units: 3, mask: mask(box: …), to: 0)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "paint",
        params: &[
            Param::required("code", &[Kind::Latent], "a code or an inversion"),
            Param::required("layer", &[Kind::Text], "a layer with maps, as `explore` names it")
                .named(),
            Param::required(
                "units",
                &[Kind::Range, Kind::Number],
                "which of its channels: one, or a range; `render(code, layer: …)` shows them",
            )
            .named(),
            Param::required("mask", &[Kind::Mask], "where; a soft mask sets the units in part")
                .named(),
            Param::optional("to", &[Kind::Number], "0", "the value that the units get there")
                .within(-1e6, 1e6)
                .named(),
        ],
        returns: "Latent",
        infer,
    },
    category: Category::Edit,
    summary: "sets units of a layer inside a mask",
    details: "GANPaint, Bau et al. 2019: a unit is a channel of a feature map; set to 0 what it \
              draws goes away, set high it appears. Only pixels that read from the masked places \
              change. The code keeps the change as what is added to its map (a residual), so it \
              stays when the code is edited; then the units move with the code. `invert(x, method: \
              ganpaint)` makes a photograph's own generator, whose early layers can be painted.",
    examples: &[Example {
        code: "paint(sample(seed: 3), layer: \"b8.conv0\", units: 0..4, \
               mask: mask(box: [0, 0, 0.5, 0.5]))",
        note: "four units off in the upper left",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let model = shared::model_of(call, "code");
    if let (Some(model), Some(Const::Text(name))) = (&model, call.value("layer")) {
        let span = |p: &str| call.arg(p).map_or(call.span, |a| a.span);
        let refuse = |e: Error, p: &str| as_check(e).at(span(p));
        let layer = shared::layer(model, name, |l| l.maps).map_err(|e| refuse(e, "layer"))?;
        let units = match call.value("units") {
            Some(Const::Range(from, to, step)) => {
                Some(Value::Range { from: *from, to: *to, step: *step })
            }
            Some(Const::Number(unit)) => Some(Value::Number(*unit)),
            _ => None,
        };
        if let Some(units) = units {
            range_within(&units, layer.maps, "units").map_err(|e| refuse(e, "units"))?;
        }
    }
    Ok(Type::Latent(shared::code(call, "code")))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let code = args.latent("code")?;
    let model = ctx.model_of(&code)?;
    let name = args.text("layer")?;
    let found = shared::layer(&model.facts, name, |l| l.maps);
    let count = found.map_err(|e| e.at(args.span("layer")))?.maps;
    let units = range_within(args.need("units")?, count, "units");
    let units = units.map_err(|e| e.at(args.span("units")))?;
    let g = &**model.generator()?;
    let lost = || Error::runtime("this layer cannot be entered").at(args.span("layer"));
    let layer = g.spec().layers.iter().position(|l| l.name == name).ok_or_else(lost)?;
    let Some(Value::Mask(mask)) = args.get("mask") else {
        return Err(Error::runtime("`mask` is missing").at(args.span));
    };
    let to = args.number("to")?.unwrap_or(0.0);
    let residual = painted(g, &code, (layer, &units), (mask, to))?;
    let (from, end) = (units.start, units.end);
    let origin =
        format!("({}) with units {from}..{end} of {} set to {to}", code.origin, Safe(name));
    Ok(Value::Latent(Code { origin, ..code.with(Part::Residual(layer), residual) }))
}

/// What is added to a layer's map so that these units have a value inside the mask,
/// `[N, C, h, w]`.
fn painted(
    g: &dyn Generator,
    code: &Code,
    (layer, units): (usize, &Range<usize>),
    (mask, to): (&Mask, f64),
) -> Result<Tensor> {
    let map = codes::feature_map(g, code, &spaces::input_of(code), layer)?;
    let (_, count, h, w) = map.dims4()?;
    let chosen: Vec<f32> = (0..count).map(|k| f32::from(u8::from(units.contains(&k)))).collect();
    let chosen = Tensor::from_vec(chosen, (1, count, 1, 1), g.device())?;
    let places = mask.at((h, w))?.to_device(g.device())?.broadcast_mul(&chosen)?; // [1, C, h, w]
    let change = ((to - &map)?.broadcast_mul(&places))?.to_dtype(DType::F32)?;
    Ok(match code.parts.get(Part::Residual(layer)) {
        Some(before) => change.broadcast_add(before)?,
        None => change,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::toy;
    use crate::invert::Shape;
    use candle_core::Device;

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// A unit that is set inside a mask changes its own places, and only pixels that read from
    /// them.
    #[test]
    fn a_painted_unit_changes_what_reads_from_its_places_and_nothing_else() {
        let g = toy(0, &Device::Cpu).unwrap();
        let how = spaces::Draw { seed: 3, ..spaces::Draw::default() };
        let code = spaces::sample(&*g, 2, how).unwrap();
        let corner = Shape::Rectangle([0.0, 0.0, 0.125, 0.125]);
        let mask = Mask::of_shape(corner, (32, 32), "corner").unwrap();
        let layer = g.spec().layers.iter().position(|l| l.name == "b16.conv1").unwrap();
        let residual = painted(&*g, &code, (layer, &(2..3)), (&mask, 0.0)).unwrap();
        let changed = code.with(Part::Residual(layer), residual);
        let input = spaces::input_of(&code);
        let maps = |code: &Code| codes::feature_map(&*g, code, &input, layer).unwrap();
        let (before, after) = (maps(&code), maps(&changed));
        let (_, c, h, w) = before.dims4().unwrap();
        let inside = |i: usize| i % w < 2 && i / w % h < 2 && i / (w * h) % c == 2;
        for (i, (a, b)) in values(&before).into_iter().zip(values(&after)).enumerate() {
            assert!(if inside(i) { b == 0.0 } else { a == b }, "{i}: {a} {b}");
        }
        let picture = |code: &Code| values(&codes::synthesize(&*g, code, &input).unwrap());
        // Both enter at the layer: from the code alone the same numbers are rounded otherwise.
        let entered = code.with(Part::Residual(layer), before.zeros_like().unwrap());
        let (a, b) = (picture(&entered), picture(&changed));
        let moved = |i: &usize| a[*i] != b[*i];
        let moved: Vec<usize> = (0..a.len()).filter(moved).collect();
        // Two places of 16 are four pixels of 32; the layers behind reach a few further.
        assert!(!moved.is_empty() && moved.iter().all(|i| i % 32 < 12 && i / 32 % 32 < 12));
        // What was painted before stays.
        let again = painted(&*g, &changed, (layer, &(0..1)), (&mask, 1.0)).unwrap();
        let twice = values(&maps(&changed.with(Part::Residual(layer), again)));
        let first = |i: usize| i % w < 2 && i / w % h < 2 && (i / (w * h)).is_multiple_of(c);
        for (i, v) in twice.into_iter().enumerate() {
            assert!(!inside(i) || v == 0.0, "{i}: {v}");
            assert!(!first(i) || (v - 1.0).abs() < 1e-5, "{i}: {v}");
        }
    }
}
