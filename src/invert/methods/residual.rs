//! `residual`: encoder passes, then one pass of the feature-residual network.

use super::{companioned, usual_lr};
use crate::invert::config::Method;
use crate::lang::types::Companion;
use crate::space::Space;

/// The encoder's best code, then what the generator's own network adds to a feature map. It was
/// trained on true edits: what it adds stays when the code is edited.
pub const METHOD: Method = Method {
    name: "residual",
    paper: "HFGI (Wang et al. 2022), StyleFeatureEditor (Bobkov et al. 2024)",
    summary: "encoder passes, then one pass of the feature-residual network, which adds to a map \
              what the code leaves out; it stays in place under edits",
    spaces: &[Space::WPlus, Space::W],
    encoder: true,
    companion: Some(Companion::Residual),
    steps: None,
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[],
    plan: companioned,
};

#[cfg(test)]
mod tests {
    use super::METHOD;
    use crate::control::Control;
    use crate::error::Result;
    use crate::generator::{Generator, Tap, codes, spaces, toy};
    use crate::invert::methods::{ENCODER, HYBRID};
    use crate::invert::tests::{stats, values};
    use crate::invert::{Config, Inversion, Job, invert};
    use crate::latent::{Code, Part};
    use crate::network::encoder_tests::network;
    use crate::network::{Encoder, Move, Seen};
    use crate::rng::Rng;
    use crate::space::Space;
    use candle_core::{Device, Tensor};

    const LAYER: usize = 2;

    /// Adds what it is told to.
    struct Adds(Tensor);

    impl Encoder for Adds {
        fn name(&self) -> &str {
            "adds"
        }
        fn passes(&self) -> usize {
            1
        }
        fn pass(&self, _: &Seen<'_>) -> Result<Move> {
            Ok(Move::Stay)
        }
        fn beside(&self, _: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
            Ok(vec![(Part::Residual(LAYER), self.0.clone())])
        }
    }

    fn with<T>(g: &dyn Generator, added: &Tensor, f: impl FnOnce(&Job<'_>) -> T) -> T {
        let (control, stats, encoder) = (Control::default(), stats(g), network());
        let residual = Adds(added.clone());
        f(&Job {
            encoder: Some(&encoder),
            companion: Some(&residual),
            stats: Some(&stats),
            ..Job::new(g, &control)
        })
    }

    fn drawn(code: &Code, g: &dyn Generator) -> Tensor {
        codes::synthesize(g, code, &spaces::input_of(code)).unwrap()
    }

    /// What one pass of the toy's encoder finds for a picture, and with `added` on a map.
    fn found(g: &dyn Generator, target: &Tensor, added: &Tensor) -> [Inversion; 2] {
        with(g, added, |job| {
            [&ENCODER, &METHOD].map(|method| {
                let config = Config { passes: Some(1), ..Config::new(Space::WPlus, method) };
                invert(job, target, &config).unwrap()
            })
        })
    }

    /// A map's size, and numbers that half precision holds.
    fn noise(g: &dyn Generator) -> Tensor {
        let layer = &g.spec().layers[LAYER];
        let shape = (1, layer.channels, layer.height, layer.width);
        let numbers = Rng::new(5).normals(layer.channels * layer.height * layer.width);
        let numbers = numbers.into_iter().map(|v| (v * 64.0).round() / 128.0).collect::<Vec<_>>();
        Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_pass_after_the_encoders_adds_to_a_map_alone_and_an_edit_keeps_it() {
        let g = toy(0, &Device::Cpu).unwrap();
        let (mean, added) = (spaces::mean(&*g, Space::WPlus, None).unwrap(), noise(&*g));
        let none = added.zeros_like().unwrap();
        // The picture of the code that the encoder finds for it, but for what is added.
        let first = found(&*g, &drawn(&mean, &*g), &none)[0].code.clone();
        let target = drawn(&first.with(Part::Residual(LAYER), added.clone()), &*g);
        let [plain, whole] = found(&*g, &target, &added);
        assert_eq!((plain.steps, whole.steps), (1, 2));
        assert!(whole.loss[0] < plain.loss[0] && whole.best_step == [2], "{:?}", whole.loss);
        assert_eq!(plain.trace[0].losses()[..], whole.trace[0].losses()[..2]);
        assert!(whole.how.ends_with(" · random · adds"), "{}", whole.how);
        let kept = |code: &Code| values(code.parts.get(Part::Residual(LAYER)).unwrap());
        assert_eq!(kept(&whole.code), values(&added));
        let best = if plain.best_step == [0] { mean.point() } else { plain.code.point() };
        assert_eq!(values(whole.code.point()), values(best));
        let edited = whole.code.moved((best + 0.3).unwrap(), "edited".into());
        assert_eq!(kept(&edited), values(&added));
        let map = |code: &Code| {
            let input = spaces::input_of(code);
            codes::tapped(&*g, &code.parts, code.space, &input, Tap::Layer(LAYER)).unwrap()
        };
        let apart = map(&edited) - map(&edited.clone().with(Part::Residual(LAYER), none));
        for (a, b) in values(&apart.unwrap()).iter().zip(kept(&edited)) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    /// After gradient steps the network adds what these leave out, unless it is told not to.
    #[test]
    fn hybrid_ends_with_the_network() {
        let g = toy(0, &Device::Cpu).unwrap();
        let (mean, added) = (spaces::mean(&*g, Space::WPlus, None).unwrap(), noise(&*g));
        let target = drawn(&mean.clone().with(Part::Residual(LAYER), added.clone()), &*g);
        let plain = Config { passes: Some(0), steps: 3, ..Config::new(Space::WPlus, &HYBRID) };
        let mut alone = plain.clone();
        alone.words.set("finish", "none");
        let [whole, code] = [plain, alone]
            .map(|config| with(&*g, &added, |job| invert(job, &target, &config).unwrap()));
        assert_eq!((whole.steps, whole.best_step[0], code.steps), (4, 4, 3));
        assert!(whole.loss[0] < code.loss[0], "{:?} {:?}", whole.loss, code.loss);
        let kept = |i: &Inversion| i.code.parts.get(Part::Residual(LAYER)).map(values);
        assert_eq!((kept(&whole), kept(&code)), (Some(values(&added)), None));
        assert!(whole.config.plan().ends_with("+ feature-residual network"));
        // A generator without the network ends with the steps, and says so.
        let bare = Config { passes: Some(0), steps: 3, ..Config::new(Space::WPlus, &HYBRID) };
        let bare = with(&*g, &added, |job| {
            invert(&Job { companion: None, ..*job }, &target, &bare).unwrap()
        });
        assert_eq!((bare.steps, bare.config.plan()), (3, "0 passes + 3 steps".to_owned()));
        assert_eq!(values(bare.code.point()), values(code.code.point()));
    }

    #[test]
    fn what_brings_the_picture_no_nearer_is_left_out() {
        let g = toy(0, &Device::Cpu).unwrap();
        let mean = spaces::mean(&*g, Space::WPlus, None).unwrap();
        let far = (noise(&*g) * 100.0).unwrap();
        let [plain, whole] = found(&*g, &drawn(&mean, &*g), &far);
        assert_eq!(
            (plain.loss, values(plain.code.point())),
            (whole.loss, values(whole.code.point()))
        );
        assert!(whole.code.parts.get(Part::Residual(LAYER)).is_none());
    }

    #[test]
    fn a_generator_without_the_network_is_told_what_to_do() {
        let g = toy(0, &Device::Cpu).unwrap();
        let e = with(&*g, &noise(&*g), |job| {
            let job = Job { companion: None, ..*job };
            let config = Config::new(Space::WPlus, &METHOD);
            invert(
                &job,
                &Tensor::zeros_like(&drawn(&spaces::mean(&*g, Space::WPlus, None).unwrap(), &*g))
                    .unwrap(),
                &config,
            )
            .unwrap_err()
        });
        assert!(
            e.message().contains("no feature-residual network, which `method: residual` needs")
        );
        assert!(e.repair().unwrap().contains("residual.safetensors"), "{e}");
    }
}
