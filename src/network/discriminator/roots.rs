//! Where in a file a discriminator may be: below which prefixes of the names of its tensors.

use crate::weights::Listing;
use std::collections::BTreeSet;

/// Keys on the way to a discriminator at most.
const DEPTH: usize = 3;

/// Prefixes to look below, each ending in a dot but the empty one: those that are called after a
/// discriminator, the shortest first, then the whole file.
pub(super) fn of(listing: &Listing) -> Vec<String> {
    let mut found: BTreeSet<(usize, &str)> = BTreeSet::new();
    for name in listing.tensors.keys() {
        for (end, _) in name.match_indices('.').take(DEPTH) {
            let root = &name[..=end];
            if names_one(root) {
                found.insert((root.len(), root));
            }
        }
    }
    found.into_iter().map(|(_, root)| root.to_owned()).chain([String::new()]).collect()
}

/// Whether the last key of a prefix is what code bases call a discriminator. An optimizer of one is
/// called after it as well.
fn names_one(root: &str) -> bool {
    let root = root.to_ascii_lowercase();
    let key = root.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let named = ["d", "netd", "d_ema", "dis", "critic"].contains(&key);
    named || (key.contains("discriminator") && !key.contains("optim"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    #[test]
    fn discriminators_are_looked_for_below_their_names_before_the_whole_file() {
        let names =
            ["g.a.w", "d.convs.0.w", "d_optim.state.0", "state_dict.discriminator.x.w", "netD.w"];
        let shape = Shape { dtype: DType::F32, shape: vec![1] };
        let tensors = names.iter().map(|n| (n.to_string(), shape.clone())).collect();
        let listing = Listing { tensors, ..Listing::default() };
        assert_eq!(of(&listing), ["d.", "netD.", "state_dict.discriminator.", ""]);
    }
}
