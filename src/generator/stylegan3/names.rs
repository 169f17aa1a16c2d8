//! Names of the layers of a StyleGAN3.

use super::refuse::refuse;
use crate::error::Result;
use crate::weights::Listing;
use std::collections::BTreeMap;

/// Names and sides of the layers, in the order in which they run: `L{number}_{side}_{channels}`.
///
/// With heads of superresolution one number may be missing: the official code skips it where the
/// first head begins.
///
/// # Errors
/// When another number is missing, or one is there twice.
pub(super) fn layers(tensors: &Listing, superres: bool) -> Result<Vec<(String, usize)>> {
    let mut found = BTreeMap::new();
    for full in tensors.tensors.keys() {
        let Some((number, name, side)) = layer(full) else { continue };
        if let Some((other, _)) = found.insert(number, (name.to_owned(), side))
            && other != name
        {
            return Err(refuse(format!("`{other}` and `{name}` are both layer {number}"))
                .hint("the file holds two networks: convert it without one of them"));
        }
    }
    let end = found.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
    let mut missing = (0..end).filter(|i| !found.contains_key(i));
    // The stem has at least one layer, and something follows it.
    let skipped = missing.next();
    let allowed = superres && skipped.is_some_and(|i| i > 0);
    if let Some(number) = if allowed { missing.next() } else { skipped } {
        return Err(refuse(format!("layer {number} is missing"))
            .hint("`gannet info` shows what the file holds"));
    }
    Ok(found.into_values().collect())
}

/// Number, name and side of the layer whose weight has that name.
fn layer(full: &str) -> Option<(usize, &str, usize)> {
    let name = full.strip_prefix("synthesis.")?.strip_suffix(".weight")?;
    let mut parts = name.strip_prefix('L')?.split('_').map(|part| part.parse::<usize>().ok());
    let (number, side, _channels) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some((number, name, side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    #[test]
    fn one_number_is_skipped_where_a_head_begins() {
        let found = |numbers: &[usize], superres: bool| {
            let mut listing = Listing::default();
            for i in numbers {
                let shape = Shape { dtype: DType::F32, shape: vec![1] };
                listing.tensors.insert(format!("synthesis.L{i}_36_8.weight"), shape);
            }
            let all = layers(&listing, superres);
            all.map(|all| all.len()).map_err(|e| e.to_string())
        };
        assert_eq!(found(&[0, 1, 3, 4], true), Ok(4));
        assert_eq!(found(&[0, 1, 2], true), Ok(3));
        for (numbers, superres, missing) in [
            (&[0, 1, 3, 4][..], false, 2),
            (&[0, 1, 3, 5], true, 4),
            (&[0, 1, 4, 5], true, 3),
            (&[1, 2, 3], true, 0),
        ] {
            let e = found(numbers, superres).expect_err("missing");
            assert!(e.contains(&format!("layer {missing} is missing")), "{e}");
        }
    }

    #[test]
    fn names_say_number_and_side() {
        assert_eq!(layer("synthesis.L12_276_128.weight"), Some((12, "L12_276_128", 276)));
        for other in [
            "synthesis.L12_276_128.bias",
            "synthesis.L12_276.weight",
            "synthesis.L1_2_3_4.weight",
            "synthesis.L1_2_3.affine.weight",
            "synthesis.input.weight",
            "L1_2_3.weight",
        ] {
            assert_eq!(layer(other), None, "{other}");
        }
    }
}
