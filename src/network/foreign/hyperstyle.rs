//! HyperStyle: another encoder finds a code, then a network that looks at picture and
//! reconstruction changes the convolutions of the generator, pass after pass.
//!
//! A weight θ becomes θ·(1 + Δ), and each pass adds to Δ.

use super::gains::{Found, Head, Shared};
use super::{CHANNELS, Host, Kind, Net, cleared, looked_at, reads_pictures};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::latent::Part;
use crate::network::body::Body;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::Taker;
use crate::network::resnet;
use crate::weights::layout::{Layout, Rule};
use candle_core::Tensor;

/// Layers of a block of the generator, as its heads are numbered: two convolutions, then the one
/// that makes colours.
const OF_BLOCK: usize = 3;
/// Heads that are looked for.
const MOST: usize = 64;

/// See Alaluf et al. 2022, "HyperStyle: StyleGAN Inversion with HyperNetworks for Real Image
/// Editing".
pub(super) const KIND: Kind = Kind {
    name: "HyperStyle",
    about: "the hypernetwork of HyperStyle, which finds a code of W and changes of the \
            generator's weights (Alaluf et al. 2022)",
    types: &["SharedWeightsHyperNetResNet", "SharedWeightsHyperNetResNetSeparable"],
    layout: Layout {
        name: "hyperstyle",
        detect: |listing| {
            let heads = listing.tensors.keys().any(|name| name.starts_with("refinement_blocks."));
            heads && listing.has(resnet::MARK) && listing.has("body.0.conv1.weight")
        },
        rules: &[
            Rule::name("../latent_avg", "latent_avg"),
            Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
            Rule::ignored("refinement_blocks.{n}.hypernet.{*}", "all heads share it"),
        ],
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: true,
    begins: true,
    take,
};

fn take(t: &mut Taker<'_>, host: &mut Host) -> Result<Box<dyn Net>> {
    let first = host.first.take().ok_or_else(|| needs_first(t.file()))?;
    let body = resnet::take(t)?;
    reads_pictures(t, &body, &[2 * CHANNELS])?;
    let shared = t.has("shared_weight_hypernet.w1");
    let shared =
        shared.then(|| Shared::take(&mut t.below("shared_weight_hypernet."))).transpose()?;
    let mut heads = Vec::new();
    for at in 0..MOST {
        if !t.has(&format!("refinement_blocks.{at}.convs.0.weight")) {
            continue;
        }
        let convolution = host.convolutions().nth(place(at)).filter(|_| at % OF_BLOCK != 1);
        let (weight, shape) = convolution.ok_or_else(|| of_another(t.file(), at))?;
        let head =
            Head::take(&mut t.below(&format!("refinement_blocks.{at}.")), body.outputs(), shape)?;
        if let Some(code) = head.code() {
            shared.as_ref().ok_or_else(|| of_another(t.file(), at))?.check(t, code, shape)?;
        }
        heads.push(Changed { weight, rows: shape[0], head });
    }
    Ok(Box::new(HyperStyle { first: first.net, body, shared, heads }))
}

/// The place of a head's layer among the convolutions: the first block has one.
const fn place(at: usize) -> usize {
    at - at.div_ceil(OF_BLOCK)
}

fn needs_first(file: &str) -> Error {
    let text = format!("{file} needs the encoder that finds the code which it begins with");
    Error::new(ErrorKind::Format, text)
        .note("HyperStyle's is called faces_w_encoder.pt, cars_w_encoder.pt, …")
        .hint("encoder: \"hyperstyle_ffhq.pt\", w_encoder: \"faces_w_encoder.pt\"")
}

fn of_another(file: &str, at: usize) -> Error {
    let text = format!("{file} changes the layer {at}, which is no convolution of the generator");
    Error::new(ErrorKind::Format, text)
        .note("convolutions are known that no colours are made with, of StyleGAN2")
        .hint("load the generator that it was trained for")
}

/// A convolution that is changed, and the head that finds how.
struct Changed {
    /// Its place among the generator's weights.
    weight: usize,
    rows: usize,
    head: Head,
}

struct HyperStyle {
    first: Box<dyn Net>,
    body: Body,
    shared: Option<Shared>,
    heads: Vec<Changed>,
}

impl HyperStyle {
    /// What one pass adds to the gains.
    fn added(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let map = self.body.last(&looked_at(seen, 2 * CHANNELS)?)?;
        let (mut parts, mut coded, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        for Changed { weight, rows, head } in &self.heads {
            match head.forward(&map, *rows)? {
                Found::Gain(gain) => parts.push((Part::Gain(*weight), gain)),
                Found::Code(code) => {
                    coded.push(Part::GainLeft(*weight));
                    codes.push(code);
                }
            }
        }
        if let Some(shared) = &self.shared {
            parts.extend(coded.into_iter().zip(shared.left(&codes)?));
        }
        Ok(parts)
    }
}

impl Net for HyperStyle {
    fn size(&self) -> [usize; 2] {
        self.first.size()
    }

    fn passes(&self, usual: usize) -> usize {
        usual + 1
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        if seen.pass == 0 { self.first.forward(seen) } else { Ok(Move::Stay) }
    }

    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        if seen.pass == 0 {
            return cleared(seen, |part| matches!(part, Part::Gain(_) | Part::GainLeft(_)));
        }
        let mut parts = self.added(seen)?;
        for (part, gain) in &mut parts {
            if let Some(before) = seen.part(*part).filter(|_| seen.pass > 1) {
                *gain = (before + &*gain)?;
            }
        }
        let right = self.shared.as_ref().map(|s| (Part::GainRight, s.right().clone()));
        parts.extend(right);
        Ok(parts)
    }
}
