//! The generator that is embedded in the binary, with its networks, from `models/faces`.
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

/// The generator.
pub const GENERATOR: Part = Part {
    name: "faces/generator.safetensors",
    bytes: include_bytes!("../../models/faces/generator.safetensors"),
    sha256: "c410347f3e2f3cb8a12fcacf045e81e1ef990d81591a976946aa6ac3f4ae1ff4",
};

/// Sha256 over the generator's tensors, hexadecimal: see `Weights::fingerprint`.
pub const FINGERPRINT: &str = "a2eadeb8e22c28ad27db6cbcd83bb44daf78ed6ec22618a6bdcb35e8ae3dbbbd";

/// The network for attributes and the perceptual distance.
pub const ATTRIBUTES: Part = Part {
    name: "faces/attributes.safetensors",
    bytes: include_bytes!("../../models/faces/attributes.safetensors"),
    sha256: "1fd9709f48046829022ff6ea405fda290b3613e862db75adead92506328e1b4f",
};

/// The generator's own directions.
pub const DIRECTIONS: Part = Part {
    name: "faces/directions.safetensors",
    bytes: include_bytes!("../../models/faces/directions.safetensors"),
    sha256: "a70e538e960fd9c0266900edc95425d611ec29f2b3943ef17edb0a15424a43e4",
};

/// The encoder.
pub const ENCODER: Part = Part {
    name: "faces/encoder.safetensors",
    bytes: include_bytes!("../../models/faces/encoder.safetensors"),
    sha256: "2d7a7b8cc0f483ef6385e13a86b908292218e34bd5eb21e040b31ebffe282208",
};

/// The feature-residual network.
pub const RESIDUAL: Part = Part {
    name: "faces/residual.safetensors",
    bytes: include_bytes!("../../models/faces/residual.safetensors"),
    sha256: "a20be461c7d91a9709f625029c006a5026116a036af55cd741aadfecb239a150",
};

/// The hypernetwork.
pub const HYPER: Part = Part {
    name: "faces/hyper.safetensors",
    bytes: include_bytes!("../../models/faces/hyper.safetensors"),
    sha256: "47dfc8479813083d64c3ed8ae5b856c10a4c705d73236f4cb5622bc0035dada2",
};

/// The networks that run after the encoder.
pub const COMPANIONS: [(Companion, Part); 2] =
    [(Companion::Residual, RESIDUAL), (Companion::Hyper, HYPER)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::registry;
    use crate::limits::LIMITS;
    use crate::weights;

    #[test]
    fn the_hashes_are_those_of_the_files() {
        for part in [GENERATOR, ATTRIBUTES, DIRECTIONS, ENCODER, RESIDUAL, HYPER] {
            let file = weights::open_bytes(part.name, part.bytes, &LIMITS).unwrap();
            assert_eq!(file.sha256().unwrap(), part.sha256, "{}", part.name);
        }
        let file = weights::open_bytes("generator", GENERATOR.bytes, &LIMITS).unwrap();
        let found = registry::recognise(file).unwrap();
        assert_eq!(found.weights.fingerprint().unwrap(), FINGERPRINT);
    }
}
