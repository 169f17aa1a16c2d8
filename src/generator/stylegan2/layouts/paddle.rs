//! PaddleGAN: rosinality's names, with the weights of fully connected layers turned over.

use super::rosinality::{named, rules};
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout};
use serde_json::{Value as Json, json};

/// `[inputs, outputs]` in the file.
const LINEAR: &[Change] = &[Change::Permute(&[1, 0])];

/// A key of every file that Paddle saves.
const MARK: &str = "StructuredToParameterName@@";

pub(super) const LAYOUT: Layout = Layout {
    name: "paddle",
    detect,
    rules: rules!(LINEAR),
    settings: |_| Ok(json!({"mapping_lr_multiplier": 0.01})),
};

/// The names are rosinality's. A layer whose styles are not as many as the numbers of w shows which
/// way its weights lie: a convolution's is `[1, outputs, inputs, …]`, and its styles are its
/// inputs.
fn detect(listing: &Listing) -> bool {
    const END: &str = ".modulation.weight";
    let turned = |(name, s): (&String, &crate::weights::Shape)| {
        let conv = listing.shape(&format!("{}.weight", name.strip_suffix(END)?))?;
        let ([rows, columns], [_, _, inputs, ..]) = (&s.shape[..], conv) else { return None };
        (rows != columns).then_some(columns == inputs)
    };
    if !named(listing) {
        return false;
    }
    let marked = |config: &Json| config.get(MARK).is_some();
    let said = || marked(&listing.config) || marked(&listing.outside);
    listing.tensors.iter().find_map(turned).unwrap_or_else(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    /// Shapes tell; where all layers are square, the key that Paddle writes.
    #[test]
    fn the_orientation_is_told_by_shapes_or_by_paddles_key() {
        let listing = |style: [usize; 2], config: Json| {
            let shape = |shape: &[usize]| Shape { dtype: DType::F32, shape: shape.to_vec() };
            let tensors = [
                ("input.input", shape(&[1, 8, 4, 4])),
                ("style.1.weight", shape(&[12, 12])),
                ("conv1.conv.weight", shape(&[1, 8, 6, 3, 3])),
                ("conv1.conv.modulation.weight", shape(&style)),
            ];
            let tensors = tensors.into_iter().map(|(n, s)| (n.to_owned(), s)).collect();
            Listing { tensors, config, ..Listing::default() }
        };
        assert!(detect(&listing([12, 6], Json::Null)));
        assert!(!detect(&listing([6, 12], Json::Null)));
        assert!(!detect(&listing([6, 12], json!({MARK: {"a": "b"}}))));
        assert!(!detect(&listing([6, 6], Json::Null)));
        assert!(detect(&listing([6, 6], json!({MARK: {"a": "b"}}))));
    }
}
