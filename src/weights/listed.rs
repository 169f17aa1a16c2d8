//! Averages of a network that a file keeps as a list: the numbers of its parameters, without names.

use super::layout::{Layout, Placed};
use super::listing::{Listing, OUTSIDE};
use super::source::quoted;

/// For each tensor of the lists of a layout ([`super::layout::Rule::listed`]), the name of the
/// parameter whose numbers it has.
///
/// # Errors
/// The broken rule, when list and parameters are not as many or not of the same shapes.
pub(super) fn owners(listing: &Listing, layout: &Layout) -> Result<Vec<(String, String)>, String> {
    let mut listed: Vec<(usize, &str, &[&str])> = Vec::new();
    for name in listing.tensors.keys() {
        if let Placed::Listed(place, buffers) = layout.place(name) {
            listed.push((place, name, buffers));
        }
    }
    listed.sort_unstable();
    let Some((_, first, buffers)) = listed.first().copied() else { return Ok(Vec::new()) };
    let trained = |name: &&String| {
        let part = name.rsplit('.').next().unwrap_or_default();
        !name.starts_with(OUTSIDE) && !buffers.contains(&part)
    };
    let parameters: Vec<&String> = listing.order.iter().filter(trained).collect();
    let counted = listed.iter().map(|(place, ..)| *place).eq(0..parameters.len());
    if !counted {
        return Err(format!(
            "the list of {} has {} tensors, the generator {} parameters",
            quoted(first),
            listed.len(),
            parameters.len()
        ));
    }
    let pair = |((_, item, _), owner): (&(usize, &str, &[&str]), &&String)| {
        let [a, b] = [*item, owner.as_str()].map(|name| listing.shape(name).unwrap_or_default());
        match a == b {
            true => Ok(((*item).to_owned(), (*owner).clone())),
            false => Err(format!(
                "{} of a list is {a:?}, and the parameter in its place, {}, is {b:?}",
                quoted(item),
                quoted(owner)
            )),
        }
    };
    listed.iter().zip(&parameters).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::layout::Rule;
    use crate::weights::{DType, Shape};

    const TABLE: Layout = Layout {
        name: "test",
        detect: |_| true,
        rules: &[Rule::listed("../ema.{n}", &["mean"]), Rule::ignored("small.{*}", "unused")],
        settings: |l| Ok(l.config.clone()),
    };

    fn listing(tensors: &[(&str, usize)]) -> Listing {
        let shape = |n: usize| Shape { dtype: DType::F32, shape: vec![n] };
        Listing {
            tensors: tensors.iter().map(|(name, n)| ((*name).to_owned(), shape(*n))).collect(),
            order: tensors.iter().map(|(name, _)| (*name).to_owned()).collect(),
            ..Listing::default()
        }
    }

    /// The order is that of the file, not of the names; eleven places are not sorted as text; what
    /// the layout ignores counts, buffers do not.
    #[test]
    fn a_list_belongs_to_the_parameters_in_the_order_of_the_file() {
        let names: Vec<String> = (0..11).map(|i| format!("z{}.w", 20 - i)).collect();
        let items: Vec<String> = (0..12).map(|i| format!("../ema.{i}")).collect();
        let mut all: Vec<(&str, usize)> = vec![("small.w", 50), ("bn.mean", 99)];
        all.extend(names.iter().enumerate().map(|(i, n)| (n.as_str(), i + 1)));
        all.push(("../ema.0", 50));
        all.extend(items[1..].iter().enumerate().map(|(i, n)| (n.as_str(), i + 1)));
        let found = owners(&listing(&all), &TABLE).unwrap();
        let expected = std::iter::once("small.w").chain(names.iter().map(String::as_str));
        let expected: Vec<_> = items.iter().map(String::as_str).zip(expected).collect();
        let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, expected);
        assert!(owners(&listing(&all[..13]), &TABLE).unwrap().is_empty(), "no list");
        let short = owners(&listing(&all[..all.len() - 1]), &TABLE).unwrap_err();
        assert!(short.contains("11 tensors") && short.contains("12 parameters"), "{short}");
        all[13].1 = 49;
        let other = owners(&listing(&all), &TABLE).unwrap_err();
        assert!(other.contains("`../ema.0`") && other.contains("`small.w`"), "{other}");
    }
}
