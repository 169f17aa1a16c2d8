//! BasinCMA (Wampler and Popović 2009; Huh et al. 2020, "Transforming and Projecting Images into
//! Class-conditional Generative Networks"): CMA-ES over the losses that gradient descent reaches.

use super::vectors::{flat, shaped};
use super::{Adam, Cma, CmaSettings, Optimizer, Saved, Stored, Worth, nested, numbers, unnested};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// CMA-ES proposes candidates; each is refined by some steps of Adam, and CMA-ES learns the refined
/// loss of the candidate that it proposed. Thus it compares basins, not points.
#[derive(Clone, Debug)]
pub struct BasinCma {
    cma: Cma,
    /// Steps of Adam for each candidate.
    steps: usize,
    adam: Adam,
    /// The proposed candidate, and the steps of Adam that were taken from it; none at the start.
    candidate: Option<(Vec<f64>, usize)>,
    begun: bool,
}

impl BasinCma {
    /// Before its first candidate; each is refined by `steps` steps of Adam.
    pub fn new(settings: CmaSettings, steps: usize) -> Self {
        let (cma, adam) = (Cma::new(settings), Adam::default());
        Self { cma, steps, adam, candidate: None, begun: false }
    }

    /// Evaluations of one generation in `n` dimensions.
    pub fn generation(n: usize, steps: usize) -> usize {
        super::population(n) * (steps + 1)
    }
}

impl Optimizer for BasinCma {
    fn name(&self) -> &'static str {
        "basincma"
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        if !self.begun {
            self.begun = true;
            self.cma.begin(flat(at)?, worth.seed);
            return shaped(&self.cma.ask(worth.seed)?, at).map(Some);
        }
        let here = flat(at)?;
        if self.cma.size() != Some(here.len()) {
            return Err(Error::runtime("BasinCMA began with another number of parameters"));
        }
        let (candidate, taken) = self.candidate.take().unwrap_or((here, 0));
        if taken < self.steps {
            self.candidate = Some((candidate, taken + 1));
            return self.adam.step(at, worth.gradients, worth.rate).map(Some);
        }
        self.adam = Adam::default();
        self.cma.tell(candidate, worth.loss, worth.seed)?;
        shaped(&self.cma.ask(worth.seed)?, at).map(Some)
    }

    fn save(&self) -> Saved {
        let mut saved = nested(&self.cma);
        let adam = self.adam.save().into_iter();
        saved.extend(adam.map(|(name, part)| (format!("{ADAM}{name}"), part)));
        let begun = f64::from(u8::from(self.begun));
        let taken = self.candidate.as_ref().map_or(-1.0, |(_, taken)| *taken as f64);
        saved.insert("basin".into(), Stored::Numbers(vec![begun, taken]));
        if let Some((candidate, _)) = &self.candidate {
            saved.insert("candidate".into(), Stored::Numbers(candidate.clone()));
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let broken = || Error::runtime("the saved state of BasinCMA is not consistent");
        let [begun, taken] = *numbers(saved, "basin")?.as_array().ok_or_else(broken)?;
        let inner = unnested(saved);
        if inner.is_empty() != (begun == 0.0) || taken > self.steps as f64 {
            return Err(broken());
        }
        self.cma.restore(&inner)?;
        let adam = saved
            .iter()
            .filter_map(|(name, part)| Some((name.strip_prefix(ADAM)?.to_owned(), part.clone())));
        self.adam.restore(&adam.collect())?;
        self.begun = begun != 0.0;
        self.candidate = match taken {
            t if t < 0.0 => None,
            t => Some((numbers(saved, "candidate")?.to_vec(), t as usize)),
        };
        Ok(())
    }
}

/// Prefix of the parts of Adam.
const ADAM: &str = "adam.";
