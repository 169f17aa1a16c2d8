//! Layouts of BigGAN checkpoints, one file each.

mod ajbrock;
mod huggingface;
mod studiogan;

use crate::weights::Listing;
use crate::weights::layout::Layout;
use serde_json::Value as Json;

/// The family's name in manifests.
pub(super) const NAME: &str = "biggan";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] =
    &[&OWN, &huggingface::LAYOUT, &ajbrock::SHARED, &ajbrock::UNSHARED, &studiogan::LAYOUT];

/// Where a code base keeps its settings.
struct Said {
    /// The section of its configuration; its keys may also be at the top.
    section: &'static str,
    /// A key by which a configuration is one of this code.
    mark: &'static str,
}

impl Said {
    /// A setting of the official code: from the file, or from what lies beside it; at the top, or
    /// in the section.
    fn get<'a>(&self, listing: &'a Listing, key: &str) -> Option<&'a Json> {
        let beside = listing.own_beside(&[self.mark]);
        let sources = [&listing.config, &listing.outside, beside];
        let views = sources.into_iter().flat_map(|json| [Some(json), json.get(self.section)]);
        views.flatten().filter_map(|json| json.get(key)).find(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The configuration of another model in the folder is not taken, one of the model's own name
    /// is.
    #[test]
    fn a_foreign_configuration_is_left_alone() {
        let eps = |beside: Json, shared: bool| {
            let listing = Listing { beside, shared, ..Listing::default() };
            (huggingface::LAYOUT.settings)(&listing).expect("settings")["eps"].as_f64()
        };
        let foreign = json!({"model_type": "vit", "eps": 0.5, "z_dim": 7});
        assert_eq!(eps(foreign.clone(), true), Some(1e-4));
        assert_eq!(eps(foreign, false), Some(0.5));
        assert_eq!(eps(json!({"class_embed_dim": 128, "eps": 0.25}), true), Some(0.25));
        assert_eq!(eps(json!({"config": {"class_embed_dim": 1, "eps": 0.25}}), true), Some(0.25));
    }
}
