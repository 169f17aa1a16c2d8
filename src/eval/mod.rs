//! Running checked programs: one session of names, functions and the current generator.

mod cached;
mod call;
mod edit;
mod operate;
mod state;

pub use state::{Options, State};

use crate::builtin::{Args, Context, Output};
use crate::builtins;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::lang::ast::{Def, Expr, ExprKind, Import, Library, Stmt, StmtKind};
use crate::lang::span::Source;
use crate::metric;
use crate::render::{Block, Number, Numbers};
use crate::value::{List, Loaded, Value, display, text};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs the statements of one program.
struct Evaluator<'a> {
    names: &'a mut BTreeMap<String, Value>,
    functions: &'a mut BTreeMap<String, Arc<Def>>,
    session_model: &'a mut Option<Arc<Loaded>>,
    ctx: Context<'a>,
    echo: bool,
    result: Option<String>,
    /// The text that runs: the program's own, an imported file, or that of a function.
    file: Arc<Source>,
    /// Parameters of the functions being called and variables of comprehensions, innermost last.
    scopes: Vec<BTreeMap<String, Value>>,
    /// Index of the first of `scopes` that the current body sees: a function does not see its
    /// caller's.
    visible_from: usize,
}

impl<'a> Evaluator<'a> {
    fn new(
        session: &'a mut State,
        source: &Source,
        control: &Control,
        output: &'a mut dyn Output,
    ) -> Self {
        let ctx = Context {
            model: session.model.clone(),
            models: session.models.clone(),
            seed: session.options.seed,
            device: session.model.as_ref().map_or(session.models.device(), |m| m.device()).clone(),
            out: session.options.out.clone(),
            confined: session.options.confined,
            control: control.clone(),
            describe: session.options.describe,
            cache: session.options.cache.clone(),
            checkpoints: session.options.checkpoints.clone(),
            replaying: session.options.replaying,
            output,
        };
        Self {
            names: &mut session.names,
            functions: &mut session.functions,
            session_model: &mut session.model,
            ctx,
            echo: session.options.echo,
            result: session.result.clone(),
            file: Arc::new(source.clone()),
            scopes: Vec::new(),
            visible_from: 0,
        }
    }

    fn statement(&mut self, statement: &Stmt) -> Result<()> {
        self.ctx.control.refuel();
        let _entered = self.ctx.control.enter();
        let done = self.kind(&statement.kind);
        self.scopes.clear();
        self.visible_from = 0;
        *self.session_model = self.ctx.model.clone();
        if let Some(why) = self.ctx.cache.trouble() {
            self.ctx.output.note(&why)?;
        }
        done.map_err(|e| e.at(statement.span))
    }

    fn kind(&mut self, kind: &StmtKind) -> Result<()> {
        match kind {
            StmtKind::Let { name, value } => {
                let v = self.expr(value)?;
                self.bind(&name.name, v.clone());
                if self.echo { self.show(&v, value) } else { Ok(()) }
            }
            // The checker has put the values of `--set` in place.
            StmtKind::Param { name, value } => {
                let v = self.expr(value)?;
                self.bind(&name.name, v);
                Ok(())
            }
            StmtKind::Import(import) => self.import(import),
            StmtKind::Def(def) => {
                self.names.remove(&def.name.name);
                self.functions.insert(def.name.name.clone(), def.defined_in(&self.file));
                Ok(())
            }
            StmtKind::Load(call) | StmtKind::Show(call) => {
                let v = self.call(call, None, call.name.span)?;
                self.display(&v, None)
            }
            StmtKind::Assert(condition) => self.assert(condition),
            StmtKind::Expr(e) => {
                let v = self.expr(e)?;
                if let (Some(name), false) = (self.result.take(), matches!(v, Value::Nothing)) {
                    self.bind(&name, v.clone());
                }
                self.show(&v, e)
            }
        }
    }

    /// Runs the definitions of an imported file; at the prompt, says what it brought.
    fn import(&mut self, import: &Import) -> Result<()> {
        let Some(library) = import.library.as_deref().filter(|_| !import.repeated) else {
            return Ok(());
        };
        let echo = std::mem::take(&mut self.echo);
        let file = std::mem::replace(&mut self.file, library.source.clone());
        let ran = library.statements.iter().try_for_each(|statement| {
            let ran = self.kind(&statement.kind).map_err(|e| e.at(statement.span));
            ran.map_err(|e| library.source.holds(e, import.span))
        });
        (self.echo, self.file) = (echo, file);
        ran?;
        if self.echo { self.brought(library) } else { Ok(()) }
    }

    fn brought(&mut self, library: &Library) -> Result<()> {
        let names = library.names().join(", ");
        let line = format!("from {}: {names}", library.source.name());
        self.ctx.output.display(&[Block::text([line.as_str()])], &Value::Text(names))
    }

    fn bind(&mut self, name: &str, value: Value) {
        self.functions.remove(name);
        self.names.insert(name.to_owned(), value);
    }

    /// Displays a value; the number of a metric with its name and unit.
    fn show(&mut self, value: &Value, from: &Expr) -> Result<()> {
        let name = match &from.kind {
            ExprKind::Call(c) | ExprKind::Pipe { call: c, .. } => c.name.name.as_str(),
            _ => "",
        };
        let measured = builtins::find(name).zip(builtins::find(name).and_then(|b| b.definition));
        let number = measured.map(|(builtin, definition)| {
            let name = builtin.signature.name;
            let unit = metric::unit_of(name).to_owned();
            Number {
                name: name.into(),
                values: Vec::new(),
                unit,
                definition: definition(&self.ctx),
            }
        });
        let edited = self.edited(value, from)?;
        self.display_with(value, number, (edited, &from.to_string()))
    }

    /// At the prompt, one line about an edit of a named code.
    fn edited(&mut self, value: &Value, from: &Expr) -> Result<Option<String>> {
        let Some(start) = edit::start(from).filter(|_| self.echo) else { return Ok(None) };
        let before = self.expr(start)?;
        edit::told(&before, value, &self.ctx)
    }

    fn display(&mut self, value: &Value, measured: Option<Number>) -> Result<()> {
        self.display_with(value, measured, (None, ""))
    }

    fn display_with(
        &mut self,
        value: &Value,
        measured: Option<Number>,
        (line, name): (Option<String>, &str),
    ) -> Result<()> {
        if matches!(value, Value::Nothing) {
            return Ok(());
        }
        let mut blocks = match (value, measured) {
            (Value::Number(v), Some(number)) => {
                let all = vec![Number { values: vec![*v], ..number }];
                vec![Block::Numbers(Numbers { all, defined: false })]
            }
            _ => display::display(value, &|code| self.ctx.picture(code))?.blocks(),
        };
        blocks.extend(line.map(|line| Block::text([line])));
        for picture in blocks.iter_mut().filter_map(Block::pictures_mut).flatten() {
            name.clone_into(&mut picture.name);
        }
        self.ctx.display(blocks, value)
    }

    fn assert(&mut self, condition: &Expr) -> Result<()> {
        // The sides are computed once and named in the message: "psnr is 12.3" helps, "false" does
        // not.
        let (holds, found) = match &condition.kind {
            ExprKind::Compare { op, lhs, rhs, .. } => {
                let (a, b) = (self.expr(lhs)?, self.expr(rhs)?);
                let (mut left, mut right) = (text::readable(&a)?, text::readable(&b)?);
                if left == right {
                    // The comparison fails in a later digit.
                    (left, right) = (text::plain(&a)?, text::plain(&b)?);
                }
                let found = format!("{left} {} {right}", op.symbol());
                (operate::compare(*op, &a, &b).map_err(|e| e.at(condition.span))?, found)
            }
            _ => match self.expr(condition)? {
                Value::Bool(b) => (b, b.to_string()),
                other => {
                    return Err(Error::runtime(format!(
                        "`assert` wants true or false, this is {}",
                        other.ty()
                    )));
                }
            },
        };
        if holds {
            return Ok(());
        }
        Err(Error::new(Kind::Assertion, "this does not hold").at(condition.span).found(found))
    }

    fn lookup(&self, name: &str) -> Option<&Value> {
        let visible = self.scopes.get(self.visible_from..).unwrap_or_default();
        visible.iter().rev().find_map(|s| s.get(name)).or_else(|| self.names.get(name))
    }

    fn expr(&mut self, e: &Expr) -> Result<Value> {
        self.ctx.control.spend(1).map_err(|x| x.at(e.span))?;
        self.expr_kind(e).map_err(|x| x.at(e.span))
    }

    fn expr_kind(&mut self, e: &Expr) -> Result<Value> {
        match &e.kind {
            ExprKind::Number(v) => Ok(Value::Number(*v)),
            ExprKind::Text(t) => Ok(Value::Text(t.clone())),
            ExprKind::Bool(b) => Ok(Value::Bool(*b)),
            ExprKind::Space(s) => Ok(Value::Space(*s)),
            ExprKind::Name(n) => match self.lookup(n) {
                Some(value) => Ok(value.clone()),
                None => self.bare(n, e.span),
            },
            ExprKind::List(items) => self.list(items),
            ExprKind::Comprehension { body, var, over, filter } => {
                self.comprehension(body, &var.name, over, filter.as_deref())
            }
            ExprKind::Range { from, to, step } => self.range(from, to, step.as_deref()),
            ExprKind::Call(call) => self.call(call, None, e.span),
            ExprKind::Pipe { lhs, call, .. } => self.call(call, Some(lhs), e.span),
            ExprKind::Index { base, index } => {
                let (b, i) = (self.expr(base)?, self.expr(index)?);
                operate::index(&b, &i, &self.ctx.models)
            }
            ExprKind::Layers { base, layers } => {
                let (d, l) = (self.expr(base)?, self.expr(layers)?);
                operate::layers(&d, &l, &self.ctx)
            }
            ExprKind::Condition { base, conditions } => {
                let b = self.expr(base)?;
                let c = conditions.iter().map(|c| self.expr(c)).collect::<Result<Vec<_>>>()?;
                operate::condition(&b, &c)
            }
            ExprKind::Neg(inner) => operate::negate(&self.expr(inner)?),
            ExprKind::Binary { op, lhs, rhs, .. } => {
                let (a, b) = (self.expr(lhs)?, self.expr(rhs)?);
                operate::binary(*op, &a, &b)
            }
            ExprKind::Compare { op, lhs, rhs, .. } => {
                let (a, b) = (self.expr(lhs)?, self.expr(rhs)?);
                operate::compare(*op, &a, &b).map(Value::Bool)
            }
            ExprKind::Tagged { word, .. } => {
                Err(Error::runtime(format!("`{}: …` is an argument, not a value", word.name)))
            }
        }
    }

    fn list(&mut self, items: &[Expr]) -> Result<Value> {
        let values = items.iter().map(|i| self.expr(i)).collect::<Result<Vec<_>>>()?;
        Value::list(values)
    }

    fn number(&mut self, e: &Expr) -> Result<f64> {
        match self.expr(e)? {
            Value::Number(v) => Ok(v),
            other => {
                Err(Error::runtime(format!("a number is wanted, this is {}", other.ty()))
                    .at(e.span))
            }
        }
    }

    fn range(&mut self, from: &Expr, to: &Expr, step: Option<&Expr>) -> Result<Value> {
        let (from, to) = (self.number(from)?, self.number(to)?);
        let step = step.map(|s| self.number(s)).transpose()?;
        Ok(Value::Range { from, to, step })
    }

    fn comprehension(
        &mut self,
        body: &Expr,
        var: &str,
        over: &Expr,
        filter: Option<&Expr>,
    ) -> Result<Value> {
        let elements = self.expr(over)?;
        let elements = operate::elements(&elements).map_err(|e| e.at(over.span))?;
        let (mut out, mut labels) = (Vec::with_capacity(elements.len()), Vec::new());
        for element in elements {
            let label = label(var, &element);
            self.scopes.push(BTreeMap::from([(var.to_owned(), element)]));
            let kept = match filter {
                Some(f) => matches!(self.expr(f)?, Value::Bool(true)),
                None => true,
            };
            if kept {
                out.push(self.expr(body)?);
                labels.extend(label);
            }
            self.scopes.pop();
        }
        List::labelled(out, labels).map(Value::List)
    }
}

/// Longest text that labels an element of a comprehension, in characters.
const LABEL: usize = 24;

/// `a = -3`: what the variable of a comprehension was for an element; `None` for what is not read
/// at a glance.
fn label(var: &str, element: &Value) -> Option<String> {
    let text = match element {
        Value::Number(_) | Value::Bool(_) | Value::Space(_) | Value::Text(_) => {
            text::shown(element)
        }
        _ => return None,
    };
    let label = format!("{var} = {text}");
    (label.chars().count() <= LABEL).then_some(label)
}

#[cfg(test)]
mod companion_tests;
#[cfg(test)]
mod encoder_tests;
#[cfg(test)]
mod fit_tests;
#[cfg(test)]
mod ghfeat_tests;
#[cfg(test)]
mod hfgi_tests;
#[cfg(test)]
mod hyperinverter_tests;
#[cfg(test)]
mod hyperstyle_tests;
#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod sfe_tests;
#[cfg(test)]
pub(crate) mod tests;
