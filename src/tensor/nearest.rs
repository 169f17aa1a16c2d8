//! Convolution of a picture that is doubled by repeating its pixels (PGGAN, BigGAN), without the
//! doubled picture.
//!
//! A 3×3 kernel over pairs of equal pixels reads four pixels of the small picture, with sums of its
//! taps as factors. All four phases together are a transposed convolution of stride 2 with a 4×4
//! kernel: 16 products a pixel and channel of the small picture instead of 36.

use super::conv::conv_transpose2d;
use super::matmul::linear;
use candle_core::{Result, Tensor, bail};

/// The kernel that [`conv_nearest2`] runs: with gradients when w has any, else worth keeping.
///
/// # Shapes
/// w `[O, I, k, k]`, k odd → `[I, O, k + 1, k + 1]`.
///
/// # Errors
/// When the weight is not square or its size even.
pub fn nearest2_kernel(w: &Tensor) -> Result<Tensor> {
    let (o, i, k, kw) = w.dims4()?;
    if k != kw || k % 2 == 0 {
        bail!("conv_nearest2: a kernel of odd size is needed, found {k}x{kw}");
    }
    // Pixel p of the doubled picture shows pixel p / 2: place t of the wide kernel is met by taps k
    // − 1 − t and k − t.
    let meets = |t: usize, a: usize| t + a + 1 == k || t + a == k;
    let sums: Vec<f32> = (0..(k + 1) * (k + 1) * k * k)
        .map(|at| {
            let (place, tap) = (at / (k * k), at % (k * k));
            let both = meets(place / (k + 1), tap / k) && meets(place % (k + 1), tap % k);
            f32::from(u8::from(both))
        })
        .collect();
    let sums = Tensor::from_vec(sums, ((k + 1) * (k + 1), k * k), w.device())?;
    linear(&w.transpose(0, 1)?.reshape((i * o, k * k))?, &sums)?.reshape((i, o, k + 1, k + 1))
}

/// Doubles a picture by repeating every pixel 2×2, then convolves it, zero padded to the same size;
/// from the kernel that [`nearest2_kernel`] makes of the weight.
///
/// # Shapes
/// x `[N, I, H, W]`, kernel `[I, O, k + 1, k + 1]` → `[N, O, 2H, 2W]`.
pub fn conv_nearest2(x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let size = kernel.dim(2)?;
    if size == 0 || size % 2 == 1 {
        bail!(
            "conv_nearest2: a kernel of even size is needed, found {size}: make it by \
             nearest2_kernel"
        );
    }
    conv_transpose2d(x, kernel, 2, size / 2 - 1)
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, check, close, flat, naive_conv};
    use super::super::{Filter, conv2d, down2, up2};
    use super::*;

    fn repeated(x: &D) -> D {
        let (h, w) = (x.shape[2], x.shape[3]);
        let mut y = D::zeros(&[x.shape[0], x.shape[1], 2 * h, 2 * w]);
        let width = 2 * w;
        for (at, v) in y.v.iter_mut().enumerate() {
            *v = x.v[(at / width / 2) * w + at % width / 2];
        }
        y
    }

    #[test]
    fn the_doubled_picture_convolved() {
        for (i, &(n, ci, h, w, co, k)) in [
            (1, 1, 1, 1, 1, 3),
            (2, 3, 5, 4, 5, 3),
            (1, 18, 3, 3, 17, 3),
            (2, 3, 3, 5, 2, 1),
            (1, 2, 4, 3, 3, 5),
        ]
        .iter()
        .enumerate()
        {
            let arguments = [D::random("x", &[n, ci, h, w]), D::random("w", &[co, ci, k, k])];
            let naive = |a: &[D]| naive_conv(&repeated(&a[0]), &a[1], 1, k / 2);
            check(
                &format!("nearest {i}"),
                &arguments,
                &|a| conv_nearest2(&a[0], &nearest2_kernel(&a[1])?),
                &naive,
            );
        }
        // Beyond the block size of the products; only values.
        let (x, w) = (D::random("x", &[2, 21, 21, 39]), D::random("w", &[67, 21, 3, 3]));
        let y = nearest2_kernel(&w.tensor())
            .and_then(|k| conv_nearest2(&x.tensor(), &k))
            .expect("conv");
        close(&flat(&y), &naive_conv(&repeated(&x), &w, 1, 1).v, 3e-6, "large");
    }

    /// With taps [1, 1] the resamplings repeat pixels and take the mean of 2×2.
    #[test]
    fn repeating_and_averaging() {
        let (x, filter) =
            (D::random("x", &[2, 3, 5, 4]), Filter::new(&[1.0, 1.0]).expect("filter"));
        let doubled = up2(&x.tensor(), &filter).expect("up");
        assert_eq!(flat(&doubled), repeated(&x).v);
        assert_eq!(flat(&down2(&doubled, &filter).expect("down")), x.v);
        let picture =
            D { shape: vec![1, 1, 2, 4], v: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 12.0] };
        assert_eq!(flat(&down2(&picture.tensor(), &filter).expect("down")), [3.5, 6.5]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        assert!(
            nearest2_kernel(&t(&[2, 3, 4, 4])).is_err()
                && nearest2_kernel(&t(&[2, 3, 3, 1])).is_err()
        );
        let x = t(&[1, 3, 4, 4]);
        assert!(conv_nearest2(&x, &t(&[3, 2, 3, 3])).is_err(), "the weight itself");
        assert!(conv_nearest2(&x, &t(&[2, 3, 4, 4])).is_err(), "channels");
        assert!(conv2d(&x, &t(&[2, 3, 4, 4]), 2, usize::MAX).is_err(), "overflow of the padding");
    }
}
