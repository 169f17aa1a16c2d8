//! Encoders and recognisers of other people's code in programs.

use super::tests::Kept;
use super::*;
use crate::generator::toy::Toy;
use crate::generator::{Input, spaces};
use crate::invert::Inversion;
use crate::network::formula::Case;
use crate::network::{Move, Seen};
use crate::space::Space;
use crate::value::Models;
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub(super) type Tensors = BTreeMap<String, Tensor>;

/// Writes tensors as a file.
pub(super) fn save(path: &Path, tensors: &Tensors) {
    let all: HashMap<_, _> = tensors.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
    candle_core::safetensors::save(&all, path).unwrap();
}

/// The tensors of a small generator whose codes are as those of the cases: 8 rows of 64.
fn generator() -> Tensors {
    let toy = Toy { w_dim: 64, z_dim: 64, ..Toy::default() };
    toy.build(&Device::Cpu).unwrap().tensors().unwrap().into_iter().collect()
}

/// A folder with the generator and encoders of other people's code.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        save(&place.at("alone.safetensors"), &generator());
        place
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the encoder of a case, and its options beside it.
    pub(super) fn encoder(&self, case: &str) -> PathBuf {
        let case_file = Case::open("encoders", case);
        let path = self.at(&format!("{case}.safetensors"));
        save(&path, &case_file.state());
        std::fs::write(path.with_extension("json"), case_file.said("opts").to_string()).unwrap();
        path
    }

    /// A checkpoint as pSp saves it: encoder, generator and mean of w, with its options.
    fn checkpoint(&self, case: &str, mean: &Tensor) -> PathBuf {
        let path = self.encoder(case);
        let mut tensors = Case::open("encoders", case).state();
        tensors
            .extend(generator().into_iter().map(|(n, t)| (format!("state_dict.decoder.{n}"), t)));
        tensors.insert("latent_avg".into(), mean.clone());
        save(&path, &tensors);
        path
    }

    pub(super) fn run(&self, model: &Path, program: &str) -> Result<Kept> {
        let options = Options { confined: false, ..Options::default() };
        let mut state = State::new(Models::cpu(), model.to_str().unwrap(), options)?;
        let mut kept = Kept::default();
        let source = Source::new("test", program).unwrap();
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut kept)?;
        Ok(kept)
    }

    /// The result of `invert` of a sample of the generator alone.
    pub(super) fn inverted(&self, how: &str) -> Result<Arc<Inversion>> {
        let program = format!("r = invert(sample(seed: 3), {how})\nr");
        match self.run(&self.at("alone.safetensors"), &program)?.last() {
            Some(Value::Inversion(found)) => Ok(found.clone()),
            other => panic!("{:?}", other.map(Value::ty)),
        }
    }
}

/// A file of the user as a program writes it.
pub(super) fn written(path: &Path) -> String {
    format!("{:?}", path.to_str().unwrap())
}

/// The encoder lies in the checkpoint of its generator and is used at once. Its code is what the
/// network finds and the mean of the file, so a mean that makes up the difference gives the code of
/// a sample.
#[test]
fn a_checkpoint_of_psp_brings_its_encoder() {
    let place = Place::new();
    let zeros = Tensor::zeros((8, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
    let path = place.checkpoint("psp", &zeros);
    let loaded = Models::cpu().load(path.to_str().unwrap()).unwrap();
    assert!(loaded.facts.encoder && loaded.encoder_words().unwrap().unwrap().contains("pSp"));
    let g = loaded.generator().unwrap();
    let code =
        spaces::sample(&**g, 1, spaces::Draw { seed: 3, ..spaces::Draw::default() }).unwrap();
    let input = Input::default();
    let w = spaces::rise(&**g, code.point(), (code.space, Space::WPlus), &input).unwrap();
    let picture = spaces::picture(&**g, &w, Space::WPlus, &input).unwrap();
    let encoder = loaded.encoder().unwrap().unwrap();
    assert!(encoder.name().starts_with("pSp ") && encoder.passes() == 1);
    let Move::To(found) = encoder.pass(&Seen::first(&picture, &picture)).unwrap() else {
        panic!("no code")
    };
    let mean = (w - found).unwrap().squeeze(0).unwrap();
    let path = place.checkpoint("psp", &mean);
    let program = "x = render(sample(seed: 3))\nr = invert(x, method: encoder)\nprint(psnr(x, r))\n\
                   print(info())";
    let printed = place.run(&path, program).unwrap().printed;
    assert!(printed[0].parse::<f64>().unwrap() > 60.0, "{printed:?}");
    assert!(printed[1].contains("the encoder of pSp"), "{printed:?}");
}

#[test]
fn an_encoder_is_given_by_its_file() {
    let place = Place::new();
    let [psp, restyle] = ["psp", "restyle_psp"].map(|case| written(&place.encoder(case)));
    let auto = place.inverted(&format!("encoder: {psp}, steps: 0")).unwrap();
    assert!(auto.how.contains("pSp ") && auto.config.method.name == "hybrid", "{}", auto.how);
    assert_eq!(auto.steps, 1, "one pass");
    let found = place.inverted(&format!("method: encoder, encoder: {restyle}")).unwrap();
    assert!(found.how.contains("ReStyle ") && found.steps == 5, "{}", found.how);
    let weighed = format!("method: optimize, space: W+, in_domain: 1, encoder: {psp}, steps: 0");
    let found = place.inverted(&weighed).unwrap();
    assert!(found.trace[0].names.contains(&"in_domain".into()), "{:?}", found.trace[0].names);
}

#[test]
fn what_is_no_encoder_is_refused_with_its_repair() {
    let place = Place::new();
    let psp = place.encoder("psp");
    let refused = |how: &str, words: &str| {
        let e = place.inverted(how).err().unwrap();
        let text = format!("{e} {}", e.repair().unwrap_or_default());
        assert!(text.contains(words) && e.repair().is_some(), "{how}: {text}");
    };
    let given = |path: &Path| format!("method: encoder, encoder: {}", written(path));
    refused(&given(&place.at("alone.safetensors")), "is no encoder that is known");
    refused(&format!("method: optimize, encoder: {}", written(&psp)), "does not run an encoder");
    refused("method: encoder", "encoder: \"FILE\"");
    std::fs::remove_file(psp.with_extension("json")).unwrap();
    refused(&given(&psp), "does not say which encoder it is: pSp or e4e");
    refused(&given(&psp), "{\"encoder_type\": \"GradualStyleEncoder\" or \"Encoder4Editing\"}");
    let e2style = place.encoder("e2style");
    refused(&given(&e2style), "codes of 18×512");
}

/// ArcFace from a file as the term of a search, among the numbers of its result, and as a measure.
#[test]
fn people_are_compared_by_a_recogniser_from_a_file() {
    let place = Place::new();
    let path = place.at("arc.safetensors");
    save(&path, &Case::open("encoders", "arcface").state());
    let net = written(&path);
    let how = format!("space: W, steps: 1, identity: 0.1, identity_net: {net}");
    let found = place.inverted(&how).unwrap();
    assert!(found.trace[0].names.contains(&"identity".into()), "{:?}", found.trace[0].names);
    let number = found.numbers.iter().find(|n| n.name == "identity").unwrap();
    assert!(number.definition.contains("pSp cuts it"), "{}", number.definition);
    let program = format!(
        "x = sample(seed: 1)\nprint(identity(x, x, net: {net}))\n\
         print(identity(x, sample(seed: 2), net: {net}))"
    );
    let printed = place.run(&place.at("alone.safetensors"), &program).unwrap().printed;
    let [same, other] = [0, 1].map(|i| printed[i].parse::<f64>().unwrap());
    assert!((same - 1.0).abs() < 1e-6 && other < 0.9999, "{printed:?}");
    let bad = format!("identity(sample(seed: 1), sample(seed: 2), net: {})", {
        written(&place.at("alone.safetensors"))
    });
    let e = place.run(&place.at("alone.safetensors"), &bad).err().unwrap();
    assert!(e.message().contains("recognises no faces") && e.repair().is_some(), "{e}");
}
