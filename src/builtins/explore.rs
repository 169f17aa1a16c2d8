//! `explore`: a code changed on the screen.

use super::shared;
use crate::builtin::{
    Along, Args, Builtin, Category, CheckedCall, CodeType, Context, Example, Exploration, Kind,
    Param, Signature, Type,
};
use crate::direction::{self, Forms};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::lang::ast::{Expr, ExprKind, StmtKind};
use crate::lang::parse;
use crate::lang::span::Source;
use crate::latent::Code;
use crate::safe::Safe;
use crate::space::lattice;
use crate::value::{Loaded, Value, components};
use std::sync::Arc;

/// Components that are offered where no direction is named.
const COMPONENTS: usize = 4;

/// `explore(code, along: [smile, age, pc[0..4]])`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "explore",
        params: &[
            Param::required("code", &[Kind::Latent], "the code to begin with"),
            Param::optional(
                "along",
                &[Kind::List, Kind::Direction, Kind::Text],
                "-",
                "directions, names of the generator's own, or lists of them; all of its own and \
                 four components unless given",
            ),
        ],
        returns: "Latent",
        infer,
    },
    category: Category::See,
    summary: "opens a screen of sliders for a code, and gives the code that was chosen",
    details: "At the prompt and in a notebook. The edit that was made takes the place of the call, \
              `w + 1.5*smile` that of `explore(w, …)`, so that a saved script gives the same code \
              without a screen. Scripts and pipes have no screen: the code is returned as it is, \
              with a note. `gannet explore` opens the same screen from the command line.",
    examples: &[Example {
        code: "w = sample(seed: 3); smile = direction(\"smile\"); explore(w, along: [smile, \
               pc[0..4]])",
        note: "a slider for each direction",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let code = shared::code(call, "code");
    if let Some(n) = code.count.filter(|n| *n != 1) {
        let span = call.arg("code").map_or(call.span, |a| a.span);
        return Err(several(n, ErrorKind::Check).at(span));
    }
    if let Some(arg) = call.arg("along").filter(|a| matches!(a.ty, Type::Direction(_))) {
        shared::moves(&code, &shared::code_type(&arg.ty)).map_err(|e| e.at(arg.span))?;
    }
    // Layers of a slider turn a code of W into one of W+, so the space is known when it runs.
    let model = shared::model_of(call, "code");
    Ok(Type::Latent(CodeType { model, count: Some(1), ..CodeType::default() }))
}

fn several(codes: usize, kind: ErrorKind) -> Error {
    Error::new(kind, format!("one code is explored at a time, here are {codes}"))
        .hint("choose one: [c for c in codes][0]")
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let code = args.latent("code")?;
    if code.count() != 1 {
        return Err(several(code.count(), ErrorKind::Runtime).at(args.span("code")));
    }
    let model = ctx.model_of(&code).map_err(|e| e.at(args.span("code")))?;
    if ctx.model.as_ref().is_none_or(|m| m.facts.fingerprint != model.facts.fingerprint) {
        let message =
            format!("the code belongs to {}, which is not current", Safe(&model.facts.name));
        return Err(Error::runtime(message)
            .at(args.span("code"))
            .hint("load that generator again"));
    }
    let along = match args.get("along") {
        None => usual(&code, &model)?,
        Some(value) => {
            let written = written(args, "along");
            let all = flat(value, &expression(&written), &written, &model);
            all.map_err(|e| e.at(args.span("along")))?
        }
    };
    for one in &along {
        let moves = one.forms.moving(code.space).and_then(|d| direction::apply(&code, 1.0, d));
        moves.map_err(|e| e.at(args.span("along")))?;
    }
    let what =
        Exploration { code: code.clone(), written: written(args, "code"), along, span: args.span };
    match ctx.output.explore(what)? {
        Some(chosen) => Ok(Value::Latent(chosen)),
        None => {
            ctx.output
                .note("explore needs a screen, and here is none: the code is returned as it is")?;
            Ok(Value::Latent(code))
        }
    }
}

fn written(args: &Args, name: &str) -> String {
    let at = args.params.iter().position(|p| p.name == name);
    at.and_then(|i| args.written.get(i)?.first()).cloned().unwrap_or_default()
}

/// The generator's own directions that move the code within its space, components last. One that
/// needs a wider space would make another code of it, which other directions move in another way.
pub fn usual(code: &Code, model: &Loaded) -> Result<Vec<Along>> {
    let of_set = components::names(&model.facts);
    let mut all = Vec::new();
    for name in model.facts.directions.keys().filter(|n| !of_set.contains(&n.as_str())) {
        let Some(forms) = model.direction(name, None)? else { continue };
        if stays(code, &forms) {
            all.push(Along { written: format!("direction(\"{name}\")"), forms: Arc::new(forms) });
        }
    }
    // A generator without W or with classes has none; its seeds can be explored all the same.
    let found = model.components().unwrap_or_default().into_iter().take(COMPONENTS);
    let moving = found.enumerate().filter(|(_, d)| stays(code, d));
    all.extend(moving.map(|(i, d)| Along { written: format!("pc[{i}]"), forms: Arc::new(d) }));
    Ok(all)
}

/// Whether a direction moves a code within its space.
fn stays(code: &Code, forms: &Forms) -> bool {
    let moved = forms.moving(code.space).map(|d| lattice::moved(code.space, d.space));
    matches!(moved, Ok(Ok(space)) if space == code.space)
}

/// The expression of a text; `None` for one that is none.
fn expression(text: &str) -> Option<Expr> {
    let (mut program, errors) = parse::parse(&Source::new("along", text).ok()?);
    match program.statements.pop()?.kind {
        StmtKind::Expr(e) if errors.is_empty() && program.statements.is_empty() => Some(e),
        _ => None,
    }
}

/// The directions in a value, with an expression for each; `e` is the value as written.
fn flat(value: &Value, e: &Option<Expr>, text: &str, model: &Loaded) -> Result<Vec<Along>> {
    match value {
        Value::Direction(forms) => {
            Ok(vec![Along { written: text.to_owned(), forms: forms.clone() }])
        }
        Value::Text(name) => {
            let own = model.direction(name, None)?.ok_or_else(|| {
                Error::runtime(format!("there is no direction \"{}\"", Safe(name)))
                    .hint(format!("one of {}", model.facts.direction_names()))
            })?;
            let written = format!("direction(\"{name}\")");
            Ok(vec![Along { written, forms: Arc::new(own) }])
        }
        Value::List(items) => {
            let mut all = Vec::new();
            for (k, item) in items.iter().enumerate() {
                let (e, text) = element(e.as_ref(), text, k);
                all.extend(flat(item, &e, &text, model)?);
            }
            Ok(all)
        }
        other => Err(Error::runtime(format!("a code moves along directions, not {}", other.ty()))
            .hint("along: [direction(\"smile\"), pc[0..4]]")),
    }
}

/// The k-th element of a list as an expression.
fn element(list: Option<&Expr>, text: &str, k: usize) -> (Option<Expr>, String) {
    match list.map(|e| &e.kind) {
        Some(ExprKind::List(items)) if k < items.len() => {
            (Some(items[k].clone()), items[k].to_string())
        }
        // `pc[2..6]` has `pc[2 + k]`.
        Some(ExprKind::Index { base, index }) => match &index.kind {
            ExprKind::Range { from, step: None, .. } => match from.kind {
                ExprKind::Number(n) => (None, format!("{base}[{}]", n + k as f64)),
                _ => (None, format!("({text})[{k}]")),
            },
            _ => (None, format!("({text})[{k}]")),
        },
        Some(ExprKind::Name(name)) => (None, format!("{name}[{k}]")),
        _ => (None, format!("({text})[{k}]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::render::Block;
    use crate::value::Models;
    use std::collections::BTreeMap;

    /// Takes what is to be explored and answers with the code moved along every direction.
    #[derive(Default)]
    struct Screen(Vec<String>, Vec<String>);

    impl Output for Screen {
        fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
            Ok(())
        }

        fn print(&mut self, line: &str) -> Result<()> {
            self.1.push(line.to_owned());
            Ok(())
        }

        fn explore(&mut self, what: Exploration) -> Result<Option<Code>> {
            self.0 = std::iter::once(what.written)
                .chain(what.along.into_iter().map(|a| a.written))
                .collect();
            Ok(None)
        }
    }

    fn asked(code: &str) -> Result<Vec<String>> {
        let mut state = State::new(Models::cpu(), "toy", Options::default())?;
        let mut screen = Screen::default();
        let source = Source::new("test", code)?;
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut screen)?;
        Ok(screen.0)
    }

    #[test]
    fn every_direction_has_an_expression_of_its_own() {
        let before = "w = sample(seed: 1)\nsmile = direction(\"smile\")\nboth = [smile, pc[1]]\n";
        for (call, wanted) in [
            ("explore(w, along: smile)", "w smile"),
            (
                "explore(w, along: [smile, pc[1..3], \"age\"])",
                "w smile pc[1] pc[2] direction(\"age\")",
            ),
            ("explore(w, along: both)", "w both[0] both[1]"),
            ("sample(seed: 2) |> explore(both)", "sample(seed: 2) both[0] both[1]"),
            ("explore(w, along: \"age\")", "w direction(\"age\")"),
            (
                "explore(w, along: [a*smile for a in 1..2])",
                "w ([a*smile for a in 1..2])[0] ([a*smile for a in 1..2])[1]",
            ),
        ] {
            let found = asked(&format!("{before}{call}")).unwrap();
            assert_eq!(found.join(" "), wanted, "{call}");
        }
        let usual = asked("explore(sample(seed: 1))").unwrap();
        assert_eq!(usual.last().unwrap(), "pc[3]");
        assert!(usual.contains(&"direction(\"glasses\")".to_owned()), "{usual:?}");
    }

    #[test]
    fn what_cannot_be_explored_is_refused() {
        for (call, words) in [
            ("explore(sample(n: 2, seed: 1))", "one code"),
            ("explore(sample(), along: [1, 2])", "not Number"),
            ("explore(sample(), along: \"simle\")", "no direction"),
            ("explore(sample(), along: direction(\"age\", space: Z))", "Z direction"),
        ] {
            let e = asked(call).unwrap_err();
            assert!(e.message().contains(words) && e.repair().is_some(), "{call}: {e}");
        }
    }
}
