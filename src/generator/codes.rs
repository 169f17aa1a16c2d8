//! Codes with all their parts: their pictures, their depth, their feature maps.
//!
//! A residual is added to the map that the codes give at its layer, so the map follows when the
//! codes are edited. Codes that change weights are run one by one, each in a generator of its own.
//! A map may be composed of those of several codes (`compose`).

use super::{Feature, Generator, Input, Named, Start, Tap, Tapped, compose, pose, spaces};
use crate::error::{Error, Result};
use crate::latent::{Code, Part, Parts};
use crate::space::Space;
use candle_core::Tensor;

/// The pictures of codes of any space, `[N, C, H, W]`; the labels of the code count where the input
/// has none.
///
/// # Errors
/// For spaces whose codes cannot be rendered, and for a code of another generator's sizes.
pub fn synthesize(g: &dyn Generator, code: &Code, input: &Input) -> Result<Tensor> {
    reach(g, code, input, Tap::Picture)
}

/// How far what is seen in the pictures of codes lies from the camera, `[N, 1, h, w]`; the labels of
/// the code count where the input has none.
///
/// # Errors
/// As [`synthesize`], and for a generator without a camera.
pub fn depths(g: &dyn Generator, code: &Code, input: &Input) -> Result<Tensor> {
    reach(g, code, input, Tap::Depth)
}

/// The feature map of a layer for codes of any space, `[N, C, h, w]`, after the activation; the
/// labels of the code count where the input has none.
///
/// # Errors
/// As [`synthesize`], and for a layer that does not exist.
pub fn feature_map(g: &dyn Generator, code: &Code, input: &Input, layer: usize) -> Result<Tensor> {
    reach(g, code, input, Tap::Layer(layer))
}

/// One point of the synthesis of a code with all its parts.
fn reach(g: &dyn Generator, code: &Code, input: &Input, tap: Tap) -> Result<Tensor> {
    tapped(g, &code.parts, code.space, &completed(g, code, input)?, tap)
}

/// The input with the labels of the code where it has none.
fn completed(g: &dyn Generator, code: &Code, input: &Input) -> Result<Input> {
    spaces::fits(g.spec(), code)?;
    let labels = input.labels.as_ref().or(code.labels());
    Ok(Input { labels: labels.cloned(), ..input.clone() })
}

/// One point of the synthesis of codes with all their parts, with gradients.
///
/// # Shapes
/// The point as [`crate::space::Dims::shape`] says, with `N` in front.
///
/// # Errors
/// As [`spaces::rise`] and [`Generator::run`], and when a part does not fit the generator.
pub fn tapped(
    g: &dyn Generator,
    parts: &Parts,
    space: Space,
    input: &Input,
    tap: Tap,
) -> Result<Tensor> {
    if !parts.tune() {
        return untuned(g, parts, space, input, tap);
    }
    let count = parts.count();
    let own = g.weights()?;
    let one = |i: usize| {
        let (parts, input) = (parts.slice(i, 1)?, input.slice(i, 1, count)?);
        untuned(&*g.with_weights(&changed(&own, &parts)?)?, &parts, space, &input, tap)
    };
    let all: Vec<Tensor> = (0..count).map(one).collect::<Result<_>>()?;
    match &all[..] {
        [only] => Ok(only.clone()),
        _ => Ok(Tensor::cat(&all, 0)?),
    }
}

/// One point of the synthesis of codes with their residuals, in the generator as it is.
///
/// # Errors
/// As [`tapped`].
pub fn untuned(
    g: &dyn Generator,
    parts: &Parts,
    space: Space,
    input: &Input,
    tap: Tap,
) -> Result<Tensor> {
    run_untuned(g, parts, space, input, tap)?.only(tap)
}

/// As [`untuned`]; a layer comes with what families sum up of the picture until there.
///
/// # Errors
/// As [`tapped`].
pub fn run_untuned(
    g: &dyn Generator,
    parts: &Parts,
    space: Space,
    input: &Input,
    tap: Tap,
) -> Result<Tapped> {
    run_from(g, None, (parts, space, input), tap)
}

/// The map of a layer before the codes' own changes of it, with what families sum up of the picture
/// until there: where [`run_from`] goes on.
///
/// # Errors
/// As [`tapped`].
pub fn unchanged(
    g: &dyn Generator,
    (parts, space, input): (&Parts, Space, &Input),
    layer: usize,
) -> Result<Feature> {
    let below = parts.clone().without(&changes_of(layer));
    run_from(g, None, (&below, space, input), Tap::Layer(layer))?.feature()
}

/// As [`run_untuned`], from a map that [`unchanged`] gave of the same codes.
///
/// # Errors
/// As [`tapped`].
pub fn run_from(
    g: &dyn Generator,
    from: Option<&Feature>,
    (parts, space, input): (&Parts, Space, &Input),
    tap: Tap,
) -> Result<Tapped> {
    let input = &pose::seen(g, parts, input)?;
    let given = space;
    let (space, data) = spaces::synthesised(g, &parts.located()?, space, input)?;
    let mut at = from.cloned();
    for layer in parts.changed_layers() {
        if from.is_some_and(|from| layer < from.layer) {
            continue;
        }
        if before(g, tap, layer) {
            break;
        }
        let mut reached = match from {
            Some(from) if from.layer == layer => from.clone(),
            _ => {
                let run = g.run(&start(at.as_ref(), space, &data), input, &[Tap::Layer(layer)])?;
                run.feature()?
            }
        };
        reached.map = compose::composed(g, parts, (given, input), (layer, reached.map))?;
        if let Some(scale) = parts.get(Part::Scale(layer)) {
            fits(scale, &reached.map, ("a scale", layer))?;
            reached.map = reached.map.broadcast_mul(&(scale + 1.0)?)?;
        }
        if let Some(residual) = parts.get(Part::Residual(layer)) {
            reached.map = added(&reached.map, residual, layer)?;
        }
        if tap == Tap::Layer(layer) {
            return Ok(Tapped { features: vec![reached], ..Tapped::default() });
        }
        at = Some(onward(g, parts, (space, &data, input), reached)?);
    }
    g.run(&start(at.as_ref(), space, &data), input, &[tap])
}

/// A map with what is added to it on its way to the next layer.
fn onward(
    g: &dyn Generator,
    parts: &Parts,
    (space, data, input): (Space, &Tensor, &Input),
    reached: Feature,
) -> Result<Feature> {
    let layer = reached.layer;
    let Some(more) = parts.get(Part::Onward(layer)) else { return Ok(reached) };
    let run = g.run(&start(Some(&reached), space, data), input, &[Tap::Passed(layer)])?;
    let passed = run.features.into_iter().next().ok_or_else(|| {
        Error::runtime("the code changes a map that only the next layer reads")
            .note("StyleGAN2 has such maps")
            .hint("use a code that was found with this generator")
    })?;
    Ok(Feature { map: added(&passed.map, more, layer)?, ..passed })
}

/// The same codes as any code has them: the point where it lies on its line, and a residual in
/// place of each composed or scaled map, which an edit of the point moves as it moves any
/// residual's. The picture is the same.
///
/// # Errors
/// As [`tapped`].
pub fn settled(g: &dyn Generator, parts: &Parts, (space, input): (Space, &Input)) -> Result<Parts> {
    let mut settled = parts.clone().with(Part::Point, parts.located()?);
    settled = settled.without(&[Part::Step, Part::Place]);
    for layer in parts.changed_layers() {
        let searched = [Part::Shares(layer), Part::Scale(layer)];
        if searched.iter().all(|part| settled.get(*part).is_none()) {
            continue;
        }
        let whole = tapped(g, &settled, space, input, Tap::Layer(layer))?;
        settled = settled.without(&searched).without(&[Part::Residual(layer)]);
        let plain = tapped(g, &settled, space, input, Tap::Layer(layer))?;
        settled.insert(Part::Residual(layer), (whole - plain)?.detach());
    }
    Ok(settled.without(&[Part::Codes]))
}

/// Whether a point of the synthesis does not depend on the map of a layer, because it comes before.
fn before(g: &dyn Generator, tap: Tap, layer: usize) -> bool {
    match tap {
        Tap::Layer(wanted) | Tap::Passed(wanted) => wanted < layer,
        Tap::Early(side) => g.spec().layers.get(layer).is_some_and(|l| l.height > side),
        Tap::Picture | Tap::Depth => false,
    }
}

/// The parts that change the map of a layer.
fn changes_of(layer: usize) -> [Part; 3] {
    [Part::Residual(layer), Part::Shares(layer), Part::Scale(layer)]
}

/// A map with a residual of its layer.
fn added(map: &Tensor, residual: &Tensor, layer: usize) -> Result<Tensor> {
    fits(residual, map, ("a residual", layer))?;
    Ok(map.broadcast_add(residual)?)
}

/// Refuses what belongs to the map of a layer and has another size.
fn fits(given: &Tensor, map: &Tensor, (what, layer): (&str, usize)) -> Result<()> {
    if given.dims().get(1..) == map.dims().get(1..) {
        return Ok(());
    }
    let (given, own) = (given.dims(), map.dims());
    let message = format!("{what} of {given:?} for a map of {own:?} at layer {layer}");
    Err(Error::runtime(message).hint("use a code that was found with this generator"))
}

fn start<'a>(at: Option<&'a Feature>, space: Space, data: &'a Tensor) -> Start<'a> {
    match at {
        Some(feature) => Start::Feature { feature, space, data },
        None => Start::Code { space, data },
    }
}

/// The weights that one code changes, as it has them, by name; `own` are the generator's.
///
/// # Errors
/// When there is no such weight, or it has another shape.
pub fn changed(own: &Named, parts: &Parts) -> Result<Named> {
    let mut all = Named::new();
    for (i, (name, weight)) in own.iter().enumerate() {
        if let Some(change) = change_of(parts, i, weight)? {
            all.insert(name.clone(), (weight + change)?);
        }
    }
    let most = parts.iter().filter_map(|(part, _)| match part {
        Part::Delta(i) | Part::Left(i) | Part::Right(i) => Some(i),
        Part::Gain(i) | Part::GainLeft(i) => Some(i),
        _ => None,
    });
    match most.max() {
        Some(i) if i >= own.len() => {
            let message = format!("the code changes weight {i}, the generator has {}", own.len());
            Err(Error::runtime(message).hint("use a code that was found with this generator"))
        }
        _ => Ok(all),
    }
}

/// The change of weight `i` that one code brings; `None` for none.
fn change_of(parts: &Parts, i: usize, weight: &Tensor) -> Result<Option<Tensor>> {
    let dims = weight.dims();
    let unfit = |given: &[usize]| {
        Error::runtime(format!("a change of {given:?} for weight {i} of {dims:?}"))
            .hint("use a code that was found with this generator")
    };
    let full = match parts.get(Part::Delta(i)) {
        Some(t) if t.dims().get(1..) == Some(dims) => Some(t.squeeze(0)?),
        Some(t) => return Err(unfit(t.dims())),
        None => None,
    };
    let low = match (parts.get(Part::Left(i)), parts.get(Part::Right(i))) {
        (Some(left), Some(right)) => {
            let product = left.matmul(right)?;
            if product.elem_count() != dims.iter().product::<usize>() {
                return Err(unfit(product.dims()));
            }
            Some(product.reshape(dims)?)
        }
        _ => None,
    };
    let gained = match parts.gain(i)? {
        Some(gain) => {
            let shape = gain_shape(&gain, dims).ok_or_else(|| unfit(gain.dims()))?;
            Some(weight.broadcast_mul(&gain.reshape(shape)?)?)
        }
        None => None,
    };
    let changes = [full, low, gained].into_iter().flatten();
    changes.map(Ok).reduce(|a: Result<Tensor>, b| Ok((a? + b?)?)).transpose()
}

/// The shape in which one code's gain `[1, O, C]` multiplies a weight; `None` where it does not
/// fit.
fn gain_shape(gain: &Tensor, dims: &[usize]) -> Option<Vec<usize>> {
    let (&[1, rows, columns], [o, i, kernel @ ..]) = (gain.dims(), dims) else { return None };
    let places: usize = kernel.iter().product();
    let ones = || vec![1; kernel.len()];
    match (rows == *o, columns) {
        (true, c) if c == i * places => Some(dims.to_vec()),
        (true, c) if c == *i => Some([vec![*o, *i], ones()].concat()),
        _ => None,
    }
}
