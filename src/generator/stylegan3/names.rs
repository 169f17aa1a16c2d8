//! Names of the layers of a StyleGAN3.

use super::refuse::refuse;
use crate::error::Result;
use crate::weights::Listing;
use std::collections::BTreeMap;

/// Names and sides of the layers, in the order in which they run: `L{number}_{side}_{channels}`.
///
/// # Errors
/// When a number is missing or there twice.
pub(super) fn layers(tensors: &Listing) -> Result<Vec<(String, usize)>> {
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
    if let Some(missing) = (0..found.len()).find(|i| !found.contains_key(i)) {
        return Err(refuse(format!("layer {missing} is missing"))
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
