//! `measure`: every metric at once.

use super::shared;
use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Signature, Type};
use crate::error::Result;
use crate::metric::{self, Identity, Metric, Perceptual};
use crate::value::{Cell, Table, Value};
use std::sync::Arc;

/// `measure(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "measure", params: shared::params::TWO, returns: "Table", infer },
    category: Category::Measure,
    summary: "every metric at once",
    details: "One row a metric: the mean over the pictures, and each picture's own number when \
              there are several. Metrics that \
              do not apply (MS-SSIM under 176 pixels) are left out and named below. `:details` \
              at the prompt and `--json` define every number. `measure(a, b)[\"psnr\"]` is one \
              of them.",
    examples: &[
        Example { code: "measure(sample(seed: 1), sample(seed: 2))", note: "the table" },
        Example {
            code: "measure(sample(seed: 1), sample(seed: 2))[\"ssim\"]",
            note: "one number of it",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Table)
}

/// Every metric that the current generator can compute.
fn metrics(ctx: &Context<'_>) -> Result<Vec<Box<dyn Metric>>> {
    let mut all = metric::all();
    if let Some(model) = &ctx.model
        && let Some(f) = model.features()?
    {
        all.push(Box::new(Perceptual::new(f.clone())));
        all.extend(Identity::new(f.clone()).map(|m| Box::new(m) as Box<dyn Metric>));
    }
    Ok(all)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let (a, b) = shared::two_images(args, ctx)?;
    Ok(Value::Table(Arc::new(table(&a, &[("value".into(), b)], ctx)?)))
}

/// A column of numbers in a table of metrics.
pub type Column = (String, candle_core::Tensor);

/// The table of every metric between pictures and several candidates, each with a column. A single
/// candidate of several pictures has a column for each picture too.
pub fn table(target: &candle_core::Tensor, all: &[Column], ctx: &Context<'_>) -> Result<Table> {
    let several = match all {
        [(_, one)] => one.dim(0)?,
        _ => 1,
    };
    let mut columns = vec!["metric".to_owned()];
    columns.extend(all.iter().map(|(name, _)| name.clone()));
    columns.extend((0..several).filter(|_| several > 1).map(|i| format!("#{i}")));
    let mut table = Table { columns, ..Table::default() };
    let mut left_out = Vec::new();
    for m in metrics(ctx)? {
        let each = all.iter().map(|(_, b)| m.measure(target, b)).collect::<Result<Vec<_>>>();
        match each {
            Ok(each) => {
                let mean = |v: &Vec<f64>| v.iter().sum::<f64>() / v.len().max(1) as f64;
                let single = each.first().filter(|_| several > 1).into_iter().flatten();
                let digits = if m.unit() == "dB" { 2 } else { 4 };
                let number = |v: f64| Cell::Number(v, digits);
                let numbers = each.iter().map(mean).chain(single.copied()).map(number);
                let name = std::iter::once(Cell::Text(m.name().to_owned()));
                table.rows.push(name.chain(numbers).collect());
                table.definitions.push(format!("{}: {}", m.name(), m.definition()));
            }
            Err(e) => {
                left_out.push(m.name());
                table.definitions.push(format!("{}: {}", m.name(), e.message()));
            }
        }
    }
    let first = left_out.is_empty().then(String::new);
    let first = first.unwrap_or_else(|| format!("{} does not apply · ", left_out.join(", ")));
    table.notes.push(format!("{first}?psnr explains a metric, :details all"));
    Ok(table)
}
