//! lucidrains/lightweight-gan: `model_N.pt`, the state dict of the training module below `GAN` and
//! the version of the package beside it. The generator's own names are ours.

use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use serde_json::{Value as Json, json};

/// Oldest version of the package whose generators run: since then an excitation multiplies.
const OLDEST: [u64; 3] = [0, 16, 0];
/// The version whose attention has the names of its neighbours', and another arithmetic.
const OTHER_ATTENTION: [u64; 3] = [0, 21, 1];

pub(super) const LAYOUT: Layout = Layout {
    name: "lucidrains",
    detect: |listing| {
        ["initial_conv.0.weight", "out_conv.weight"].iter().all(|name| listing.has(name))
            && listing.tensors.keys().any(|name| name.starts_with("layers.0.0."))
    },
    rules: &[Rule::ignored("{*}num_batches_tracked", "it counts the steps of training")],
    settings,
};

/// Nothing: shapes say everything but the version, of which some differ.
fn settings(listing: &Listing) -> Result<Json> {
    let Some(said) = version(listing) else { return Ok(json!({})) };
    let numbers: Vec<u64> = said.split('.').map_while(|part| part.parse().ok()).collect();
    let attention = || listing.tensors.keys().any(|name| name.contains(".fn.to_q."));
    let why = match numbers[..] {
        [..] if numbers.len() == 3 && numbers[..] < OLDEST[..] => {
            "generators of versions before 0.16.0 are other networks"
        }
        [..] if numbers[..] == OTHER_ATTENTION[..] && attention() => {
            "the attention of this one version is another network"
        }
        _ => return Ok(json!({})),
    };
    let message = format!("lightweight-gan {}: {why}", Safe(said));
    Err(Error::new(Kind::Format, message)
        .hint("train on with the package in version 1, and convert what that saves"))
}

/// The version of the package that wrote the file.
fn version(listing: &Listing) -> Option<&str> {
    [&listing.outside, &listing.config].into_iter().find_map(|c| c.get("version")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    #[test]
    fn versions_that_are_other_networks_are_refused() {
        let shape = Shape { dtype: DType::F32, shape: vec![1] };
        let mut listing = Listing::default();
        listing.tensors.insert("layers.1.2.fn.to_q.weight".into(), shape);
        for (version, fits) in [
            ("1.2.1", true),
            ("0.16.0", true),
            ("0.20.4", true),
            ("0.21.1", false),
            ("0.12.4", false),
            ("0.9.1", false),
            ("next", true),
        ] {
            listing.outside = json!({"version": version});
            assert_eq!(settings(&listing).is_ok(), fits, "{version}");
        }
        listing.tensors.clear();
        listing.outside = json!({"version": "0.21.1"});
        assert!(settings(&listing).is_ok(), "without attention it is the same network");
        listing.outside = json!({"version": "0.14.1"});
        let e = settings(&listing).expect_err("refused");
        assert!(e.repair().is_some() && e.message().contains("0.14.1"), "{e}");
    }
}
