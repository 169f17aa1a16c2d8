//! Detection of how the class enters a generator, from its table and the numbers of the first
//! layer.

use super::config::{Class, Config, refused, wrong};
use super::infer::{self, Candidate};
use crate::error::Result;

/// Minimum ratio of a class's shortest row to the longest row of z.
const LONGER: f64 = 1.4;

/// Numbers of a tensor of the file.
pub(super) type Numbers<'a> = dyn FnMut(&str) -> Result<Vec<f32>> + 'a;

/// Tells the class, and with it the dimensions of z.
///
/// The size of a table decides its use: rows as long as the first layer's input multiply z, shorter
/// ones are concatenated to it. Without a table the class may be one-hot beside z, in every known
/// code. Then the rows of the first layer decide: z is drawn anew for every picture and its rows
/// have similar lengths, while the rows of a class, one number of a few, are much longer.
///
/// # Errors
/// When a table fits in two ways, or does not fit.
pub(super) fn tell(
    found: &Candidate,
    config: &mut Config,
    numbers: &mut Numbers<'_>,
) -> Result<()> {
    let inputs = config.z_dim;
    let Some(first) = found.links.first() else { return Ok(()) };
    let weight = || format!("{}.weight", first.module);
    let Some((table, [classes, size])) = found.table.clone() else {
        let rows = row_lengths(&numbers(&weight())?, found);
        if let Some((class, count)) = one_hot(&rows) {
            let place = if class == Class::OneHotFirst { "first" } else { "last" };
            config.assumed.push(format!(
                "the first layer reads {inputs} numbers; the {place} {count} weigh far more than \
                 the others: a one-hot class beside a z of {}",
                inputs - count
            ));
            (config.class, config.c_dim, config.z_dim) = (class, count, inputs - count);
        }
        return Ok(());
    };
    config.c_dim = classes;
    if size == inputs {
        config.class = Class::EmbeddingProduct(table);
        return Ok(());
    }
    let Some(z_dim) = inputs.checked_sub(size).filter(|n| *n > 0) else {
        return Err(wrong(format!(
            "rows of {size} in `{table}` do not fit a first layer that reads {inputs}"
        )));
    };
    config.z_dim = z_dim;
    let norm = found.links.get(1).filter(|l| l.role == super::chain::Role::Norm);
    let first_is_class = match norm {
        Some(norm) => {
            let mean = numbers(&format!("{}.running_mean", norm.module))?;
            let bias = numbers(&format!("{}.bias", first.module)).unwrap_or_default();
            let rows = row_means(&numbers(&weight())?, found, mean.len());
            class_first(&rows, &numbers(&format!("{table}.weight"))?, size, (&mean, &bias))
        }
        None => None,
    };
    let first_is_class = match first_is_class {
        Some(known) => {
            config.assumed.push(format!(
                "the class comes {} z: so the mean that the first norm stores is met",
                if known { "before" } else { "after" }
            ));
            known
        }
        None if infer::is_pytorch_gan(&found.links) => {
            config.assumed.push("the class comes before z, as in PyTorch-GAN".into());
            true
        }
        None => {
            return Err(refused(
                "nothing in the file tells whether the class comes before z".into(),
            )
            .hint("convert the file by hand: its settings need `class`"));
        }
    };
    config.class =
        if first_is_class { Class::EmbeddingFirst(table) } else { Class::EmbeddingLast(table) };
    Ok(())
}

/// The first layer's weights for every input: `[inputs][…]`.
fn rows(weight: &[f32], found: &Candidate) -> Vec<Vec<f32>> {
    let Some(first) = found.links.first() else { return Vec::new() };
    let inputs = first.channels[0];
    let per_input = weight.len() / inputs.max(1);
    (0..inputs)
        .map(|i| match first.role {
            // [O, I]: a column.
            super::chain::Role::Linear => weight.iter().skip(i).step_by(inputs).copied().collect(),
            _ => weight[i * per_input..(i + 1) * per_input].to_vec(),
        })
        .collect()
}

fn row_lengths(weight: &[f32], found: &Candidate) -> Vec<f64> {
    let length = |row: Vec<f32>| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    rows(weight, found).into_iter().map(length).collect()
}

/// Effect of one unit of every input on the mean of each channel.
fn row_means(weight: &[f32], found: &Candidate, channels: usize) -> Vec<Vec<f64>> {
    let mean = |row: Vec<f32>| {
        let plane = (row.len() / channels.max(1)).max(1);
        row.chunks(plane)
            .map(|p| p.iter().map(|v| f64::from(*v)).sum::<f64>() / plane as f64)
            .collect()
    };
    rows(weight, found).into_iter().map(mean).collect()
}

/// The block of rows at one end that are all much longer than the others.
fn one_hot(rows: &[f64]) -> Option<(Class, usize)> {
    let tell = |rows: &[f64]| -> Option<usize> {
        // The shortest of the last k rows against the longest of the rest, for every k.
        let mut best: Option<(f64, usize)> = None;
        for k in 2..=rows.len().saturating_sub(2) {
            let (rest, last) = rows.split_at(rows.len() - k);
            let longest = rest.iter().copied().fold(0.0, f64::max);
            let shortest = last.iter().copied().fold(f64::INFINITY, f64::min);
            let ratio = shortest / longest;
            if ratio > LONGER && best.is_none_or(|(b, _)| ratio > b) {
                best = Some((ratio, k));
            }
        }
        best.map(|(_, k)| k)
    };
    let reversed: Vec<f64> = rows.iter().rev().copied().collect();
    tell(rows)
        .map(|k| (Class::OneHotLast, k))
        .or_else(|| tell(&reversed).map(|k| (Class::OneHotFirst, k)))
}

/// Whether the class comes before z: z has a mean of zero, so what the first norm has stored is
/// the mean row of the table through the class's weights. `None` when neither place explains it.
fn class_first(
    rows: &[Vec<f64>],
    table: &[f32],
    size: usize,
    (mean, bias): (&[f32], &[f32]),
) -> Option<bool> {
    let classes = table.len() / size.max(1);
    let average: Vec<f64> = (0..size)
        .map(|d| {
            table.iter().skip(d).step_by(size).map(|v| f64::from(*v)).sum::<f64>() / classes as f64
        })
        .collect();
    let biases = |c: usize| match bias.len() {
        0 => 0.0,
        n => {
            let plane = (n / mean.len().max(1)).max(1);
            let part = bias.iter().skip(c * plane).take(plane);
            part.map(|v| f64::from(*v)).sum::<f64>() / plane as f64
        }
    };
    let error = |from: usize| -> f64 {
        let at = |c: usize| -> f64 {
            let sum: f64 = average.iter().zip(&rows[from..]).map(|(e, row)| e * row[c]).sum();
            (sum + biases(c) - f64::from(mean[c])).powi(2)
        };
        (0..mean.len()).map(at).sum()
    };
    let (first, last) = (error(0), error(rows.len() - size));
    (first < 0.5 * last || last < 0.5 * first).then_some(first < last)
}
