//! An IR network, or a ResNet for other things than faces, the maps that its heads read, and a head
//! a row of the code: what pSp, e4e and ReStyle are made of.

use super::halving::Halving;
use super::{CHANNELS, Net, as_move, looked_at, reads_pictures};
use crate::error::Result;
use crate::network::body::Body;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Conv, Dense, Taker};
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

/// What a kind makes of the network.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Whether the heads read a pyramid of three maps; else all read the last one.
    pub pyramid: bool,
    /// Whether all rows but the first are offsets from it.
    pub offsets: bool,
}

/// Convolutions that halve a map until one place is left, then a fully connected layer.
struct Head {
    convs: Halving,
    linear: Dense,
}

impl Head {
    fn take(t: &mut Taker<'_>, row: usize, inputs: usize) -> Result<Self> {
        let convs = Halving::take(t, &format!("styles.{row}.convs"), (inputs, 2))?;
        let inner = convs.outputs(inputs);
        let linear = t.dense(&format!("styles.{row}.linear"), inner, (inner as f64).powf(-0.5))?;
        Ok(Self { convs, linear })
    }

    /// `[N, C, H, W]` → `[N, D]`
    fn forward(&self, map: &Tensor) -> Result<Tensor> {
        self.linear.forward(&self.convs.one(map)?)
    }
}

/// Such a network.
pub(super) struct Styles {
    body: Body,
    /// 1×1 convolutions of the maps of the third and second stage.
    laterals: Option<[Conv; 2]>,
    heads: Vec<Head>,
    plan: Plan,
}

/// Takes `input_layer`, `body`, `latlayer1`, `latlayer2` and `styles`.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn take(t: &mut Taker<'_>, plan: Plan) -> Result<Box<dyn Net>> {
    let faces = t.has(irse::MARK);
    let body = if faces { irse::take(t)? } else { resnet::take(t)? };
    reads_pictures(t, &body, &[CHANNELS, 2 * CHANNELS])?;
    let [second, third, last] = [1, 2, 3].map(|stage| body.channels(stage));
    let laterals = match plan.pyramid {
        true => {
            Some([t.conv("latlayer1", third, [1, 1, 0])?, t.conv("latlayer2", second, [1, 1, 0])?])
        }
        false => None,
    };
    let has = |t: &Taker<'_>, row: usize| t.has(&format!("styles.{row}.linear.weight"));
    let mut heads = Vec::new();
    while heads.is_empty() || has(t, heads.len()) {
        heads.push(Head::take(t, heads.len(), last)?);
    }
    Ok(Box::new(Styles { body, laterals, heads, plan }))
}

impl Styles {
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

impl Net for Styles {
    fn size(&self) -> [usize; 2] {
        [self.heads.len(), self.heads.first().map_or(0, |h| h.linear.outputs())]
    }

    fn passes(&self, usual: usize) -> usize {
        if self.body.inputs() == 2 * CHANNELS { usual } else { 1 }
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let inputs = self.body.inputs();
        let [coarse, middle, fine] = self.maps(&looked_at(seen, inputs)?)?;
        let mut rows: Vec<Tensor> = Vec::with_capacity(self.heads.len());
        for (row, head) in self.heads.iter().enumerate() {
            let map = match row {
                0..COARSE => &coarse,
                COARSE..MIDDLE => &middle,
                _ => &fine,
            };
            let own = head.forward(map)?;
            rows.push(match rows.first() {
                Some(first) if self.plan.offsets => (own + first)?,
                _ => own,
            });
        }
        Ok(as_move(Tensor::stack(&rows, 1)?, inputs))
    }
}
