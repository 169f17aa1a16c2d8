//! Encoders of other people's code, on weights by a formula, against the official code
//! (`scripts/reference/encoders.py`).

use super::*;
use crate::network::Encoder;
use crate::network::formula::{Case, apart, filled};
use candle_core::{DType, Device};

/// The encoder of a case, for a generator of as many rows as its options say.
fn read(case: &Case) -> Foreign {
    let mut weights = case.weights();
    let options = case.said("opts");
    let rows = options["n_styles"].as_u64().unwrap() as usize;
    weights.set_beside(options, false);
    let found = find(weights.list()).unwrap();
    let mean = Tensor::zeros(*case.tensor("said").dims().last().unwrap(), DType::F32, &Device::Cpu)
        .unwrap();
    let (layers, names) = (Vec::new(), Vec::new());
    let host = Host { mean, rows, layers, weights: names, map: None, first: None };
    found.read("0123", weights, host, &Device::Cpu).unwrap()
}

/// What a pass of the network itself finds of the pictures of a case, each of half the channels.
fn seen(own: &Foreign, [n, side]: [usize; 2], (both, pass): (bool, usize)) -> Move {
    let picture = |channels, k| filled(&[n, channels, side, side], k, 0.9);
    let part = |t: &Tensor, at| t.narrow(1, at, 3).unwrap().contiguous().unwrap();
    let (pictures, current) = if both {
        let six = picture(6, 9001);
        (part(&six, 0), part(&six, 3))
    } else {
        (picture(3, 9001), picture(3, 9002))
    };
    own.net.forward(&Seen { pictures: &pictures, current: &current, pass, found: &[] }).unwrap()
}

/// The code that a network found, with the mean of w of its file.
fn with_mean(own: &Foreign, said: &Tensor) -> Tensor {
    match &own.start {
        Some(mean) => said.broadcast_add(mean).unwrap(),
        None => said.clone(),
    }
}

fn agrees(name: &str, kind: &str) {
    let case = Case::open("encoders", name);
    let own = read(&case);
    assert_eq!(own.name(), format!("{kind} 0123"));
    let side = match name {
        "idinvert" => own.net.side(),
        _ if name.ends_with("_full") => 256,
        _ => 64,
    };
    let both = name.starts_with("restyle");
    assert_eq!(own.passes(), if both { 5 } else { 1 }, "{name}");
    let n = case.tensor("said").dims()[0];
    let said = match seen(&own, [n, side], (both, 0)) {
        Move::By(said) if both => said,
        Move::To(said) if !both => said,
        other => panic!("{name}: {other:?}"),
    };
    // One row is for all layers.
    let wanted = |name: &str| {
        let found = case.tensor(name);
        let rows = if found.rank() == 2 { found.unsqueeze(1).unwrap() } else { found.clone() };
        own.spread(rows).unwrap()
    };
    let said = own.spread(said).unwrap();
    let error = apart(&said, &wanted("said"));
    assert!(error < 1e-5, "{name}: {error}");
    let error = apart(&with_mean(&own, &said), &wanted("code"));
    assert!(error < 1e-5, "{name}, with the mean: {error}");
}

#[test]
fn psp_and_e4e_equal_the_official_code() {
    agrees("psp", "pSp");
    agrees("e4e", "e4e");
}

#[test]
fn restyle_equals_the_official_code() {
    agrees("restyle_psp", "ReStyle");
    agrees("restyle_e4e", "ReStyle-e4e");
    agrees("restyle_fpn", "pSp");
    agrees("restyle_resnet", "ReStyle");
}

#[test]
fn idinvert_equals_the_official_code() {
    agrees("idinvert", "IDInvert");
}

#[test]
#[ignore = "networks of full size: 3 GB of numbers by a formula"]
fn encoders_of_full_size_equal_the_official_code() {
    agrees("psp_w_full", "pSp-W");
    agrees("psp_full", "pSp");
    agrees("restyle_e4e_full", "ReStyle-e4e");
}

/// Channels of the convolutions of the published generator of 1024², inputs and outputs.
fn published() -> Vec<[usize; 2]> {
    let halved = [512, 256, 128, 64, 32].windows(2).flat_map(|w| [[w[0], w[1]], [w[1], w[1]]]);
    [[512, 512]; 9].into_iter().chain(halved).collect()
}

#[test]
#[ignore = "a network of full size: 2 GB of numbers by a formula"]
fn hyperstyle_of_full_size_equals_the_official_code() {
    let case = Case::open("encoders", "hyperstyle_full");
    let mut weights = case.weights().below("state_dict.hypernet.");
    let mut taker = Taker::new(&mut weights, &Device::Cpu);
    let mean = Tensor::zeros(512, DType::F32, &Device::Cpu).unwrap();
    let place = |(at, [inputs, outputs]): (usize, [usize; 2])| Place {
        map: [outputs, 4, 4],
        weight: Some((at, vec![outputs, inputs, 3, 3])),
    };
    let layers = published().into_iter().enumerate().map(place).collect();
    let first = Some(read(&Case::open("encoders", "hyperstyle_w")));
    let mut host = Host { mean, rows: 18, layers, weights: Vec::new(), map: None, first };
    let net = (hyperstyle::KIND.take)(&mut taker, &mut host).unwrap();
    let six = filled(&[1, 6, 256, 256], 9001, 0.9);
    let half = |at| six.narrow(1, at, 3).unwrap().contiguous().unwrap();
    let seen = Seen { pictures: &half(0), current: &half(3), pass: 1, found: &[] };
    let mut parts =
        crate::latent::Parts::of(Tensor::zeros((1, 8), DType::F32, &Device::Cpu).unwrap());
    parts.extend(net.beside(&seen).unwrap());
    for (at, [inputs, outputs]) in published().into_iter().enumerate() {
        let gain = parts.gain(at).unwrap().unwrap().reshape((outputs, inputs, ())).unwrap();
        let gain = gain.broadcast_as((outputs, inputs, 9)).unwrap();
        let every = |n: usize, step: usize| {
            Tensor::new((0..n as u32).step_by(step).collect::<Vec<_>>(), &Device::Cpu).unwrap()
        };
        let corners = Tensor::new(&[0u32, 2, 6, 8], &Device::Cpu).unwrap();
        let thin = gain.contiguous().unwrap().index_select(&every(outputs, 64), 0).unwrap();
        let thin = thin.index_select(&every(inputs, 64), 1).unwrap();
        let thin = thin.index_select(&corners, 2).unwrap();
        let number = if at == 0 { 0 } else { at + at.div_ceil(2) };
        let wanted = case.tensor(&format!("gain.{number}"));
        let error = apart(&thin.reshape(wanted.dims()).unwrap(), wanted);
        assert!(error < 1e-4, "{number}: {error}");
    }
}

/// Its first pass finds a code; the next one corrects it by a network of its own, and so do all
/// later ones.
#[test]
fn e2style_equals_the_official_code() {
    let case = Case::open("encoders", "e2style");
    let own = read(&case);
    assert_eq!((own.name(), own.passes()), ("E2Style 0123", 2));
    let Move::To(said) = seen(&own, [1, 64], (false, 0)) else { panic!("no code") };
    assert!(apart(&said, case.tensor("said")) < 1e-5);
    assert!(apart(&with_mean(&own, &said), case.tensor("code")) < 1e-5);
    for pass in [1, 2] {
        let Move::By(step) = seen(&own, [1, 64], (false, pass)) else { panic!("no step") };
        assert!(apart(&step, case.tensor("step")) < 1e-5);
    }
}
