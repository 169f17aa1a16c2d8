//! `slerp`: on the great circle between two codes.

use super::{lerp, shared};
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::error::Result;
use crate::value::Value;
use candle_core::{D, Tensor};

/// `slerp(a, b, t)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "slerp",
        params: lerp::PARAMS,
        returns: "Latent",
        infer: lerp::infer,
    },
    category: Category::Edit,
    summary: "spherical interpolation: along the great circle, the length interpolated linearly",
    details: "Shoemake 1985, row by row: keeps the length that codes of Z have (about √dim), which \
              `lerp` shortens. \
              Opposite or zero codes have no unique great circle; they are interpolated with \
              `lerp`.",
    examples: &[Example {
        code: "slerp(sample(seed: 1, space: Z), sample(seed: 2, space: Z), 0.5)",
        note: "half way in Z",
    }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let (a, b) = shared::pair(args, ["a", "b"])?;
        let t = args.need_number("t")?;
        let point = slerp(a.point(), b.point(), t)?;
        let origin = format!("slerp {t} of ({}) and ({})", a.origin, b.origin);
        Ok(Value::Latent(a.between(&b, t, point, origin)?))
    },
};

/// Row-wise spherical interpolation over the last dimension.
///
/// # Shapes
/// a, b `[…, D]` → `[…, D]`
pub fn slerp(a: &Tensor, b: &Tensor, t: f64) -> Result<Tensor> {
    let dims = a.dims().to_vec();
    let width = a.dim(D::Minus1)?;
    let rows =
        |x: &Tensor| -> Result<Vec<Vec<f32>>> { Ok(x.reshape(((), width))?.to_vec2::<f32>()?) };
    let mut out = Vec::with_capacity(a.elem_count());
    for (x, y) in rows(a)?.iter().zip(rows(b)?.iter()) {
        out.extend(slerp_row(x, y, t));
    }
    Ok(Tensor::from_vec(out, dims, a.device())?)
}

fn slerp_row(x: &[f32], y: &[f32], t: f64) -> Vec<f32> {
    let dot = |p: &[f32], q: &[f32]| {
        p.iter().zip(q).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    let (nx, ny) = (dot(x, x).sqrt(), dot(y, y).sqrt());
    let cos = (dot(x, y) / (nx * ny)).clamp(-1.0, 1.0);
    let angle = libm::acos(cos);
    let sin = libm::sin(angle);
    // Straight where the circle is undefined, or so short that both agree to rounding.
    let (p, q) = if !sin.is_finite() || sin < 1e-6 {
        (1.0 - t, t)
    } else {
        let length = (1.0 - t) * nx + t * ny;
        (libm::sin((1.0 - t) * angle) / sin * length / nx, libm::sin(t * angle) / sin * length / ny)
    };
    x.iter().zip(y).map(|(a, b)| (p * f64::from(*a) + q * f64::from(*b)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_kept_and_the_middle_keeps_its_length() {
        let (x, y) = ([3.0f32, 0.0, 0.0], [0.0f32, 1.0, 0.0]);
        assert_eq!(slerp_row(&x, &y, 0.0), x);
        let end = slerp_row(&x, &y, 1.0);
        assert!(end.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-6));
        // Half way between perpendicular codes of length 3 and 1: 45°, length 2.
        let mid = slerp_row(&x, &y, 0.5);
        assert!((mid[0] - 2f32.sqrt()).abs() < 1e-6 && (mid[1] - 2f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn opposite_codes_go_straight() {
        assert_eq!(slerp_row(&[1.0, 0.0], &[-1.0, 0.0], 0.5), [0.0, 0.0]);
    }
}
