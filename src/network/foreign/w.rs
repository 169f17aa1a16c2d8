//! One w for all layers, from the mean of the last map: pSp's encoder into W, with which HyperStyle
//! and others begin.

use super::{CHANNELS, Host, Kind, Net, layout, reads_pictures};
use crate::error::Result;
use crate::network::body::Body;
use crate::network::encoder::{Move, Seen};
use crate::network::irse::{self, MARK};
use crate::network::layers::{Dense, Taker};

/// See Richardson et al. 2021 and Alaluf et al. 2022.
pub(super) const KIND: Kind = Kind {
    name: "pSp-W",
    about: "an encoder into W on pSp's network (Richardson et al. 2021)",
    types: &["BackboneEncoderUsingLastLayerIntoW", "SingleStyleCodeEncoder", "WEncoder"],
    layout: layout("psp-w", |listing| {
        listing.has(MARK) && listing.has("linear.weight") && !listing.has("output_layer_2.3.weight")
    }),
    relative: true,
    begins: false,
    take,
};

fn take(t: &mut Taker<'_>, _: &mut Host) -> Result<Box<dyn Net>> {
    let body = irse::take(t)?;
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
