//! A StyleGAN2 for rosinality's PyTorch code: the table of its layout, used backwards.
//!
//! NVIDIA's names need no table: they are ours.

use super::layouts::rosinality::LAYOUT;
use crate::error::{Error, Kind, Result};
use crate::weights::Array;
use crate::weights::OUTSIDE;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Learning-rate multiplier of that code's mapping network, unless it is told another.
const LR: f64 = 0.01;

/// A generator as that code stores it: `torch.save({"g_ema": …, "latent_avg": …})`.
#[derive(Clone, Debug)]
pub struct Rosinality {
    /// The state dict of its `Generator`, which loads it with `strict=True`.
    pub g_ema: BTreeMap<String, Array>,
    /// The mean of w, `[w_dim]`; `None` where none is stored.
    pub latent_avg: Option<Array>,
}

/// The tensors of a generator, by our names and with the filters that modules hold, for that code.
///
/// A mapping network of another learning rate is scaled: it computes the same.
///
/// # Errors
/// When that code has no place for something: residual blocks, labels, rectangles, pictures that
/// are not RGB, limited activations, z of another size than w.
pub fn rosinality(tensors: BTreeMap<String, Array>, settings: &Json) -> Result<Rosinality> {
    check(&tensors, settings)?;
    let lr = settings["mapping_lr_multiplier"].as_f64().unwrap_or(LR);
    let mut out = Rosinality { g_ema: BTreeMap::new(), latent_avg: None };
    for (name, array) in tensors {
        let array = prepared(&name, array, (lr / LR) as f32);
        match LAYOUT.back(&name, &array)? {
            Some((name, array)) if name.starts_with(OUTSIDE) => out.latent_avg = Some(array),
            Some((name, array)) => drop(out.g_ema.insert(name, array)),
            // Modules of the official code hold a filter even where they use none.
            None if name.ends_with(".resample_filter") => {}
            None => return Err(refuse(format!("it has no place for `{name}`"))),
        }
    }
    Ok(out)
}

/// A tensor as the table expects it.
fn prepared(name: &str, array: Array, scale: f32) -> Array {
    let mapping = name.starts_with("mapping.fc") && scale != 1.0;
    // Some files keep the strength of noise as a list of one.
    let shape = if name.ends_with(".noise_strength") { Vec::new() } else { array.shape.clone() };
    let gain = if mapping { scale } else { 1.0 };
    let values = array.to_f32().into_iter().map(|v| v * gain).collect();
    Array::f32(&shape, values).unwrap_or(array)
}

/// Refuses what that code cannot compute, where no name shows it.
fn check(tensors: &BTreeMap<String, Array>, settings: &Json) -> Result<()> {
    let shape = |name: &str| tensors.get(name).map(|a| &a.shape[..]);
    if let Some([_, height, width]) = shape("synthesis.b4.const")
        && [*height, *width] != [4, 4]
    {
        return Err(refuse(format!("it begins with 4×4, not {height}×{width}")));
    }
    if !settings["conv_clamp"].is_null() {
        return Err(refuse(format!("it limits no activations to {}", settings["conv_clamp"])));
    }
    for (name, array) in tensors {
        let mapping = name.starts_with("mapping.fc") && name.ends_with(".weight");
        if mapping && array.shape.first() != array.shape.last() {
            return Err(refuse(format!(
                "its z and w have the same size, `{name}` {:?}",
                array.shape
            )));
        }
        if name.ends_with(".torgb.weight") && array.shape.first() != Some(&3) {
            return Err(refuse(format!("its pictures are RGB, `{name}` is {:?}", array.shape)));
        }
        if name.ends_with(".noise_strength")
            && !tensors.contains_key(&name.replace(".noise_strength", ".noise_const"))
        {
            return Err(refuse(format!("it stores noise maps, and `{name}` has none")));
        }
    }
    if !tensors.contains_key("synthesis.b4.torgb.weight") {
        return Err(refuse("it makes a picture at every resolution".into()));
    }
    Ok(())
}

fn refuse(why: String) -> Error {
    Error::new(Kind::Usage, format!("rosinality's code cannot hold this generator: {why}"))
        .hint("write it with NVIDIA's names, or as safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::registry::recognise;
    use crate::generator::toy::Toy;
    use crate::generator::{Generator, Input, load, spaces};
    use crate::limits::LIMITS;
    use crate::space::Space;
    use crate::weights::{open, open_bytes, safetensors};
    use candle_core::{Device, Tensor};
    use serde_json::json;

    /// A toy's tensors, with the filters of the modules.
    fn tensors(toy: &Toy) -> BTreeMap<String, Array> {
        let g = toy.build(&Device::Cpu).expect("toy");
        let array = |t: &Tensor| {
            let values = t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
            Array::f32(t.dims(), values).expect("array")
        };
        let mut all: BTreeMap<String, Array> =
            g.tensors().unwrap().iter().map(|(n, t)| (n.clone(), array(t))).collect();
        let taps = [1.0f32, 3.0, 3.0, 1.0];
        let filter = taps.iter().flat_map(|a| taps.map(|b| a * b / 64.0)).collect();
        let filter = Array::f32(&[4, 4], filter).expect("filter");
        for owner in ["b4", "b4.conv1", "b8", "b8.conv0", "b8.conv1"] {
            all.insert(format!("synthesis.{owner}.resample_filter"), filter.clone());
        }
        all
    }

    fn toy() -> Toy {
        Toy { resolution: 8, ..Toy::default() }
    }

    /// The file is one of that code, and draws the same picture.
    #[test]
    fn rosinalitys_names_come_back_as_the_same_generator() {
        let settings = json!({"mapping_lr_multiplier": 0.01});
        let out = rosinality(tensors(&toy()), &settings).expect("exported");
        let shape = |name: &str| out.g_ema[name].shape.clone();
        assert_eq!(shape("conv1.conv.weight"), [1, 16, 16, 3, 3]);
        assert_eq!(shape("convs.0.conv.blur.kernel"), [4, 4]);
        assert_eq!(shape("to_rgbs.0.upsample.kernel"), [4, 4]);
        assert_eq!(shape("to_rgb1.bias"), [1, 3, 1, 1]);
        assert_eq!(shape("noises.noise_2"), [1, 1, 8, 8]);
        assert_eq!(
            (shape("convs.1.noise.weight"), shape("input.input")),
            (vec![1], vec![1, 16, 4, 4])
        );
        let sum: f32 = out.g_ema["convs.0.conv.blur.kernel"].to_f32().iter().sum();
        assert!((sum - 4.0).abs() < 1e-5, "an upsampling kernel");
        let mut file: BTreeMap<String, Array> =
            out.g_ema.into_iter().map(|(n, a)| (format!("g_ema.{n}"), a)).collect();
        file.insert("latent_avg".into(), out.latent_avg.expect("a mean"));
        let bytes = safetensors::write(&file, None).expect("written");
        let file = open_bytes("toy.pt", bytes, &LIMITS).expect("opened");
        let g = load(file, &Device::Cpu).expect("loaded");
        let z = Tensor::ones((1, 16), candle_core::DType::F32, &Device::Cpu).expect("z");
        let draw = |g: &dyn Generator| {
            let p = spaces::picture(g, &z, Space::Z, &Input::default()).expect("picture");
            p.flatten_all().and_then(|p| p.to_vec1::<f32>()).expect("numbers")
        };
        let before = toy().build(&Device::Cpu).expect("toy");
        // A stored filter and the taps that it is made of differ by a rounding.
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(draw(&*g).iter().zip(&draw(&before)).all(close));
        assert_eq!(g.spec().fingerprint, before.spec().fingerprint);
    }

    /// A state dict of that code comes back whole, bit for bit: it would load with `strict=True`.
    #[test]
    fn an_official_state_dict_comes_back_bit_for_bit() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/stylegan2_layouts/");
        for (file, mean) in [("rosinality_16", true), ("rosinality_32", false)] {
            let path = std::path::PathBuf::from(format!("{folder}{file}.safetensors"));
            let open = || open(&path, &LIMITS).expect("opened");
            let found = recognise(open()).expect("recognised");
            assert_eq!((found.layout.name, &found.root[..]), ("rosinality", "g_ema."));
            let settings = found.config.settings;
            let out = rosinality(found.weights.arrays().expect("tensors"), &settings);
            let out = out.expect("exported");
            let all = open().weights.arrays().expect("tensors");
            let official: BTreeMap<String, Array> = all
                .iter()
                .filter_map(|(n, a)| Some((n.strip_prefix("g_ema.")?.to_owned(), a.clone())))
                .collect();
            assert_eq!(out.g_ema.keys().collect::<Vec<_>>(), official.keys().collect::<Vec<_>>());
            assert!(out.g_ema == official, "{file}: the same numbers and shapes");
            assert_eq!(out.latent_avg.as_ref(), all.get("latent_avg"));
            assert_eq!(out.latent_avg.is_some(), mean);
        }
    }

    #[test]
    fn what_that_code_cannot_hold_is_refused() {
        let null = Json::Null;
        let refused = |toy: Toy, settings: &Json| {
            let e = rosinality(tensors(&toy), settings).expect_err("refused");
            assert!(e.repair().is_some(), "{e}");
            e.to_string()
        };
        assert!(refused(Toy { c_dim: 2, ..toy() }, &null).contains("mapping."));
        assert!(refused(Toy { channels: 1, ..toy() }, &null).contains("RGB"));
        assert!(refused(Toy { z_dim: 8, ..toy() }, &null).contains("same size"));
        assert!(refused(toy(), &json!({"conv_clamp": 256})).contains("256"));
        let architecture = super::super::Architecture::Resnet;
        assert!(refused(Toy { architecture, ..toy() }, &null).contains("every resolution"));
        let mut narrow = tensors(&toy());
        narrow
            .insert("synthesis.b4.const".into(), Array::f32(&[1, 4, 2], vec![0.0; 8]).expect("a"));
        assert!(rosinality(narrow, &null).is_err());
    }

    /// Another learning rate goes into the numbers.
    #[test]
    fn the_mapping_network_is_scaled() {
        let all = tensors(&toy());
        let half = rosinality(all.clone(), &json!({"mapping_lr_multiplier": 0.005})).expect("half");
        let [half, whole] =
            [half.g_ema["style.1.weight"].to_f32(), all["mapping.fc0.weight"].to_f32()];
        assert!(half.iter().zip(&whole).all(|(h, w)| (h * 2.0 - w).abs() < 1e-4 * w.abs()));
    }
}
