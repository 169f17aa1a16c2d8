//! A network that recognises faces, from a file of the user: ArcFace (Deng et al. 2019) or
//! CurricularFace (Huang et al. 2020) on an IR or IR-SE network.

use super::body::Body;
use super::irse::{self, MARK};
use super::layers::{Dense, Taker};
use super::roots;
use crate::error::{Error, Kind, Result};
use crate::tensor::{Activation, Affine};
use crate::weights::Weights;
use crate::weights::layout::{Layout, Rule};
use candle_core::{Device, Tensor};

/// Keeps the length of a zero embedding above zero.
const EPS: f64 = 1e-12;

/// What ends the network: a normalisation, then all places of the last map at once.
const OUTPUT: &str = "output_layer.3";

/// The names of TreB1eN's InsightFace and of CurricularFace.
const LAYOUT: Layout = Layout {
    name: "ir",
    detect: |listing| listing.has(MARK) && listing.has("output_layer.3.weight"),
    rules: &[Rule::ignored("{*}num_batches_tracked", "it counts the batches of training")],
    settings: |listing| Ok(listing.config.clone()),
};

/// Such a network.
pub struct Recogniser {
    body: Body,
    before: Affine,
    output: Dense,
    side: usize,
}

impl Recogniser {
    /// Takes a network by the names of the public code bases, which may lie below keys such as
    /// `state_dict` or `backbone`.
    ///
    /// # Errors
    /// When it is none, and when a tensor is missing or has another shape.
    pub fn take(weights: Weights, device: &Device) -> Result<Self> {
        let file = weights.file().to_owned();
        let root = roots::find(weights.list(), |seen| (LAYOUT.detect)(seen));
        let root = root.ok_or_else(|| {
            Error::new(Kind::Format, format!("{file} recognises no faces"))
                .note(format!("it has no `{MARK}` with an `{OUTPUT}.weight`"))
                .hint("give ArcFace's model_ir_se50.pth or CurricularFace_Backbone.pth")
        })?;
        let mut weights = weights.below(&root).renamed(&LAYOUT)?;
        let mut t = Taker::new(&mut weights, device);
        let body = irse::take(&mut t)?;
        let channels = body.outputs();
        let places = t.size("output_layer.3.weight", 1) / channels.max(1);
        let side = (1..=64).find(|side| side * side == places).unwrap_or(7);
        let before = t.norm("output_layer.0", channels)?;
        let output = t.dense(OUTPUT, channels * side * side, 1.0)?;
        let after = t.norm("output_layer.4", output.outputs())?;
        weights.finish()?;
        // Four stages halve the side.
        Ok(Self { body, before, output: output.followed(&after)?, side: 16 * side })
    }

    /// Side of the pictures that it reads.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The embeddings of faces, of length 1, with gradients.
    ///
    /// # Shapes
    /// `[N, 3, side, side]` in [-1, 1] → `[N, k]`
    ///
    /// # Errors
    /// When the pictures do not fit.
    pub fn embed(&self, faces: &Tensor) -> Result<Tensor> {
        let map = self.before.apply(&self.body.last(faces)?, Activation::LINEAR)?;
        let found = self.output.forward(&map.flatten_from(1)?)?;
        let length = (found.sqr()?.sum_keepdim(1)? + EPS)?.sqrt()?;
        Ok(found.broadcast_div(&length)?)
    }
}
