//! HFGI's adaptive distortion alignment: a network that moves what one picture misses to where it
//! belongs in another.

use super::CHANNELS;
use super::chain::{Chain, Stem};
use crate::error::Result;
use crate::network::layers::Taker;
use crate::network::resize_to;
use candle_core::Tensor;

/// Such a network: maps that become smaller, then larger again, each beside the one of its size.
pub(super) struct Aligner {
    stem: Stem,
    down: [Chain; 3],
    up: [Chain; 3],
}

impl Aligner {
    /// Takes `conv_layer1` to `conv_layer4` and `dconv_layer1` to `dconv_layer3`.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>) -> Result<Self> {
        let stem = Stem::take(t, "conv_layer1", 2 * CHANNELS)?;
        let one = Chain::take(t, "conv_layer2", (stem.outputs(), 2))?;
        let two = Chain::take(t, "conv_layer3", (one.outputs(), 2))?;
        let three = Chain::take(t, "conv_layer4", (two.outputs(), 2))?;
        let first = (three.outputs() + two.outputs(), 1);
        let first = Chain::take(t, "dconv_layer1", first)?;
        let second = Chain::take(t, "dconv_layer2", (first.outputs() + one.outputs(), 1))?;
        let third = Chain::take(t, "dconv_layer3", (second.outputs() + stem.outputs(), 1))?;
        Ok(Self { stem, down: [one, two, three], up: [first, second, third] })
    }

    /// What is missed and the other picture, `[N, 6, S, S]` → `[N, 3, S, S]`, with gradients.
    ///
    /// # Errors
    /// When the pictures do not fit.
    pub fn forward(&self, both: &Tensor) -> Result<Tensor> {
        let mut beside = Vec::with_capacity(self.down.len());
        let mut map = self.stem.forward(both)?;
        for chain in &self.down {
            let smaller = chain.forward(&map)?;
            beside.push(std::mem::replace(&mut map, smaller));
        }
        for (chain, own) in self.up.iter().zip(beside.iter().rev()) {
            let (_, _, h, w) = own.dims4()?;
            map = chain.forward(&Tensor::cat(&[&resize_to(&map, h, w)?, own], 1)?)?;
        }
        Ok(map)
    }
}
