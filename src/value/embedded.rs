//! The generators that are embedded in the binary, with their networks, from `models`.
//!
//! The hashes are constants, so that a start does not compute them; a test compares them with the
//! bytes.

use crate::lang::types::Companion;

/// An embedded file.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name in error messages.
    pub name: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// Sha256 of the content, hexadecimal.
    pub sha256: &'static str,
}

/// A generator, with the networks that only it reads.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The generator: a whole one, or one over [`FACES`] (see [`super::bundle::whole`]).
    pub generator: Part,
    /// Sha256 over the generator's tensors, hexadecimal: see `Weights::fingerprint`.
    pub fingerprint: &'static str,
    /// The encoder.
    pub encoder: Part,
    /// Its own directions.
    pub directions: Option<Part>,
    /// The networks that run after the encoder.
    pub companions: &'static [(Companion, Part)],
}

/// The generator of rendered faces.
pub const FACES: Embedded = Embedded {
    generator: Part {
        name: "faces/generator.safetensors",
        bytes: include_bytes!("../../models/faces/generator.safetensors"),
        sha256: "c410347f3e2f3cb8a12fcacf045e81e1ef990d81591a976946aa6ac3f4ae1ff4",
    },
    fingerprint: "a2eadeb8e22c28ad27db6cbcd83bb44daf78ed6ec22618a6bdcb35e8ae3dbbbd",
    encoder: Part {
        name: "faces/encoder.safetensors",
        bytes: include_bytes!("../../models/faces/encoder.safetensors"),
        sha256: "2d7a7b8cc0f483ef6385e13a86b908292218e34bd5eb21e040b31ebffe282208",
    },
    directions: Some(Part {
        name: "faces/directions.safetensors",
        bytes: include_bytes!("../../models/faces/directions.safetensors"),
        sha256: "a70e538e960fd9c0266900edc95425d611ec29f2b3943ef17edb0a15424a43e4",
    }),
    companions: &[(Companion::Residual, RESIDUAL), (Companion::Hyper, HYPER)],
};

/// The same with a class at its input, and with a pair of encoders.
pub const ICGAN: Embedded = Embedded {
    generator: Part {
        name: "icgan/generator.safetensors",
        bytes: include_bytes!("../../models/icgan/generator.safetensors"),
        sha256: "281cbc80240a452a87c0e307ea6cc02b36f3e50ba121a52e50da143f657a5b73",
    },
    fingerprint: "c9673c2009757aed526f7854bb0ce623b943bf21fcce98fc710b138dbf78d13e",
    encoder: Part {
        name: "icgan/encoder.safetensors",
        bytes: include_bytes!("../../models/icgan/encoder.safetensors"),
        sha256: "8f0c94d257c4e91937c872fe01f9d8185e0f0b7be08d1f13d6bb98068fdd6161",
    },
    directions: None,
    companions: &[],
};

/// The network for attributes and the perceptual distance, of all embedded generators.
pub const ATTRIBUTES: Part = Part {
    name: "faces/attributes.safetensors",
    bytes: include_bytes!("../../models/faces/attributes.safetensors"),
    sha256: "1fd9709f48046829022ff6ea405fda290b3613e862db75adead92506328e1b4f",
};

/// The feature-residual network.
const RESIDUAL: Part = Part {
    name: "faces/residual.safetensors",
    bytes: include_bytes!("../../models/faces/residual.safetensors"),
    sha256: "a20be461c7d91a9709f625029c006a5026116a036af55cd741aadfecb239a150",
};

/// The hypernetwork.
const HYPER: Part = Part {
    name: "faces/hyper.safetensors",
    bytes: include_bytes!("../../models/faces/hyper.safetensors"),
    sha256: "47dfc8479813083d64c3ed8ae5b856c10a4c705d73236f4cb5622bc0035dada2",
};

/// All embedded generators.
pub const ALL: [Embedded; 2] = [FACES, ICGAN];

#[cfg(test)]
mod tests {
    use super::super::bundle::whole;
    use super::*;
    use crate::generator::registry;
    use crate::limits::LIMITS;
    use crate::weights;

    #[test]
    fn the_hashes_are_those_of_the_files() {
        let opened = |part: Part| {
            let file = weights::open_bytes(part.name, part.bytes, &LIMITS).unwrap();
            assert_eq!(file.sha256().unwrap(), part.sha256, "{}", part.name);
            file
        };
        opened(ATTRIBUTES);
        for all in ALL {
            let beside = all.companions.iter().map(|(_, part)| *part).chain(all.directions);
            beside.chain([all.encoder]).for_each(|part| drop(opened(part)));
            let generator = whole(opened(all.generator)).unwrap();
            let found = registry::recognise(generator).unwrap();
            let fingerprint = found.weights.fingerprint().unwrap();
            assert_eq!(fingerprint, all.fingerprint, "{}", all.generator.name);
        }
    }
}
