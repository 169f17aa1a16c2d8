//! Layouts of FastGAN checkpoints, one file each.

mod huggan;
mod original;
mod projected;
mod training;

use crate::weights::Listing;
use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "fastgan";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] =
    &[&OWN, &training::LAYOUT, &original::LAYOUT, &projected::LAYOUT, &huggan::LAYOUT];

/// Whether a module has a weight, with spectral norm or without.
fn has_weight(listing: &Listing, module: &str) -> bool {
    ["weight_orig", "weight"].iter().any(|part| listing.has(&format!("{module}.{part}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::layout::Placed;
    use crate::weights::{DType, Shape};

    fn named(layout: &Layout, name: &str) -> String {
        match layout.place(name) {
            Placed::Named(to, _) => to,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn foreign_names_become_those_of_the_original_code() {
        for (theirs, ours) in [
            ("_init._layers.0._conv.weight_orig", "init.init.0.weight_orig"),
            ("_init._layers.1.running_mean", "init.init.1.running_mean"),
            ("_upsample_8._layers.5._conv.weight_u", "feat_8.5.weight_u"),
            ("_upsample_8._layers.2._weight", "feat_8.2.weight"),
            ("_upsample_16._layers.2.bias", "feat_16.2.bias"),
            ("_sle_512._layers.3._conv.weight_v", "se_512.main.3.weight_v"),
            ("_out_1024.0._conv.weight_orig", "to_big.weight_orig"),
        ] {
            assert_eq!(named(&huggan::LAYOUT, theirs), ours);
        }
        for layout in [&huggan::LAYOUT, &original::LAYOUT, &projected::LAYOUT] {
            for out in ["to_128.weight_orig", "_out_128.0._conv.weight_orig"] {
                assert!(named(layout, out) != "to_big.weight_orig", "{}: {out}", layout.name);
            }
            let counted = named(layout, "feat_8.3.num_batches_tracked");
            assert!(counted.contains("Ignored"), "{}: {counted}", layout.name);
        }
        let conditional = named(&projected::LAYOUT, "synthesis.feat_8.bn1.gain.weight_orig");
        assert_eq!(conditional, "feat_8.bn1.gain.weight_orig");
    }

    /// One layout knows a file, and a discriminator is none.
    #[test]
    fn each_form_is_known_by_its_own_layout() {
        let listing = |names: &[&str]| {
            let shape = Shape { dtype: DType::F32, shape: vec![1] };
            let tensors = names.iter().map(|n| ((*n).to_owned(), shape.clone())).collect();
            Listing { tensors, ..Listing::default() }
        };
        let original = ["init.init.0.weight_orig", "feat_8.1.weight_orig", "to_big.weight_orig"];
        let inner = original.map(|n| format!("synthesis.{n}"));
        let inner: Vec<&str> = inner.iter().map(String::as_str).collect();
        let huggan = ["_init._layers.0._conv.weight", "_upsample_8._layers.1._conv.weight"];
        for (names, expected) in [
            (&original[..], Some("odegeasslbc")),
            (&inner, Some("projected-gan")),
            (&huggan, Some("huggan")),
            (&["down_4.main.0.weight_orig", "rf_big.0.weight_orig"], None),
        ] {
            let found: Vec<_> =
                LAYOUTS.iter().filter(|l| (l.detect)(&listing(names))).map(|l| l.name).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
