//! An IR network or a ResNet, and a head a row of the code: what pSp, e4e and ReStyle are made of.

use super::halving::Halving;
use super::pyramid::Pyramid;
use super::{CHANNELS, Net, as_move};
use crate::error::Result;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Dense, Taker};
use candle_core::Tensor;

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
    pyramid: Pyramid,
    heads: Vec<Head>,
    plan: Plan,
}

/// Takes `input_layer`, `body`, `latlayer1`, `latlayer2` and `styles`.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn take(t: &mut Taker<'_>, plan: Plan) -> Result<Box<dyn Net>> {
    let pyramid = Pyramid::take(t, plan.pyramid)?;
    let has = |t: &Taker<'_>, row: usize| t.has(&format!("styles.{row}.linear.weight"));
    let mut heads = Vec::new();
    while heads.is_empty() || has(t, heads.len()) {
        heads.push(Head::take(t, heads.len(), pyramid.outputs())?);
    }
    Ok(Box::new(Styles { pyramid, heads, plan }))
}

impl Net for Styles {
    fn size(&self) -> [usize; 2] {
        [self.heads.len(), self.heads.first().map_or(0, |h| h.linear.outputs())]
    }

    fn passes(&self, usual: usize) -> usize {
        if self.pyramid.inputs() == 2 * CHANNELS { usual } else { 1 }
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let maps = self.pyramid.rows(seen, self.heads.len())?;
        let mut rows: Vec<Tensor> = Vec::with_capacity(self.heads.len());
        for (head, map) in self.heads.iter().zip(&maps) {
            let own = head.forward(map)?;
            rows.push(match rows.first() {
                Some(first) if self.plan.offsets => (own + first)?,
                _ => own,
            });
        }
        Ok(as_move(Tensor::stack(&rows, 1)?, self.pyramid.inputs()))
    }
}
