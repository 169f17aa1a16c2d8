//! Loading of generators from model files, and conversion to our own format.

use super::Generator;
use super::layers::{COMPUTED, W_AVG};
use super::registry::{Found, recognise};
use crate::error::Result;
use crate::space::Space;
use crate::weights::layout::Placed;
use crate::weights::{Array, Checkpoint, Manifest, safetensors};
use candle_core::Device;
use serde_json::json;
use std::sync::Arc;

/// The generator that a checkpoint holds.
///
/// # Errors
/// When its family is unknown or missing, when tensors are missing, left over or of another shape,
/// and when its settings contradict its tensors.
pub fn load(checkpoint: Checkpoint, device: &Device) -> Result<Arc<dyn Generator>> {
    recognise(checkpoint)?.read(device)
}

/// A generator's checkpoint in our own format: its tensors as f32 by the family's names, its
/// settings, and where it came from. A mean of w that the file does not store is computed once and
/// stored with it.
///
/// # Errors
/// When no family knows it, and when it cannot be read.
pub fn convert(checkpoint: Checkpoint) -> Result<Vec<u8>> {
    let mut source = json!({
        "format": checkpoint.format,
        "sha256": checkpoint.sha256()?,
        "bytes": checkpoint.bytes,
    });
    if !checkpoint.provenance.is_null() {
        source["said"] = checkpoint.provenance.clone();
    }
    let found = recognise(checkpoint)?;
    let mean = computed_mean(&found)?;
    let Found { family, weights, config, .. } = found;
    let by = concat!("gannet ", env!("CARGO_PKG_VERSION"));
    let manifest = Manifest {
        format: safetensors::FORMAT,
        family: family.name.into(),
        config: config.settings,
        provenance: json!({"source": source, "converted_by": by}),
    };
    let mut arrays = weights.arrays()?;
    arrays.extend(mean.map(|mean| (COMPUTED.to_owned(), mean)));
    safetensors::write_f32(&arrays, Some(&manifest))
}

/// The mean of w that a generator computes because its file has none; `None` where the family never
/// does.
pub(super) fn computed_mean(found: &Found) -> Result<Option<Array>> {
    let own = found.family.layouts.first().map(|layout| layout.place(COMPUTED));
    let list = found.weights.list();
    if list.has(W_AVG) || list.has(COMPUTED) || !matches!(own, Some(Placed::Spare(..))) {
        return Ok(None);
    }
    let generator = found.clone().read(&Device::Cpu)?;
    let Some(mean) = generator.mean(Space::W) else { return Ok(None) };
    Ok(Array::f32(mean.dims(), mean.flatten_all()?.to_vec1()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Spec;
    use crate::generator::toy::Toy;
    use crate::limits::LIMITS;
    use crate::weights;
    use serde_json::Value as Json;
    use std::collections::BTreeMap;

    /// A checkpoint's description, from its settings and the shapes of its tensors alone.
    fn describe(checkpoint: Checkpoint) -> Result<Spec> {
        recognise(checkpoint)?.describe()
    }

    type Arrays = BTreeMap<String, Array>;

    fn tensors(toy: &Toy) -> Arrays {
        let g = toy.build(&Device::Cpu).expect("toy");
        let array = |(k, t): (String, candle_core::Tensor)| {
            let values = t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
            (k, Array::f32(t.dims(), values).expect("array"))
        };
        g.tensors().unwrap().into_iter().map(array).collect()
    }

    fn checkpoint(tensors: &Arrays, family: Option<&str>, config: Json) -> Checkpoint {
        let manifest = family.map(|family| Manifest {
            format: safetensors::FORMAT,
            family: family.into(),
            config,
            provenance: Json::Null,
        });
        let bytes = safetensors::write(tensors, manifest.as_ref()).expect("written");
        weights::open_bytes("toy.safetensors", bytes, &LIMITS).expect("opened")
    }

    #[test]
    fn a_checkpoint_gives_back_the_generator_that_it_was_made_of() {
        let toy = Toy { resolution: 8, c_dim: 2, ..Toy::default() };
        let a = toy.build(&Device::Cpu).expect("toy");
        let c = checkpoint(&tensors(&toy), Some("stylegan2"), json!({"img_resolution": 8}));
        let b = load(c.clone(), &Device::Cpu).expect("loaded");
        assert_eq!((b.spec().width, b.spec().c_dim, b.spec().name.as_str()), (8, 2, "toy"));
        assert_eq!(a.spec(), b.spec(), "the same tensors have the same fingerprint");
        // The description is complete before a number is read.
        let said = describe(c.clone()).expect("described");
        assert_eq!(Spec { fingerprint: a.spec().fingerprint.clone(), ..said }, *a.spec());
        // Through our own file format as well.
        let bytes = convert(c).expect("converted");
        let again = weights::open_bytes("toy.safetensors", bytes, &LIMITS).expect("read");
        assert_eq!(load(again, &Device::Cpu).expect("loaded").spec(), a.spec());
    }

    /// The converted file holds the mean that loading the other computes, and loading reads it.
    #[test]
    fn a_computed_mean_is_stored_and_read() {
        let toy = Toy { resolution: 8, ..Toy::default() };
        let mut without = tensors(&toy);
        without.remove(W_AVG);
        let file = checkpoint(&without, Some("stylegan2"), Json::Null);
        let mean =
            |g: &dyn Generator| g.mean(Space::W).expect("mean").to_vec1::<f32>().expect("numbers");
        let own = |bytes: Vec<u8>| weights::open_bytes("toy", bytes, &LIMITS).expect("read");
        let drawn = load(file.clone(), &Device::Cpu).expect("loaded");
        let converted = own(convert(file).expect("converted"));
        let again = load(converted.clone(), &Device::Cpu).expect("loaded");
        assert_eq!(mean(&*drawn), mean(&*again));
        assert_eq!(drawn.spec(), again.spec(), "the same generator");
        // Nothing is drawn: a file with another mean has that one, also as a copy.
        let mut other = converted.weights.clone().arrays().expect("arrays");
        assert_eq!(other[COMPUTED].to_f32(), mean(&*drawn));
        other.insert(COMPUTED.into(), Array::f32(&[16], vec![0.5; 16]).expect("array"));
        let file = checkpoint(&other, Some("stylegan2"), Json::Null);
        let changed = load(file.clone(), &Device::Cpu).expect("loaded");
        assert_eq!(mean(&*changed), vec![0.5; 16]);
        assert_eq!(
            mean(&*crate::generator::tuned(&*changed, &|_| true).expect("copy").0),
            vec![0.5; 16]
        );
        let twice = own(convert(file).expect("converted")).weights.arrays().expect("arrays");
        assert_eq!(twice[COMPUTED].to_f32(), vec![0.5; 16], "kept by a second conversion");
        // A mean that the file itself stores stays what it is.
        let stored = checkpoint(&tensors(&toy), Some("stylegan2"), Json::Null);
        let kept = own(convert(stored).expect("converted"));
        assert!(kept.weights.has(W_AVG) && !kept.weights.has(COMPUTED));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let whole = tensors(&Toy { resolution: 8, ..Toy::default() });
        let refused = |c: Checkpoint| {
            let e = load(c, &Device::Cpu).err().expect("refused");
            assert!(e.repair().is_some(), "{e}");
            e.to_string()
        };
        let changed = |change: &dyn Fn(&mut Arrays)| {
            let mut all = whole.clone();
            change(&mut all);
            refused(checkpoint(&all, Some("stylegan2"), json!({"img_resolution": 8})))
        };
        let one = || Array::f32(&[1], vec![0.0]).expect("array");
        let family = |f| refused(checkpoint(&whole, Some(f), Json::Null));
        assert!(
            family("cyclegan").contains("known families: ")
                && family("cyclegan").contains("stylegan2")
        );
        let bare = BTreeMap::from([("x".to_owned(), one())]);
        assert!(refused(checkpoint(&bare, None, Json::Null)).contains("known families"));
        assert!(changed(&|t| drop(t.insert("extra".into(), one()))).contains("`extra`"));
        for name in ["synthesis.b8.conv0.bias", "synthesis.b4.const"] {
            assert!(changed(&|t| drop(t.remove(name))).contains(name));
        }
        let w_avg = "mapping.w_avg";
        assert!(changed(&|t| drop(t.insert(w_avg.into(), one()))).contains(w_avg));
        for (key, value) in [
            ("img_resolution", json!(16)),
            ("z_dim", json!(3)),
            ("num_ws", json!(18)),
            ("architecture", json!("resnet")),
            ("architecture", json!("other")),
            ("conv_clamp", json!(-1.0)),
            ("mapping_lr_multiplier", json!(0)),
            ("resample_filter", json!([1, -1])),
        ] {
            let config = json!({key: value.clone()});
            let text = refused(checkpoint(&whole, Some("stylegan2"), config));
            assert!(text.contains(key) || text.contains("configuration"), "{key}: {text}");
        }
    }

    #[test]
    fn nothing_but_the_head_is_read_to_describe() {
        let toy = Toy { resolution: 8, ..Toy::default() };
        let manifest = Manifest {
            format: safetensors::FORMAT,
            family: "stylegan2".into(),
            config: Json::Null,
            provenance: Json::Null,
        };
        let mut bytes = safetensors::write(&tensors(&toy), Some(&manifest)).expect("written");
        // Numbers that are refused wherever they are read.
        let head = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        bytes[head..].fill(0xff);
        let c = weights::open_bytes("toy", bytes, &LIMITS).expect("opened");
        assert_eq!(describe(c.clone()).expect("described").width, 8);
        let e = load(c, &Device::Cpu).err().expect("refused");
        assert!(e.message().contains("values are finite"), "{e}");
    }
}
