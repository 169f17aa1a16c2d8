//! Where in a file a generator may be: below which prefixes of the names of its tensors.
//!
//! Checkpoints of training hold the generator, an averaged copy of it, a discriminator and
//! optimizers, each below its own key: `g_ema.`, `state_dict.decoder.`, `GAN.GE.`. A layout sees a
//! file from below one of them, so it lists no wrappers.

use crate::weights::Listing;
use std::collections::BTreeMap;

/// Keys on the way to a generator at most.
const DEPTH: usize = 4;
/// Prefixes that are tried at most.
const TRIED: usize = 64;
/// Tensors below a prefix at least.
const TENSORS: usize = 2;

/// Prefixes to look below, each ending in a dot but the empty one, in the order in which they are
/// tried: averaged copies, the whole file, generators, everything else.
///
/// Parts that are known to be something else are left out: discriminators, encoders, optimizers.
pub(super) fn of(listing: &Listing) -> Vec<String> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::from([("", TENSORS)]);
    for name in listing.tensors.keys() {
        for (end, _) in name.match_indices('.').take(DEPTH) {
            *found.entry(&name[..=end]).or_default() += 1;
        }
    }
    let mut all: Vec<(Rank, usize, &str)> = found
        .into_iter()
        .filter(|(_, tensors)| *tensors >= TENSORS)
        .filter_map(|(root, _)| Some((rank(root)?, root.matches('.').count(), root)))
        .collect();
    all.sort_unstable();
    all.into_iter().take(TRIED).map(|(_, _, root)| root.to_owned()).collect()
}

/// How likely a generator lies below a prefix, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Averaged,
    Whole,
    Generator,
    Other,
}

/// `None` for what is known to be something else.
fn rank(root: &str) -> Option<Rank> {
    if root.is_empty() {
        return Some(Rank::Whole);
    }
    let root = root.to_ascii_lowercase();
    let keys: Vec<&str> = root.split('.').filter(|k| !k.is_empty()).collect();
    let other = |key: &&str| {
        ["d", "netd", "d_ema"].contains(key)
            || ["discriminator", "optim", "encoder", "critic"].iter().any(|word| key.contains(word))
    };
    let averaged = |key: &&str| {
        let words = key.split(['_', '-']);
        words.clone().any(|w| ["ema", "smooth", "avg", "averaged", "shadow"].contains(&w))
            || ["avgg", "gs", "ge"].contains(key)
    };
    let generator =
        |key: &&str| ["g", "netg", "decoder", "student"].contains(key) || key.contains("generator");
    Some(match () {
        () if keys.iter().any(other) => return None,
        () if keys.iter().any(averaged) => Rank::Averaged,
        () if keys.iter().any(generator) => Rank::Generator,
        () => Rank::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    fn listing(names: &[&str]) -> Listing {
        let shape = Shape { dtype: DType::F32, shape: vec![1] };
        let tensors = names.iter().map(|n| (n.to_string(), shape.clone())).collect();
        Listing { tensors, ..Listing::default() }
    }

    #[test]
    fn averaged_copies_come_first_and_other_networks_never() {
        let file = listing(&[
            "d.a",
            "d.b",
            "g.a",
            "g.b",
            "g_ema.a",
            "g_ema.b",
            "g_optim.state.0",
            "g_optim.state.1",
            "latent_avg",
        ]);
        assert_eq!(of(&file), ["g_ema.", "", "g."]);
        let encoder = listing(&[
            "state_dict.decoder.a.b",
            "state_dict.decoder.a.c",
            "state_dict.encoder.a.b",
            "state_dict.encoder.a.c",
        ]);
        let expected = ["", "state_dict.decoder.", "state_dict.decoder.a.", "state_dict."];
        assert_eq!(of(&encoder), expected);
        let ema = ["generator_ema.a", "generator_ema.b", "netG.a", "netG.b", "avgG.a", "avgG.b"];
        assert_eq!(of(&listing(&ema)), ["avgG.", "generator_ema.", "", "netG."]);
    }

    /// A file of many names costs no more than a bounded number of looks.
    #[test]
    fn the_number_of_prefixes_is_bounded() {
        let names: Vec<String> = (0..4000).map(|i| format!("a{}.b{}.c", i / 2 % 999, i)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(of(&listing(&names)).len(), TRIED);
    }
}
