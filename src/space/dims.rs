//! The sizes of a generator's codes.

use super::Space;

/// The spaces of a generator and the sizes of its codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dims {
    /// The spaces that its codes can live in; P, PN and PN+ come with W and W+ ([`Space::base`]).
    pub spaces: Vec<Space>,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w; equal to `z_dim` without a mapping network.
    pub w_dim: usize,
    /// Rows of a W+ code.
    pub num_ws: usize,
    /// Styles that each row of a W+ code controls; empty without a space S.
    pub style_sizes: Vec<usize>,
}

impl Dims {
    /// Whether its codes can live in a space.
    pub fn has(&self, space: Space) -> bool {
        self.spaces.contains(&space.base())
    }

    /// Dimensions of a style code; 0 without a space S.
    pub fn s_dim(&self) -> usize {
        self.style_sizes.iter().sum()
    }

    /// The shape of one code; `None` for F and N, whose codes are maps.
    pub fn shape(&self, space: Space) -> Option<Vec<usize>> {
        match space {
            Space::Z => Some(vec![self.z_dim]),
            Space::W | Space::P | Space::PN => Some(vec![self.w_dim]),
            Space::WPlus | Space::PNPlus => Some(vec![self.num_ws, self.w_dim]),
            Space::S if !self.style_sizes.is_empty() => Some(vec![self.s_dim()]),
            Space::S | Space::F | Space::N => None,
        }
    }

    /// Layers of a whole code, by which it can be indexed; `None` where codes have none.
    pub fn layers(&self, space: Space) -> Option<usize> {
        match space {
            Space::WPlus | Space::PNPlus => Some(self.num_ws),
            Space::S if !self.style_sizes.is_empty() => Some(self.style_sizes.len()),
            _ => None,
        }
    }

    /// The space that codes are drawn in unless the program names one.
    pub fn usual(&self) -> Space {
        if self.has(Space::W) { Space::W } else { Space::Z }
    }

    /// The names of its spaces, as a message lists them: `Z, W, W+`.
    pub fn names(&self) -> String {
        self.spaces.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_the_spaces() {
        let all = Dims {
            spaces: vec![Space::Z, Space::W, Space::WPlus, Space::S],
            z_dim: 3,
            w_dim: 4,
            num_ws: 2,
            style_sizes: vec![5, 6],
        };
        let shape = |s| all.shape(s).unwrap_or_default();
        assert_eq!(shape(Space::Z), [3]);
        assert_eq!((shape(Space::WPlus), shape(Space::S)), (vec![2, 4], vec![11]));
        assert_eq!((all.layers(Space::S), all.layers(Space::W)), (Some(2), None));
        assert_eq!((all.usual(), all.shape(Space::N)), (Space::W, None));
        let plain = Dims { spaces: vec![Space::Z], z_dim: 3, ..Dims::default() };
        assert_eq!((plain.usual(), plain.shape(Space::S), plain.s_dim()), (Space::Z, None, 0));
        assert_eq!(plain.names(), "Z");
    }
}
