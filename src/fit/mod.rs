//! Fitting of what a generator lacks, from its own samples: an encoder of pictures into W.
//!
//! Samples give pairs of picture and code without end. First the codes, whitened by their own
//! statistics, are predicted from the averaged maps of a trunk by ridge regression, in closed form;
//! then trunk and regression are trained together (Adam) while further samples come in. What is
//! nearest on samples that were held out is kept. Passes of the encoder go on from its own results
//! as those of ReStyle do (Alaluf et al. 2021); the network of a pass is in
//! [`crate::network::Regressor`].

mod network;
mod pool;
mod ridge;
mod score;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod work;

pub use network::{Named, Shape, Start};
pub use score::Pass;
pub use work::fit;

use crate::network::RegressorConfig;
use std::path::PathBuf;
use std::time::Duration;

/// How long to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// That many steps of training in all, after all samples of the regression were drawn. The
    /// result depends on nothing else.
    Steps(usize),
    /// That long from now on.
    Time(Duration),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Seed of samples and batches.
    pub seed: u64,
    /// Samples of the ridge regression; fewer where the time is short.
    pub samples: usize,
    /// How long to go on.
    pub limit: Limit,
    /// Folder for samples and state, so that a second call goes on.
    pub folder: Option<PathBuf>,
}

/// An encoder that was fitted, as its file holds it.
pub struct Fitted {
    /// Its settings.
    pub config: RegressorConfig,
    /// Its tensors.
    pub tensors: Named,
    /// How it was made and how good it is.
    pub report: Report,
}

/// How an encoder was made, and how good it is on samples that it was not fitted to.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// Samples that it was fitted to.
    pub samples: usize,
    /// Steps of training.
    pub steps: usize,
    /// The step whose weights were kept; 0 for the ridge regression.
    pub kept: usize,
    /// Seconds of all calls together; no part of a file, which the same steps make again.
    #[serde(skip)]
    pub seconds: f64,
    /// R² of w by the ridge regression alone.
    pub r2_ridge: f64,
    /// R² of w by the encoder.
    pub r2: f64,
    /// The mean code, then each pass of the encoder.
    pub passes: Vec<Pass>,
}
