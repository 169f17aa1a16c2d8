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
    summary: "every metric at once, with its definition",
    details: "One row a metric: the mean over the pictures, and each picture's own number when \
              there are several. Metrics that \
              do not apply (MS-SSIM under 176 pixels) are left out and named below.",
    examples: &[Example { code: "measure(sample(seed: 1), sample(seed: 2))", note: "the table" }],
    cost: None,
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
    Ok(Value::Table(Arc::new(table(&a, &b, ctx)?)))
}

/// The table of every metric between two batches of pictures.
pub fn table(a: &candle_core::Tensor, b: &candle_core::Tensor, ctx: &Context<'_>) -> Result<Table> {
    let count = a.dim(0)?;
    let mut columns = vec!["metric".to_owned(), "value".to_owned()];
    if count > 1 {
        columns.extend((0..count).map(|i| format!("#{i}")));
    }
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for m in metrics(ctx)? {
        match m.measure(a, b) {
            Ok(each) => {
                let mean = each.iter().sum::<f64>() / each.len().max(1) as f64;
                let numbers =
                    std::iter::once(mean).chain(each.iter().copied().filter(|_| count > 1));
                let digits = if m.unit() == "dB" { 2 } else { 4 };
                let name = std::iter::once(Cell::Text(m.name().to_owned()));
                rows.push(name.chain(numbers.map(|v| Cell::Number(v, digits))).collect());
                notes.push(format!("{}: {}", m.name(), m.definition()));
            }
            Err(e) => notes.push(format!("{}: {}", m.name(), e.message())),
        }
    }
    Ok(Table { columns, rows, notes, pictures: Vec::new() })
}
