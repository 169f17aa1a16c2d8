//! The type of every expression.

use super::arith::{self, Operand, Side, code};
use super::ast::{Arg, BinaryOp, Call, CompareOp, Def, Expr, ExprKind, Ident};
use super::bind::{bind, usage};
use super::checker::{Checker, Typed};
use super::slips;
use super::suggest::{did_you_mean, near};
use super::types::{CheckedArg, CheckedCall, CodeType, Const, Kind, Param, Signature, Type};
use crate::error::{Error, Result, Span};
use crate::limits::LIMITS;
use crate::space::{Form, Space};
use std::sync::Arc;

/// Maximum number of function bodies that one check visits; further calls are not checked.
const BODIES: usize = 10_000;

/// Maximum depth of expressions together with the bodies of the functions that they call.
const DEPTH: usize = 4 * LIMITS.expression_depth;

fn constant(ty: Type, value: Const) -> Typed {
    Typed { ty, value: Some(value) }
}

impl Checker<'_> {
    /// The type of an expression, or why it has none.
    pub(super) fn infer(&mut self, e: &Expr) -> Result<Typed> {
        // An expression is bounded by the parser; functions that call functions add up.
        if self.depth >= DEPTH {
            let error = Error::check("functions call functions too deeply here").at(e.span);
            return Err(error.hint("bind the result of an inner call to a name first"));
        }
        self.depth += 1;
        let result = self.infer_kind(e);
        self.depth -= 1;
        result
    }

    fn infer_kind(&mut self, e: &Expr) -> Result<Typed> {
        match &e.kind {
            ExprKind::Number(n) => Ok(constant(Type::Number, Const::Number(*n))),
            ExprKind::Text(t) => Ok(constant(Type::Text, Const::Text(t.clone()))),
            ExprKind::Bool(b) => Ok(constant(Type::Bool, Const::Bool(*b))),
            ExprKind::Space(s) => Ok(constant(Type::Space, Const::Space(*s))),
            ExprKind::Name(name) => self.name(name, e.span),
            ExprKind::List(items) => self.list(items),
            ExprKind::Comprehension { body, var, over, filter } => {
                self.comprehension(body, var, over, filter.as_deref())
            }
            ExprKind::Range { from, to, step } => self.range(from, to, step.as_deref()),
            ExprKind::Call(call) => self.call(None, call, e.span).map(Typed::from),
            ExprKind::Pipe { lhs, call, .. } => self.call(Some(lhs), call, e.span).map(Typed::from),
            ExprKind::Index { base, index } => self.index(base, index, e.span),
            ExprKind::Layers { base, layers } => self.layers(base, layers, e.span),
            ExprKind::Condition { base, conditions } => self.condition(base, conditions),
            ExprKind::Neg(inner) => self.negation(inner),
            ExprKind::Binary { op, op_span, lhs, rhs } => self.binary(*op, *op_span, lhs, rhs),
            ExprKind::Compare { op, op_span, lhs, rhs } => self.compare(*op, *op_span, lhs, rhs),
            ExprKind::Tagged { word, .. } => {
                Err(Error::check(format!("`{}:` is not a value", word.name))
                    .at(e.span)
                    .hint("only a parameter that lists such words takes them"))
            }
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Result<Typed> {
        if let Some(found) = self.lookup(name) {
            return Ok(found);
        }
        if self.function(name).is_some() {
            return Ok(Type::Function.into());
        }
        if let Some(signature) = self.world.signature(name) {
            if !signature.is_bare() {
                return Ok(Type::Function.into());
            }
            let name = Ident { name: name.to_owned(), span };
            let call = Call { name, args: Vec::new() };
            return self.call_builtin(signature, None, &call, span).map(Typed::from);
        }
        let own = self.model.as_ref().is_some_and(|m| m.directions.contains_key(name));
        if let (true, Some(signature)) = (own, self.world.signature("direction")) {
            let call = Call::own_direction(name, span);
            return self.call_builtin(signature, None, &call, span).map(Typed::from);
        }
        let error = Error::check(format!("`{name}` is not defined")).at(span);
        if let Some(hint) = slips::elsewhere(name, None) {
            return Err(error.hint(hint));
        }
        let known = self.known_values();
        let known = known.iter().map(String::as_str);
        Err(match did_you_mean(name, known.clone()) {
            Some(hint) => {
                let nearest = near(name, known);
                nearest.first().into_iter().fold(error.hint(hint), |e, first| e.fix(span, *first))
            }
            None => error.hint(format!("give it a value first: `{name} = …`")),
        })
    }

    fn list(&mut self, items: &[Expr]) -> Result<Typed> {
        let mut element = None;
        for item in items {
            let ty = self.infer(item)?.ty;
            element = Some(element.map_or(ty.clone(), |e| join(&e, &ty)));
        }
        Ok(Type::List(Box::new(element.unwrap_or(Type::Unknown))).into())
    }

    fn comprehension(
        &mut self,
        body: &Expr,
        var: &Ident,
        over: &Expr,
        filter: Option<&Expr>,
    ) -> Result<Typed> {
        let element = match self.infer(over)?.ty {
            Type::Range => Type::Number,
            Type::List(t) => *t,
            of @ Type::Image(_) => of,
            Type::Unknown | Type::Dataset | Type::Path(_) => Type::Unknown,
            // A single code is not iterable; an inversion's image count is known only at run time.
            Type::Latent(c) if c.count.is_some_and(|n| n > 1) => {
                Type::Latent(CodeType { count: Some(1), ..c })
            }
            Type::Inversion(c) if c.count != Some(1) => {
                Type::Inversion(CodeType { count: Some(1), ..c })
            }
            ty => {
                let error = Error::check(format!("`for` cannot go through {ty}")).at(over.span);
                return Err(error.hint("iterate over a range, `for a in -3..3`, or a list"));
            }
        };
        self.locals.push((var.name.clone(), element.into()));
        let result = self.filtered(body, filter);
        self.locals.pop();
        Ok(Type::List(Box::new(result?)).into())
    }

    fn filtered(&mut self, body: &Expr, filter: Option<&Expr>) -> Result<Type> {
        if let Some(filter) = filter {
            self.wants_bool(filter, "`if`")?;
        }
        Ok(self.infer(body)?.ty)
    }

    /// A condition of `if` or `assert`.
    pub(super) fn wants_bool(&mut self, e: &Expr, who: &str) -> Result<()> {
        match self.infer(e)?.ty {
            Type::Bool | Type::Unknown => Ok(()),
            ty => {
                let error = Error::check(format!("{who} wants a comparison, not {ty}")).at(e.span);
                Err(error.hint(format!("write a condition, for example `{e} > 0`")))
            }
        }
    }

    fn range(&mut self, from: &Expr, to: &Expr, step: Option<&Expr>) -> Result<Typed> {
        let from_value = self.bound(from)?;
        let to_value = self.bound(to)?;
        let step_value = step.map(|s| self.bound(s)).transpose()?;
        if let (Some(Some(s)), Some(at)) = (step_value, step) {
            let wrong = from_value.zip(to_value).is_some_and(|(a, b)| (b - a) * s < 0.0);
            if s == 0.0 || wrong {
                let error = Error::check("this range never reaches its end").at(at.span);
                return Err(if s == 0.0 {
                    error.hint("a step that is not 0")
                } else {
                    error.hint(format!("by {}", -s)).fix(at.span, (-s).to_string())
                });
            }
        }
        let known = from_value.zip(to_value).filter(|_| step_value != Some(None));
        let value = known.map(|(a, b)| Const::Range(a, b, step_value.flatten()));
        Ok(Typed { ty: Type::Range, value })
    }

    fn bound(&mut self, e: &Expr) -> Result<Option<f64>> {
        match self.infer(e)? {
            Typed { value: Some(Const::Number(n)), .. } => Ok(Some(n)),
            Typed { ty: Type::Number | Type::Unknown, .. } => Ok(None),
            Typed { ty, .. } => {
                Err(Error::check(format!("a range goes between numbers, not {ty}"))
                    .at(e.span)
                    .hint("like `0..4`"))
            }
        }
    }

    fn index(&mut self, base: &Expr, index: &Expr, whole: Span) -> Result<Typed> {
        let (of, at) = (self.infer(base)?.ty, self.infer(index)?);
        if of == Type::Table {
            return match at.ty {
                // A cell, or a list of cells.
                Type::Text | Type::Unknown => Ok(Type::Unknown.into()),
                ty => Err(Error::check(format!("a table is indexed by a name, not {ty}"))
                    .at(index.span)
                    .hint("the name of a row or a column: `attributes(x)[\"age\"]`")),
            };
        }
        if !matches!(at.ty, Type::Number | Type::Range | Type::Unknown) {
            let error = Error::check(format!("an index is a number or a range, not {}", at.ty))
                .at(index.span);
            return Err(error.hint("like `w[3]` or `w[4..8]`"));
        }
        match &of {
            Type::Unknown => Ok(Type::Unknown.into()),
            Type::List(element) => {
                arith::parts(index, at.value.as_ref(), "element")?;
                Ok(match at.ty {
                    Type::Number => (**element).clone(),
                    Type::Range => of.clone(),
                    _ => Type::Unknown,
                }
                .into())
            }
            // One picture of a batch is a batch of one.
            Type::Image(_) => {
                arith::parts(index, at.value.as_ref(), "picture").map(|_| of.clone().into())
            }
            Type::Direction(_) => Err(Error::check("a direction is restricted with `@`")
                .at(index.span)
                .rewrite(whole, arith::restricted(base, index))),
            _ => match code(&of) {
                Some(c) => self.select(c, base, index, at.value.as_ref()),
                None => Err(Error::check(format!("{of} cannot be indexed"))
                    .at(base.span)
                    .hint("lists, pictures and layered codes are indexed")),
            },
        }
    }

    /// Layers of a code: `w[4..8]`.
    fn select(
        &mut self,
        c: &CodeType,
        base: &Expr,
        index: &Expr,
        at: Option<&Const>,
    ) -> Result<Typed> {
        let whole_codes =
            c.space.is_some_and(|s| !s.has_rows() && s != Space::S) && c.count != Some(1);
        if whole_codes {
            let chosen = arith::parts(index, at, "code")?.map(|(from, to)| (to - from) as usize);
            return Ok(Type::Latent(CodeType { count: chosen, ..c.clone() }).into());
        }
        if let Some(space) = c.space.filter(|s| !s.has_rows() && *s != Space::S) {
            let error =
                Error::check(format!("a {space} code has no layers to choose")).at(index.span);
            let error = error.label(base.span, arith::describe("code", c));
            if c.model.as_ref().is_some_and(|m| m.num_ws == 0) {
                let hint = "this generator has no layers; of several codes: [one for one in codes]";
                return Err(error.hint(hint));
            }
            let Some(layered) = space.layered().or((space == Space::Z).then_some(Space::WPlus))
            else {
                return Err(error.hint("codes of W+, PN+ and S have layers"));
            };
            let lifted = format!("to({layered}, {base})");
            let hint = format!("bring it into {layered} first: {lifted}[{index}]");
            return Err(error.hint(hint).fix(base.span, lifted));
        }
        let whole = c.model.as_ref().zip(c.space).and_then(|(m, space)| m.layers(space));
        if c.space == Some(Space::S) && c.layers.zip(whole).is_some_and(|(some, all)| some != all) {
            let error = Error::check("a part of an S code has no layers of its own").at(base.span);
            return Err(error.hint("choose the layers of the whole code"));
        }
        let total = c.layers.or(whole);
        let whose = format!("this {}", arith::describe("code", c));
        let layers = arith::layers(index, at, total, &whose)?;
        Ok(Type::Latent(CodeType { layers, ..c.clone() }).into())
    }

    fn layers(&mut self, base: &Expr, layers: &Expr, whole: Span) -> Result<Typed> {
        let (of, at) = (self.infer(base)?.ty, self.infer(layers)?);
        let c = match of {
            Type::Unknown => return Ok(Type::Unknown.into()),
            Type::Direction(c) => c,
            ty => {
                let error =
                    Error::check(format!("`@` restricts a direction, not {ty}")).at(base.span);
                return Err(match code(&ty).map(|c| c.space) {
                    Some(Some(Space::Z | Space::W)) => {
                        error.rewrite(whole, format!("to(W+, {base})[{layers}]"))
                    }
                    Some(_) => error.rewrite(whole, arith::indexed(base, layers)),
                    None => error.hint("`smile @ 0..4` restricts a direction"),
                });
            }
        };
        if !matches!(at.ty, Type::Number | Type::Range | Type::Unknown) {
            let error = Error::check(format!("layers are a number or a range, not {}", at.ty))
                .at(layers.span);
            return Err(error.hint("like `smile @ 0..4`"));
        }
        // A W direction that is not the same for all layers is a W+ direction; one of Z has none.
        let restricted = |form: Form| match form.space {
            Space::Z | Space::N => None,
            space => Some(Form { space: space.layered().unwrap_or(space), ..form }),
        };
        let known = c.all_forms();
        let forms: Vec<Form> = known.iter().copied().filter_map(restricted).collect();
        if let (Some(form), true) = (known.first(), forms.is_empty()) {
            let error = Error::check(format!("a {} direction has no layers", form.space));
            let error = error.at(layers.span).label(base.span, arith::describe("direction", &c));
            return Err(error.hint("directions of W, W+ and S can be restricted"));
        }
        let total = c.layers.or(c.model.as_ref().map(|m| m.num_ws));
        let whose = format!("this {}", arith::describe("direction", &c));
        arith::layers(layers, at.value.as_ref(), total, &whose)?;
        let layers = total.filter(|_| forms.len() < 2);
        Ok(Type::Direction(CodeType { layers, ..c.of_forms(forms) }).into())
    }

    fn condition(&mut self, base: &Expr, conditions: &[Expr]) -> Result<Typed> {
        let mut all = vec![base];
        for condition in conditions {
            match &condition.kind {
                ExprKind::List(items) => all.extend(items),
                _ => all.push(condition),
            }
        }
        let mut typed = Vec::with_capacity(all.len());
        for (i, expr) in all.into_iter().enumerate() {
            let ty = match self.infer(expr)?.ty {
                Type::List(element) if i > 0 => *element,
                ty => ty,
            };
            typed.push((expr, direction(expr, &ty)?, ty));
        }
        let sides: Vec<Side<'_>> = typed
            .iter()
            .filter_map(|(expr, known, ty)| {
                Some(("direction", known.as_ref()?, Operand { expr, ty, core: expr.span }))
            })
            .collect();
        let result = arith::together("project out", &sides)?;
        Ok(match &typed[0].1 {
            None => Type::Unknown,
            // Elements of unknown type may be of another space.
            Some(first) if sides.len() < typed.len() && !first.forms.is_empty() => {
                Type::Direction(CodeType { model: first.model.clone(), ..CodeType::default() })
            }
            Some(first) => Type::Direction(CodeType { origin: first.origin.clone(), ..result }),
        }
        .into())
    }

    fn negation(&mut self, inner: &Expr) -> Result<Typed> {
        match self.infer(inner)? {
            Typed { ty, value: Some(Const::Number(n)) } => Ok(constant(ty, Const::Number(-n))),
            Typed { ty: ty @ (Type::Number | Type::Direction(_) | Type::Unknown), .. } => {
                Ok(ty.into())
            }
            Typed { ty, .. } => Err(Error::check(format!("cannot negate {ty}"))
                .at(inner.span)
                .hint("only numbers and directions can be negated")),
        }
    }

    fn binary(&mut self, op: BinaryOp, at: Span, lhs: &Expr, rhs: &Expr) -> Result<Typed> {
        let (a, b) = (self.infer(lhs)?, self.infer(rhs)?);
        if let (Some(Const::Number(x)), Some(Const::Number(y))) = (&a.value, &b.value) {
            let n = match op {
                BinaryOp::Add => x + y,
                BinaryOp::Sub => x - y,
                BinaryOp::Mul => x * y,
                BinaryOp::Div => x / y,
            };
            if n.is_finite() {
                return Ok(constant(Type::Number, Const::Number(n)));
            }
        }
        if let (BinaryOp::Div, Some(Const::Number(0.0))) = (op, &b.value) {
            return Err(Error::check("division by zero")
                .at(rhs.span)
                .hint("divide by another number"));
        }
        let plain = |expr, ty| Operand { expr, ty, core: expr.span };
        if let Ok(ty) = arith::binary(op, plain(lhs, &a.ty), plain(rhs, &b.ty), at) {
            return Ok(ty.into());
        }
        // Only an error needs the exact position: finding it at every level would cost 2^depth.
        arith::binary(op, self.operand(lhs, &a.ty), self.operand(rhs, &b.ty), at).map(Typed::from)
    }

    /// An operand, with the place of the thing that is scaled in it.
    fn operand<'e>(&mut self, expr: &'e Expr, ty: &'e Type) -> Operand<'e> {
        let mut core = expr;
        loop {
            core = match &core.kind {
                ExprKind::Neg(inner) => inner,
                ExprKind::Binary { op: BinaryOp::Div, lhs, .. } => lhs,
                ExprKind::Binary { op: BinaryOp::Mul, lhs, rhs, .. } => {
                    let scaled =
                        matches!(self.infer(rhs), Ok(Typed { ty: Type::Direction(_), .. }));
                    if scaled { rhs } else { lhs }
                }
                _ => return Operand { expr, ty, core: core.span },
            };
        }
    }

    fn compare(&mut self, op: CompareOp, at: Span, lhs: &Expr, rhs: &Expr) -> Result<Typed> {
        let (a, b) = (self.infer(lhs)?.ty, self.infer(rhs)?.ty);
        let equality = matches!(op, CompareOp::Equal | CompareOp::NotEqual);
        match (&a, &b) {
            (Type::Unknown, _) | (_, Type::Unknown) | (Type::Number, Type::Number) => {
                Ok(Type::Bool.into())
            }
            (Type::Text, Type::Text) | (Type::Bool, Type::Bool) | (Type::Space, Type::Space)
                if equality =>
            {
                Ok(Type::Bool.into())
            }
            _ => Err(Error::check(format!("`{}` cannot compare {a} and {b}", op.symbol()))
                .at(at)
                .label(lhs.span, a.to_string())
                .label(rhs.span, b.to_string())
                .hint("compare numbers: `psnr(x, r) > 25`")),
        }
    }

    /// The type of a call; `span` is all of it, with what is piped in.
    pub(super) fn call(&mut self, piped: Option<&Expr>, call: &Call, span: Span) -> Result<Type> {
        let name = call.name.name.as_str();
        if let Some((def, here)) = self.function(name) {
            return self.call_def(&def, here, piped, call, span);
        }
        if let Some(signature) = self.world.signature(name) {
            let ty = self.call_builtin(signature, piped, call, span)?;
            if let ("load", Type::Model(Some(facts))) = (name, &ty) {
                self.model = Some(facts.clone());
            }
            return Ok(ty);
        }
        if let Some(value) = self.lookup(name) {
            return match value.ty {
                Type::Function | Type::Unknown => {
                    self.infer_all(piped, &call.args)?;
                    Ok(Type::Unknown)
                }
                ty => Err(uncallable(&ty, call)),
            };
        }
        Err(self.no_function(call))
    }

    /// The error of a call of something that is no function.
    fn no_function(&self, call: &Call) -> Error {
        let name = call.name.name.as_str();
        let error = Error::check(format!("there is no function `{name}`")).at(call.name.span);
        let of = slips::first_name(call);
        if let Some(hint) = slips::elsewhere(name, of) {
            return error.hint(hint);
        }
        if self.model.as_ref().is_some_and(|m| m.directions.contains_key(name)) {
            return error.hint(slips::added(call));
        }
        let known = self.known_functions();
        let nearest = near(name, known.iter().map(String::as_str));
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        let error =
            error.hint(hint.unwrap_or_else(|| "`?` at the prompt lists all functions".into()));
        nearest.first().into_iter().fold(error, |e, first| e.fix(call.name.span, *first))
    }

    fn infer_all(&mut self, piped: Option<&Expr>, args: &[Arg]) -> Result<Vec<Typed>> {
        piped.into_iter().chain(args.iter().map(|a| &a.value)).map(|e| self.infer(e)).collect()
    }

    fn call_def(
        &mut self,
        def: &Arc<Def>,
        here: bool,
        piped: Option<&Expr>,
        call: &Call,
        span: Span,
    ) -> Result<Type> {
        let name = &def.name.name;
        if let Some(named) = call.args.iter().find_map(|a| a.name.as_ref()) {
            let error =
                Error::check(format!("`{name}` takes its arguments by place")).at(named.span);
            return Err(error.hint("leave out the name and the colon"));
        }
        let args = self.infer_all(piped, &call.args)?;
        if args.len() != def.params.len() {
            let params: Vec<&str> = def.params.iter().map(|p| p.name.as_str()).collect();
            let usage = format!("{name}({})", params.join(", "));
            let message = format!("`{name}` takes {} arguments, not {}", params.len(), args.len());
            return Err(Error::check(message).at(span).hint(usage));
        }
        if self.calls.contains(name) {
            let error = Error::check(format!("`{name}` calls itself")).at(call.name.span);
            return Err(error.hint("iterate over a list or a range instead: `[… for a in 0..10]`"));
        }
        self.bodies += 1;
        if self.bodies > BODIES {
            return Ok(Type::Unknown);
        }
        let locals = def.params.iter().map(|p| p.name.clone()).zip(args).collect();
        self.body(def, locals).map_err(|e| {
            if here {
                return e.label(call.name.span, format!("in this call of `{name}`"));
            }
            // The body is in another text, so its spans are invalid here.
            let called = def.called(e.span());
            e.moved(span).note(called)
        })
    }

    /// The type of a function's body with these parameters.
    pub(super) fn body(&mut self, def: &Def, locals: Vec<(String, Typed)>) -> Result<Type> {
        let outer = std::mem::replace(&mut self.locals, locals);
        self.calls.push(def.name.name.clone());
        let result = self.infer(&def.body);
        self.calls.pop();
        self.locals = outer;
        Ok(result?.ty)
    }

    fn call_builtin(
        &mut self,
        signature: &Signature,
        piped: Option<&Expr>,
        call: &Call,
        span: Span,
    ) -> Result<Type> {
        if self.binds_only && signature.acts() {
            return Err(acting(signature.name).at(call.name.span));
        }
        if let (None, Some(error)) = (piped, slips::swapped(signature, &call.args)) {
            return Err(error);
        }
        let bound = bind(signature, piped, &call.args, span)?;
        let mut args = Vec::with_capacity(bound.len());
        for (param, given) in signature.params.iter().zip(bound) {
            let checked: Result<Vec<_>> =
                given.into_iter().map(|e| self.argument(signature, param, e)).collect();
            args.push(checked?);
        }
        let checked = CheckedCall {
            args,
            span,
            model: self.model.clone(),
            generators: self.world.generators(),
            signature,
            written: &self.written,
            confined: self.world.confined(),
        };
        let ty = (signature.infer)(&checked).map_err(|e| e.at(span))?;
        for (_, given) in signature.params.iter().zip(checked.args).filter(|(p, _)| p.writes) {
            self.written.extend(given.into_iter().filter_map(|a| match a.value {
                Some(Const::Text(path)) => Some(path),
                _ => None,
            }));
        }
        Ok(ty)
    }

    fn argument(&mut self, signature: &Signature, param: &Param, e: &Expr) -> Result<CheckedArg> {
        let choice = |value| Ok(CheckedArg { ty: Type::Text, value: Some(value), span: e.span });
        if param.accepts.contains(&Kind::Choice) {
            match &e.kind {
                ExprKind::Tagged { word, value } => {
                    if !param.choices.iter().any(|c| c.strip_suffix(':') == Some(&word.name)) {
                        return Err(no_choice(param, word, &[]));
                    }
                    let (span, value) = (value.span, self.infer(value)?.value);
                    bounded(param, &word.name, value.as_ref(), span)?;
                    return choice(Const::Choice(word.name.clone(), value.map(Box::new)));
                }
                ExprKind::Name(name) if self.lookup(name).is_none() => {
                    let word = &Ident { name: name.clone(), span: e.span };
                    if param.choices.contains(&name.as_str()) {
                        return choice(Const::Choice(name.clone(), None));
                    }
                    if self.function(name).is_none() && self.world.signature(name).is_none() {
                        return Err(no_choice(param, word, &self.known_values()));
                    }
                }
                _ => {}
            }
        }
        if let (ExprKind::Name(name), [Kind::Space]) = (&e.kind, param.accepts)
            && self.lookup(name).is_none()
            && let Some(space) = Space::parse(&name.to_uppercase())
        {
            let error = Error::check(format!("`{name}` is not defined")).at(e.span);
            return Err(error.note("spaces are capital letters").rewrite(e.span, space.name()));
        }
        let Typed { ty, value } = self.infer(e)?;
        if param.accepts.iter().any(|k| k.accepts(&ty)) {
            bounded(param, param.name, value.as_ref(), e.span)?;
            return Ok(CheckedArg { ty, value, span: e.span });
        }
        Err(unfit(signature, param, &ty, e))
    }
}

/// The error of a call of a value.
fn uncallable(ty: &Type, call: &Call) -> Error {
    let name = call.name.name.as_str();
    let message = format!("`{name}` is {ty} and cannot be called");
    let error = Error::check(message).at(call.name.span);
    if matches!(ty, Type::Direction(_)) {
        return error.hint(slips::added(call));
    }
    error.hint(format!("write `*` to multiply, or give the function another name than `{name}`"))
}

/// The error of a call in an imported file that does more than give a value.
fn acting(name: &str) -> Error {
    Error::check(format!("an imported file only defines names: it cannot call `{name}`"))
        .hint("put the call into the program, or into a `def`")
}

/// Type of an operand of `|`; `None` when it is known only at run time.
fn direction(e: &Expr, ty: &Type) -> Result<Option<CodeType>> {
    match ty {
        Type::Direction(c) => Ok(Some(c.clone())),
        Type::Unknown => Ok(None),
        _ => Err(Error::check(format!("`|` goes between directions, and this is {ty}"))
            .at(e.span)
            .hint("`smile | [age, glasses]` takes age and glasses out of smile")),
    }
}

/// Refuses a constant number that a parameter does not take.
fn bounded(param: &Param, name: &str, value: Option<&Const>, span: Span) -> Result<()> {
    match (param.bounds, value) {
        (Some(bounds), Some(Const::Number(n))) if !bounds.takes(*n) => {
            Err(bounds.refusal(crate::error::Kind::Check, name, (*n, span)))
        }
        _ => Ok(()),
    }
}

/// The error for a word that is not a choice of the parameter.
fn no_choice(param: &Param, word: &Ident, names: &[String]) -> Error {
    let (span, word) = (word.span, word.name.as_str());
    let error = Error::check(format!("`{word}` is not a choice for `{}`", param.name)).at(span);
    let tagged = format!("{word}:");
    if param.choices.contains(&tagged.as_str()) {
        let valued = format!("{tagged} 8");
        return error.hint(format!("it needs a value: `{valued}`")).fix(span, valued);
    }
    let listed = format!("one of {}", param.choices.join(", "));
    let best = near_choice(param, word);
    match best.or_else(|| near(word, names.iter().map(String::as_str)).first().copied()) {
        Some(best) => error.note(listed).hint(format!("{}: {best}", param.name)).fix(span, best),
        None => error.hint(listed),
    }
}

/// The choice of a parameter that is nearest to a word.
fn near_choice(param: &Param, word: &str) -> Option<&'static str> {
    near(word, param.choices.iter().map(|c| c.trim_end_matches(':'))).first().copied()
}

fn spaces(param: &Param) -> bool {
    matches!(param.accepts, [Kind::Space])
}

fn unfit(signature: &Signature, param: &Param, ty: &Type, e: &Expr) -> Error {
    let kinds: Vec<&str> = param.accepts.iter().map(|k| k.name()).collect();
    let message =
        format!("`{}` of `{}` is {}, not {ty}", param.name, signature.name, kinds.join(" or "));
    let error = Error::check(message).at(e.span).note(usage(signature, param.name));
    if let ExprKind::Text(word) = &e.kind
        && let Some(choice) = near_choice(param, word)
    {
        return error
            .hint(format!("without quotes: `{}: {choice}`", param.name))
            .fix(e.span, choice);
    }
    let takes = |kind| param.accepts.contains(&kind);
    match &e.kind {
        ExprKind::Text(_) if takes(Kind::Image) => error.rewrite(e.span, format!("image({e})")),
        ExprKind::Text(_) if takes(Kind::Direction) => {
            error.rewrite(e.span, format!("direction({e})"))
        }
        // A code named `w` where the space W is meant.
        ExprKind::Name(name) if Space::parse(&name.to_uppercase()).is_some() && spaces(param) => {
            error.note("spaces are capital letters").rewrite(e.span, name.to_uppercase())
        }
        _ if !param.choices.is_empty() => {
            error.hint(format!("one of {}", param.choices.join(", ")))
        }
        _ => error.hint(param.doc),
    }
}

fn both_forms(x: &CodeType, y: &CodeType) -> Vec<Form> {
    let known = y.all_forms();
    x.all_forms().into_iter().filter(|form| known.contains(form)).collect()
}

/// Common type of two elements of a list.
fn join(a: &Type, b: &Type) -> Type {
    if a == b {
        return a.clone();
    }
    let common = |x: &CodeType, y: &CodeType| CodeType {
        space: x.space.filter(|_| x.space == y.space),
        layers: x.layers.filter(|_| x.layers == y.layers),
        model: x.model.clone().filter(|_| x.model == y.model),
        count: x.count.filter(|_| x.count == y.count),
        origin: x.origin.clone().filter(|_| x.origin == y.origin),
        // Each has at least the forms that all have; one alone would be taken for the only one.
        forms: Some(both_forms(x, y)).filter(|f| f.len() > 1).unwrap_or_default(),
    };
    match (a, b) {
        (Type::Direction(x), Type::Direction(y)) => Type::Direction(common(x, y)),
        (Type::Inversion(x), Type::Inversion(y)) => Type::Inversion(common(x, y)),
        (Type::Path(x), Type::Path(y)) => Type::Path(common(x, y)),
        (Type::Image(_), Type::Image(_)) => Type::Image(None),
        (Type::Model(_), Type::Model(_)) => Type::Model(None),
        (Type::List(x), Type::List(y)) => Type::List(Box::new(join(x, y))),
        _ => match (code(a), code(b)) {
            (Some(x), Some(y)) => Type::Latent(common(x, y)),
            _ => Type::Unknown,
        },
    }
}
