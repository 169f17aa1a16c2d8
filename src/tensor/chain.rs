//! Wavelets and separable convolutions that follow each other, as one operator.
//!
//! In a graph, the gradient of every tensor costs three tensors of its size: zeros, the gradient,
//! and their sum. Inside one operator only one gradient exists at a time.

use super::conv::tracked;
use super::haar::{self, BANDS, haar_up2};
use super::raw::{f32s, inside, with_numbers};
use super::separable::{Gradients, Numbers, Separable, Sizes};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A part of a chain.
#[derive(Clone, Debug)]
pub enum Link<'a> {
    /// [`haar_up2`] with factors `[N, 4C]`.
    Up(Tensor),
    /// A convolution, which scales its input `[N, I, H, W]` by the style, and adds the noise and a
    /// bias before its activation.
    Conv {
        /// The weights; gradients reach those that are trained.
        layer: Cow<'a, Separable>,
        /// `[N, I]`.
        style: Tensor,
        /// `[N or 1, 1, H, W]`.
        noise: Option<Tensor>,
    },
}

/// Runs x `[N, C, H, W]` through the links.
///
/// # Errors
/// When shapes do not fit.
pub fn chain(x: &Tensor, links: &[Link<'_>]) -> Result<Tensor> {
    if links.is_empty() {
        return Ok(x.clone());
    }
    if x.device().is_cpu() && x.dtype() == DType::F32 {
        let numbers = |link: &Link<'_>| match link {
            Link::Up(_) => Ok(Some(None)),
            Link::Conv { layer, .. } => Ok(layer.numbers()?.map(Some)),
        };
        let numbers = links.iter().map(numbers).collect::<Result<Option<Vec<_>>>>()?;
        if let Some(numbers) = numbers {
            return together(x, links, numbers);
        }
    }
    links.iter().try_fold(x.clone(), |x, link| match link {
        Link::Up(factors) => haar_up2(&x, factors),
        Link::Conv { layer, style, noise } => layer.one_by_one(&x, style, noise.as_ref()),
    })
}

impl Separable {
    /// Scales the channels by the style, convolves, and adds noise and bias before the activation.
    ///
    /// # Shapes
    /// x `[N, I, H, W]`, style `[N, I]`, noise `[N or 1, 1, H, W]` → `[N, O, H, W]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn forward(&self, x: &Tensor, style: &Tensor, noise: Option<&Tensor>) -> Result<Tensor> {
        let layer = Cow::Borrowed(self);
        chain(x, &[Link::Conv { layer, style: style.clone(), noise: noise.cloned() }])
    }
}

/// The chain as one operator. An operator has three arguments, so the styles of all links are one
/// tensor, and the noise maps and trained weights another.
fn together(x: &Tensor, links: &[Link<'_>], numbers: Vec<Option<Arc<Numbers>>>) -> Result<Tensor> {
    let (mut steps, mut styles, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let (mut width, mut size) = (0, 0);
    for (link, numbers) in links.iter().zip(numbers) {
        let mut put = |t: Tensor| -> Range<usize> {
            let first = size;
            size += t.elem_count();
            rest.push(t);
            first..size
        };
        let (style, noise, weights) = match link {
            Link::Up(factors) => (factors, None, None),
            Link::Conv { layer, style, noise } => {
                let noise = match noise {
                    Some(map) => Some((put(map.flatten_all()?), map.dims().to_vec())),
                    None => None,
                };
                let weights = if layer.trained() { Some(put(layer.flat()?)) } else { None };
                (style, noise, weights)
            }
        };
        let (_, some) = style.dims2()?;
        steps.push(Step { numbers, style: width..width + some, noise, weights });
        styles.push(style);
        width += some;
    }
    let styles = Tensor::cat(&styles, 1)?.contiguous()?;
    let rest = match &rest[..] {
        [] => Tensor::zeros(0, DType::F32, x.device())?,
        all => Tensor::cat(all, 0)?,
    };
    let x = x.contiguous()?;
    let keeps = [&x, &styles, &rest].iter().any(|t| t.track_op());
    x.apply_op3(&styles, &rest, Run { steps, width, keeps, between: Mutex::default() })
}

/// A link, and where its arguments are.
struct Step {
    /// Of a convolution; a wavelet has none.
    numbers: Option<Arc<Numbers>>,
    /// Columns of the styles.
    style: Range<usize>,
    /// Elements of the noise map, and its shape.
    noise: Option<(Range<usize>, Vec<usize>)>,
    /// Elements of the weights, where they are trained.
    weights: Option<Range<usize>>,
}

impl Step {
    /// The sizes of a convolution with an input of these dimensions.
    fn sizes(&self, numbers: &Numbers, [n, c, h, w]: [usize; 4]) -> Result<Sizes> {
        let (i, o) = numbers.channels();
        if (c, self.style.len()) != (i, i) {
            bail!("chain: {c} channels and {} styles for a layer of {i}", self.style.len());
        }
        let maps = match &self.noise {
            None => 0,
            Some((_, shape)) if *shape == [1, 1, h, w] => 1,
            Some((_, shape)) if *shape == [n, 1, h, w] => n,
            Some((_, shape)) => {
                bail!("chain: a noise map {shape:?} does not fit [{n}, {i}, {h}, {w}]")
            }
        };
        Ok(Sizes { n, i, o, h, w, maps })
    }

    /// The dimensions of the result.
    fn result(&self, [n, c, h, w]: [usize; 4]) -> Result<[usize; 4]> {
        match &self.numbers {
            Some(numbers) => Ok([n, self.sizes(numbers, [n, c, h, w])?.o, h, w]),
            None if c % BANDS == 0 && self.style.len() == c => Ok([n, c / BANDS, 2 * h, 2 * w]),
            None => bail!("chain: a wavelet of {c} channels with {} factors", self.style.len()),
        }
    }

    fn noise<'a>(&self, maps: &'a [f32]) -> &'a [f32] {
        self.noise.as_ref().map_or(&[], |(range, _)| &maps[range.clone()])
    }

    fn forward(&self, dims: [usize; 4], [x, style, noise]: [&[f32]; 3]) -> Result<Vec<f32>> {
        let [_, c, h, w] = dims;
        Ok(match &self.numbers {
            Some(numbers) => numbers.forward(self.sizes(numbers, dims)?, [x, style, noise]),
            None => haar::forward([c / BANDS, h, w], [x, style]),
        })
    }

    /// From the input, the styles, the result and its gradient; `rest`: those of the noise and the
    /// weights are wanted.
    fn backward(&self, dims: [usize; 4], all: [&[f32]; 4], rest: bool) -> Result<Gradients> {
        let ([n, c, h, w], [x, style, _, g]) = (dims, all);
        Ok(match &self.numbers {
            Some(numbers) => {
                let wanted = [rest && self.noise.is_some(), rest && self.weights.is_some()];
                numbers.backward(self.sizes(numbers, dims)?, all, wanted)
            }
            None => {
                let (x, style) = haar::backward([n, c / BANDS, h, w], [x, style, g]);
                Gradients { x, style, ..Gradients::default() }
            }
        })
    }
}

struct Run {
    steps: Vec<Step>,
    /// Columns of the styles.
    width: usize,
    /// Whether gradients may be asked for.
    keeps: bool,
    /// The results of all links but the last, once it ran.
    between: Mutex<Arc<Vec<Vec<f32>>>>,
}

impl Run {
    /// The dimensions of the input and of every result.
    fn dims(&self, x: &Shape, styles: &Shape) -> Result<Vec<[usize; 4]>> {
        let (n, c, h, w) = x.dims4()?;
        if styles.dims() != [n, self.width] {
            bail!("chain: styles {styles:?} do not fit {x:?}");
        }
        let mut all = vec![[n, c, h, w]];
        for step in &self.steps {
            all.push(step.result(all[all.len() - 1])?);
        }
        Ok(all)
    }

    /// The styles of a link, one row after the other.
    fn style(&self, step: &Step, styles: &[f32]) -> Vec<f32> {
        let rows = styles.chunks_exact(self.width.max(1));
        rows.flat_map(|row| &row[step.style.clone()]).copied().collect()
    }

    fn forward(&self, dims: &[[usize; 4]], [x, styles, maps]: [&[f32]; 3]) -> Result<Vec<f32>> {
        let (mut between, mut last) = (Vec::new(), None::<Vec<f32>>);
        for (step, dims) in self.steps.iter().zip(dims) {
            let (input, style) = (last.as_deref().unwrap_or(x), self.style(step, styles));
            let out = step.forward(*dims, [input, &style, step.noise(maps)])?;
            between.extend(last.replace(out).filter(|_| self.keeps));
        }
        *self.between.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(between);
        Ok(last.unwrap_or_else(|| x.to_vec()))
    }

    /// `wanted`: the gradient of the noise and the weights is one of those that are read.
    fn backward(
        &self,
        dims: &[[usize; 4]],
        [x, styles, rest, y, g]: [&[f32]; 5],
        wanted: bool,
    ) -> Result<[Vec<f32>; 3]> {
        let between = self.between.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut ds, mut de) =
            (vec![0f32; styles.len()], vec![0f32; if wanted { rest.len() } else { 0 }]);
        let mut gradient = None::<Vec<f32>>;
        for (k, step) in self.steps.iter().enumerate().rev() {
            let input = k.checked_sub(1).map_or(x, |before| &between[before]);
            let output = between.get(k).map_or(y, |out| out);
            let (style, after) = (self.style(step, styles), gradient.as_deref().unwrap_or(g));
            let found = step.backward(dims[k], [input, &style, output, after], wanted)?;
            let rows = ds.chunks_exact_mut(self.width.max(1));
            for (row, own) in rows.zip(found.style.chunks_exact(step.style.len().max(1))) {
                row[step.style.clone()].copy_from_slice(own);
            }
            if let Some((range, _)) = step.noise.as_ref().filter(|_| wanted) {
                de[range.clone()].copy_from_slice(&found.noise);
            }
            if let Some(range) = step.weights.as_ref().filter(|_| wanted) {
                de[range.clone()].copy_from_slice(&found.weights);
            }
            gradient = Some(found.x);
        }
        Ok([gradient.unwrap_or_else(|| g.to_vec()), ds, de])
    }
}

impl CustomOp3 for Run {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (dims, name) = (self.dims(l1.shape(), l2.shape())?, self.name());
        let all = [f32s(name, s1, l1)?, f32s(name, s2, l2)?, f32s(name, s3, l3)?];
        let out = inside(|| self.forward(&dims, all))?;
        let [n, c, h, w] = dims[dims.len() - 1];
        Ok((CpuStorage::F32(out), (n, c, h, w).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        styles: &Tensor,
        maps: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dims, g) = (self.dims(x.shape(), styles.shape())?, g.contiguous()?);
        let wanted = maps.track_op();
        let all =
            |t: &[&[f32]]| inside(|| self.backward(&dims, [t[0], t[1], t[2], t[3], t[4]], wanted));
        let [dx, ds, de] = with_numbers(self.name(), &[x, styles, maps, y, &g], all)??;
        let tensor = |v: Vec<f32>, like: &Tensor| Tensor::from_vec(v, like.shape(), like.device());
        Ok((
            tracked(x, || tensor(dx, x))?,
            tracked(styles, || tensor(ds, styles))?,
            tracked(maps, || tensor(de, maps))?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::act::Activation;
    use super::super::reference::{D, close, flat};
    use super::*;
    use candle_core::Var;

    const ACT: Activation = Activation { slope: 0.2, gain: 1.5, clamp: None };

    fn random(name: &str, shape: &[usize]) -> Tensor {
        D::random(name, shape).tensor()
    }

    fn layer(name: &str, i: usize, o: usize) -> Separable {
        let [d, p, b] = [vec![i, 1, 3, 3], vec![o, i, 1, 1], vec![o]].map(|s| random(name, &s));
        Separable::new(Some(&d), &p, &b, ACT).unwrap()
    }

    /// x, the styles of four links, and the noise maps of the second and the third.
    fn arguments(n: usize) -> Vec<Tensor> {
        let (up, i, o, last) = ([n, 16], [n, 4], [n, 6], [n, 8]);
        let maps = [vec![n, 1, 6, 10], vec![1, 1, 6, 10]];
        let shapes = [vec![n, 16, 3, 5], up.to_vec(), i.to_vec(), o.to_vec(), last.to_vec()];
        let named = shapes.iter().chain(&maps).enumerate();
        named.map(|(k, shape)| random(&format!("chain {k}"), shape)).collect()
    }

    fn links<'a>(layers: &'a [Separable; 2], a: &[Tensor]) -> Vec<Link<'a>> {
        let [first, second] = layers;
        vec![
            Link::Up(a[1].clone()),
            Link::Conv {
                layer: Cow::Borrowed(first),
                style: a[2].clone(),
                noise: Some(a[5].clone()),
            },
            Link::Conv {
                layer: Cow::Borrowed(second),
                style: a[3].clone(),
                noise: Some(a[6].clone()),
            },
            Link::Up(a[4].clone()),
        ]
    }

    #[test]
    fn as_one_operator_and_link_by_link() {
        let layers = [layer("first", 4, 6), layer("second", 6, 8)];
        for n in [1, 2] {
            let found = [true, false].map(|whole| {
                let vars: Vec<Var> =
                    arguments(n).iter().map(|t| Var::from_tensor(t).unwrap()).collect();
                let a: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
                let links = links(&layers, &a);
                let y = if whole {
                    chain(&a[0], &links).unwrap()
                } else {
                    links.iter().fold(a[0].clone(), |x, link| {
                        chain(&x, std::slice::from_ref(link)).unwrap()
                    })
                };
                let loss = y.sqr().unwrap().sum_all().unwrap();
                let gradients = || {
                    let store = loss.backward().unwrap();
                    vars.iter().map(|v| flat(store.get(v).unwrap())).collect::<Vec<_>>()
                };
                let (first, again) = (gradients(), gradients());
                assert_eq!(first, again, "a graph may be used twice");
                (flat(&y), first)
            });
            assert_eq!(found[0].0, found[1].0, "the same operations in the same order");
            for (whole, single) in found[0].1.iter().zip(&found[1].1) {
                close(whole, single, 1e-6, "gradient");
            }
        }
    }

    #[test]
    fn sizes_follow_the_links_and_an_empty_chain_changes_nothing() {
        let layers = [layer("first", 4, 6), layer("second", 6, 8)];
        let a = arguments(1);
        let y = chain(&a[0], &links(&layers, &a)).unwrap();
        assert_eq!(y.dims(), [1, 2, 12, 20]);
        assert_eq!(flat(&chain(&a[0], &[]).unwrap()), flat(&a[0]));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let layers = [layer("first", 4, 6), layer("second", 6, 8)];
        let good = arguments(2);
        let wrong = [
            (0, vec![2, 15, 3, 5]),
            (1, vec![2, 15]),
            (2, vec![2, 5]),
            (3, vec![1, 6]),
            (5, vec![2, 1, 6, 9]),
            (6, vec![3, 1, 6, 10]),
        ];
        for (at, shape) in wrong {
            let mut a = good.clone();
            a[at] = random("wrong", &shape);
            assert!(chain(&a[0], &links(&layers, &a)).is_err(), "{at} {shape:?}");
        }
    }
}
