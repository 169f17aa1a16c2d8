//! Codes of a generator: drawing them, their mean, lifting them, and their pictures.
//!
//! [`crate::space::lattice`] defines which conversions there are; here they are done.

use super::{Generator, Input, Noise, Prior, Spec, Start, Tap, no_codes, whitening};
use crate::error::{Error, Result};
use crate::latent::{Code, ModelId, Part, Parts};
use crate::rng::Rng;
use crate::safe::Safe;
use crate::space::{Space, lattice};
use candle_core::Tensor;

/// Codes that are mapped at once: what bounds the memory of many.
const MAPPED: usize = 1000;

/// Sampling parameters.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    /// Code i depends on the seed and on i alone, not on how many are drawn.
    pub seed: u64,
    /// Truncation: 1 for none, 0 for the mean code; see [`Prior`].
    pub psi: f64,
    /// Any space of codes: Z, W, W+, S, P, PN or PN+.
    pub space: Space,
    /// Labels of a conditional generator, `[n or 1, c_dim]`.
    pub labels: Option<&'a Tensor>,
}

impl Default for Draw<'_> {
    fn default() -> Self {
        Self { seed: 0, psi: 1.0, space: Space::W, labels: None }
    }
}

/// Identity of the generator that its codes belong to.
pub fn model_id(spec: &Spec) -> ModelId {
    ModelId { name: spec.name.clone(), fingerprint: spec.fingerprint.clone() }
}

fn code_of(g: &dyn Generator, space: Space, point: Tensor, origin: String) -> Code {
    Code { space, parts: Parts::of(point), model: Some(model_id(g.spec())), origin }
}

/// Draws `n` codes from the prior.
///
/// # Errors
/// For spaces that the generator lacks, for truncation in Z, and when labels do not fit.
pub fn sample(g: &dyn Generator, n: usize, how: Draw<'_>) -> Result<Code> {
    let prior = g.spec().prior;
    let pulled = how.psi != 1.0 && prior == Prior::Normal;
    if how.space == Space::Z && pulled {
        return Err(Error::runtime(format!(
            "truncation (psi {}) is defined in W, not in Z",
            how.psi
        ))
        .hint("draw in W or W+, or leave psi out"));
    }
    let dim = g.spec().z_dim;
    let one = |i: usize| drawn(&mut Rng::derive(how.seed, &format!("z {i}")), dim, prior);
    let z = Tensor::from_vec((0..n).flat_map(one).collect::<Vec<f32>>(), (n, dim), g.device())?;
    let z = if how.psi == 1.0 || pulled { z } else { (z * how.psi)? };
    let labels = match how.labels {
        Some(c) if c.dims().first() == Some(&1) && n != 1 => Some(c.repeat((n, 1))?),
        other => other.cloned(),
    };
    let origin = format!("sample(seed: {}, n: {n}, psi: {})", how.seed, how.psi);
    let mut code = code_of(g, Space::Z, z, origin);
    code.parts.extend(labels.map(|c| (Part::Labels, c)));
    if how.space == Space::Z {
        return Ok(code);
    }
    let mapped = |from: usize| -> Result<Tensor> {
        crate::control::check()?;
        let part = code.slice(from, MAPPED.min(n - from))?;
        rise(g, part.point(), (Space::Z, Space::W), &Input::labelled(part.labels()))
    };
    let mut w = Tensor::cat(&(0..n).step_by(MAPPED).map(mapped).collect::<Result<Vec<_>>>()?, 0)?;
    if pulled {
        w = truncate(&w, &mean_of(g, Space::W, code.labels())?, how.psi, None)?;
    }
    lift(g, &Code { space: Space::W, ..code.with(Part::Point, w) }, how.space)
}

/// The numbers of one code of the prior.
fn drawn(rng: &mut Rng, dim: usize, prior: Prior) -> Vec<f32> {
    let Prior::Scaled { limit: Some(limit) } = prior else { return rng.normals(dim) };
    let mut inside = || loop {
        let z = rng.normal();
        if z.abs() <= limit {
            return z as f32;
        }
    };
    (0..dim).map(|_| inside()).collect()
}

/// The stored mean of a space, of the labels' classes where one is stored for every class: `[D]`,
/// or one for each row of the labels.
fn mean_of(g: &dyn Generator, space: Space, labels: Option<&Tensor>) -> Result<Tensor> {
    g.mean_for(space, labels)?.ok_or_else(|| {
        let spec = g.spec();
        let (name, spaces) = (Safe(&spec.name), spec.dims().names());
        Error::runtime(format!("{name} has no mean of {space}: its spaces are {spaces}"))
            .hint("sample() draws a code of the prior")
    })
}

/// The mean code of the generator in W (`[1, w_dim]`), W+ (`[1, num_ws, w_dim]`) or S
/// (`[1, s_dim]`). Where the generator stores a mean for every class: that of each row of the
/// labels, or without labels the mean over the classes.
///
/// # Errors
/// For a generator without W, and for labels of another size.
pub fn mean(g: &dyn Generator, space: Space, labels: Option<&Tensor>) -> Result<Code> {
    let mean = mean_of(g, Space::W, labels)?;
    let mean = if mean.rank() == 1 { mean.unsqueeze(0)? } else { mean };
    lift(g, &code_of(g, Space::W, mean, "mean_w".into()), space)
}

/// Brings codes from one space to another, with gradients: `from → to`.
///
/// # Shapes
/// As [`crate::space::Dims::shape`] says of each space, with `N` in front.
///
/// # Errors
/// When no way leads there, for a space that the generator lacks, and when the sizes do not fit.
pub fn rise(
    g: &dyn Generator,
    code: &Tensor,
    (from, to): (Space, Space),
    input: &Input,
) -> Result<Tensor> {
    let steps = lattice::lift(from, to).map_err(|refusal| no_way(from, to, &refusal))?;
    let (mut code, mut at) = (code.clone(), from);
    for step in steps {
        if !g.spec().spaces.contains(&step.base()) {
            return Err(no_codes(g.spec(), step));
        }
        code = if at.layered() == Some(step) {
            // The same row in every layer (Abdal et al. 2019, Image2StyleGAN).
            let (n, d) = code.dims2()?;
            code.unsqueeze(1)?.broadcast_as((n, g.spec().num_ws, d))?.contiguous()?
        } else {
            match whitening::step(g, &code, (at, step))? {
                Some(other) => other,
                None => g.enter(step, &code, input)?,
            }
        };
        at = step;
    }
    Ok(code)
}

/// The space of the codes that the synthesis reads: W+, or the prior without a mapping network.
pub fn read_by_synthesis(g: &dyn Generator) -> Space {
    if g.spec().spaces.contains(&Space::WPlus) { Space::WPlus } else { Space::Z }
}

/// The code as the synthesis reads it, and its space: codes below it are lifted, those of S stay.
///
/// # Errors
/// As [`rise`].
pub fn synthesised(
    g: &dyn Generator,
    code: &Tensor,
    space: Space,
    input: &Input,
) -> Result<(Space, Tensor)> {
    if space == Space::S && g.spec().spaces.contains(&Space::S) {
        return Ok((space, code.clone()));
    }
    let to = read_by_synthesis(g);
    Ok((to, rise(g, code, (space, to), input)?))
}

/// The pictures of codes of any space, with gradients, `[N, C, H, W]`.
///
/// # Errors
/// As [`rise`], and for a code of another generator's sizes.
pub fn picture(g: &dyn Generator, code: &Tensor, space: Space, input: &Input) -> Result<Tensor> {
    let (space, data) = synthesised(g, code, space, input)?;
    g.run(&Start::Code { space, data: &data }, input, &[Tap::Picture])?.only(Tap::Picture)
}

/// The inputs stored with a code: its noise maps and labels. Its point is no input.
pub fn input_of(code: &Code) -> Input {
    let (mut input, mut maps) = (Input::default(), Vec::new());
    for (part, tensor) in code.parts.iter() {
        match part {
            Part::Noise(_) => maps.push(tensor.clone()),
            Part::Labels => input.labels = Some(tensor.clone()),
            // They are part of the run itself: `codes` reads them.
            Part::Point
            | Part::Pose
            | Part::Residual(_)
            | Part::Scale(_)
            | Part::Onward(_)
            | Part::Gain(_)
            | Part::GainLeft(_)
            | Part::GainRight
            | Part::Delta(_)
            | Part::Left(_)
            | Part::Right(_)
            | Part::Codes
            | Part::Shares(_)
            | Part::Corruption
            | Part::Step
            | Part::Place => {}
        }
    }
    if !maps.is_empty() {
        input.noise = Noise::Maps(maps);
    }
    input
}

/// Brings a code to a space that [`lattice::lift`] reaches; a code that is already there is
/// returned unchanged.
///
/// # Errors
/// For any other conversion, for S when the generator has no styles, and for a code of another
/// generator's sizes.
pub fn lift(g: &dyn Generator, code: &Code, space: Space) -> Result<Code> {
    fits(g.spec(), code)?;
    let input = Input::labelled(code.labels());
    let point = rise(g, code.point(), (code.space, space), &input)?;
    Ok(Code { space, ..code.with(Part::Point, point) })
}

/// Pulls codes towards a mean: `mean + psi · (w − mean)` (StyleGAN's truncation trick).
///
/// Only the first `cutoff` layers of a layered code when given.
///
/// # Shapes
/// w `[N, w_dim]` or `[N, num_ws, w_dim]`, mean `[w_dim]` or one for each code, `[N or 1, w_dim]` →
/// as w.
///
/// # Errors
/// When the sizes do not fit.
pub fn truncate(w: &Tensor, mean: &Tensor, psi: f64, cutoff: Option<usize>) -> Result<Tensor> {
    // A mean of its own for each code is that of all rows of the code.
    let mean = if mean.rank() + 1 == w.rank() && mean.rank() == 2 {
        mean.unsqueeze(1)?
    } else {
        mean.clone()
    };
    let pull = |w: &Tensor| -> Result<Tensor> {
        Ok((w.broadcast_sub(&mean)? * psi)?.broadcast_add(&mean)?)
    };
    match cutoff {
        Some(k) if w.rank() == 3 && k < w.dim(1)? => {
            if k == 0 {
                return Ok(w.clone());
            }
            let rest = w.narrow(1, k, w.dim(1)? - k)?;
            Ok(Tensor::cat(&[&pull(&w.narrow(1, 0, k)?)?, &rest], 1)?)
        }
        _ => pull(w),
    }
}

/// Pulls the codes that the synthesis reads towards the mean (see [`truncate`]), in W+ or, for a
/// style code, in S: styles depend on w linearly, so both are the same. The labels of the code
/// choose the mean where the generator stores one for every class. A `psi` of 1 changes no code.
///
/// # Errors
/// As [`lift`], and for a generator without W.
pub fn truncated(g: &dyn Generator, code: &Code, psi: f64, cutoff: Option<usize>) -> Result<Code> {
    if code.space != Space::S {
        let lifted = lift(g, code, read_by_synthesis(g))?;
        if psi == 1.0 {
            return Ok(lifted);
        }
        let mean = mean_of(g, Space::W, code.labels())?;
        return Ok(lifted.with(Part::Point, truncate(lifted.point(), &mean, psi, cutoff)?));
    }
    fits(g.spec(), code)?;
    if psi == 1.0 {
        return Ok(code.clone());
    }
    let sizes = g.spec().style_sizes();
    let cut: usize = sizes.iter().take(cutoff.unwrap_or(sizes.len())).sum();
    let all = code.point().dim(1)?;
    let pulled = truncate(code.point(), mean(g, Space::S, code.labels())?.point(), psi, None)?;
    let parts = [pulled.narrow(1, 0, cut)?, code.point().narrow(1, cut, all - cut)?];
    Ok(code.with(Part::Point, Tensor::cat(&parts, 1)?))
}

/// The sizes of a code must be those of the generator.
pub(super) fn fits(spec: &Spec, code: &Code) -> Result<()> {
    let n = code.count();
    let Some(shape) = spec.dims().shape(code.space) else { return Ok(()) };
    let expected = [vec![n], shape].concat();
    if code.point().dims() == expected {
        return Ok(());
    }
    let message = format!(
        "a {} code of shape {:?} does not fit {}: expected {expected:?}",
        code.space,
        code.point().dims(),
        Safe(&spec.name)
    );
    Err(Error::runtime(message).hint("use a code that was made for this generator"))
}

fn no_way(from: Space, to: Space, refusal: &lattice::Refusal) -> Error {
    let message = format!("a code in {from} cannot be turned into {to}: {}", refusal.why);
    Error::runtime(message).hint(refusal.repair.words("code", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::codes;
    use crate::generator::stylegan2::Architecture;
    use crate::generator::toy::Toy;
    use candle_core::Device;

    fn rows(t: &Tensor) -> Vec<Vec<f32>> {
        t.flatten_from(1).and_then(|t| t.to_vec2()).expect("rows")
    }

    /// A sample of the prior in W+.
    fn drawn(g: &dyn Generator, seed: u64) -> Tensor {
        let draw = Draw { seed, space: Space::WPlus, ..Draw::default() };
        sample(g, 1, draw).expect("ws").point().clone()
    }

    #[test]
    fn sample_i_does_not_depend_on_n() {
        let g = Toy::default().build(&Device::Cpu).expect("toy");
        for space in [Space::Z, Space::W, Space::WPlus] {
            let draw = || Draw { seed: 5, space, ..Draw::default() };
            let (a, b) = (sample(&g, 2, draw()).expect("2"), sample(&g, 5, draw()).expect("5"));
            assert_eq!(rows(a.point()), rows(b.point())[..2], "to the last bit");
            assert_ne!(rows(a.point())[0], rows(a.point())[1]);
        }
    }

    #[test]
    fn truncation_pulls_towards_the_mean() {
        let g = Toy::default().build(&Device::Cpu).expect("toy");
        let at = |psi| sample(&g, 1, Draw { seed: 2, psi, ..Draw::default() }).expect("code");
        let (full, half, none) = (at(1.0), at(0.5), at(0.0));
        let mean = mean(&g, Space::W, None).expect("mean");
        for i in 0..16 {
            let get = |code: &Code| rows(code.point())[0][i];
            assert!((get(&none) - get(&mean)).abs() < 1e-6);
            assert!((get(&half) - (get(&full) + get(&mean)) / 2.0).abs() < 1e-6);
        }
        let z = sample(&g, 1, Draw { psi: 0.5, space: Space::Z, ..Draw::default() });
        assert!(z.expect_err("psi in Z").message().contains("psi"));
    }

    #[test]
    fn lifting_goes_up_only_and_says_why() {
        let g = Toy::default().build(&Device::Cpu).expect("toy");
        let z = sample(&g, 2, Draw { space: Space::Z, ..Draw::default() }).expect("z");
        let w = lift(&g, &z, Space::W).expect("w");
        let plus = lift(&g, &w, Space::WPlus).expect("w+");
        assert_eq!(plus.point().dims(), [2, 8, 16]);
        assert_eq!(rows(plus.point()), rows(lift(&g, &z, Space::WPlus).expect("ws").point()));
        let first = plus.point().narrow(1, 3, 1).and_then(|t| t.squeeze(1)).expect("layer");
        assert_eq!(rows(&first), rows(w.point()));
        let s = lift(&g, &w, Space::S).expect("s");
        for (code, space) in
            [(&plus, Space::W), (&w, Space::Z), (&z, Space::F), (&s, Space::WPlus), (&s, Space::Z)]
        {
            let e = lift(&g, code, space).expect_err("no way");
            assert!(e.repair().is_some() && e.message().contains(space.name()), "{e}");
        }
        let other = Code { space: Space::W, ..z.clone() };
        assert!(
            lift(
                &Toy { w_dim: 7, ..Toy::default() }.build(&Device::Cpu).expect("toy"),
                &other,
                Space::WPlus
            )
            .is_err()
        );
    }

    #[test]
    fn styles_make_the_picture_of_the_code_they_come_from() {
        for architecture in [Architecture::Skip, Architecture::Resnet, Architecture::Orig] {
            let g = Toy { architecture, ..Toy::default() }.build(&Device::Cpu).expect("toy");
            let w = sample(&g, 2, Draw { seed: 4, ..Draw::default() }).expect("w");
            let s = lift(&g, &w, Space::S).expect("s");
            assert_eq!(s.point().dims(), [2, g.spec().s_dim()]);
            assert_eq!(g.spec().style_sizes().iter().sum::<usize>(), g.spec().s_dim());
            assert!(g.spec().style_sizes().iter().all(|&n| n > 0), "every row of w has styles");
            let picture = |code: &Code| {
                rows(&codes::synthesize(&g, code, &Input::default()).expect("picture"))
            };
            assert_eq!(picture(&s), picture(&w), "to the last bit");
            // Truncation commutes with the affine maps.
            for cutoff in [None, Some(3)] {
                let [a, b] = [&w, &s]
                    .map(|c| picture(&truncated(&g, c, 0.5, cutoff).expect("truncated")).concat());
                assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
            }
            let short = s.with(Part::Point, s.point().narrow(1, 0, 5).expect("part"));
            assert!(
                codes::synthesize(&g, &short, &Input::default())
                    .expect_err("a part of a code")
                    .repair()
                    .is_some()
            );
        }
    }

    #[test]
    fn a_row_of_w_moves_its_own_styles_only() {
        let g = Toy::default().build(&Device::Cpu).expect("toy");
        let [a, b] = [1, 2].map(|seed| drawn(&g, seed));
        let styles =
            |ws: &Tensor| rows(&g.enter(Space::S, ws, &Input::default()).expect("styles")).concat();
        let (mut from, before) = (0, styles(&a));
        for (row, size) in g.spec().style_sizes().into_iter().enumerate() {
            let rest = 7 - row;
            let parts = [a.narrow(1, 0, row), b.narrow(1, row, 1), a.narrow(1, row + 1, rest)]
                .map(|t| t.expect("rows"));
            let after = styles(&Tensor::cat(&parts, 1).expect("mixed"));
            for (i, (x, y)) in before.iter().zip(&after).enumerate() {
                assert!(
                    (from..from + size).contains(&i) || x == y,
                    "style {i} moves with row {row}"
                );
            }
            assert_ne!(before[from..from + size], after[from..from + size]);
            from += size;
        }
    }

    /// The affine map of one layer, in double precision, from its tensors.
    #[test]
    fn styles_are_the_affine_maps_by_hand() {
        let g = Toy::default().build(&Device::Cpu).expect("toy");
        let ws = drawn(&g, 3);
        let styles = rows(&g.enter(Space::S, &ws, &Input::default()).expect("styles")).concat();
        let tensors = g.tensors().unwrap();
        let mut at = 0;
        for layer in &g.spec().styles {
            let get = |what: &str| &tensors[&format!("synthesis.{}.affine.{what}", layer.name)];
            let (weight, bias) =
                (rows(get("weight")), rows(&get("bias").unsqueeze(0).expect("row")).concat());
            let w = ws.narrow(1, layer.row, 1).map(|t| rows(&t).concat()).expect("row");
            for (row, b) in weight.iter().zip(&bias) {
                let dot: f64 = row.iter().zip(&w).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                let want = dot / (w.len() as f64).sqrt() + f64::from(*b);
                assert!(
                    (f64::from(styles[at]) - want).abs() < 1e-5,
                    "style {at} of {}",
                    layer.name
                );
                at += 1;
            }
        }
        assert_eq!(at, styles.len());
    }

    #[test]
    fn labels_are_asked_for_and_used() {
        let g = Toy { c_dim: 3, ..Toy::default() }.build(&Device::Cpu).expect("toy");
        assert!(
            sample(&g, 2, Draw::default()).expect_err("no label").message().contains("conditional")
        );
        let label = |k: usize| {
            Tensor::from_vec(
                (0..3).map(|i| if i == k { 1f32 } else { 0.0 }).collect(),
                (1, 3),
                &Device::Cpu,
            )
        };
        let [a, b] = [0, 1].map(|k| {
            let label = label(k).expect("label");
            rows(
                sample(&g, 2, Draw { labels: Some(&label), ..Draw::default() })
                    .expect("code")
                    .point(),
            )
        });
        assert_ne!(a, b);
        let plain = Toy::default().build(&Device::Cpu).expect("toy");
        let label = label(0).expect("label");
        assert!(sample(&plain, 1, Draw { labels: Some(&label), ..Draw::default() }).is_err());
    }
}
