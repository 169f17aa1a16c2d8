//! E2Style: shallow heads on three stages of the network, and networks of their own that correct
//! what was found.

use super::pooled::{Pooled, dimensions};
use super::{CHANNELS, Host, Kind, Net};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::network::body::Body;
use crate::network::encoder::{Move, Seen};
use crate::network::irse;
use crate::network::layers::Taker;
use crate::weights::layout::{Layout, Rule};
use candle_core::Tensor;

/// The heads, coarse first: their names, the stage whose map they read, rows that they find.
const HEADS: [(&str, usize, usize); 3] =
    [("output_layer_3", 2, 9), ("output_layer_4", 1, 5), ("output_layer_5", 0, 4)];
/// Names of the networks of the first pass and of the later ones.
const FIRST: &str = "encoder_firststage.";
const LATER: &str = "encoder_refinestage_list.";

/// See Wei et al. 2022, "E2Style: Improve the Efficiency and Effectiveness of StyleGAN Inversion".
pub(super) const KIND: Kind = Kind {
    name: "E2Style",
    about: "the encoder of E2Style into W+ (Wei et al. 2022)",
    types: &["BackboneEncoderFirstStage"],
    layout: Layout {
        name: "e2style",
        detect: |listing| {
            let own = ["input_layer.0.weight", "output_layer_5.3.weight"];
            own.iter().all(|name| listing.has(&format!("{FIRST}{name}")))
        },
        rules: &[
            Rule::name("../latent_avg", "latent_avg"),
            Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
            Rule::ignored("decoder.{*}", "it is the generator"),
        ],
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: true,
    begins: false,
    take,
};

fn take(t: &mut Taker<'_>, _: &mut Host) -> Result<Box<dyn Net>> {
    let mut stages = vec![Stage::take(&mut t.below(FIRST), CHANNELS)?];
    let later = |k: usize| format!("{LATER}{k}.");
    while t.has(&format!("{}input_layer.0.weight", later(stages.len() - 1))) {
        let name = later(stages.len() - 1);
        stages.push(Stage::take(&mut t.below(&name), 2 * CHANNELS)?);
    }
    Ok(Box::new(E2Style { stages }))
}

/// The network of a pass.
struct Stage {
    body: Body,
    heads: Vec<Pooled>,
    dim: usize,
}

impl Stage {
    fn take(t: &mut Taker<'_>, inputs: usize) -> Result<Self> {
        let body = irse::take(t)?;
        let (mut heads, mut dims) = (Vec::new(), Vec::new());
        for (name, stage, rows) in HEADS {
            let head = Pooled::take(t, name, body.channels(stage))?;
            dims.push(dimensions(t.file(), head.outputs(), rows)?);
            heads.push(head);
        }
        let dim = dims.first().copied().unwrap_or(0);
        if body.inputs() != inputs || dims.iter().any(|d| *d != dim) {
            let text = format!("{}: the networks of E2Style do not fit each other", t.file());
            return Err(Error::new(ErrorKind::Format, text).hint("use the unchanged file"));
        }
        Ok(Self { body, heads, dim })
    }

    fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let maps = self.body.maps::<{ HEADS.len() }>(pictures)?;
        let mut parts = Vec::with_capacity(HEADS.len());
        for (head, (_, stage, rows)) in self.heads.iter().zip(HEADS) {
            parts.push(head.forward(&maps[stage])?.reshape(((), rows, self.dim))?);
        }
        Ok(Tensor::cat(&parts, 1)?)
    }
}

struct E2Style {
    /// That of the first pass, then those that correct.
    stages: Vec<Stage>,
}

impl Net for E2Style {
    fn size(&self) -> [usize; 2] {
        let rows = HEADS.iter().map(|(.., rows)| rows).sum();
        [rows, self.stages.first().map_or(0, |s| s.dim)]
    }

    fn passes(&self, _: usize) -> usize {
        self.stages.len()
    }

    /// Passes after the last one repeat it.
    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let at = seen.pass.min(self.stages.len() - 1);
        let stage = self.stages.get(at).ok_or_else(|| Error::runtime("E2Style has no network"))?;
        if at == 0 {
            return Ok(Move::To(stage.forward(seen.pictures)?));
        }
        let both = Tensor::cat(&[seen.pictures, seen.current], 1)?;
        Ok(Move::By(stage.forward(&both)?))
    }
}
