//! Parts of the generators that grew with their pictures during training: PGGAN (Karras et al.
//! 2018, "Progressive Growing of GANs") and StyleGAN (Karras et al. 2019).

use super::last_point;
use crate::error::{Error, Kind, Result};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Filter, conv_nearest2, conv2d, nearest2_kernel, up2};
use crate::weights::Weights;
use candle_core::Tensor;

/// The size of the picture that a convolution reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generator) enum Reads {
    /// The map as it is.
    Same,
    /// The map, each pixel repeated 2×2.
    Doubled,
    /// The same as one transposed convolution, whose kernel is the sum of four shifted copies of
    /// the weight: a doubled map and the weight turned by 180 degrees.
    Fused,
}

/// A convolution whose weight is scaled at run time (equalised learning rate), zero padded to the
/// same size.
pub(in crate::generator) struct Conv {
    weight: Tensor,
    gain: f64,
    reads: Reads,
    /// What is computed from the weight, unless it is searched.
    ready: Option<Tensor>,
}

impl Conv {
    /// A convolution with the weight `[O, I, k, k]`, k odd.
    pub(in crate::generator) fn new(weight: Tensor, gain: f64, reads: Reads) -> Result<Self> {
        let frozen = !weight.track_op();
        let mut conv = Self { weight, gain, reads, ready: None };
        conv.ready = frozen.then(|| conv.kernel()).transpose()?;
        Ok(conv)
    }

    fn kernel(&self) -> Result<Tensor> {
        let weight = (&self.weight * self.gain)?;
        Ok(match self.reads {
            Reads::Same => weight,
            Reads::Doubled => nearest2_kernel(&weight)?,
            Reads::Fused => nearest2_kernel(&turned(&weight)?)?,
        })
    }

    /// x `[N, I, H, W]` → `[N, O, H, W]`, or twice the size.
    pub(in crate::generator) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kernel = self.ready.clone().map_or_else(|| self.kernel(), Ok)?;
        Ok(match self.reads {
            Reads::Same => conv2d(x, &kernel, 1, kernel.dim(2)? / 2)?,
            Reads::Doubled | Reads::Fused => conv_nearest2(x, &kernel)?,
        })
    }
}

/// A weight turned by 180 degrees.
fn turned(weight: &Tensor) -> Result<Tensor> {
    let back = |n: usize| Tensor::from_iter((0..n as u32).rev(), weight.device());
    let (_, _, h, w) = weight.dims4()?;
    Ok(weight.index_select(&back(h)?, 2)?.index_select(&back(w)?, 3)?)
}

/// The resolutions that make a picture, at a level of detail as training fades them in.
///
/// At level 0 the highest resolution makes the picture, at level 1 the one below it, and so on. In
/// between both do: at 0.25 the higher one has a share of 0.75.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::generator) struct Fade {
    /// Index of the highest resolution that is used.
    pub(in crate::generator) last: usize,
    /// Share of the resolution below it.
    below: f64,
}

impl Fade {
    /// The level of detail `lod` of a generator with that many resolutions.
    ///
    /// # Errors
    /// When the generator has no such level.
    pub(in crate::generator) fn new(lod: f64, resolutions: usize) -> Result<Self> {
        let most = resolutions.saturating_sub(1);
        if !(0.0..=most as f64).contains(&lod) {
            let message = format!("a level of detail of {lod}");
            return Err(Error::new(Kind::Format, message)
                .hint(format!("0 (the full picture) to {most} are possible")));
        }
        Ok(Self { last: most - lod as usize, below: lod.fract() })
    }

    /// Whether the picture reads a resolution, by its index.
    pub(in crate::generator) fn uses(self, index: usize) -> bool {
        index == self.last || (index + 1 == self.last && self.below > 0.0)
    }

    /// The picture after a resolution, from the one before it; `rgb` computes the resolution's own.
    ///
    /// # Errors
    /// When the picture so far is needed and missing.
    pub(in crate::generator) fn add(
        self,
        index: usize,
        picture: Option<Tensor>,
        rgb: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Option<Tensor>> {
        let so_far = || {
            let picture = picture.as_ref().ok_or_else(|| {
                Error::runtime("the picture of the lower resolutions is missing")
                    .hint("enter a layer with a feature that was tapped at it")
            })?;
            Ok::<_, Error>(up2(picture, &Filter::new(&[1.0, 1.0])?)?)
        };
        if index > self.last {
            return so_far().map(Some);
        }
        if !self.uses(index) {
            return Ok(None);
        }
        if index < self.last || self.below == 0.0 {
            return rgb().map(Some);
        }
        Ok(Some(((rgb()? * (1.0 - self.below))? + (so_far()? * self.below)?)?))
    }
}

/// Runs two layers a resolution and the pictures between them, as [`Fade`] weighs these.
pub(in crate::generator) struct Growing<'a> {
    /// Weighs the resolutions.
    pub(in crate::generator) fade: Fade,
    /// Number of resolutions.
    pub(in crate::generator) resolutions: usize,
    /// The map after a layer, by the layer's index from 1 on, of the map before it.
    pub(in crate::generator) layer: &'a dyn Fn(usize, &Tensor) -> Result<Tensor>,
    /// The picture of a resolution, by its index, of the map after its second layer.
    pub(in crate::generator) rgb: &'a dyn Fn(usize, &Tensor) -> Result<Tensor>,
}

impl Growing<'_> {
    /// Runs from a feature to the requested points; the first layer's map is the feature of a code.
    /// Layers above the picture's resolution are run only for a tap.
    ///
    /// # Errors
    /// As its functions, and for a feature that lacks the picture of the layers before it.
    pub(in crate::generator) fn run(&self, from: &Feature, taps: &[Tap]) -> Result<Tapped> {
        let mut tapped = Tapped::default();
        let (mut point, mut x, mut picture) = (from.layer, from.map.clone(), from.picture.clone());
        let shown = taps.contains(&Tap::Picture);
        let last = last_point(taps, 2 * self.fade.last + 1);
        loop {
            if taps.contains(&Tap::Layer(point)) {
                let feature = Feature {
                    layer: point,
                    map: x.clone(),
                    picture: picture.clone(),
                    passed: false,
                };
                tapped.features.push(feature);
            }
            if point % 2 == 1 && (shown || point < last) {
                picture = self.fade.add(point / 2, picture, || (self.rgb)(point / 2, &x))?;
            }
            if point >= last {
                break;
            }
            point += 1;
            x = (self.layer)(point, &x)?;
        }
        if shown {
            // The resolutions that are not run repeat the pixels.
            for index in point.div_ceil(2)..self.resolutions {
                picture = self.fade.add(index, picture, || (self.rgb)(index, &x))?;
            }
            tapped.picture = picture;
        }
        Ok(tapped)
    }
}

/// Tensors whose names count resolutions from the highest, `torgb_lod0.weight`, by the side of
/// their map: `b1024.torgb.weight`.
///
/// # Errors
/// When a name counts more resolutions than there are.
pub(in crate::generator) fn by_side(
    weights: Weights,
    before: &str,
    resolution: usize,
) -> Result<Weights> {
    let side = |name: &str| {
        let rest = name.strip_prefix(before)?.strip_prefix("torgb_lod")?;
        let (lod, part) = rest.split_once('.')?;
        let side = resolution.checked_shr(lod.parse().ok()?).filter(|side| *side >= 4)?;
        Some(format!("{before}b{side}.torgb.{part}"))
    };
    weights.chosen(|name| Some(side(name).unwrap_or_else(|| name.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn ramp(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("tensor")
    }

    fn numbers(t: &Tensor) -> Vec<f32> {
        t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
    }

    fn most_apart(a: &Tensor, b: &Tensor) -> f32 {
        assert_eq!(a.dims(), b.dims());
        numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// The fused form by its definition: four shifted copies of the zero padded weight, summed, as
    /// the kernel of a transposed convolution of stride 2.
    #[test]
    fn fused_upsampling_is_a_transposed_convolution_with_a_summed_kernel() {
        let (x, w) = (ramp(&[2, 3, 4, 5]), ramp(&[4, 3, 3, 3]));
        let padded = w.pad_with_zeros(2, 1, 1).and_then(|w| w.pad_with_zeros(3, 1, 1)).expect("w");
        let part = |y, x| padded.narrow(2, y, 4).and_then(|p| p.narrow(3, x, 4)).expect("part");
        let sum = [(0, 1), (1, 0), (1, 1)]
            .into_iter()
            .try_fold(part(0, 0), |sum, (y, x)| sum + part(y, x))
            .and_then(|k| k.transpose(0, 1)?.contiguous())
            .expect("kernel");
        let expected = crate::tensor::conv_transpose2d(&x, &sum, 2, 1).expect("transposed");
        let conv = Conv::new(w.clone(), 1.0, Reads::Fused).expect("conv");
        assert!(most_apart(&conv.forward(&x).expect("fused"), &expected) < 1e-5);
        let plain = Conv::new(w.clone(), 1.0, Reads::Doubled).expect("conv");
        assert!(most_apart(&plain.forward(&x).expect("doubled"), &expected) > 0.1, "they differ");
        // A searched weight gives the same, follows its changes, and gets a gradient.
        for reads in [Reads::Same, Reads::Doubled, Reads::Fused] {
            let v = Var::from_tensor(&w).expect("variable");
            let live = Conv::new(v.as_tensor().clone(), 0.5, reads).expect("conv");
            let frozen = Conv::new(w.clone(), 0.5, reads).expect("conv");
            let (a, b) = (live.forward(&x).expect("live"), frozen.forward(&x).expect("frozen"));
            assert_eq!(numbers(&a), numbers(&b), "{reads:?}");
            let grads = a.sqr().and_then(|y| y.sum_all()?.backward()).expect("backward");
            assert!(grads.get(&v).is_some_and(|g| g.dims() == w.dims()), "{reads:?}");
            v.set(&(&w * 2.0).expect("doubled")).expect("set");
            let after = live.forward(&x).expect("changed");
            assert!(most_apart(&after, &(b * 2.0).expect("twice")) < 1e-5, "{reads:?}");
        }
    }

    #[test]
    fn a_fade_weighs_two_resolutions_and_repeats_the_pixels_of_the_last() {
        let colour = |value: f64, side: usize| {
            Tensor::full(value as f32, (1, 1, side, side), &Device::Cpu).map_err(Error::from)
        };
        let picture = |lod: f64| -> Result<Vec<f32>> {
            let fade = Fade::new(lod, 3)?;
            let mut picture = None;
            for (index, value) in [4.0, 2.0, 1.0].into_iter().enumerate() {
                picture = fade.add(index, picture, || colour(value, 4 << index))?;
            }
            Ok(numbers(&picture.expect("picture")))
        };
        for (lod, expected) in [(0.0, 1.0), (0.25, 1.25), (1.0, 2.0), (1.5, 3.0), (2.0, 4.0)] {
            assert_eq!(picture(lod).expect("picture"), vec![expected; 256], "{lod}");
        }
        for lod in [-0.5, 2.5, f64::NAN] {
            assert!(picture(lod).expect_err("no such level").repair().is_some(), "{lod}");
        }
        assert!(Fade::new(0.5, 3).expect("fade").add(2, None, || colour(0.0, 16)).is_err());
    }
}
