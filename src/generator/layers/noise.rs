//! Noise of generators: maps that a file stores, or fixed ones where its code draws new ones in
//! every run.

use crate::error::{Error, Result};
use crate::generator::Noise;
use crate::rng::Rng;
use candle_core::{Device, Tensor};

/// What the settings of a generator say of noise maps that its file lacks.
pub(in crate::generator) const DRAWN: &str =
    "drawn, always the same: the file does not store all of them";

/// Distribution of the numbers of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::generator) enum Drawn {
    /// Standard normal.
    Normal,
    /// Uniform in [0, 1).
    Uniform,
}

/// The noise maps of a generator.
///
/// A program gives the same bytes each time, so [`Noise::Const`] is a fixed map a layer, drawn from
/// the layer's place alone.
pub(in crate::generator) struct NoiseMaps {
    sizes: Vec<[usize; 2]>,
    drawn: Drawn,
    device: Device,
    /// The fixed maps, `[1, 1, H, W]` each.
    fixed: Vec<Tensor>,
}

impl NoiseMaps {
    /// Maps of these heights and widths, in layer order.
    ///
    /// # Errors
    /// When the device fails.
    pub(in crate::generator) fn new(
        sizes: &[[usize; 2]],
        drawn: Drawn,
        device: &Device,
    ) -> Result<Self> {
        let mut maps =
            Self { sizes: sizes.to_vec(), drawn, device: device.clone(), fixed: Vec::new() };
        maps.fixed = (0..sizes.len())
            .map(|layer| maps.map(layer, 1, &|_| Rng::derive(0, &format!("noise {layer}"))))
            .collect::<Result<_>>()?;
        Ok(maps)
    }

    /// Maps that a file stores, `[1, 1, H, W]` each, in layer order: those of [`Noise::Const`].
    ///
    /// # Errors
    /// For maps of another rank.
    pub(in crate::generator) fn stored(fixed: Vec<Tensor>, device: &Device) -> Result<Self> {
        let size = |m: &Tensor| m.dims4().map(|(_, _, h, w)| [h, w]);
        let sizes = fixed.iter().map(size).collect::<candle_core::Result<_>>()?;
        Ok(Self { sizes, drawn: Drawn::Normal, device: device.clone(), fixed })
    }

    /// One map a layer for `n` pictures, `[N or 1, 1, H, W]`; `None` for no noise.
    ///
    /// # Errors
    /// When given maps do not fit.
    pub(in crate::generator) fn of(&self, noise: &Noise, n: usize) -> Result<Vec<Option<Tensor>>> {
        let sizes = &self.sizes;
        match noise {
            Noise::None => Ok(vec![None; sizes.len()]),
            Noise::Const => Ok(self.fixed.iter().cloned().map(Some).collect()),
            Noise::Random { seed, first } => (0..sizes.len())
                .map(|layer| {
                    let stream =
                        |i: usize| Rng::derive(*seed, &format!("noise {layer} {}", first + i));
                    self.map(layer, n, &stream).map(Some)
                })
                .collect(),
            Noise::Maps(maps) => {
                let fits = |(m, [h, w]): (&Tensor, &[usize; 2])| {
                    m.dims() == [1, 1, *h, *w] || m.dims() == [n, 1, *h, *w]
                };
                if maps.len() != sizes.len() || !maps.iter().zip(sizes).all(fits) {
                    let found: Vec<_> = maps.iter().map(Tensor::dims).collect();
                    return Err(Error::runtime(format!(
                        "noise maps {found:?} do not fit layers of sizes {sizes:?}"
                    ))
                    .hint("use maps that were made for this generator, each [N or 1, 1, H, W]"));
                }
                Ok(maps.iter().cloned().map(Some).collect())
            }
        }
    }

    /// The fixed maps, `[1, 1, H, W]` each.
    pub(in crate::generator) fn fixed(&self) -> Vec<Tensor> {
        self.fixed.clone()
    }

    /// A map of `n` pictures, each from its own stream.
    fn map(&self, layer: usize, n: usize, stream: &dyn Fn(usize) -> Rng) -> Result<Tensor> {
        let [h, w] = self.sizes[layer];
        let mut data = Vec::with_capacity(n * h * w);
        for i in 0..n {
            let mut rng = stream(i);
            match self.drawn {
                Drawn::Normal => data.extend(rng.normals(h * w)),
                Drawn::Uniform => data.extend((0..h * w).map(|_| rng.uniform() as f32)),
            }
        }
        Ok(Tensor::from_vec(data, (n, 1, h, w), &self.device)?)
    }
}
