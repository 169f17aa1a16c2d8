//! Rendering in batches of a bounded size, for lists of codes, strips and films.
//!
//! A picture's bits do not depend on the batch that it is made in, so how codes are cut into
//! batches shows nowhere.

use super::{Generator, Input, codes};
use crate::control::{Control, Progress};
use crate::error::{Error, Kind, Result};
use crate::latent::Code;
use candle_core::Tensor;
use std::ops::Range;

/// Maximum number of pictures in one batch: larger ones do not run faster.
const MOST: usize = 8;
/// Pixels of one batch at most, as far as there is more than one picture: 8 pictures of 256². It
/// bounds the memory of the feature maps, which grow with both.
const PIXELS: usize = 8 * 256 * 256;

/// Pictures that are made, or searched for, in one batch: 8 up to 256², 2 of 512², 1 of 1024².
pub fn batch_size(width: usize, height: usize) -> usize {
    (PIXELS / (width * height).max(1)).clamp(1, MOST)
}

/// Makes the pictures of codes of any space, and hands them on a batch at a time, `[n, C, H, W]`;
/// `title` names the work where it takes more than one batch.
///
/// # Errors
/// As [`codes::synthesize`] and `take`; `Interrupted` when it is asked to stop between two
/// batches.
pub fn each_batch(
    g: &dyn Generator,
    code: &Code,
    input: &Input,
    watch: (&Control, &str),
    take: impl FnMut(Tensor) -> Result<()>,
) -> Result<()> {
    each(g, code, input, watch, (&codes::synthesize, take))
}

/// What is drawn of the codes of one batch.
type Draw<'d> = dyn Fn(&dyn Generator, &Code, &Input) -> Result<Tensor> + 'd;

/// As [`each_batch`], for what `draw` makes of them.
fn each(
    g: &dyn Generator,
    code: &Code,
    input: &Input,
    (control, title): (&Control, &str),
    (draw, mut take): (&Draw<'_>, impl FnMut(Tensor) -> Result<()>),
) -> Result<()> {
    let (count, size) = (code.count(), batch_size(g.spec().width, g.spec().height));
    for from in (0..count).step_by(size) {
        control.check().map_err(|_| {
            let text = format!("stopped after {from} of {count} pictures");
            Error::new(Kind::Interrupted, text)
        })?;
        let n = size.min(count - from);
        take(draw(g, &code.slice(from, n)?, &input.slice(from, n, count)?)?.detach())?;
        if count > size {
            control.report(Progress::new(title.to_owned(), (from + n, count)));
        }
    }
    Ok(())
}

/// The pictures of codes of any space, `[N, C, H, W]`, without gradients.
///
/// # Errors
/// As [`each_batch`].
pub fn pictures(
    g: &dyn Generator,
    code: &Code,
    input: &Input,
    watch: (&Control, &str),
) -> Result<Tensor> {
    all(g, code, input, watch, &codes::synthesize)
}

/// The depth maps of codes of any space, `[N, 1, h, w]`, without gradients.
///
/// # Errors
/// As [`pictures`], and for a generator without a camera.
pub fn depths(
    g: &dyn Generator,
    code: &Code,
    input: &Input,
    watch: (&Control, &str),
) -> Result<Tensor> {
    all(g, code, input, watch, &codes::depths)
}

/// The feature maps of some channels of a layer for codes of any space, `[N, C, h, w]`, without
/// gradients.
///
/// # Errors
/// As [`pictures`], and for a layer or channels that do not exist.
pub fn maps(
    g: &dyn Generator,
    code: &Code,
    input: &Input,
    (layer, channels): (usize, &Range<usize>),
    watch: (&Control, &str),
) -> Result<Tensor> {
    let draw = |g: &dyn Generator, code: &Code, input: &Input| -> Result<Tensor> {
        let map = codes::feature_map(g, code, input, layer)?;
        Ok(map.narrow(1, channels.start, channels.len())?.contiguous()?)
    };
    all(g, code, input, watch, &draw)
}

fn all(
    g: &dyn Generator,
    code: &Code,
    input: &Input,
    watch: (&Control, &str),
    draw: &Draw<'_>,
) -> Result<Tensor> {
    let mut all = Vec::new();
    let take = |batch| {
        all.push(batch);
        Ok(())
    };
    each(g, code, input, watch, (draw, take))?;
    match &all[..] {
        [one] => Ok(one.clone()),
        several => Ok(Tensor::cat(several, 0)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Stop;
    use crate::generator::toy::Toy;
    use crate::generator::{Noise, spaces};
    use crate::space::Space;
    use candle_core::{Device, Var};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn bits(t: &Tensor) -> Vec<u32> {
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn sizes_fall_with_the_resolution() {
        assert_eq!(
            [16, 256, 257, 512, 1024, 8192].map(|side| batch_size(side, side)),
            [8, 8, 7, 2, 1, 1]
        );
    }

    #[test]
    fn a_picture_is_the_same_bits_in_any_batch() {
        let g = Toy { features: 40, ..Toy::default() }.build(&Device::Cpu).unwrap();
        let control = Control::default();
        for space in [Space::Z, Space::W, Space::WPlus, Space::S] {
            let draw = spaces::Draw { seed: 3, space, ..spaces::Draw::default() };
            let code = spaces::sample(&g, 11, draw).unwrap();
            let own =
                g.noise_maps().iter().map(|m| m.repeat((11, 1, 1, 1)).unwrap()).collect::<Vec<_>>();
            for noise in [Noise::Const, Noise::Random { seed: 2, first: 0 }, Noise::Maps(own)] {
                let input = Input::of(noise);
                let all = pictures(&g, &code, &input, (&control, "")).unwrap();
                assert_eq!(all.dims(), [11, 3, 32, 32]);
                for i in [0, 7, 8, 10] {
                    let input = input.slice(i, 1, 11).unwrap();
                    let alone = codes::synthesize(&g, &code.slice(i, 1).unwrap(), &input).unwrap();
                    assert_eq!(bits(&alone), bits(&all.narrow(0, i, 1).unwrap()), "{space} {i}");
                }
            }
        }
    }

    #[test]
    fn a_gradient_is_the_same_bits_in_any_batch() {
        let g = Toy { features: 40, ..Toy::default() }.build(&Device::Cpu).unwrap();
        let z = spaces::sample(&g, 5, spaces::Draw { space: Space::Z, ..spaces::Draw::default() })
            .unwrap();
        let gradient = |z: &Tensor| {
            let z = Var::from_tensor(z).unwrap();
            let loss = spaces::picture(&g, &z, Space::Z, &Input::default())
                .unwrap()
                .sqr()
                .unwrap()
                .sum_all()
                .unwrap();
            loss.backward().unwrap().get(&z).unwrap().clone()
        };
        let all = gradient(z.point());
        for i in 0..5 {
            let alone = gradient(&z.point().narrow(0, i, 1).unwrap().contiguous().unwrap());
            assert_eq!(bits(&alone), bits(&all.narrow(0, i, 1).unwrap()), "{i}");
        }
    }

    #[test]
    fn a_long_rendering_can_be_stopped() {
        let g = Toy::default().build(&Device::Cpu).unwrap();
        let code = spaces::sample(&g, 20, spaces::Draw::default()).unwrap();
        let (seen, holder) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::OnceLock::<Control>::new()));
        let (count, inner) = (seen.clone(), holder.clone());
        let control = Control::new(move |p| {
            assert_eq!((p.title.as_str(), p.total), ("film", 20));
            count.store(p.step, Ordering::Relaxed);
            inner.get().unwrap().request(Stop::Keep);
        });
        holder.set(control.clone()).ok().unwrap();
        let e = pictures(&g, &code, &Input::default(), (&control, "film")).unwrap_err();
        assert_eq!((e.kind(), seen.load(Ordering::Relaxed)), (Kind::Interrupted, 8));
        // The pictures of a result that was kept are made all the same.
        let few = code.slice(0, 3).unwrap();
        assert!(pictures(&g, &few, &Input::default(), (&control, "film")).is_err());
        control.keep();
        assert_eq!(pictures(&g, &few, &Input::default(), (&control, "film")).unwrap().dims()[0], 3);
    }
}
