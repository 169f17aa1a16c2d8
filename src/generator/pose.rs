//! The pose of a code ([`Part::Pose`]): the camera of a generator of scenes, or how a picture is
//! turned and shifted, as few numbers with gradients.

use super::camera::{CAMERA, Camera, Orbit};
use super::{Generator, Input, Spec};
use crate::error::{Error, Result};
use crate::latent::{Part, Parts};
use crate::safe::Safe;
use candle_core::{D, Tensor};

/// Numbers of a pose: yaw and pitch of a camera, or rotation and shift to the right and down; angles
/// in radians, shifts in sides of the picture. `None` for a generator with neither.
pub fn size(spec: &Spec) -> Option<usize> {
    match (spec.inputs.camera, spec.inputs.transform) {
        (true, _) => Some(2),
        (false, true) => Some(3),
        (false, false) => None,
    }
}

/// A pose in words, in degrees: `yaw 12.3°, pitch -4.0°`.
pub fn told(numbers: &[f32]) -> String {
    match *numbers {
        [yaw, pitch] => format!("yaw {:.1}°, pitch {:.1}°", yaw.to_degrees(), pitch.to_degrees()),
        [turn, x, y] => {
            format!("rotated by {:.1}°, shifted by [{x:.3}, {y:.3}]", turn.to_degrees())
        }
        _ => String::new(),
    }
}

/// The input with the camera or the transform of the codes' pose, where it has none of its own.
///
/// # Errors
/// For a pose of another kind of generator.
pub(super) fn seen(g: &dyn Generator, parts: &Parts, input: &Input) -> Result<Input> {
    let Some(pose) = parts.get(Part::Pose) else { return Ok(input.clone()) };
    let spec = g.spec();
    if size(spec).is_none_or(|n| pose.dims().last() != Some(&n)) {
        let (given, name) = (pose.dims(), Safe(&spec.name));
        return Err(Error::runtime(format!("a pose of {given:?} is none of {name}"))
            .hint("use a code that was found with this generator"));
    }
    let mut input = input.clone();
    match g.orbit() {
        Some(orbit) if input.camera.is_none() => input.camera = Some(camera(pose, &orbit)?),
        None if input.transform.is_none() => input.transform = Some(transform(pose)?),
        _ => {}
    }
    Ok(input)
}

/// The transforms `[N, 3, 3]` of poses `[N, 3]`, as [`super::Transform::matrix`] defines them.
fn transform(pose: &Tensor) -> Result<Tensor> {
    let part = |i: usize| pose.narrow(1, i, 1);
    let (turn, x, y) = (part(0)?, part(1)?, part(2)?);
    let (sin, cos) = (turn.sin()?, turn.cos()?);
    let across = ((&sin * &y)? - (&cos * &x)?)?;
    let down = ((&sin * &x)? + (&cos * &y)?)?.neg()?;
    let (zero, one) = (turn.zeros_like()?, turn.ones_like()?);
    let rows = [&cos, &sin.neg()?, &across, &sin, &cos, &down, &zero, &zero, &one];
    Ok(Tensor::cat(&rows, 1)?.reshape(((), 3, 3))?)
}

/// The cameras `[N, 25]` of poses `[N, 2]`, as [`Camera::numbers`] places them with the usual field
/// of view.
fn camera(pose: &Tensor, orbit: &Orbit) -> Result<Tensor> {
    let (yaw, pitch) = (pose.narrow(1, 0, 1)?, pose.narrow(1, 1, 1)?);
    // The official code goes around by the arc cosine of a share of the pitch; its cosine is enough.
    let most = 1.0 - 1e-5;
    let height = (pitch * -std::f64::consts::FRAC_2_PI)?.clamp(-most, most)?;
    let around = (1.0 - height.sqr()?)?.sqrt()?;
    let place = Tensor::cat(&[&(&around * yaw.sin()?)?, &height, &(&around * yaw.cos()?)?], 1)?;
    let origin = (place * orbit.radius)?; // [N3]
    let pivot = Tensor::new(&[orbit.pivot.map(|v| v as f32)], pose.device())?;
    let forward = unit(&pivot.broadcast_sub(&origin)?)?;
    let along = |v: &Tensor, i: usize| v.narrow(1, i, 1);
    let (fx, fz) = (along(&forward, 0)?, along(&forward, 2)?);
    let right = unit(&Tensor::cat(&[&fz.neg()?, &fx.zeros_like()?, &fx], 1)?)?;
    let up = unit(&cross(&forward, &right)?)?;
    let matrix = Tensor::stack(&[&right, &up, &forward, &origin], 2)?; // [N34]
    // The last row and the intrinsics do not depend on the pose.
    let usual = Camera::FRONTAL.numbers(orbit, pose.device())?.narrow(1, 12, CAMERA - 12)?;
    let usual = usual.broadcast_as((pose.dim(0)?, CAMERA - 12))?;
    Ok(Tensor::cat(&[&matrix.flatten_from(1)?, &usual.contiguous()?], 1)?)
}

fn unit(v: &Tensor) -> Result<Tensor> {
    Ok(v.broadcast_div(&v.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?)
}

fn cross(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let one = |i: usize, j: usize| -> Result<Tensor> {
        let product = |i: usize, j: usize| a.narrow(1, i, 1)? * b.narrow(1, j, 1)?;
        Ok((product(i, j)? - product(j, i)?)?)
    };
    Ok(Tensor::cat(&[&one(1, 2)?, &one(2, 0)?, &one(0, 1)?], 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Transform;
    use candle_core::{Device, Var};

    const CPU: Device = Device::Cpu;

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn near(a: &Tensor, b: &Tensor) {
        assert_eq!(a.dims(), b.dims());
        for (a, b) in values(a).iter().zip(values(b)) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }

    #[test]
    fn cameras_are_those_of_their_angles() {
        let orbit = Orbit { radius: 2.7, pivot: [0.0, 0.05, 0.2] };
        let angles = [[0.0, 0.0], [20.0, -5.0], [-35.0, 12.0], [80.0, 40.0]];
        let each = angles.map(|[yaw, pitch]: [f64; 2]| {
            let numbers = Camera { yaw, pitch, ..Camera::FRONTAL }.numbers(&orbit, &CPU).unwrap();
            let pose = [yaw, pitch].map(|a| a.to_radians() as f32);
            (Tensor::new(&[pose], &CPU).unwrap(), numbers)
        });
        for (pose, numbers) in &each {
            near(&camera(pose, &orbit).unwrap(), numbers);
        }
        let all = |f: &dyn Fn(&(Tensor, Tensor)) -> Tensor| {
            Tensor::cat(&each.iter().map(f).collect::<Vec<_>>(), 0).unwrap()
        };
        near(&camera(&all(&|e| e.0.clone()), &orbit).unwrap(), &all(&|e| e.1.clone()));
    }

    #[test]
    fn transforms_are_those_of_their_numbers() {
        for (rotate, shift) in [(0.0, [0.0, 0.0]), (15.0, [0.1, -0.2]), (-120.0, [-0.3, 0.05])] {
            let wanted = Transform { rotate, shift }.matrix(&CPU).unwrap();
            let pose = [rotate.to_radians() as f32, shift[0] as f32, shift[1] as f32];
            near(&transform(&Tensor::new(&[pose], &CPU).unwrap()).unwrap(), &wanted);
        }
    }

    #[test]
    fn slopes_are_those_of_differences() {
        let orbit = Orbit { radius: 2.7, pivot: [0.0, 0.05, 0.2] };
        let of = |pose: &Tensor| match pose.dim(1).unwrap() {
            2 => camera(pose, &orbit).unwrap().narrow(1, 0, 12).unwrap(),
            _ => transform(pose).unwrap(),
        };
        // A weighted sum of all numbers.
        let sum = |pose: &Tensor| {
            let flat = of(pose).flatten_all().unwrap();
            let weights: Vec<f32> = (0..flat.elem_count()).map(|i| (i as f32).cos()).collect();
            (flat * Tensor::new(weights, &CPU).unwrap()).unwrap().sum_all().unwrap()
        };
        for pose in [vec![0.3f32, -0.2], vec![0.4, 0.1, -0.2]] {
            let row = |v: &[f32]| Tensor::new(v, &CPU).unwrap().unsqueeze(0).unwrap();
            let var = Var::from_tensor(&row(&pose)).unwrap();
            let slope = values(sum(&var).backward().unwrap().get(&var).unwrap());
            for (i, slope) in slope.iter().enumerate() {
                let side = |step: f32| {
                    let mut moved = pose.clone();
                    moved[i] += step;
                    sum(&row(&moved)).to_vec0::<f32>().unwrap()
                };
                let expected = (side(5e-3) - side(-5e-3)) / 1e-2;
                assert!((slope - expected).abs() < 1e-3 * expected.abs().max(1.0), "{i}: {slope}");
            }
        }
    }
}
