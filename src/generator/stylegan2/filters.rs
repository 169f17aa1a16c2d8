//! The filters that the official modules hold beside their weights, for files that lack them.

use crate::error::{Error, Result};
use crate::weights::Array;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Taps of the official code's filter unless the settings say otherwise.
const TAPS: [f64; 4] = [1.0, 3.0, 3.0, 1.0];

/// Adds the buffer `resample_filter` to every block and layer of the synthesis that the official
/// PyTorch code gives one: an outer product of the taps with a sum of 1. Filters that are there
/// stay.
///
/// # Errors
/// When the settings' filter is no list of numbers with a sum other than 0.
pub fn add_filters(tensors: &mut BTreeMap<String, Array>, settings: &Json) -> Result<()> {
    let bad = || Error::runtime("the settings' resample_filter is not a list of numbers");
    let taps: Vec<f64> = match settings.get("resample_filter") {
        None | Some(Json::Null) => TAPS.to_vec(),
        Some(given) => serde_json::from_value(given.clone()).map_err(|_| bad())?,
    };
    let sum: f64 = taps.iter().sum();
    if sum == 0.0 {
        return Err(bad());
    }
    let outer = taps.iter().flat_map(|a| taps.iter().map(move |b| (a * b / (sum * sum)) as f32));
    let filter = Array::f32(&[taps.len(), taps.len()], outer.collect()).ok_or_else(bad)?;
    let mut owners = BTreeSet::new();
    for name in tensors.keys() {
        let mut parts = name.split('.');
        let [Some("synthesis"), Some(block), Some(layer)] = [(); 3].map(|()| parts.next()) else {
            continue;
        };
        if block.strip_prefix('b').is_none_or(|r| r.parse::<usize>().is_err()) {
            continue;
        }
        owners.insert(format!("synthesis.{block}"));
        if ["conv0", "conv1", "skip"].contains(&layer) {
            owners.insert(format!("synthesis.{block}.{layer}"));
        }
    }
    for owner in owners {
        tensors.entry(format!("{owner}.resample_filter")).or_insert_with(|| filter.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_and_layers_get_the_official_filter() {
        let one = || Array::f32(&[1], vec![0.0]).unwrap();
        let names = ["b4.const", "b4.conv1.weight", "b4.torgb.weight", "b8.skip.weight"];
        let all = || names.iter().map(|n| (format!("synthesis.{n}"), one())).collect();
        let mut tensors: BTreeMap<String, Array> = all();
        tensors.insert("mapping.fc0.weight".into(), one());
        add_filters(&mut tensors, &Json::Null).unwrap();
        let filters: Vec<&str> = tensors
            .keys()
            .filter_map(|n| n.strip_prefix("synthesis.")?.strip_suffix(".resample_filter"))
            .collect();
        assert_eq!(filters, ["b4.conv1", "b4", "b8", "b8.skip"]);
        let values = tensors["synthesis.b4.resample_filter"].to_f32();
        assert_eq!((values[0], values[5]), (1.0 / 64.0, 9.0 / 64.0));
        assert!(add_filters(&mut all(), &json!({"resample_filter": [1, -1]})).is_err());
        assert!(add_filters(&mut all(), &json!({"resample_filter": "x"})).is_err());
    }
}
