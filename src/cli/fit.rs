//! `fit`: what a checkpoint lacks, written as the program that makes it.

use super::how::quoted;
use super::{Common, Reporting, programs};
use crate::error::Result;
use crate::lang::span::Source;
use clap::Subcommand;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The end of `fit --help`.
pub(super) const HELP: &str = "\
The encoder is saved beside the model, NAME.encoder.safetensors, or in the file of --out, and is \
found whenever that model is loaded. Ctrl-C ends the fit and keeps what there is; the same command \
goes on from there.";

/// What is fitted.
#[derive(Debug, Subcommand)]
pub enum Which {
    /// An encoder, made from samples of the model: invert then begins near the picture.
    #[command(after_help = HELP)]
    Encoder {
        /// The generator: a path, or a name in your model folders.
        file: String,
        /// How long; 20 unless --steps is given.
        #[arg(long, value_name = "N", conflicts_with = "steps")]
        minutes: Option<f64>,
        /// Steps of training in all: the same result on every run.
        #[arg(long, value_name = "N")]
        steps: Option<usize>,
        /// Samples of the ridge regression that it begins with.
        #[arg(long, value_name = "N")]
        samples: Option<usize>,
        #[command(flatten)]
        reporting: Reporting,
    },
}

/// `gannet fit encoder`
pub(super) fn fit(common: &Common, which: &Which) -> Result<u8> {
    let Which::Encoder { file, minutes, steps, samples, reporting } = which;
    // Here --out names the file itself.
    let out = common.out.as_deref().map(quoted).transpose()?;
    let common = Common { model: file.clone(), out: None, ..common.clone() };
    let mut program = "fit(encoder".to_owned();
    let numbers = [
        ("minutes", minutes.map(|m| m.to_string())),
        ("steps", steps.map(|s| s.to_string())),
        ("samples", samples.map(|s| s.to_string())),
        ("out", out),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            // Writing to a text cannot fail.
            let _ = write!(program, ", {name}: {value}");
        }
    }
    program.push_str(")\n");
    let mut runner = super::runner(&common, super::options(&common, false), *reporting)?;
    programs::run_in(&mut runner, &Source::new("fit", program)?, &BTreeMap::new())
}
