//! pSp's encoder without a pyramid: one layer reads the last map, pooled to 7×7, for all rows.

use super::pooled::{Pooled, dimensions};
use super::{CHANNELS, Host, Kind, Net, layout, reads_pictures};
use crate::error::Result;
use crate::network::body::Body;
use crate::network::encoder::{Move, Seen};
use crate::network::irse::{self, MARK};
use crate::network::layers::{Dense, Taker};

/// See Richardson et al. 2021.
pub(super) const KIND: Kind = Kind {
    name: "pSp-W+",
    about: "an encoder into W+ on pSp's network, without its pyramid (Richardson et al. 2021)",
    types: &["BackboneEncoderUsingLastLayerIntoWPlus"],
    layout: layout("psp-wplus", |listing| {
        listing.has(MARK) && listing.has("output_layer_2.3.weight")
    }),
    relative: true,
    begins: false,
    take,
};

fn take(t: &mut Taker<'_>, _: &mut Host) -> Result<Box<dyn Net>> {
    let body = irse::take(t)?;
    reads_pictures(t, &body, &[CHANNELS])?;
    let head = Pooled::take(t, "output_layer_2", body.outputs())?;
    let dim = head.outputs();
    let linear = t.dense("linear", dim, (dim as f64).powf(-0.5))?;
    // As many rows as the numbers of the head fit in.
    let rows = linear.outputs() / dim.max(1);
    let dim = dimensions(t.file(), linear.outputs(), rows)?;
    Ok(Box::new(IntoWPlus { body, head, linear, size: [rows, dim] }))
}

struct IntoWPlus {
    body: Body,
    head: Pooled,
    linear: Dense,
    size: [usize; 2],
}

impl Net for IntoWPlus {
    fn size(&self) -> [usize; 2] {
        self.size
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let all = self.linear.forward(&self.head.forward(&self.body.last(seen.pictures)?)?)?;
        let [rows, dim] = self.size;
        Ok(Move::To(all.reshape(((), rows, dim))?))
    }
}
