//! The benchmark's parts, taken from a loaded generator.

use super::plan::Calibrated;
use super::read::NetworkReader;
use crate::value::Loaded;
use serde_json::Value;

/// The directions of a generator whose steps are calibrated in units of an attribute: `smile` and kin, not its principal
/// components, which may lean on an attribute but are not made for it.
pub fn calibrated(model: &Loaded) -> Vec<Calibrated> {
    let told = |name: &str| model.directions_config.get("directions").and_then(|all| all.get(name));
    let one = |(name, direction): (&String, &crate::latent::Direction)| {
        let about = told(name)?;
        let word = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let per_step = about.get("per_step").and_then(Value::as_f64).filter(|v| *v != 0.0 && v.is_finite())?;
        let made_for = !word("attribute").is_empty() && !component(name);
        made_for.then(|| Calibrated {
            direction: direction.clone(),
            attribute: word("attribute"),
            unit: word("unit"),
            per_step,
        })
    };
    model.directions.iter().filter_map(one).collect()
}

/// Whether a name is that of a principal component: `pc01`.
fn component(name: &str) -> bool {
    name.strip_prefix("pc").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The reader of a generator's attribute network.
pub fn reader(model: &Loaded) -> Option<NetworkReader<'_>> {
    model.features.as_deref().map(NetworkReader::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_directions_are_calibrated_in_their_labels() {
        let faces = crate::value::model::load("faces").unwrap();
        let all = calibrated(&faces);
        for attribute in ["smile", "yaw_deg", "glasses"] {
            let found = all.iter().find(|c| c.attribute == attribute).unwrap();
            assert!(found.per_step > 0.0 && (found.unit == "logit") == (attribute == "glasses"), "{found:?}");
        }
        assert!(component("pc01") && !component("pc") && !component("pcx") && !component("smile"));
    }
}
