//! Tests of discriminators; their numbers are in `parity_tests.rs`.

use super::*;
use crate::rng::Rng;
use crate::weights::Array;
use candle_core::Var;

fn pictures(n: usize, side: usize) -> Tensor {
    let drawn = Rng::new(5).normals(n * 3 * side * side);
    Tensor::from_vec(drawn, (n, 3, side, side), &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// What is judged does not depend on the other pictures of a batch, to the last bit.
#[test]
fn every_picture_is_judged_alone() {
    let d = toy(0, [3, 32], &Device::Cpu).unwrap();
    let all = pictures(3, 32);
    let together = d.judge(&all, None).unwrap();
    let salient = saliency(&*d, &all, None).unwrap();
    assert_eq!((together.score.dims(), together.features.len()), (&[3][..], 5));
    for i in 0..3 {
        let alone = d.judge(&all.narrow(0, i, 1).unwrap(), None).unwrap();
        assert_eq!(values(&alone.score)[0], values(&together.score)[i]);
        for (one, many) in alone.features.iter().zip(&together.features) {
            assert_eq!(values(one), values(&many.narrow(0, i, 1).unwrap()));
        }
        let one = saliency(&*d, &all.narrow(0, i, 1).unwrap(), None).unwrap();
        assert_eq!(values(&one), values(&salient.narrow(0, i, 1).unwrap()));
    }
    assert_ne!(values(&together.score)[0], values(&together.score)[1]);
    let mean = values(&salient).iter().sum::<f32>() / 3.0 / 256.0;
    assert!((mean - 1.0).abs() < 1e-5 && values(&salient).iter().all(|v| *v > 0.0));
}

#[test]
fn pictures_of_another_size_are_resized_and_of_other_channels_refused() {
    let d = toy(0, [3, 32], &Device::Cpu).unwrap();
    let (small, full) = (pictures(1, 16), resize_to(&pictures(1, 16), 32, 32).unwrap());
    let [a, b] = [&small, &full].map(|p| values(&d.judge(p, None).unwrap().score));
    assert_eq!(a, b);
    let var = Var::from_tensor(&small).unwrap();
    let loss = d.judge(&var, None).unwrap().score.sum_all().unwrap();
    assert!(loss.backward().unwrap().get(&var).is_some());
    let grey = pictures(1, 16).narrow(1, 0, 1).unwrap();
    let e = d.judge(&grey, None).err().unwrap();
    assert!(e.message().contains("3 channels") && e.repair().is_some());
}

/// A file of the generator, and one that is damaged.
#[test]
fn what_is_no_discriminator_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    let write = |names: &[(&str, Vec<usize>)]| {
        let array = |(name, shape): &(&str, Vec<usize>)| {
            let count = shape.iter().product();
            (name.to_string(), Array::f32(shape, vec![0.5; count]).unwrap())
        };
        let bytes =
            weights::safetensors::write_f32(&names.iter().map(array).collect(), None).unwrap();
        std::fs::write(&path, bytes).unwrap();
        open(&path, &Device::Cpu).err().unwrap()
    };
    let e = write(&[("g_ema.conv1.weight", vec![2])]);
    assert!(e.message().contains("holds no discriminator") && e.repair().is_some(), "{e}");
    let e = write(&[
        ("D.b4.out.weight", vec![1, 2]),
        ("D.b4.fc.weight", vec![2, 2]),
        ("D.b4.conv.weight", vec![2, 2, 3, 3]),
    ]);
    assert!(e.message().contains("no block `b8`"), "{e}");
}
