//! An IR network, or a ResNet for other things than faces, and the maps that heads read: one a row
//! of the code, the coarse rows first.

use super::{CHANNELS, looked_at, reads_pictures};
use crate::error::Result;
use crate::network::body::Body;
use crate::network::encoder::Seen;
use crate::network::layers::{Conv, Taker};
use crate::network::resize::grow_to;
use crate::network::{irse, resnet};
use crate::tensor::Activation;
use crate::weights::Listing;
use candle_core::Tensor;

/// Rows of the code that read the last map, and those before which the middle one ends.
const COARSE: usize = 3;
const MIDDLE: usize = 7;

/// Whether a file has such a network: one of the two bodies, and heads.
pub(super) fn detect(listing: &Listing, pyramid: bool) -> bool {
    let bodies = [[irse::MARK, "body.0.res_layer.1.weight"], [resnet::MARK, "body.0.conv1.weight"]];
    bodies.iter().any(|marks| marks.iter().all(|name| listing.has(name)))
        && listing.has("styles.0.convs.0.weight")
        && listing.has("latlayer1.weight") == pyramid
}

/// Takes `input_layer` and `body`, or `conv1`, `bn1`, `relu` and `body`.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn body(t: &mut Taker<'_>) -> Result<Body> {
    if t.has(irse::MARK) { irse::take(t) } else { resnet::take(t) }
}

/// Such a network without its heads.
pub(super) struct Pyramid {
    body: Body,
    /// 1×1 convolutions of the maps of the third and second stage; `None` where all heads read the
    /// last map.
    laterals: Option<[Conv; 2]>,
}

impl Pyramid {
    /// Takes the body, and `latlayer1` and `latlayer2` where the heads read three maps.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, three: bool) -> Result<Self> {
        let body = body(t)?;
        reads_pictures(t, &body, &[CHANNELS, 2 * CHANNELS])?;
        let [second, third] = [1, 2].map(|stage| body.channels(stage));
        let laterals = match three {
            true => Some([
                t.conv("latlayer1", third, [1, 1, 0])?,
                t.conv("latlayer2", second, [1, 1, 0])?,
            ]),
            false => None,
        };
        Ok(Self { body, laterals })
    }

    /// Channels of the pictures that it reads.
    pub fn inputs(&self) -> usize {
        self.body.inputs()
    }

    /// Channels of its maps.
    pub fn outputs(&self) -> usize {
        self.body.outputs()
    }

    /// The map that the head of each of so many rows reads, with gradients.
    ///
    /// # Errors
    /// When the pictures do not fit.
    pub fn rows(&self, seen: &Seen<'_>, count: usize) -> Result<Vec<Tensor>> {
        let [coarse, middle, fine] = self.maps(&looked_at(seen, self.inputs())?)?;
        let of = |row: usize| match row {
            0..COARSE => &coarse,
            COARSE..MIDDLE => &middle,
            _ => &fine,
        };
        Ok((0..count).map(|row| of(row).clone()).collect())
    }

    /// The maps that the heads read, coarse, middle and fine.
    fn maps(&self, x: &Tensor) -> Result<[Tensor; 3]> {
        let [_, second, third, last] = self.body.maps(x)?;
        let Some([middle, fine]) = &self.laterals else {
            return Ok([last.clone(), last.clone(), last]);
        };
        let added = |coarse: &Tensor, lateral: &Conv, map: &Tensor| -> Result<Tensor> {
            let (_, _, h, w) = map.dims4()?;
            Ok((grow_to(coarse, h, w)? + lateral.forward(map, Activation::LINEAR)?)?)
        };
        let middle = added(&last, middle, &third)?;
        let fine = added(&middle, fine, &second)?;
        Ok([last, middle, fine])
    }
}
