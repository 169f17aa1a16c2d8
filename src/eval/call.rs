//! Calling built-in functions and those of the program.

use super::{Args, Evaluator};
use crate::builtin::{Builtin, Kind as Accepts, Param};
use crate::builtins;
use crate::error::{Error, Kind, Result, Span};
use crate::lang::ast::{Call, Def, Expr, ExprKind};
use crate::lang::bind::bind;
use crate::limits::LIMITS;
use crate::space::Space;
use crate::value::{Loaded, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Evaluator<'_> {
    /// A call; `piped` is what `|>` hands on as the first positional argument.
    pub(super) fn call(&mut self, call: &Call, piped: Option<&Expr>, span: Span) -> Result<Value> {
        let name = call.name.name.as_str();
        if let Some(def) = self.functions.get(name).cloned() {
            return self.defined(&def, call, piped, span);
        }
        let builtin = builtins::find(name).ok_or_else(|| {
            Error::runtime(format!("there is no function `{name}`")).at(call.name.span)
        })?;
        let bound = bind(&builtin.signature, piped, &call.args, span)?;
        let mut values = Vec::with_capacity(bound.len());
        for (param, given) in builtin.signature.params.iter().zip(&bound) {
            values.push(self.argument(param, given, span)?);
        }
        let written =
            bound.iter().map(|given| given.iter().map(|e| e.to_string()).collect()).collect();
        let args = Args { params: builtin.signature.params, values, written, span };
        self.afford(builtin, &args)?;
        self.value_of(builtin, &args).map_err(|e| e.at(span))
    }

    /// A name that is not bound: a built-in function without parameters, written without
    /// parentheses (`pc[0]`), or a direction of the generator's own set.
    pub(super) fn bare(&mut self, name: &str, span: Span) -> Result<Value> {
        let own = |m: &Loaded| m.facts.directions.contains_key(name);
        if builtins::find(name).is_none() && self.ctx.model.as_ref().is_some_and(|m| own(m)) {
            return self.call(&Call::own_direction(name, span), None, span);
        }
        let bare = |b: &&Builtin| b.signature.is_bare() && !self.functions.contains_key(name);
        let builtin = builtins::find(name).filter(bare).ok_or_else(|| {
            Error::runtime(format!("`{name}` is a function, which is no value"))
                .hint(format!("call it: {name}(…)"))
        })?;
        let args = Args { params: &[], values: Vec::new(), written: Vec::new(), span };
        self.afford(builtin, &args)?;
        self.value_of(builtin, &args).map_err(|e| e.at(span))
    }

    fn argument(
        &mut self,
        param: &Param,
        given: &[&Expr],
        call: Span,
    ) -> Result<Vec<(Value, Span)>> {
        if given.is_empty() {
            return Ok(param
                .default
                .and_then(|d| default(param, d))
                .map(|v| (v, call))
                .into_iter()
                .collect());
        }
        let value = |e: &&Expr| {
            let value = self.argument_value(param, e)?;
            bounded(param, &value, e.span)?;
            Ok((value, e.span))
        };
        given.iter().map(value).collect()
    }

    /// A bare word where the parameter takes words and no variable of that name is bound; else a
    /// value.
    fn argument_value(&mut self, param: &Param, e: &Expr) -> Result<Value> {
        let takes =
            |word: &str| param.accepts.contains(&Accepts::Choice) && param.choices.contains(&word);
        match &e.kind {
            ExprKind::Name(n) if takes(n) && self.lookup(n).is_none() => {
                Ok(Value::Word(n.clone(), None))
            }
            ExprKind::Tagged { word, value } if takes(&format!("{}:", word.name)) => {
                Ok(Value::Word(word.name.clone(), Some(Box::new(self.expr(value)?))))
            }
            _ => self.expr(e),
        }
    }

    /// Refuses what would need more memory than the budget, before it allocates.
    fn afford(&self, builtin: &Builtin, args: &Args) -> Result<()> {
        let need = builtin.cost.map_or(0, |cost| cost(args, &self.ctx));
        if need <= LIMITS.tensor_bytes {
            return Ok(());
        }
        let gb = |b: u64| format!("{:.1} GB", b as f64 / 1e9);
        Err(Error::new(
            Kind::Limit,
            format!(
                "`{}` needs {}, the budget is {}",
                builtin.signature.name,
                gb(need),
                gb(LIMITS.tensor_bytes)
            ),
        )
        .at(args.span)
        .hint("ask for fewer at a time"))
    }

    fn defined(
        &mut self,
        def: &Arc<Def>,
        call: &Call,
        piped: Option<&Expr>,
        span: Span,
    ) -> Result<Value> {
        let given: Vec<&Expr> =
            piped.into_iter().chain(call.args.iter().map(|a| &a.value)).collect();
        if given.len() != def.params.len() {
            return Err(Error::runtime(format!(
                "`{}` takes {} arguments, here are {}",
                def.name.name,
                def.params.len(),
                given.len()
            ))
            .at(call.name.span));
        }
        let mut scope = BTreeMap::new();
        for (param, e) in def.params.iter().zip(given) {
            scope.insert(param.name.clone(), self.expr(e)?);
        }
        let outer = self.visible_from;
        self.visible_from = self.scopes.len();
        self.scopes.push(scope);
        let file = def.file.clone().unwrap_or_else(|| self.file.clone());
        let same = file == self.file;
        let caller = std::mem::replace(&mut self.file, file);
        let value = self.expr(&def.body);
        self.file = caller;
        self.scopes.pop();
        self.visible_from = outer;
        value.map_err(|e| if same { e } else { in_body(e, def, span) })
    }
}

/// The error of a body in another text, at the call.
fn in_body(e: Error, def: &Def, call: Span) -> Error {
    let called = def.called(e.span());
    e.moved(call).note(called)
}

/// Refuses a number that a parameter does not take; the checker has refused constants before.
fn bounded(param: &Param, value: &Value, span: Span) -> Result<()> {
    let (name, n) = match value {
        Value::Number(n) => (param.name, *n),
        Value::Word(word, Some(tagged)) => match **tagged {
            Value::Number(n) => (word.as_str(), n),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    match param.bounds {
        Some(bounds) if !bounds.takes(n) => Err(bounds.refusal(Kind::Runtime, name, (n, span))),
        _ => Ok(()),
    }
}

/// The value of a parameter that was left out, from the text in its signature.
fn default(param: &Param, text: &str) -> Option<Value> {
    match text {
        "-" => None,
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if param.choices.contains(&text) => Some(Value::Word(text.to_owned(), None)),
        _ => text
            .parse()
            .map(Value::Number)
            .ok()
            .or_else(|| Space::parse(text).map(Value::Space))
            .or_else(|| Some(Value::Text(text.to_owned()))),
    }
}
