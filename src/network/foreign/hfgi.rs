//! HFGI: the code of e4e or pSp, then what the reconstruction misses as the change of a map.
//!
//! The difference of picture and reconstruction is aligned to the reconstruction by one network;
//! another turns it into factors and summands of the map in which a quarter of 256² begins.

use super::aligner::Aligner;
use super::chain::{Chain, Stem};
use super::pyramid;
use super::styles::{self, Plan};
use super::{CHANNELS, Host, Kind, Net, SIDE, cleared};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::latent::Part;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Conv, Taker, leaky};
use crate::network::resize::sample_to;
use crate::tensor::Activation;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use candle_core::Tensor;

/// Side of the map that is changed.
const PLACES: usize = SIDE / 4;
/// StyleGAN's leaky ReLU.
const SCALED: Activation = Activation { gain: std::f64::consts::SQRT_2, ..leaky(0.2) };

/// See Wang et al. 2022, "High-Fidelity GAN Inversion for Image Attribute Editing".
pub(super) const ON_E4E: Kind = Kind {
    name: "HFGI",
    about: "HFGI on e4e, which finds a code of W+ and the change of a feature map \
            (Wang et al. 2022)",
    types: &["Encoder4Editing"],
    layout: LAYOUT,
    relative: true,
    begins: false,
    take: |t, host| take(t, host, true),
};

/// The same, where its codes are pSp's.
pub(super) const ON_PSP: Kind = Kind {
    name: "HFGI-pSp",
    about: "HFGI on pSp, which finds a code of W+ and the change of a feature map \
            (Wang et al. 2022)",
    types: &["GradualStyleEncoder"],
    take: |t, host| take(t, host, false),
    ..ON_E4E
};

const LAYOUT: Layout = Layout {
    name: "hfgi",
    detect,
    rules: &[
        Rule::name("../latent_avg", "latent_avg"),
        Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
        Rule::ignored("decoder.{*}", "it is the generator"),
        Rule::ignored("discriminator.{*}", "it is not needed to find a code"),
    ],
    settings: |listing| Ok(listing.config.clone()),
};

fn detect(listing: &Listing) -> bool {
    let own = ["residue.condition_scale3.0.weight", "grid_align.dconv_layer1.0.res_layer.1.weight"];
    let own = own.iter().all(|name| listing.has(name));
    own && pyramid::detect(&listing.below("encoder."), true)
}

fn take(t: &mut Taker<'_>, host: &mut Host, offsets: bool) -> Result<Box<dyn Net>> {
    let code = styles::take(&mut t.below("encoder."), Plan { pyramid: true, offsets })?;
    let aligner = Aligner::take(&mut t.below("grid_align."))?;
    let fusion = Fusion::take(&mut t.below("residue."))?;
    let channels = fusion.shift[1].outputs();
    let layer = host.layers.iter().position(|layer| layer.map == [channels, PLACES, PLACES]);
    let layer = layer.ok_or_else(|| {
        let text = format!("{} changes a map of {channels} channels at {PLACES}²", t.file());
        Error::new(ErrorKind::Format, text)
            .note("the generator has no such map")
            .hint("load the generator that it was trained for")
    })?;
    Ok(Box::new(Hfgi { code, aligner, fusion, layer }))
}

/// Factors and summands of a map, of what the reconstruction misses.
struct Fusion {
    stem: Stem,
    chains: [Chain; 2],
    scale: [Conv; 2],
    shift: [Conv; 2],
}

impl Fusion {
    fn take(t: &mut Taker<'_>) -> Result<Self> {
        let stem = Stem::take(t, "conv_layer1", CHANNELS)?;
        let first = Chain::take(t, "conv_layer2", (stem.outputs(), 2))?;
        let second = Chain::take(t, "conv_layer3", (first.outputs(), 2))?;
        let mut pair = |name: &str| -> Result<[Conv; 2]> {
            let one = t.equal_conv(&format!("{name}.0"), second.outputs(), [3, 1, 1])?;
            let two = t.equal_conv(&format!("{name}.2"), one.outputs(), [3, 1, 1])?;
            Ok([one, two])
        };
        let (scale, shift) = (pair("condition_scale3")?, pair("condition_shift3")?);
        Ok(Self { stem, chains: [first, second], scale, shift })
    }

    /// `[N, 3, S, S]` → `[N, C, S/4, S/4]` each
    fn forward(&self, missed: &Tensor) -> Result<[Tensor; 2]> {
        let [first, second] = &self.chains;
        let map = second.forward(&first.forward(&self.stem.forward(missed)?)?)?;
        let of =
            |[one, two]: &[Conv; 2]| two.forward(&one.forward(&map, SCALED)?, Activation::LINEAR);
        Ok([of(&self.scale)?, of(&self.shift)?])
    }
}

struct Hfgi {
    code: Box<dyn Net>,
    aligner: Aligner,
    fusion: Fusion,
    /// The layer whose map is changed.
    layer: usize,
}

impl Net for Hfgi {
    fn size(&self) -> [usize; 2] {
        self.code.size()
    }

    fn passes(&self, _: usize) -> usize {
        2
    }

    /// As the official code has it: cut to the range of pictures, then every fourth place between
    /// its neighbours, without an average.
    fn shrunk(&self, reconstruction: &Tensor) -> Result<Tensor> {
        sample_to(&reconstruction.clamp(-1f32, 1f32)?, SIDE, SIDE)
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        if seen.pass == 0 { self.code.forward(seen) } else { Ok(Move::Stay) }
    }

    /// The second pass finds it; later ones leave it: it is made from what the code alone misses.
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let own = [Part::Scale(self.layer), Part::Residual(self.layer)];
        if seen.pass == 0 {
            return cleared(seen, |part| own.contains(&part));
        }
        if seen.pass > 1 {
            return Ok(Vec::new());
        }
        let missed = (seen.pictures - seen.current)?;
        let aligned = self.aligner.forward(&Tensor::cat(&[&missed, seen.current], 1)?)?;
        Ok(own.into_iter().zip(self.fusion.forward(&aligned)?).collect())
    }
}
