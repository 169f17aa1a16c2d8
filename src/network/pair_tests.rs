//! Pairs of encoders against numbers from PyTorch (`scripts/reference/pair.py`), and files that are
//! refused.

use super::*;
use crate::limits::LIMITS;
use crate::weights;
use std::collections::BTreeMap;

type Tensors = BTreeMap<String, Tensor>;

/// The small pair: its settings, its tensors, and what else is in the file.
fn small() -> (PairConfig, Tensors, Tensors) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pair");
    let file = weights::open(&folder.join("small.safetensors"), &LIMITS).unwrap();
    let config = serde_json::from_value(file.config().clone()).unwrap();
    let mut weights = file.weights;
    let names: Vec<String> = weights.list().tensors.keys().cloned().collect();
    let all = names.into_iter().map(|name| {
        let tensor = weights.take_any(&name).unwrap();
        (name, tensor)
    });
    let (wanted, own) = all.partition(|(name, _)| name.starts_with("ref."));
    (config, own, wanted)
}

fn made(config: PairConfig, tensors: Tensors) -> Result<PairNet> {
    PairNet::new("pair", config, &Weights::of_tensors("pair", tensors), &Device::Cpu)
}

fn apart(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn codes_and_classes_agree_with_pytorch() {
    let (config, tensors, wanted) = small();
    let pair = made(config, tensors).unwrap();
    assert_eq!(
        (pair.passes(), pair.space(), pair.start().unwrap().dims()),
        (1, Space::Z, &[1, 5][..])
    );
    let x = &wanted["ref.x"];
    let Move::To(codes) = pair.pass(&Seen::first(x, x)).unwrap() else { panic!("no code") };
    assert_eq!(codes.dims(), [3, 1, 5]);
    assert!(apart(&codes.squeeze(1).unwrap(), &wanted["ref.z"]) < 1e-5);
    let logits = pair.class.says(x, &pair.config).unwrap();
    assert!(apart(&logits, &wanted["ref.y"]) < 1e-5);
    let best = wanted["ref.y"].argmax(1).unwrap().to_vec1::<u32>().unwrap();
    let labels = pair.labels(x).unwrap().unwrap().to_vec2::<f32>().unwrap();
    for (row, best) in labels.iter().zip(best) {
        let wanted: Vec<f32> = (0..3).map(|k| f32::from(u8::from(k == best))).collect();
        assert_eq!(*row, wanted);
    }
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let refused = |change: &dyn Fn(&mut PairConfig, &mut Tensors)| {
        let (mut config, mut tensors, _) = small();
        change(&mut config, &mut tensors);
        made(config, tensors).err().expect("refused").to_string()
    };
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    assert!(refused(&|c, _| c.grid = 0).contains("may be 0"));
    assert!(refused(&|c, _| c.grid = 3).contains("does not divide into 3×3 places"));
    assert!(refused(&|c, _| c.classes = 4).contains("out.weight"));
    assert!(refused(&|c, _| c.z_dim = 6).contains("out.weight"));
    let other = |_: &mut PairConfig, t: &mut Tensors| drop(t.insert("x.out".into(), zeros(&[1])));
    assert!(refused(&other).contains("`x.out` belongs to neither encoder"));
    let more = |_: &mut PairConfig, t: &mut Tensors| drop(t.insert("y.more".into(), zeros(&[1])));
    assert!(refused(&more).contains("more"));
    let grey = |_: &mut PairConfig, t: &mut Tensors| {
        t.insert("y.conv0.weight".into(), zeros(&[3, 1, 3, 3]));
    };
    assert!(refused(&grey).contains("pictures of different channels"));
    assert!(refused(&|_, t| drop(t.remove("z.conv1.bias"))).contains("conv1.bias"));
}

#[test]
fn a_pair_for_another_generator_is_refused() {
    let (config, tensors, _) = small();
    let pair = made(config, tensors).unwrap();
    let dims = |z_dim| Dims { z_dim, ..Dims::default() };
    assert!(pair.check("own", 3, &dims(5)).is_ok());
    for (channels, z_dim) in [(1, 5), (3, 6)] {
        let e = pair.check("other", channels, &dims(z_dim)).unwrap_err();
        assert!(e.message().contains("other") && e.repair().is_some(), "{e}");
    }
}
