//! gannet: a terminal notebook for the latent spaces of GANs.
//!
//! The program is [`command_line`]. As a library, gannet runs programs of its language in a
//! [`Session`], whose events carry the results:
//!
//! ```
//! use gannet::{Event, Given, Models, Options, Request, Session, Source, Start, State, words};
//! use std::time::Duration;
//!
//! let state = State::new(Models::cpu(), "toy", Options::default())?;
//! let start = Start { state, model: "toy".into(), folder: None, lists: false };
//! let mut session = Session::start(start)?;
//!
//! let text = "w = sample(seed: 1)\nshow w, w + 2*direction(\"smile\")";
//! let source = Source::new("example", text)?;
//! session.submit(Request::Program { source, sets: Default::default() }, false)?;
//! let mut lines = Vec::new();
//! loop {
//!     match session.next(Duration::from_secs(60)) {
//!         Some(Event::Given(given)) => {
//!             for one in given {
//!                 if let Given::Value(blocks, _json) = one {
//!                     lines.extend(words(&blocks)?);
//!                 }
//!             }
//!         }
//!         Some(Event::Done(reply)) => break drop(reply?),
//!         _ => {}
//!     }
//! }
//! assert!(lines[0].starts_with("w: [picture "));
//! # Ok::<(), gannet::Error>(())
//! ```
//!
//! Everything else is internal. The feature `internals` shows it to the tests of this repository.

// Unused code shows only where nothing is public for the tests.
#![cfg_attr(not(any(test, feature = "internals")), deny(dead_code), allow(unused_imports))]

#[cfg(feature = "internals")]
pub mod bench;
#[cfg(not(feature = "internals"))]
mod bench;
#[cfg(feature = "internals")]
pub mod builtin;
#[cfg(not(feature = "internals"))]
mod builtin;
#[cfg(feature = "internals")]
pub mod builtins;
#[cfg(not(feature = "internals"))]
mod builtins;
#[cfg(feature = "internals")]
pub mod cache;
#[cfg(not(feature = "internals"))]
mod cache;
#[cfg(feature = "internals")]
pub mod cholesky;
#[cfg(not(feature = "internals"))]
mod cholesky;
#[cfg(feature = "internals")]
pub mod cli;
#[cfg(not(feature = "internals"))]
mod cli;
#[cfg(feature = "internals")]
pub mod control;
#[cfg(not(feature = "internals"))]
mod control;
#[cfg(feature = "internals")]
pub mod device;
#[cfg(not(feature = "internals"))]
mod device;
#[cfg(feature = "internals")]
pub mod direction;
#[cfg(not(feature = "internals"))]
mod direction;
#[cfg(test)]
mod dummies;
#[cfg(feature = "internals")]
pub mod editors;
#[cfg(not(feature = "internals"))]
mod editors;
#[cfg(feature = "internals")]
pub mod eigen;
#[cfg(not(feature = "internals"))]
mod eigen;
#[cfg(feature = "internals")]
pub mod error;
#[cfg(not(feature = "internals"))]
mod error;
#[cfg(feature = "internals")]
pub mod eval;
#[cfg(not(feature = "internals"))]
mod eval;
#[cfg(feature = "internals")]
pub mod export;
#[cfg(not(feature = "internals"))]
mod export;
#[cfg(feature = "internals")]
pub mod face;
#[cfg(not(feature = "internals"))]
mod face;
#[cfg(feature = "internals")]
pub mod fit;
#[cfg(not(feature = "internals"))]
mod fit;
#[cfg(feature = "internals")]
pub mod generator;
#[cfg(not(feature = "internals"))]
mod generator;
#[cfg(feature = "internals")]
pub mod image;
#[cfg(not(feature = "internals"))]
mod image;
#[cfg(feature = "internals")]
pub mod invert;
#[cfg(not(feature = "internals"))]
mod invert;
#[cfg(feature = "internals")]
pub mod lang;
#[cfg(not(feature = "internals"))]
mod lang;
#[cfg(feature = "internals")]
pub mod latent;
#[cfg(not(feature = "internals"))]
mod latent;
#[cfg(feature = "internals")]
pub mod limits;
#[cfg(not(feature = "internals"))]
mod limits;
#[cfg(feature = "internals")]
pub mod metric;
#[cfg(not(feature = "internals"))]
mod metric;
#[cfg(feature = "internals")]
pub mod network;
#[cfg(not(feature = "internals"))]
mod network;
#[cfg(feature = "internals")]
pub mod render;
#[cfg(not(feature = "internals"))]
mod render;
#[cfg(feature = "internals")]
pub mod rng;
#[cfg(not(feature = "internals"))]
mod rng;
#[cfg(feature = "internals")]
pub mod safe;
#[cfg(not(feature = "internals"))]
mod safe;
#[cfg(feature = "internals")]
pub mod session;
#[cfg(not(feature = "internals"))]
mod session;
#[cfg(feature = "internals")]
pub mod space;
#[cfg(not(feature = "internals"))]
mod space;
#[cfg(feature = "internals")]
pub mod store;
#[cfg(not(feature = "internals"))]
mod store;
#[cfg(feature = "internals")]
pub mod ui;
#[cfg(not(feature = "internals"))]
mod ui;
#[cfg(feature = "internals")]
pub mod value;
#[cfg(not(feature = "internals"))]
mod value;
#[cfg(feature = "internals")]
pub mod weights;
#[cfg(not(feature = "internals"))]
mod weights;
#[cfg(feature = "internals")]
pub mod words;
#[cfg(not(feature = "internals"))]
mod words;

pub use cache::Cache;
pub use cli::main as command_line;
pub use error::{Error, Kind, Result, Span};
pub use eval::{Options, State};
pub use lang::span::Source;
pub use render::{Block, Cell, Chart, Curve, Diagnostic, Histogram, Number, Numbers, Picture};
pub use render::{Plot, Table, words};
pub use session::{Event, Given, Reply, Request, Resumed, Session, Setting, Snapshot, Start};
pub use value::{Models, Value};

#[cfg(feature = "internals")]
pub use gannet_tensor as tensor;
#[cfg(not(feature = "internals"))]
use gannet_tensor as tensor;
