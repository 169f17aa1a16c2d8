//! lucidrains/stylegan2-pytorch: `model_N.pt`, the state dict of the training module below `GAN`,
//! with `.config.json` beside it. The mapping network (`S`, averaged `SE`) lies beside the
//! generator (`G`, averaged `GE`), so one is looked for from below the other.

use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use serde_json::{Value as Json, json};

/// Oldest version of the package whose generators run: since then the picture is blurred when it is
/// doubled.
const OLDEST: [u64; 3] = [1, 1, 0];
/// Oldest version whose attention runs: before it, the norms divide by another spread.
const ATTENTION: [u64; 3] = [1, 8, 8];

/// The averaged copies.
pub(super) const AVERAGED: Layout = Layout {
    name: "lucidrains",
    detect: |listing| generator(listing) && mapping(listing, "SE.net.0.weight"),
    rules: &[
        Rule::name("../{*}SE.net.{n}.{part}", "mapping.fc{n/2}.{part}"),
        Rule::name("{*}", "synthesis.{*}"),
    ],
    settings,
};

/// The networks that are trained, where a file has no averaged ones.
pub(super) const TRAINED: Layout = Layout {
    name: "lucidrains-trained",
    detect: |listing| generator(listing) && mapping(listing, "S.net.0.weight"),
    rules: &[
        Rule::name("../{*}S.net.{n}.{part}", "mapping.fc{n/2}.{part}"),
        Rule::name("{*}", "synthesis.{*}"),
    ],
    settings,
};

/// Whether the names are those of a generator.
fn generator(listing: &Listing) -> bool {
    listing.has("blocks.0.to_style1.weight") && listing.has("blocks.0.to_rgb.conv.weight")
}

/// Whether a mapping network lies beside the generator.
fn mapping(listing: &Listing, first: &str) -> bool {
    let beside = |name: &str| {
        let before = name.strip_prefix("../").and_then(|name| name.strip_suffix(first));
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    listing.tensors.keys().any(|name| beside(name))
}

/// The multiplier of the mapping network, from the configuration beside the file.
fn settings(listing: &Listing) -> Result<Json> {
    let said = [&listing.outside, &listing.config].into_iter().find_map(|c| c.get("version"));
    if let Some(said) = said.and_then(Json::as_str) {
        let numbers: Vec<u64> = said.split('.').map_while(|part| part.parse().ok()).collect();
        let older = |than: [u64; 3]| numbers.len() == 3 && numbers[..] < than[..];
        let attends = || listing.tensors.keys().any(|name| name.starts_with("attns."));
        let why = match () {
            () if older(OLDEST) => "its generators are other networks",
            () if older(ATTENTION) && attends() => "its attention has other norms",
            () => "",
        };
        if !why.is_empty() {
            let message = format!("stylegan2-pytorch {}: {why}", Safe(said));
            return Err(Error::new(Kind::Format, message)
                .hint("versions of the package from 1.8.8 run: train on with one"));
        }
    }
    let multiplier = listing.own_beside(&["lr_mlp"]).get("lr_mlp").cloned().unwrap_or(json!(0.1));
    Ok(json!({"mapping_lr_multiplier": multiplier}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::layout::Placed;
    use crate::weights::{DType, Shape};

    fn listing(names: &[&str]) -> Listing {
        let shape = Shape { dtype: DType::F32, shape: vec![1] };
        let tensors = names.iter().map(|n| ((*n).to_owned(), shape.clone())).collect();
        Listing { tensors, ..Listing::default() }
    }

    #[test]
    fn the_mapping_network_is_taken_from_beside_the_generator() {
        let names = ["GE", "G"].map(|g| {
            ["to_style1.weight", "to_rgb.conv.weight"].map(|n| format!("GAN.{g}.blocks.0.{n}"))
        });
        let mut names: Vec<&str> = names.as_flattened().iter().map(String::as_str).collect();
        names.extend(["GAN.SE.net.0.weight", "GAN.S.net.0.weight", "GAN.S.net.2.bias"]);
        let file = listing(&names);
        let (averaged, trained) = (file.below("GAN.GE."), file.below("GAN.G."));
        assert!((AVERAGED.detect)(&averaged) && (TRAINED.detect)(&trained));
        assert!(!(AVERAGED.detect)(&file) && !(TRAINED.detect)(&file.below("GAN.S.")));
        let named = |layout: &Layout, name: &str| match layout.place(name) {
            Placed::Named(to, _) => Some(to),
            _ => None,
        };
        let fc = |n: usize| Some(format!("mapping.fc{n}.bias"));
        assert_eq!(named(&AVERAGED, "../GAN.SE.net.14.bias"), fc(7));
        assert_eq!(named(&TRAINED, "../GAN.S.net.2.bias"), fc(1));
        assert_eq!(named(&AVERAGED, "../GAN.S.net.2.bias"), None);
        assert_eq!(named(&TRAINED, "../GAN.SE.net.2.bias"), None);
        assert_eq!(named(&AVERAGED, "initial_block"), Some("synthesis.initial_block".into()));
    }

    #[test]
    fn settings_come_from_beside_the_file() {
        let mut file = listing(&["attns.1.0.fn.norm.g"]);
        file.beside = json!({"lr_mlp": 0.05, "image_size": 64});
        for (version, fits) in [("1.8.9", true), ("1.8.1", false), ("0.20.0", false)] {
            file.outside = json!({"version": version});
            let found = settings(&file).ok();
            assert_eq!(found.is_some(), fits, "{version}");
            assert!(found.is_none_or(|s| s == json!({"mapping_lr_multiplier": 0.05})));
        }
        let older = Listing { outside: json!({"version": "1.2.0"}), ..listing(&["blocks"]) };
        assert!(settings(&older).is_ok(), "without attention it is the same network");
    }
}
