//! The numbers of scikit-image and of MS-SSIM's definition, stored under `tests/reference/metrics`.

use super::*;
use candle_core::Device;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/metrics")
}

/// An 8-bit picture as the generator's range sees it, `[1, C, H, W]`.
fn png(path: &Path, channels: usize) -> Tensor {
    let decoded = image::open(path).unwrap();
    let (w, h) = (decoded.width() as usize, decoded.height() as usize);
    let bytes =
        if channels == 1 { decoded.to_luma8().into_raw() } else { decoded.to_rgb8().into_raw() };
    // Doubles: 2v/255 - 1 in f32 would already cost 1e-7.
    let data: Vec<f64> = bytes.into_iter().map(|v| 2.0 * f64::from(v) / 255.0 - 1.0).collect();
    let t = Tensor::from_vec(data, (1, h, w, channels), &Device::Cpu).unwrap();
    t.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

#[test]
fn equals_scikit_image_and_the_definition() {
    let Ok(text) = std::fs::read_to_string(folder().join("expected.json")) else {
        panic!(
            "tests/reference/metrics/expected.json is missing: the reference numbers must be in \
             the checkout"
        );
    };
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for (name, pair) in expected.as_object().unwrap() {
        let Some(unit) = pair["unit"].as_object() else { continue };
        let channels = pair["channels"].as_u64().unwrap() as usize;
        let read = |tag: &str| png(&folder().join(pair["files"][tag].as_str().unwrap()), channels);
        let (a, b) = (read("a"), read("b"));
        let keys = [("mse", "mse"), ("mae", "mae"), ("rmse", "rmse"), ("psnr", "psnr")];
        for (ours, theirs) in
            keys.into_iter().chain([("ssim", "ssim_gaussian11"), ("ms_ssim", "ms_ssim")])
        {
            let Some(want) = unit[theirs].as_f64() else { continue };
            let got = by_name(ours).unwrap().measure(&a, &b).unwrap()[0];
            assert!(
                (got - want).abs() < 1e-9 * want.abs().max(1.0),
                "{name} {ours}: {got} instead of {want}"
            );
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} numbers compared");
}

#[test]
fn values_outside_the_range_count_as_they_are() {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pair = &expected["float_40x56"];
    let read = |tag: &str| {
        let t = Tensor::read_npy(folder().join(pair["files"][tag].as_str().unwrap())).unwrap();
        t.permute((2, 0, 1)).unwrap().unsqueeze(0).unwrap().contiguous().unwrap()
    };
    let (a, b) = (read("a"), read("b"));
    let of = |name: &str| by_name(name).unwrap().measure(&a, &b).unwrap()[0];
    let want = |name: &str| pair["signed"][name].as_f64().unwrap();
    // Their numbers are of [-1, 1], peak 2: these three scale exactly.
    assert!((4.0 * of("mse") - want("mse")).abs() < 1e-9);
    assert!((2.0 * of("mae") - want("mae")).abs() < 1e-9);
    assert!((of("psnr") - want("psnr")).abs() < 1e-9);
    // SSIM is not: its luminance term needs the [0, 1] that its definition names.
}
