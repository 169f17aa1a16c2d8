//! Where in a file a network may be: below which prefix of the names of its tensors.

use crate::weights::Listing;
use std::collections::BTreeSet;

/// Keys on the way to a network at most, and prefixes that are tried.
const DEPTH: usize = 4;
const TRIED: usize = 64;

/// The shortest prefix below which a file is as `fits` asks: `state_dict.encoder.`, or nothing.
pub(super) fn find(listing: &Listing, fits: impl Fn(&Listing) -> bool) -> Option<String> {
    let mut all = BTreeSet::from([(0, "")]);
    for name in listing.tensors.keys() {
        let ends = name.match_indices('.').take(DEPTH).enumerate();
        all.extend(ends.map(|(depth, (end, _))| (depth + 1, &name[..=end])));
    }
    let mut tried = all.into_iter().map(|(_, root)| root).take(TRIED);
    tried.find(|root| fits(&listing.below(root))).map(str::to_owned)
}
