//! The latent spaces of the field: their names, what leads where, the shapes of their codes.
//!
//! Nothing here knows a tensor, so the checker and help can read it.

mod dims;
pub mod lattice;

pub use dims::Dims;

use std::fmt;

/// A latent space (survey, section 3.1.2; P, PN after Zhu et al. 2020; S after Wu et al. 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// The prior's space: what the mapping network reads.
    Z,
    /// One intermediate code for all layers.
    W,
    /// One intermediate code a layer.
    WPlus,
    /// Style parameters: every layer's affine output.
    S,
    /// W before its last leaky ReLU.
    P,
    /// P, whitened.
    PN,
    /// P, whitened, one a layer.
    PNPlus,
    /// A feature map and the later layers' codes.
    F,
    /// The noise maps.
    N,
}

impl Space {
    /// All spaces, in the order in which they are explained.
    pub const ALL: [Self; 9] =
        [Self::Z, Self::W, Self::WPlus, Self::S, Self::P, Self::PN, Self::PNPlus, Self::F, Self::N];

    /// The name as written in a program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Z => "Z",
            Self::W => "W",
            Self::WPlus => "W+",
            Self::S => "S",
            Self::P => "P",
            Self::PN => "PN",
            Self::PNPlus => "PN+",
            Self::F => "F",
            Self::N => "N",
        }
    }

    /// The space of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
