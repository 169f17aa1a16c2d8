//! Latent codes and directions: data with their space, generator and origin.

use crate::error::{Error, Result};
use crate::space::Space;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Identity of the generator that a code belongs to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelId {
    /// Its name, as shown.
    pub name: String,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

/// N latent codes in one space of one generator.
///
/// # Shapes
/// Z `[N, z_dim]`, W `[N, w_dim]`, W+ `[N, num_ws, w_dim]`, S `[N, s_dim]`, all f32.
#[derive(Clone, Debug)]
pub struct Latent {
    /// The space.
    pub space: Space,
    /// The numbers.
    pub data: Tensor,
    /// The generator; `None` for a code read from a file that does not say.
    pub model: Option<ModelId>,
    /// Noise maps found together with the code, in the generator's order, each `[N, 1, H, W]`.
    pub noise: Option<Vec<Tensor>>,
    /// Labels of a conditional generator, `[N, c_dim]`.
    pub labels: Option<Tensor>,
    /// Provenance: the expression, file or method.
    pub origin: String,
}

impl Latent {
    /// Number of codes.
    pub fn count(&self) -> usize {
        self.data.dims().first().copied().unwrap_or(0)
    }

    /// Rows of a layered code; 1 otherwise.
    pub fn layers(&self) -> usize {
        if self.data.rank() == 3 { self.data.dims()[1] } else { 1 }
    }

    /// Dimensions of one row.
    pub fn dim(&self) -> usize {
        self.data.dims().last().copied().unwrap_or(0)
    }

    /// The `len` codes from `from` on, with their noise maps and labels; what there is one of for
    /// all, stays.
    ///
    /// # Errors
    /// When there are fewer codes.
    pub fn part(&self, from: usize, len: usize) -> Result<Self> {
        if (from, len) == (0, self.count()) {
            return Ok(self.clone());
        }
        let part = |t: &Tensor| -> Result<Tensor> {
            Ok(if t.dim(0)? == self.count() {
                t.narrow(0, from, len)?.contiguous()?
            } else {
                t.clone()
            })
        };
        Ok(Self {
            data: part(&self.data)?,
            noise: self
                .noise
                .as_ref()
                .map(|n| n.iter().map(part).collect::<Result<Vec<_>>>())
                .transpose()?,
            labels: self.labels.as_ref().map(part).transpose()?,
            ..self.clone()
        })
    }

    /// Whether codes fit into one batch: one space of one generator, with labels and noise maps
    /// of one kind or without.
    pub fn fits_beside(&self, other: &Self) -> bool {
        let maps = |l: &Self| {
            Some(l.noise.as_ref()?.iter().map(|m| m.dims()[1..].to_vec()).collect::<Vec<_>>())
        };
        // Labels and maps are one for all or one each; only the latter can be put one after the
        // other.
        let one_each = |l: &Self| {
            l.labels.iter().chain(l.noise.iter().flatten()).all(|t| t.dims()[0] == l.count())
        };
        self.space == other.space
            && self.data.dims()[1..] == other.data.dims()[1..]
            && self.model == other.model
            && maps(self) == maps(other)
            && self.labels.is_some() == other.labels.is_some()
            && one_each(self)
            && one_each(other)
    }

    /// Codes that [`Latent::fits_beside`] each other as one batch, called as the first of them.
    ///
    /// # Errors
    /// When there is no code, or the codes do not fit.
    pub fn join(codes: &[Self]) -> Result<Self> {
        let first =
            codes.first().ok_or_else(|| Error::runtime("no codes to put into one batch"))?;
        let all = |of: &dyn Fn(&Self) -> Option<&Tensor>| -> Result<Tensor> {
            Ok(Tensor::cat(&codes.iter().filter_map(of).collect::<Vec<_>>(), 0)?)
        };
        let map = |k: usize| all(&|c| c.noise.as_ref()?.get(k));
        Ok(Self {
            data: all(&|c| Some(&c.data))?,
            labels: first.labels.as_ref().map(|_| all(&|c| c.labels.as_ref())).transpose()?,
            noise: first
                .noise
                .as_ref()
                .map(|maps| (0..maps.len()).map(map).collect::<Result<_>>())
                .transpose()?,
            ..first.clone()
        })
    }
}

/// Characters of a text that says how something was made, from its beginning and from its end.
const TOLD: [usize; 2] = [600, 300];

/// Shortens a provenance text in the middle when it is too long to read: the text of a direction
/// that is added to itself doubles at every step.
pub fn told(text: String) -> String {
    let [first, last] = TOLD;
    let from = text.char_indices().nth(first).map(|(at, _)| at);
    let to = text.char_indices().nth_back(last).map(|(at, _)| at);
    match (from, to) {
        (Some(from), Some(to)) if from < to => format!("{} … {}", &text[..from], &text[to..]),
        _ => text,
    }
}

/// A direction in a latent space, in double precision: orthogonalisation must not lose digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The space.
    pub space: Space,
    /// Row-major numbers, `rows × dim`; rows outside `layers` are zero.
    pub data: Vec<f64>,
    /// 1 for Z, W and S, `num_ws` for W+.
    pub rows: usize,
    /// Dimensions of one row.
    pub dim: usize,
    /// Layers it was restricted to (`smile @ 0..4`), for display.
    pub layers: Option<Range<usize>>,
    /// The generator; `None` for a file that does not say.
    pub model: Option<ModelId>,
    /// Its name, as shown.
    pub name: String,
    /// Provenance.
    pub origin: String,
    /// Measurements; `None` once modified.
    pub about: Option<Arc<About>>,
}

/// Measurements of a direction, from the metadata of its file. "Mean" is over held-out codes.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct About {
    /// The attribute that it was found for; of a principal component the one that it moves most,
    /// empty when it moves none.
    pub attribute: String,
    /// Unit of `per_step`.
    pub unit: String,
    /// Change of the attribute by one step, in `unit`.
    pub per_step: f64,
    /// Coefficient of determination R² of a linear fit of the attribute on held-out codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Description of the fit and its quality, if it was not a linear fit to codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fitted: Option<String>,
    /// Mean movement of the attribute by strength, in steps: ideally every value is its key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub effect: BTreeMap<String, f64>,
    /// Share of the codes whose attribute only rises from the lowest of those strengths to the
    /// highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotone: Option<f64>,
    /// Mean movement of every other attribute, in its standard deviations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leakage: BTreeMap<String, f64>,
    /// The strength at which the leakage was measured; 1 where the file does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leakage_at: Option<f64>,
    /// Share of the effect that remains when only these layers move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerShare>,
    /// For a principal component: its share of the variance of w.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<f64>,
}

impl About {
    /// The shortest run of neighbouring layers with at least `part` of the effect (the first of
    /// equals), and its share. `None` without data about layers, or when all layers together have
    /// less.
    pub fn acting(&self, part: f64) -> Option<(Range<usize>, f64)> {
        let mut best: Option<(Range<usize>, f64)> = None;
        for (i, first) in self.layers.iter().enumerate() {
            let mut sum = 0.0;
            for last in &self.layers[i..] {
                sum += last.share;
                let range = first.from..last.to;
                let narrower = best.as_ref().is_none_or(|(b, _)| range.len() < b.len());
                if sum >= part && narrower {
                    best = Some((range, sum));
                }
            }
        }
        best
    }
}

/// Share of a direction's effect that some layers have alone.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LayerShare {
    /// First layer.
    pub from: usize,
    /// One past the last layer.
    pub to: usize,
    /// Their movement of the attribute as a part of the whole direction's.
    pub share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_layers_where_a_direction_acts() {
        let share = |from, share| LayerShare { from, to: from + 2, share };
        let layers =
            vec![share(0, 0.05), share(2, 0.3), share(4, 0.55), share(6, 0.2), share(8, -0.1)];
        let about = About { layers, ..About::default() };
        let acting = |part| about.acting(part).map(|(range, sum)| (range, (sum * 100.0).round()));
        assert_eq!(acting(0.5), Some((4..6, 55.0)));
        assert_eq!(acting(0.8), Some((2..6, 85.0)));
        assert_eq!(acting(1.08), Some((0..8, 110.0)));
        assert_eq!((acting(1.2), About::default().acting(0.1)), (None, None));
    }

    #[test]
    fn what_is_told_is_bounded_however_often_it_is_told() {
        let short = "§".repeat(900);
        assert_eq!(told(short.clone()), short);
        let mut text = "begin é end".to_owned();
        for _ in 0..100 {
            text = told(format!("({text}) + ({text})"));
        }
        assert!(text.chars().count() <= 904 && text.starts_with("((") && text.ends_with("))"));
    }

    fn codes(n: usize, at: f32) -> Latent {
        let numbers = |width: usize| (0..n * width).map(|i| at + i as f32).collect::<Vec<_>>();
        let tensor =
            |width: usize| Tensor::from_vec(numbers(width), (n, width), &Device::Cpu).unwrap();
        let (data, labels) = (tensor(3), Some(tensor(2)));
        Latent {
            space: Space::W,
            data,
            model: None,
            noise: None,
            labels,
            origin: format!("from {at}"),
        }
    }

    /// With two noise maps each, of different sizes.
    fn noisy(n: usize, at: f32) -> Latent {
        let code = codes(n, at);
        let map = |side: usize| Tensor::full(at, (n, 1, side, side), &Device::Cpu).unwrap();
        Latent { noise: Some(vec![map(2), map(4)]), ..code }
    }

    fn rows(t: &Tensor) -> Vec<Vec<f32>> {
        t.to_vec2().unwrap()
    }

    #[test]
    fn what_was_joined_comes_apart_again() {
        let all = [codes(2, 0.0), codes(1, 50.0), codes(3, 100.0)];
        let joined = Latent::join(&all).unwrap();
        assert_eq!((joined.count(), joined.origin.as_str()), (6, "from 0"));
        for (code, from) in all.iter().zip([0, 2, 3]) {
            let part = joined.part(from, code.count()).unwrap();
            assert_eq!(rows(&part.data), rows(&code.data));
            assert_eq!(rows(part.labels.as_ref().unwrap()), rows(code.labels.as_ref().unwrap()));
        }
        assert!(joined.part(5, 2).is_err() && Latent::join(&[]).is_err());
        let joined = Latent::join(&[noisy(1, 3.0), noisy(2, 5.0)]).unwrap();
        let maps = |l: &Latent| l.noise.clone().unwrap();
        assert_eq!(
            maps(&joined).iter().map(|m| m.dims().to_vec()).collect::<Vec<_>>(),
            [[3, 1, 2, 2], [3, 1, 4, 4]]
        );
        let own =
            maps(&joined.part(1, 2).unwrap())[1].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(own, [5.0; 32]);
    }

    #[test]
    fn only_the_like_stand_in_one_batch() {
        let a = codes(2, 0.0);
        let one_label = Latent {
            labels: Some(a.labels.as_ref().unwrap().narrow(0, 0, 1).unwrap()),
            ..a.clone()
        };
        let other = ModelId { name: "other".into(), fingerprint: "f".into() };
        assert!(a.fits_beside(&codes(1, 9.0)));
        for b in [
            Latent { space: Space::Z, ..a.clone() },
            Latent { data: a.data.narrow(1, 0, 2).unwrap(), ..a.clone() },
            Latent { model: Some(other), ..a.clone() },
            Latent { noise: Some(Vec::new()), ..a.clone() },
            Latent { labels: None, ..a.clone() },
            one_label,
        ] {
            assert!(!a.fits_beside(&b) && !b.fits_beside(&a), "{b:?}");
        }
        let (n, all) = (noisy(2, 0.0), noisy(2, 1.0).noise.unwrap());
        assert!(n.fits_beside(&noisy(1, 9.0)) && !n.fits_beside(&a) && !a.fits_beside(&n));
        // Fewer maps, others, or one for both codes.
        let one = all[1].narrow(0, 0, 1).unwrap();
        for maps in [vec![all[0].clone()], vec![all[1].clone(); 2], vec![all[0].clone(), one]] {
            assert!(!n.fits_beside(&Latent { noise: Some(maps), ..n.clone() }));
        }
    }
}
