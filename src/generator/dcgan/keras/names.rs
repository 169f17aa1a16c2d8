//! Where in a file the tensors of a layer are.

use super::super::config::refused;
use super::graph::Node;
use crate::error::Result;
use crate::safe::Safe;
use crate::weights::Listing;

/// Folders in which Keras 3 keeps layers, today's first.
const FOLDERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// The tensor of a layer that Keras calls `variable`, the `index`-th of those that the layer has;
/// `None` when the layer has none.
///
/// Files of `model.save("….h5")` and of Keras 2 name variables:
/// `dense/sequential/dense/kernel:0`, below `model_weights` in a whole model. The first name is
/// the layer's, or that of the model that it is in. Files of Keras 3 number them:
/// `layers/sequential/layers/dense/vars/0`.
///
/// # Errors
/// When two tensors fit.
pub(super) fn tensor(
    listing: &Listing,
    node: &Node,
    variable: &str,
    index: usize,
) -> Result<Option<String>> {
    for folder in FOLDERS {
        let place: String = node.keys.iter().map(|key| format!("{folder}.{key}.")).collect();
        let name = format!("{place}vars.{index}");
        if listing.has(&name) {
            return Ok(Some(name));
        }
    }
    let Some(group) = node.path.first() else { return Ok(None) };
    let dotted = |name: &str| name.replace('/', ".");
    let own = format!(".{}", dotted(node.name()));
    let mut found = Vec::new();
    for root in ["model_weights.", ""] {
        let prefix = format!("{root}{}.", dotted(group));
        let inside = listing.tensors.range(prefix.clone()..).map(|(name, _)| name);
        for name in inside.take_while(|name| name.starts_with(&prefix)) {
            let (at, last) = name.rsplit_once('.').unwrap_or(("", name));
            let fits = last.split_once(':').map_or(last, |(word, _)| word) == variable;
            // In a model inside the model, the part before the last is the layer's name.
            if fits && (node.path.len() == 1 || at.ends_with(&own)) {
                found.push(name.clone());
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    if found.len() > 1 {
        let (layer, count) = (Safe(node.name()), found.len());
        return Err(refused(format!(
            "the file has {count} tensors `{variable}` of layer `{layer}`"
        ))
        .hint("save the generator as a model of its own"));
    }
    Ok(found.pop())
}
