//! Calls of built-in functions whose results the cache keeps.

use super::{Args, Evaluator};
use crate::builtin::{Builtin, Depends};
use crate::cache::Name;
use crate::control::Stop;
use crate::error::Result;
use crate::invert::Inversion;
use crate::value::{Loaded, Value};

impl Evaluator<'_> {
    /// The value of a call: from the cache if it is there, else computed.
    pub(super) fn value_of(&mut self, builtin: &Builtin, args: &Args) -> Result<Value> {
        let Some(name) = self.name(builtin, args) else {
            return (builtin.run)(args, &mut self.ctx);
        };
        let (cache, models) = (self.ctx.cache.clone(), self.ctx.models.clone());
        cache.through(Some(&name), &models, || {
            let value = (builtin.run)(args, &mut self.ctx)?;
            // An input file may have changed between its hash and its use.
            let lasts = self.ctx.control.stop() == Stop::No
                && is_finished(&value)
                && self.name(builtin, args).as_ref() == Some(&name);
            Ok((value, lasts))
        })
    }

    /// The name of a call's result: a hash over all that it depends on. `None` when it is not kept.
    fn name(&self, builtin: &Builtin, args: &Args) -> Option<Name> {
        let depends = builtin.cache?;
        let mut key = self.ctx.cache.key(builtin.signature.name, &self.ctx.device)?;
        for (param, (values, written)) in
            args.params.iter().zip(args.values.iter().zip(&args.written))
        {
            key.text(&format!("{} {}", param.name, written.len()));
            if param.name == "seed" {
                key.text(&args.seed(&self.ctx).ok()?.to_string());
                continue;
            }
            for (value, _) in values {
                key.value(value)?;
            }
            if let Some(files) = param.reads {
                texts(values.iter().map(|(v, _)| v), &mut |text| {
                    files(text).iter().for_each(|path| key.file(path));
                });
            }
        }
        let content = |model: &Loaded| match depends {
            Depends::Generator => Some(model.content()),
            Depends::Networks => model.whole_content().ok(),
        };
        key.text(&match &self.ctx.model {
            Some(current) => content(current)?,
            None => String::new(),
        });
        for id in args.models() {
            key.text(&content(&*self.ctx.models.loaded(&id)?)?);
        }
        Some(key.name())
    }
}

/// Calls `take` with the texts among values and in lists of them.
fn texts<'v>(values: impl Iterator<Item = &'v Value>, take: &mut dyn FnMut(&str)) {
    for value in values {
        match value {
            Value::Text(text) => take(text),
            Value::List(items) => texts(items.iter(), take),
            _ => {}
        }
    }
}

/// Whether a result is the one that its call always gives: the best so far of a search that was
/// stopped is not, and one that tells of a full disk is not.
fn is_finished(value: &Value) -> bool {
    let whole = |i: &Inversion| i.stopped_at().is_none() && !i.unsaved;
    match value {
        Value::Inversion(i) => whole(i),
        Value::Table(t) => t.found.iter().all(|i| whole(i)),
        _ => true,
    }
}
