//! Style codes by layer, as StyleCLIP keeps them: lists of arrays, one for each layer.

use super::vectors::Found;
use crate::weights::{Checkpoint, Listing};
use serde_json::{Value as Json, json};

/// Facts about StyleCLIP's `S_mean_std` and `S`; `None` for another file.
pub(super) fn facts(file: &Checkpoint) -> Option<Found> {
    let listing = file.weights.list();
    let (what, layers) = if let Some(layers) = statistics(listing) {
        ("the mean and standard deviation of the styles of each layer", layers)
    } else {
        ("style codes of pictures, by layer", codes(listing)?)
    };
    let styles: usize = layers.iter().sum();
    let what = format!("{what} (StyleCLIP): {} layers, {styles} styles", layers.len());
    let facts = vec![
        ("styles_of_layers".to_owned(), json!(layers)),
        ("s_dim".to_owned(), json!(styles)),
        ("try".to_owned(), json!("it is no code and no direction; give one of these")),
    ];
    Some(Found { kind: "distribution", what, facts })
}

/// The shapes of the arrays of a list, `NUMBER.0`, `NUMBER.1`, …, in order; `None` when one is
/// missing.
fn list(listing: &Listing, number: usize) -> Option<Vec<&[usize]>> {
    let all = (0..).map_while(|i| listing.shape(&format!("{number}.{i}")));
    let all: Vec<&[usize]> = all.collect();
    (all.len() > 1).then_some(all)
}

/// Styles of each layer in `[means, deviations]`.
fn statistics(listing: &Listing) -> Option<Vec<usize>> {
    let (means, deviations) = (list(listing, 0)?, list(listing, 1)?);
    let whole = listing.tensors.len() == means.len() + deviations.len() && means == deviations;
    let sizes = means.iter().map(|shape| match shape {
        [n] => Some(*n),
        _ => None,
    });
    sizes.collect::<Option<Vec<usize>>>().filter(|_| whole)
}

/// Styles of each layer in `[names of layers, codes of layers]`, each `[N, styles]`.
fn codes(listing: &Listing) -> Option<Vec<usize>> {
    let arrays = list(listing, 1)?;
    let names = listing.config.as_array()?.first()?.as_array()?;
    let whole = listing.tensors.len() == arrays.len() && names.len() == arrays.len();
    let [pictures, _] = arrays.first()? else { return None };
    let sizes = arrays.iter().map(|shape| match shape {
        [n, styles] if n == pictures => Some(*styles),
        _ => None,
    });
    let named = names.iter().all(Json::is_string);
    sizes.collect::<Option<Vec<usize>>>().filter(|_| whole && named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    fn listing(all: &[(&str, &[usize])], config: Json) -> Listing {
        let shape = |s: &[usize]| Shape { dtype: DType::F32, shape: s.to_vec() };
        let tensors = all.iter().map(|(n, s)| ((*n).to_owned(), shape(s))).collect();
        Listing { tensors, config, ..Listing::default() }
    }

    #[test]
    fn lists_of_layers_are_told_by_their_shapes() {
        let both: [(&str, &[usize]); 4] =
            [("0.0", &[512]), ("0.1", &[32]), ("1.0", &[512]), ("1.1", &[32])];
        assert_eq!(statistics(&listing(&both, Json::Null)), Some(vec![512, 32]));
        let mut other = both;
        other[3].1 = &[31];
        assert_eq!(statistics(&listing(&other, Json::Null)), None, "sizes that differ");
        assert_eq!(statistics(&listing(&both[..3], Json::Null)), None, "lists that differ");
        let more = [&both[..], &[("w", &[512][..])]].concat();
        assert_eq!(statistics(&listing(&more, Json::Null)), None, "something else beside");
        let names = json!([["G_synthesis_1/4x4/Conv/add:0", "G_synthesis_1/4x4/ToRGB/add:0"]]);
        let s: [(&str, &[usize]); 2] = [("1.0", &[2000, 512]), ("1.1", &[2000, 32])];
        assert_eq!(codes(&listing(&s, names.clone())), Some(vec![512, 32]));
        assert_eq!(codes(&listing(&s, Json::Null)), None, "without names");
        let s: [(&str, &[usize]); 2] = [("1.0", &[2000, 512]), ("1.1", &[1000, 32])];
        assert_eq!(codes(&listing(&s, names)), None, "other pictures");
    }
}
