//! HyperInverter: an encoder finds a code of W, then networks that look at picture and
//! reconstruction find what is added to weights of the generator.

use super::halving::Halving;
use super::pyramid::{self, Pyramid};
use super::regressor::Regressor;
use super::{Host, Kind, Net, cleared, w};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::latent::Part;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::Taker;
use crate::network::resize::sample_to;
use crate::weights::layout::{Layout, Rule};
use candle_core::Tensor;

/// Names of its three parts.
const CODE: &str = "w_encoder.";
const FEATURES: &str = "w_bar_encoder.";
const REGRESSORS: &str = "hypernet.weight_regressors.";
/// Resolutions whose layers are looked for: 4² to 4096².
const RESOLUTIONS: usize = 11;
/// Layers of a resolution, and the weights of a layer, by their names in the generator.
const LAYERS: [&str; 3] = ["conv0", "conv1", "torgb"];
const WEIGHTS: [&str; 2] = ["weight", "affine.weight"];

/// See Dinh et al. 2022, "HyperInverter: Improving StyleGAN Inversion via Hypernetwork".
pub(super) const KIND: Kind = Kind {
    name: "HyperInverter",
    about: "HyperInverter, which finds a code of W and changes of the generator's weights \
            (Dinh et al. 2022)",
    types: &["LayerWiseEncoder", "ResNetLayerWiseEncoder"],
    layout: Layout {
        name: "hyperinverter",
        detect: |listing| {
            listing.tensors.keys().any(|name| name.starts_with(REGRESSORS))
                && pyramid::detect(&listing.below(FEATURES), true)
        },
        rules: &[
            Rule::name("../latent_avg", "latent_avg"),
            Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
            Rule::ignored("discriminator.{*}", "it is not needed to find a code"),
        ],
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: true,
    begins: false,
    take,
};

fn take(t: &mut Taker<'_>, host: &mut Host) -> Result<Box<dyn Net>> {
    let code = w::take(&mut t.below(CODE), host)?;
    let mut below = t.below(FEATURES);
    let features = Pyramid::take(&mut below, true)?;
    let mut heads = Vec::new();
    while heads.is_empty() || below.has(&format!("styles.{}.convs.0.weight", heads.len())) {
        let name = format!("styles.{}.convs", heads.len());
        heads.push(Halving::take(&mut below, &name, (features.outputs(), 2))?);
    }
    let outputs: Vec<usize> = heads.iter().map(|h| h.outputs(features.outputs())).collect();
    let mut regressors = Vec::new();
    for Target { row, name } in targets() {
        let key = format!("{REGRESSORS}{}.", name.replace('.', "_"));
        if !t.has(&format!("{key}w1")) {
            continue;
        }
        let Some(channels) = outputs.get(row) else { return Err(unfit(t.file(), &name)) };
        let weight = host.weights.iter().position(|(own, _)| *own == format!("synthesis.{name}"));
        let found = weight.and_then(|at| Some((at, host.weights.get(at)?.1.as_slice())));
        let found = found.ok_or_else(|| unfit(t.file(), &name))?;
        let own = Regressor::take(&mut t.below(&key), 2 * channels, found)?;
        regressors.push((row, own));
    }
    Ok(Box::new(HyperInverter { code, features, heads, regressors }))
}

/// A weight of a generator that may be changed.
struct Target {
    /// The row of the code whose head finds the change.
    row: usize,
    /// Its name in the synthesis: `b8.conv0.weight`.
    name: String,
}

/// The weights that are looked for. A layer that makes colours shares the row of the convolution
/// before it, but the first one has the second row.
fn targets() -> impl Iterator<Item = Target> {
    let of_layer = |(k, layer): (usize, &'static str)| {
        let row = match layer {
            "conv0" => 2 * k,
            "conv1" if k == 0 => 0,
            _ => 2 * k + 1,
        };
        let name = move |weight: &str| format!("b{}.{layer}.{weight}", 4 << k);
        WEIGHTS.into_iter().map(move |weight| Target { row, name: name(weight) })
    };
    (0..RESOLUTIONS).flat_map(|k| LAYERS.map(|layer| (k, layer))).flat_map(of_layer)
}

fn unfit(file: &str, name: &str) -> Error {
    let text = format!("{file} changes the weight {name}, which the generator does not have");
    Error::new(ErrorKind::Format, text)
        .note("the weights of StyleGAN2 are known by their names")
        .hint("load the generator that it was trained for")
}

struct HyperInverter {
    code: Box<dyn Net>,
    features: Pyramid,
    /// One a row of a code.
    heads: Vec<Halving>,
    /// Each with the row whose features it reads.
    regressors: Vec<(usize, Regressor)>,
}

impl HyperInverter {
    /// The features of pictures, one map a row.
    fn rows(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let maps = self.features.rows(&Seen::first(pictures, pictures), self.heads.len())?;
        self.heads.iter().zip(&maps).map(|(head, map)| head.forward(map)).collect()
    }
}

impl Net for HyperInverter {
    fn size(&self) -> [usize; 2] {
        self.code.size()
    }

    fn passes(&self, _: usize) -> usize {
        2
    }

    /// As the official code has it: every few places between their neighbours, without an average.
    fn fitted(&self, picture: &Tensor) -> Result<Tensor> {
        sample_to(picture, self.side(), self.side())
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        if seen.pass == 0 { self.code.forward(seen) } else { Ok(Move::Stay) }
    }

    /// The second pass finds it; later ones leave it: it is made from what the code alone makes.
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        if seen.pass == 0 {
            let own = |part| matches!(part, Part::Delta(_) | Part::Left(_) | Part::Right(_));
            return cleared(seen, own);
        }
        if seen.pass > 1 {
            return Ok(Vec::new());
        }
        let (made, wanted) = (self.rows(seen.current)?, self.rows(seen.pictures)?);
        let mut parts = Vec::new();
        for (row, regressor) in &self.regressors {
            let (Some(made), Some(wanted)) = (made.get(*row), wanted.get(*row)) else { continue };
            parts.extend(regressor.forward(&Tensor::cat(&[made, wanted], 1)?)?);
        }
        Ok(parts)
    }
}
