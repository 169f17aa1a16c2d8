//! The principal components of a generator's codes: those of its own set, else computed ones.

use super::Loaded;
use crate::direction::{Forms, principal};
use crate::error::{Error, Result};
use crate::generator::spaces::{self, Draw, model_id};
use crate::lang::types::ModelFacts;
use crate::latent::{About, Direction};
use crate::safe::Safe;
use crate::space::Space;
use std::sync::Arc;

/// Number of components that are computed for a generator without its own.
const COMPUTED: usize = 20;
/// Codes of w that they are computed from.
const SAMPLES: usize = 10_000;
/// Seed of these codes: the components belong to the generator, not to a run.
const SEED: u64 = 123;

/// The names of the components in a generator's own set of directions, in their order: `pc01`,
/// `pc02`, …
pub fn names(facts: &ModelFacts) -> Vec<&str> {
    let number = |name: &str| name.strip_prefix("pc")?.parse::<usize>().ok();
    let mut all: Vec<&str> =
        facts.directions.keys().map(String::as_str).filter(|n| number(n).is_some()).collect();
    all.sort_by_key(|n| number(n));
    all
}

impl Loaded {
    /// The principal components of its codes of w, the widest first, one standard deviation a step:
    /// those of its own set, else the first twenty of 10,000 fixed samples, computed at the first
    /// call.
    ///
    /// # Errors
    /// For a generator without W or with classes, when its files cannot be read, and when it is
    /// stopped.
    pub fn components(&self) -> Result<Vec<Forms>> {
        let own = names(&self.facts);
        if !own.is_empty() {
            let forms = own.into_iter().map(|name| self.direction(name, None));
            return forms.filter_map(Result::transpose).collect();
        }
        if self.components.get().is_none() {
            let fresh = self.computed()?;
            return Ok(self
                .components
                .get_or_init(|| fresh)
                .iter()
                .cloned()
                .map(Forms::from)
                .collect());
        }
        Ok(self.components.get().into_iter().flatten().cloned().map(Forms::from).collect())
    }

    fn computed(&self) -> Result<Vec<Direction>> {
        let name = Safe(&self.facts.name);
        if !self.facts.spaces.contains(&Space::W) {
            let message = format!("{name} has no principal components: its prior has none");
            return Err(Error::runtime(message)
                .hint("they are those of W; its codes are drawn alike in all directions of Z"));
        }
        if self.facts.c_dim > 0 {
            let message = format!("the principal components of {name} depend on its class");
            return Err(Error::runtime(message)
                .hint("use a file of them: direction(\"pca.npz\", key: \"pc0\")"));
        }
        let g = &**self.generator()?;
        let codes = spaces::sample(g, SAMPLES, Draw { seed: SEED, ..Draw::default() })?;
        let points = codes.point().to_device(&candle_core::Device::Cpu)?;
        let points = points.flatten_all()?.to_vec1::<f32>()?;
        let found = principal(&points, self.facts.w_dim, COMPUTED)?;
        let one = |(i, c): (usize, crate::direction::Component)| Direction {
            space: Space::W,
            rows: 1,
            dim: c.axis.len(),
            data: c.axis.iter().map(|v| v * c.sigma).collect(),
            layers: None,
            model: Some(model_id(g.spec())),
            name: format!("pc[{i}]"),
            origin: format!("principal component {i} of {SAMPLES} codes of w"),
            about: Some(Arc::new(About {
                unit: "standard deviation of the component".into(),
                per_step: 1.0,
                variance: Some(c.share),
                ..About::default()
            })),
        };
        Ok(found.into_iter().enumerate().map(one).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direction::{cosine, norm};
    use crate::value::Models;

    #[test]
    fn a_generator_without_components_gets_them_once() {
        let toy = Models::cpu().load("toy").unwrap();
        assert!(names(&toy.facts).is_empty());
        let all = toy.components().unwrap();
        assert!(all.len() > 3, "{}", all.len());
        let lengths: Vec<f64> = all.iter().map(|f| norm(f.first())).collect();
        assert!(lengths.windows(2).all(|p| p[0] >= p[1]), "{lengths:?}");
        assert!(cosine(all[0].first(), all[1].first()).unwrap().abs() < 1e-9);
        assert_eq!(toy.components().unwrap()[2].first(), all[2].first());
    }

    #[test]
    fn the_components_of_the_set_come_first() {
        let faces = Models::cpu().load("faces").unwrap();
        let all = faces.components().unwrap();
        let found: Vec<&str> = all.iter().map(|f| f.first().name.as_str()).collect();
        assert_eq!(found[..3], ["pc01", "pc02", "pc03"]);
        assert_eq!(found.len(), names(&faces.facts).len());
    }
}
