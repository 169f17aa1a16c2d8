//! The layers of a generator as systems of rows, in double precision.

use super::{ROUNDING, Row, Slack, System};
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, Pointwise};
use crate::safe::Safe;
use candle_core::{DType, Device, Tensor};

/// Products of one layer at most, about half a minute: rows × inputs².
const MOST_WORK: f64 = 2e10;
/// Values at which tanh counts as 1: its inverse has no end.
const SATURATED: f64 = 1.0 - 1e-6;

/// Growth of the accepted error from a layer to the one before it: what a layer reads is known less
/// well than what it gives.
pub(super) const GROWTH: f64 = 2.0;

/// How violations are judged.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// The largest error of the picture's values that is accepted, growing from layer to layer;
    /// rounding always is.
    pub error: f64,
    /// What a linear program keeps small.
    pub slack: Slack,
}

/// z of the picture `[1, C, H, W]`, `[1, z_dim]`.
///
/// # Errors
/// For a generator that is no chain of affine layers and functions of single values, for a layer
/// that gives fewer values than it reads or is too large, and when no input of a layer gives its
/// values.
pub fn inverted(
    g: &dyn Generator,
    picture: &Tensor,
    input: &Input,
    tolerance: Tolerance,
) -> Result<Tensor> {
    let spec = g.spec();
    let (mut values, mut error) = (doubles(picture)?, tolerance.error);
    for at in (0..spec.layers.len()).rev() {
        let layer = taken_apart(g, at, input)?;
        // A layer reads what a ReLU gives, or any values.
        let before = at.checked_sub(1).map(|k| probed(g, k, input)).transpose()?;
        let positive = before.is_some_and(|(_, then)| then.contains(&Pointwise::Relu(0.0)));
        let system = layer.system(&values, (positive, error))?;
        let found = system.solve(tolerance.slack)?;
        let scale = values.iter().fold(1.0f64, |most, v| most.max(v.abs()));
        let most = error.max(ROUNDING * scale);
        if found.violation > most {
            let name = Safe(&spec.layers[at].name);
            return Err(Error::runtime(format!(
                "infeasible: no input of layer `{name}` gives its values; the nearest is off by \
                 {:.2e}, {most:.2e} is accepted",
                found.violation
            ))
            .hint(
                "the picture is not one of the generator's: a larger `error`, or another method",
            ));
        }
        (values, error) = (found.input, error * GROWTH);
    }
    let z: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
    Ok(Tensor::from_vec(z, (1, spec.z_dim), &Device::Cpu)?.to_device(g.device())?)
}

/// Refuses a generator that is not such a chain.
///
/// # Errors
/// As [`inverted`], for what does not depend on the picture.
pub fn check(g: &dyn Generator, input: &Input) -> Result<()> {
    let spec = g.spec();
    if spec.layers.is_empty() {
        return Err(no_chain(g));
    }
    (0..spec.layers.len()).try_for_each(|at| probed(g, at, input).map(drop))
}

fn no_chain(g: &dyn Generator) -> Error {
    let name = Safe(&g.spec().name).to_string();
    Error::runtime(format!("{name} is not a chain of affine layers and ReLU, tanh or sigmoid"))
        .hint("layerwise is for plain generators such as DCGAN's; use method: optimize")
}

/// A layer: `A x + b`, then functions of single values.
struct Layer {
    /// b, then the columns of A.
    columns: Vec<Vec<f64>>,
    then: Vec<Pointwise>,
}

/// The shape of what a layer reads.
fn reads(g: &dyn Generator, at: usize) -> Vec<usize> {
    let spec = g.spec();
    match at.checked_sub(1).and_then(|before| spec.layers.get(before)) {
        Some(l) => vec![l.channels, l.height, l.width],
        None => vec![spec.z_dim],
    }
}

/// A layer's values at 0 and its functions, once its size is checked.
fn probed(g: &dyn Generator, at: usize, input: &Input) -> Result<(Vec<f64>, Vec<Pointwise>)> {
    let shape = [vec![1], reads(g, at)].concat();
    let zero = Tensor::zeros(&shape[..], DType::F32, g.device())?;
    let affine = g.affine(at, &zero, input)?.ok_or_else(|| no_chain(g))?;
    let (inputs, outputs) = (zero.elem_count(), affine.value.elem_count());
    let name = Safe(&g.spec().layers[at].name).to_string();
    if outputs < inputs {
        return Err(Error::runtime(format!(
            "layer `{name}` reads {inputs} values and gives {outputs}: they do not decide what it \
             read"
        ))
        .hint(
            "layerwise needs layers that give more values than they read; use method: optimize",
        ));
    }
    if outputs as f64 * (inputs as f64).powi(2) > MOST_WORK {
        return Err(Error::runtime(format!(
            "layer `{name}` is too large to be inverted: {inputs} values in, {outputs} out"
        ))
        .hint("use method: optimize"));
    }
    Ok((doubles(&affine.value)?, affine.then))
}

fn taken_apart(g: &dyn Generator, at: usize, input: &Input) -> Result<Layer> {
    let (constant, then) = probed(g, at, input)?;
    let size: usize = reads(g, at).iter().product();
    let mut columns = vec![constant];
    for i in 0..size {
        crate::control::check()?;
        let mut unit = vec![0f32; size];
        unit[i] = 1.0;
        let shape = [vec![1], reads(g, at)].concat();
        let unit = Tensor::from_vec(unit, &shape[..], &Device::Cpu)?.to_device(g.device())?;
        let affine = g.affine(at, &unit, input)?.ok_or_else(|| no_chain(g))?;
        let column = doubles(&affine.value)?;
        columns.push(column.iter().zip(&columns[0]).map(|(v, b)| v - b).collect());
    }
    Ok(Layer { columns, then })
}

impl Layer {
    /// The rows that say that the layer gives these values. Values up to `error` may be those of a
    /// closed ReLU. Rows are scaled so that violations are those of the values.
    fn system(&self, values: &[f64], (positive, error): (bool, f64)) -> Result<System> {
        let size = self.columns.len() - 1;
        let [constant, columns @ ..] = &self.columns[..] else {
            return Err(Error::runtime("a layer has no constant"));
        };
        let row = |k: usize, value: f64| {
            let wanted = Wanted::of(value, &self.then, error);
            let coefficients = columns.iter().map(|column| wanted.slope * column[k]).collect();
            let value = wanted.slope * (wanted.value - constant[k]);
            Row { coefficients, value, equal: wanted.equal }
        };
        let rows = values.iter().enumerate().map(|(k, v)| row(k, *v)).collect();
        Ok(System { rows, size, positive })
    }
}

/// A value before functions, and the slope of the functions there.
struct Wanted {
    value: f64,
    slope: f64,
    equal: bool,
}

impl Wanted {
    /// What gives this value.
    fn of(value: f64, then: &[Pointwise], error: f64) -> Self {
        let mut wanted = Self { value, slope: 1.0, equal: true };
        for function in then.iter().rev() {
            match *function {
                Pointwise::Relu(0.0) if wanted.value <= error.max(ROUNDING) => {
                    (wanted.value, wanted.equal) = (wanted.value.max(0.0), false);
                }
                Pointwise::Relu(slope) if wanted.value < 0.0 => {
                    (wanted.value, wanted.slope) = (wanted.value / slope, wanted.slope * slope);
                }
                Pointwise::Relu(_) => {}
                Pointwise::Tanh(scale) => {
                    let y = wanted.value.clamp(-SATURATED, SATURATED);
                    wanted.value = libm::atanh(y) / scale;
                    wanted.slope *= scale * (1.0 - y * y);
                }
            }
        }
        wanted
    }
}

fn doubles(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}
