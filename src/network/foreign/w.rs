//! One w for all layers, from the mean of the last map: pSp's encoder into W, with which HyperStyle
//! and others begin.

use super::{CHANNELS, Host, Kind, Net, layout, pyramid, reads_pictures};
use crate::error::Result;
use crate::network::body::Body;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Dense, Taker};
use crate::network::{irse, resnet};
use crate::weights::Listing;

/// See Richardson et al. 2021 and Alaluf et al. 2022; on a ResNet, Dinh et al. 2022.
pub(super) const KIND: Kind = Kind {
    name: "pSp-W",
    about: "an encoder into W on pSp's network (Richardson et al. 2021)",
    types: &[
        "BackboneEncoderUsingLastLayerIntoW",
        "SingleStyleCodeEncoder",
        "WEncoder",
        "ResNetEncoderUsingLastLayerIntoW",
    ],
    layout: layout("psp-w", detect),
    relative: true,
    begins: false,
    take,
};

/// Whether a file has such a network.
pub(super) fn detect(listing: &Listing) -> bool {
    let body = listing.has(irse::MARK)
        || (listing.has(resnet::MARK) && listing.has("body.0.conv1.weight"));
    body && listing.has("linear.weight") && !listing.has("output_layer_2.3.weight")
}

/// Takes a body and `linear`.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn take(t: &mut Taker<'_>, _: &mut Host) -> Result<Box<dyn Net>> {
    let body = pyramid::body(t)?;
    reads_pictures(t, &body, &[CHANNELS])?;
    let last = body.outputs();
    let linear = t.dense("linear", last, (last as f64).powf(-0.5))?;
    Ok(Box::new(IntoW { body, linear }))
}

struct IntoW {
    body: Body,
    linear: Dense,
}

impl Net for IntoW {
    fn size(&self) -> [usize; 2] {
        [1, self.linear.outputs()]
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let whole = self.body.last(seen.pictures)?.flatten_from(2)?.mean(2)?; // [NC]
        Ok(Move::To(self.linear.forward(&whole)?.unsqueeze(1)?))
    }
}
