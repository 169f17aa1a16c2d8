//! The benchmark's parts, taken from a loaded generator.

use super::plan::Calibrated;
use super::read::NetworkReader;
use crate::error::Result;
use crate::latent::Direction;
use crate::value::Loaded;

/// The directions of a generator whose steps are calibrated in units of an attribute: `smile` and
/// kin, not its principal components, which may lean on an attribute but are not made for it.
///
/// # Errors
/// When the directions cannot be read.
pub fn calibrated(model: &Loaded) -> Result<Vec<Calibrated>> {
    let one = |direction: &Direction| {
        let about = direction.about.as_deref()?;
        let measured =
            about.per_step != 0.0 && about.per_step.is_finite() && !about.attribute.is_empty();
        (measured && !component(&direction.name)).then(|| Calibrated {
            direction: direction.clone(),
            attribute: about.attribute.clone(),
            unit: about.unit.clone(),
            per_step: about.per_step,
        })
    };
    Ok(model.directions()?.iter().filter_map(one).collect())
}

/// Whether a name is that of a principal component: `pc01`.
fn component(name: &str) -> bool {
    name.strip_prefix("pc").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The reader of a generator's attribute network.
///
/// # Errors
/// When the network cannot be read.
pub fn reader(model: &Loaded) -> Result<Option<NetworkReader<'_>>> {
    Ok(model.features()?.map(|f| NetworkReader::new(f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_directions_are_calibrated_in_their_labels() {
        let faces = crate::value::Models::cpu().load("faces").unwrap();
        let all = calibrated(&faces).unwrap();
        for attribute in ["smile", "yaw_deg", "glasses"] {
            let found = all.iter().find(|c| c.attribute == attribute).unwrap();
            assert!(
                found.per_step > 0.0 && (found.unit == "logit") == (attribute == "glasses"),
                "{found:?}"
            );
        }
        assert!(component("pc01") && !component("pc") && !component("pcx") && !component("smile"));
    }
}
