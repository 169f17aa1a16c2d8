//! Every family against numbers of its official code, through the layouts of its own checkpoints.
//!
//! A case is `CASE.safetensors` with tensors as the official code names them, as a user's file has
//! them; what its configuration says, if anything, in `CASE.json` beside it; and in
//! `CASE.ref.safetensors` inputs, outputs and gradients that the official code computed.
//! `scripts/reference/README.md` says how they are made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "parity_support/numbers.rs"]
mod support;

use candle_core::{Device, Tensor, Var};
use gannet::generator::{self, Generator, Input, Noise, Start, Tap, spaces};
use gannet::latent::Part;
use gannet::limits::LIMITS;
use gannet::space::Space;
use gannet::weights;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{flat, folder, relative, worst};

/// A gradient may differ by this much, relative to its norm.
const GRADIENT: f64 = 1e-3;
/// A picture may differ by this much, unless the case says otherwise.
const PICTURE: f64 = 1e-3;

/// One case.
struct Case {
    name: String,
    file: PathBuf,
    numbers: BTreeMap<String, Tensor>,
    about: Json,
}

impl Case {
    fn read(numbers: &Path) -> Self {
        let name = numbers.file_name().unwrap().to_string_lossy();
        let name = name.strip_suffix(".ref.safetensors").unwrap().to_owned();
        let bytes = std::fs::read(numbers).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let about = header.metadata().clone().unwrap();
        // A container of its own where names are not all that a file is recognised by.
        let ends = [".safetensors", ".pkl", ".pth", ".h5", ".weights.h5", "_weights.h5", ".keras"];
        let files = ends.map(|end| numbers.with_file_name(format!("{name}{end}")));
        let numbers_of = candle_core::safetensors::load(numbers, &Device::Cpu).unwrap();
        Self {
            file: files
                .into_iter()
                .find(|f| f.exists())
                .unwrap_or_else(|| panic!("{name}: no file")),
            name,
            numbers: numbers_of.into_iter().collect(),
            about: serde_json::from_str(&about["reference"]).unwrap(),
        }
    }

    fn get(&self, name: &str) -> Option<&Tensor> {
        self.numbers.get(name)
    }

    fn at(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("{}: no number {name}", self.name))
    }

    fn load(&self) -> Arc<dyn Generator> {
        let checkpoint = weights::open(&self.file, &LIMITS)
            .unwrap_or_else(|e| panic!("{}: {e}", self.file.display()));
        generator::load(checkpoint, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// What the official code read besides the code.
    fn input(&self, g: &dyn Generator) -> Input {
        let maps: Vec<Tensor> =
            (0..).map_while(|i| self.get(&format!("noise.{i}")).cloned()).collect();
        let noise = match self.about["noise"].as_str() {
            Some("const") => Noise::Const,
            Some("maps") => Noise::Maps(maps),
            Some("waves") => Noise::Maps(waves(&g.spec().noise_sizes)),
            Some("none") | None => Noise::None,
            Some(other) => panic!("{}: noise {other}", self.name),
        };
        let truncation = self.get("truncation").map(|t| flat(t)[0]);
        Input {
            noise,
            labels: self.get("labels").cloned(),
            camera: self.get("camera").cloned(),
            transform: self.get("transform").cloned(),
            truncation,
        }
    }

    /// Every so many pixels of a picture, as the reference stores it; all where it says nothing.
    fn stored(&self, picture: &Tensor) -> Tensor {
        let stride = self.about["stride"].as_u64().unwrap_or(1) as u32;
        let every = |x: Tensor, dim: usize| {
            let at: Vec<u32> = (0..x.dim(dim).unwrap() as u32).step_by(stride as usize).collect();
            x.index_select(&Tensor::new(at, &Device::Cpu).unwrap(), dim).unwrap()
        };
        if stride == 1 { picture.clone() } else { every(every(picture.detach(), 2), 3) }
    }

    /// The loss of the reference: mean squared difference to a wave.
    fn loss(&self, picture: &Tensor) -> Tensor {
        let wave = |i: usize| (0.37 * i as f64).sin() as f32;
        let target: Vec<f32> = (0..picture.elem_count()).map(wave).collect();
        let target = Tensor::from_vec(target, picture.shape(), &Device::Cpu).unwrap();
        picture.sub(&target).unwrap().sqr().unwrap().mean_all().unwrap()
    }
}

/// Noise maps by a formula, where storing them would take much room: `1.3 · sin(0.61 i + k)` in
/// layer k, i the flat index.
fn waves(sizes: &[[usize; 2]]) -> Vec<Tensor> {
    let map = |(k, [h, w]): (usize, &[usize; 2])| {
        let at = |i: usize| (1.3 * (0.61 * i as f64 + k as f64).sin()) as f32;
        let data: Vec<f32> = (0..h * w).map(at).collect();
        Tensor::from_vec(data, (1, 1, *h, *w), &Device::Cpu).unwrap()
    };
    sizes.iter().enumerate().map(map).collect()
}

fn cases(family: &str) -> Vec<Case> {
    let entries = std::fs::read_dir(folder(family)).unwrap_or_else(|e| panic!("{family}: {e}"));
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.to_string_lossy().ends_with(".ref.safetensors"));
    paths.sort();
    paths.iter().map(|p| Case::read(p)).collect()
}

fn check_spec(case: &Case, g: &dyn Generator) {
    let found = serde_json::to_value(g.spec()).unwrap();
    let said = case.about["spec"].as_object().unwrap_or_else(|| panic!("{}: spec", case.name));
    assert!(said.contains_key("width") && said.contains_key("z_dim"), "{}", case.name);
    for (key, value) in said {
        assert_eq!(&found[key], value, "{}: {key}", case.name);
    }
    if let Some(family) = case.about["family"].as_str() {
        assert_eq!(g.spec().family, family, "{}", case.name);
    }
}

/// Checks one case; the largest differences of pictures and of gradients.
fn check(case: &Case) -> (f64, f64) {
    let g = case.load();
    let g = g.as_ref();
    check_spec(case, g);
    let (input, name) = (case.input(g), &case.name);
    let tolerance = case.about["tolerance"].as_f64().unwrap_or(PICTURE);
    let (mut picture_error, mut gradient_error) = (0.0f64, 0.0f64);
    let mut gradient = |what: &str, found: Option<&Tensor>| {
        let Some(expected) = case.get(&format!("grad.{what}")) else { return };
        let found = found.unwrap_or_else(|| panic!("{name}: no gradient to {what}"));
        let e = relative(found, expected);
        assert!(e <= GRADIENT, "{name}: the gradient to {what} differs by {e:e}");
        gradient_error = gradient_error.max(e);
    };
    let mut compare = |picture: &Tensor| {
        let e = worst(&case.stored(picture), case.at("image"));
        assert!(e <= tolerance, "{name}: the picture differs by {e:e}");
        picture_error = picture_error.max(e);
    };

    // From the prior, through every space on the way, with the class as an unknown.
    let z = Var::from_tensor(case.at("z")).unwrap();
    let labels = input.labels.as_ref().map(|c| Var::from_tensor(c).unwrap());
    let camera = input.camera.as_ref().map(|c| Var::from_tensor(c).unwrap());
    let transform = input.transform.as_ref().map(|t| Var::from_tensor(t).unwrap());
    let unknown = Input {
        labels: labels.as_ref().map(|v| v.as_tensor().clone()),
        transform: transform.as_ref().map(|v| v.as_tensor().clone()),
        camera: camera.as_ref().map(|v| v.as_tensor().clone()),
        ..input.clone()
    };
    let picture = spaces::picture(g, &z, Space::Z, &unknown).unwrap();
    compare(&picture);
    let loss = case.loss(&picture);
    let e = relative(&loss, case.at("loss"));
    assert!(e < 1e-3 || tolerance > PICTURE, "{name}: the loss differs by {e:e}");
    let grads = loss.backward().unwrap();
    assert!(case.get("grad.z").is_some(), "{name}: no grad.z");
    gradient("z", grads.get(&z));
    gradient("labels", labels.as_ref().and_then(|v| grads.get(v)));
    gradient("camera", camera.as_ref().and_then(|v| grads.get(v)));
    gradient("transform", transform.as_ref().and_then(|v| grads.get(v)));
    truncated(case, g, &input);

    // From every other space of the family.
    for space in [Space::W, Space::WPlus, Space::S] {
        if !g.spec().spaces.contains(&space) {
            continue;
        }
        let code = spaces::rise(g, case.at("z"), (Space::Z, space), &input).unwrap().detach();
        let stored = match space {
            Space::W => case.get("w"),
            Space::WPlus => case.get("ws"),
            _ => None,
        };
        if let Some(stored) = stored {
            let e = relative(&code, stored);
            assert!(e <= 1e-4, "{name}: the code in {space} differs by {e:e}");
        }
        let v = Var::from_tensor(&code).unwrap();
        let picture = spaces::picture(g, &v, space, &input).unwrap();
        compare(&picture);
        let grads = case.loss(&picture).backward().unwrap();
        let found = grads.get(&v).unwrap_or_else(|| panic!("{name}: no gradient to {space}"));
        match space {
            Space::W => gradient("w", Some(found)),
            Space::WPlus => gradient("ws", Some(found)),
            _ => slope(case, g, space, (&code, found), &input),
        }
    }

    // Weights as unknowns: the same picture, and their gradients.
    let wanted: Vec<&str> =
        case.numbers.keys().filter_map(|k| k.strip_prefix("grad.weight.")).collect();
    let (tuned, variables) = generator::tuned(g, &|n| wanted.contains(&n)).unwrap();
    assert_eq!(variables.len(), wanted.len(), "{name}: not every weight is a parameter");
    let picture = spaces::picture(&*tuned, case.at("z"), Space::Z, &input).unwrap();
    compare(&picture);
    if !wanted.is_empty() {
        let grads = case.loss(&picture).backward().unwrap();
        variables.iter().for_each(|(n, v)| gradient(&format!("weight.{n}"), grads.get(v)));
    }
    converted(case, &input);
    (picture_error, gradient_error)
}

/// Codes pulled towards the mean of their class, by `psi`, as the official code does it.
fn truncated(case: &Case, g: &dyn Generator, input: &Input) {
    let Some(expected) = case.get("truncated") else { return };
    let draw =
        spaces::Draw { space: Space::Z, labels: input.labels.as_ref(), ..Default::default() };
    let drawn = spaces::sample(g, case.at("z").dim(0).unwrap(), draw).unwrap();
    let code = drawn.with(Part::Point, case.at("z").clone());
    let psi = flat(case.at("psi"))[0];
    let found = spaces::truncated(g, &code, psi, None).unwrap();
    let e = relative(found.point(), expected);
    assert!(e <= 1e-4, "{}: truncated codes differ by {e:e}", case.name);
}

/// The gradient in a space that the official code does not name, by finite differences along it.
fn slope(
    case: &Case,
    g: &dyn Generator,
    space: Space,
    (code, gradient): (&Tensor, &Tensor),
    input: &Input,
) {
    let norm = flat(gradient).iter().map(|v| v * v).sum::<f64>().sqrt();
    assert!(norm > 0.0, "{}: the gradient to {space} is zero", case.name);
    let step = 1e-2 * flat(code).iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
    let slopes = [step, step / 4.0].map(|h| {
        let moved = |sign: f64| (code + (gradient * (sign * h / norm)).unwrap()).unwrap();
        let at =
            |sign| flat(&case.loss(&spaces::picture(g, &moved(sign), space, input).unwrap()))[0];
        (at(1.0) - at(-1.0)) / (2.0 * h)
    });
    let e = slopes.iter().map(|s| (s / norm - 1.0).abs()).fold(f64::INFINITY, f64::min);
    assert!(e < 0.03, "{}: the slope in {space} is {slopes:?}, not {norm}", case.name);
}

/// Our own file of the generator gives the same picture, bit for bit.
fn converted(case: &Case, input: &Input) {
    let open = || weights::open(&case.file, &LIMITS).unwrap();
    let bytes = generator::convert(open()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let own = weights::open_bytes(&case.name, bytes, &LIMITS).unwrap();
    let computing = ["stylegan1", "stylegan2", "lucidrains-stylegan2", "mobilestylegan"];
    if computing.contains(&own.family().unwrap_or_default()) {
        let stored = ["mapping.w_avg", "computed.w_avg"].map(|name| own.weights.has(name));
        assert!(stored[0] != stored[1], "{}: our own file has {stored:?}", case.name);
    }
    let own = generator::load(own, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let draw =
        |g: &dyn Generator| flat(&spaces::picture(g, case.at("z"), Space::Z, input).unwrap());
    let official = case.load();
    assert_eq!(draw(&*own), draw(&*official), "{}: our own file", case.name);
    let mean = |g: &dyn Generator| g.mean(Space::W).map(flat);
    assert_eq!(mean(&*own), mean(&*official), "{}: the mean of our own file", case.name);
}

/// Checks all cases of a folder of the reference, at least so many.
fn family(name: &str, least: usize) {
    let all = cases(name);
    assert!(all.len() >= least, "only {} cases of {name}", all.len());
    for case in all {
        let (picture, gradient) = check(&case);
        println!("{name}/{}: picture {picture:.1e}, gradients {gradient:.1e}", case.name);
    }
}

/// `parity!(folder, n)`: a test of all cases in that folder, of which there are at least `n`.
macro_rules! parity {
    ($folder:ident, $least:expr) => {
        #[test]
        fn $folder() {
            family(stringify!($folder), $least);
        }
    };
}

// One line a folder, in alphabetical order.
parity!(pggan, 9);
parity!(stylegan1, 9);
parity!(tensorflow, 2);
parity!(mobilestylegan, 2);
parity!(eg3d, 3);
parity!(stylegan2_layouts, 21);
parity!(biggan, 18);
parity!(fastgan, 10);
parity!(lightweight_gan, 6);
parity!(lucidrains_stylegan2, 5);
parity!(keras, 12);

/// Entering a tapped feature with the same code gives the same picture, in families whose later
/// layers read earlier ones.
#[test]
fn layers_can_be_entered() {
    for folder in ["fastgan", "lightweight_gan", "lucidrains_stylegan2"] {
        for case in
            cases(folder).into_iter().filter(|c| c.about["spec"]["width"].as_u64() < Some(200))
        {
            let g = case.load();
            let (g, input, name) = (g.as_ref(), case.input(g.as_ref()), &case.name);
            let space = spaces::read_by_synthesis(g);
            let code = spaces::rise(g, case.at("z"), (Space::Z, space), &input).unwrap();
            let start = Start::Code { space, data: &code };
            let mut taps: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
            taps.push(Tap::Picture);
            let all = g.run(&start, &input, &taps).unwrap();
            let picture = flat(&all.picture.unwrap());
            assert_eq!(all.features.len(), g.spec().layers.len(), "{name}");
            for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
                let size = [2, layer.channels, layer.height, layer.width];
                assert_eq!(feature.map.dims(), size, "{name}: {}", layer.name);
                let start = Start::Feature { feature, space, data: &code };
                let again = g.run(&start, &input, &[Tap::Picture]).unwrap();
                assert_eq!(flat(&again.picture.unwrap()), picture, "{name}: {}", layer.name);
                let alone = g.run(
                    &Start::Code { space, data: &code },
                    &input,
                    &[Tap::Layer(feature.layer)],
                );
                assert_eq!(flat(&alone.unwrap().features[0].map), flat(&feature.map), "{name}");
            }
        }
    }
}

/// Without stored maps the fixed ones are the same in every run, and random ones differ by seed.
#[test]
fn drawn_noise_is_the_same_in_every_run() {
    for folder in ["fastgan", "lightweight_gan", "lucidrains_stylegan2"] {
        let all = cases(folder);
        let noisy = |c: &&Case| c.name.contains("full_128") || c.name.starts_with("plain_");
        let case = all.iter().find(noisy).unwrap_or_else(|| panic!("{folder}"));
        let draw = |noise: Noise| {
            let g = case.load();
            flat(&spaces::picture(&*g, case.at("z"), Space::Z, &Input::of(noise)).unwrap())
        };
        let random = |seed| draw(Noise::Random { seed, first: 0 });
        assert_eq!(draw(Noise::Const), draw(Noise::Const), "{folder}");
        assert_eq!(random(1), random(1), "{folder}");
        for other in [random(1), draw(Noise::None)] {
            assert_ne!(draw(Noise::Const), other, "{folder}");
        }
        assert_ne!(random(1), random(2), "{folder}");
        let g = case.load();
        let short = Input::of(Noise::Maps(Vec::new()));
        let e = spaces::picture(&*g, case.at("z"), Space::Z, &short).unwrap_err();
        assert!(e.repair().is_some() && e.to_string().contains("noise maps"), "{e}");
        let fixed = Input::of(Noise::Maps(g.noise_maps()));
        let same = spaces::picture(&*g, case.at("z"), Space::Z, &fixed).unwrap();
        assert_eq!(flat(&same), draw(Noise::Const), "{folder}");
    }
}
parity!(r3gan, 4);
parity!(styleganhuman, 2);
parity!(styleganxl, 7);

/// The `config.json` of another model in the folder does not change what is read.
#[test]
fn a_foreign_configuration_changes_nothing() {
    let foreign = r#"{"model_type": "vit", "z_dim": 7, "c_dim": 9, "eps": 0.5, "num_classes": 1000,
        "output_dim": 224, "layers": [[true, 1, 1]], "alpha": 0.5, "resolution": 8}"#;
    for (folder_of, name) in
        [("biggan", "hf_16"), ("biggan", "aj_hier_16"), ("pggan", "genforce_16")]
    {
        let place = tempfile::tempdir().unwrap();
        let from = folder(folder_of).join(format!("{name}.safetensors"));
        let file = place.path().join("model.safetensors");
        std::fs::copy(&from, &file).unwrap();
        let settings = || {
            let opened = weights::open(&file, &LIMITS).unwrap();
            generator::registry::recognise(opened).unwrap().config.settings
        };
        let alone = settings();
        std::fs::write(place.path().join("config.json"), foreign).unwrap();
        assert_eq!(settings(), alone, "{name}");
        // Under the model's own name the same settings are meant, and refused or taken.
        std::fs::write(place.path().join("model.json"), foreign).unwrap();
        assert_ne!(settings(), alone, "{name}");
    }
}

/// Folders of cases whose tests are unit tests: `src/network/discriminator/parity_tests.rs` and
/// `src/invert/official_tests.rs`.
const ELSEWHERE: [&str; 2] = ["discriminators", "inversions"];

/// No folder of cases is left unchecked.
#[test]
fn every_folder_has_a_test() {
    let here = include_str!("parity_families.rs");
    for entry in std::fs::read_dir(folder("")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(files) = std::fs::read_dir(&path) else { continue };
        let is_case = |n: &str| n.ends_with(".ref.safetensors");
        if ELSEWHERE.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if files.flatten().any(|f| is_case(&f.file_name().to_string_lossy())) {
            let name = path.file_name().unwrap().to_string_lossy();
            assert!(here.contains(&format!("parity!({name}, ")), "{name} has no test");
        }
    }
}
