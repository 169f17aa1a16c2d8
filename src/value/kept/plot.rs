//! Plots in a journal.

use super::numbers::{Bits, Doubles, broken};
use crate::error::Result;
use crate::render;
use serde::{Deserialize, Serialize};

/// A plot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plot {
    /// Title, and the curves by name.
    Curves(String, Vec<(String, Doubles)>),
    /// Name, ends of the bins, their counts, and the summary.
    Histogram(String, Doubles, Vec<usize>, [Bits; 4]),
    /// Points or curves over two axes.
    Chart {
        /// What x and y are.
        axes: [String; 2],
        /// Whether y is logarithmic, and whether points are joined.
        drawn: [bool; 2],
        /// Name, x and y of each series.
        series: Vec<(String, Doubles, Doubles)>,
    },
}

impl Plot {
    pub(super) fn of(plot: &render::Plot) -> Self {
        match plot {
            render::Plot::Curves { title, curves } => {
                let curve = |c: &render::Curve| (c.name.clone(), Doubles::of(&c.values));
                Self::Curves(title.clone(), curves.iter().map(curve).collect())
            }
            render::Plot::Histogram(h) => {
                let (edges, summary) = (Doubles::of(&h.edges), h.summary.map(Bits::from));
                Self::Histogram(h.name.clone(), edges, h.counts.clone(), summary)
            }
            render::Plot::Chart(c) => {
                let series = |(name, points): &(String, Vec<(f64, f64)>)| {
                    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
                    (name.clone(), Doubles::of(&x), Doubles::of(&y))
                };
                Self::Chart {
                    axes: [c.x.clone(), c.y.clone()],
                    drawn: [c.log, c.joined],
                    series: c.series.iter().map(series).collect(),
                }
            }
        }
    }

    /// The plot.
    ///
    /// # Errors
    /// When its parts do not belong together.
    pub(super) fn value(&self) -> Result<render::Plot> {
        Ok(match self {
            Self::Curves(title, curves) => {
                let curve = |(name, values): &(String, Doubles)| render::Curve {
                    name: name.clone(),
                    values: values.values(),
                };
                render::Plot::Curves {
                    title: title.clone(),
                    curves: curves.iter().map(curve).collect(),
                }
            }
            Self::Histogram(name, edges, counts, summary) => {
                let edges = edges.values();
                let total = counts.iter().try_fold(0usize, |sum, n| sum.checked_add(*n));
                if edges.len() != counts.len() + 1 || total.is_none() {
                    return Err(broken("a histogram whose bins and counts differ"));
                }
                render::Plot::Histogram(render::Histogram {
                    name: name.clone(),
                    edges,
                    counts: counts.clone(),
                    summary: summary.map(f64::from),
                })
            }
            Self::Chart { axes: [x, y], drawn: [log, joined], series } => {
                let points = |(name, x, y): &(String, Doubles, Doubles)| {
                    (name.clone(), x.values().into_iter().zip(y.values()).collect())
                };
                render::Plot::Chart(render::Chart {
                    x: x.clone(),
                    y: y.clone(),
                    log: *log,
                    joined: *joined,
                    series: series.iter().map(points).collect(),
                })
            }
        })
    }
}
