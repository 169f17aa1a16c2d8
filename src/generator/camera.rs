//! Cameras of generators of scenes: 25 numbers, the 4×4 matrix from camera to world, then the 3×3
//! intrinsics for a picture of side 1.

use crate::error::{Error, Result};
use candle_core::{Device, Tensor};

/// Numbers of a camera.
pub const CAMERA: usize = 25;

/// π as EG3D's code rounds it for the focal length.
#[allow(clippy::approx_constant, reason = "the published cameras have it")]
const ROUNDED_PI: f64 = 3.14159;

/// Where a generator's cameras look at, and from how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orbit {
    /// Distance of the camera from the origin.
    pub radius: f64,
    /// The point that it looks at.
    pub pivot: [f64; 3],
}

/// A camera on an orbit. x points to the left of the frontal view, y up, z to the front.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Degrees around the vertical axis; 0 is the frontal view. The official code adds its radians
    /// to π/2.
    pub yaw: f64,
    /// Degrees around the horizontal axis: negative from above, positive from below.
    pub pitch: f64,
    /// Field of view in degrees, along the diagonal of the picture as the official code has it.
    pub fov: f64,
}

impl Camera {
    /// The frontal view with the usual field of view of EG3D's code.
    pub const FRONTAL: Self = Self { yaw: 0.0, pitch: 0.0, fov: 18.837 };

    /// The camera as numbers, `[1, 25]`: as EG3D's `LookAtPoseSampler` and `FOV_to_intrinsics`
    /// place it, whose rounded constants 3.14159 and 1.414 belong to the trained cameras.
    ///
    /// # Errors
    /// When its place is the point that it looks at, or the field of view is not between 0
    /// and 180 degrees.
    pub fn numbers(&self, orbit: &Orbit, device: &Device) -> Result<Tensor> {
        let theta = std::f64::consts::FRAC_PI_2 + self.yaw.to_radians();
        let down = std::f64::consts::FRAC_PI_2 + self.pitch.to_radians();
        let down = down.clamp(1e-5, std::f64::consts::PI - 1e-5);
        let phi = (1.0 - 2.0 * down / std::f64::consts::PI).acos();
        let at = std::f64::consts::PI - theta;
        let origin =
            [phi.sin() * at.cos(), phi.cos(), phi.sin() * at.sin()].map(|v| v * orbit.radius);
        let forward = unit(std::array::from_fn(|i| orbit.pivot[i] - origin[i]));
        let right = unit(cross([0.0, 1.0, 0.0], forward).map(|v| -v));
        let up = unit(cross(forward, right));
        let focal = 1.0 / ((self.fov * ROUNDED_PI / 360.0).tan() * 1.414);
        let mut all = [0f64; CAMERA];
        for i in 0..3 {
            let row = [right[i], up[i], forward[i], origin[i]];
            all[4 * i..4 * i + 4].copy_from_slice(&row);
        }
        all[15] = 1.0;
        all[16..].copy_from_slice(&[focal, 0.0, 0.5, 0.0, focal, 0.5, 0.0, 0.0, 1.0]);
        if !all.iter().all(|v| v.is_finite()) || focal <= 0.0 {
            let message = format!("no camera at {self:?} around {orbit:?}");
            return Err(Error::runtime(message).hint("yaw 20, pitch 5 and fov 18.837 are usual"));
        }
        Ok(Tensor::from_vec(all.map(|v| v as f32).to_vec(), (1, CAMERA), device)?)
    }
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    v.map(|v| v / length)
}
