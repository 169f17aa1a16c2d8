use super::*;
use crate::lang::ast::{
    Arg, BinaryOp, Call, CompareOp, Def, Expr, ExprKind, Ident, Import, Program, Stmt, StmtKind,
};
use crate::space::Space;
use proptest::prelude::*;
use std::sync::Arc;

fn source(text: &str) -> Source {
    Source::new("t.gnt", text).unwrap()
}

/// A program with its places taken out, as text: what two programs must share to mean the same.
fn shape(text: &str) -> Option<String> {
    let (program, errors) = parse(&source(text));
    errors.is_empty().then(|| {
        let Program { statements, cells, comments } = &program;
        let cells: Vec<_> =
            cells.iter().map(|c| (c.kind, &c.title, c.statements.clone(), &c.text)).collect();
        let comments: Vec<_> = comments.iter().map(|c| &c.text).collect();
        without_spans(&format!("{statements:?} {cells:?} {comments:?}"))
    })
}

/// Takes every `Span { start: 1, end: 2 }` out of a debug text.
fn without_spans(text: &str) -> String {
    let mut parts = text.split("Span { start: ");
    let first = parts.next().unwrap_or("").to_string();
    parts.fold(first, |out, part| out + part.split_once('}').map_or("", |(_, rest)| rest))
}

fn formats(from: &str, to: &str) {
    let once = format(&source(from)).unwrap();
    assert_eq!(once, to, "{from}");
    assert_eq!(format(&source(&once)).unwrap(), once, "not stable: {from}");
    assert_eq!(shape(from), shape(&once), "changed its meaning: {from}");
}

#[test]
fn blanks_are_canonical() {
    formats("a=1;b = 2", "a = 1\nb = 2\n");
    formats("x  |>f( a,b :W+ )|>  g", "x |> f(a, b: W+) |> g\n");
    formats("w[ 4 .. 8 ]", "w[4..8]\n");
    formats("r+2 * -smile|[age,glasses]@0 .. 4", "r + 2*-smile | [age, glasses] @ 0..4\n");
    formats("-a - -b", "-a - -b\n");
    formats("[w+a*s for a in - 3..3 by 1.5 if a>0]", "[w + a*s for a in -3..3 by 1.5 if a > 0]\n");
    formats(
        "show [a]\nshow (a)\nshow(a)\nload(\"x\")",
        "show [a]\nshow (a)\nshow(a)\nload(\"x\")\n",
    );
    formats("def f (a ,b)=a", "def f(a, b) = a\n");
    formats("f (x) [3]", "f(x)[3]\n");
    formats("invert(x, init : best_of:8)", "invert(x, init: best_of: 8)\n");
    formats("assert -a<b", "assert -a < b\n");
    formats("assert (a)<[b][0]", "assert (a) < [b][0]\n");
    formats("", "");
    formats("\u{feff}a\r\n\r\n\r\nb\r\n", "a\n\nb\n");
}

#[test]
fn comments_and_line_breaks_stay() {
    formats("# top\n\n\n\na # why\n  # own\nb", "# top\n\na  # why\n# own\nb\n");
    formats("f(a, # first\n# second\n\nb\n)", "f(a,  # first\n    # second\n    b\n)\n");
    formats(
        "x\n\n# on\n|> f\n  |> g(\n[1,\n2]\n)",
        "x\n    # on\n    |> f\n    |> g(\n        [1,\n            2]\n    )\n",
    );
    formats("a = 1 +\n2", "a = 1 +\n    2\n");
    formats("a; # c", "a\n# c\n");
    formats("a;;b;\n\n\nc", "a\nb\n\nc\n");
}

#[test]
fn cells_and_their_words_stay() {
    formats("#%%md\n", "#%% md\n");
    formats(
        "#%%  md   Title \n# Head\n\n\n text (\n#%%one\na=1\n\n\n#%%\nb",
        "#%% md Title\n# Head\n\n\n text (\n#%% one\na = 1\n\n#%%\nb\n",
    );
    formats("  #%% x\na", "#%% x\na\n");
    formats("a\n#%% md\nno end", "a\n#%% md\nno end");
}

#[test]
fn the_sketch_is_in_canonical_layout() {
    let text = include_str!("../../grammar/sketch.gnt");
    formats(text, text);
}

#[test]
fn what_does_not_parse_is_not_formatted() {
    assert!(format(&source("a = (")).is_err());
}

fn boxed(kind: ExprKind) -> Expr {
    Expr::new(kind, Span::default())
}

fn ident(name: &str) -> Ident {
    Ident { name: name.into(), span: Span::default() }
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        (0.0..1e6f64).prop_map(ExprKind::Number),
        prop_oneof![Just(0.0), Just(1e300), Just(1e-7), Just(3.0), Just(1e16)]
            .prop_map(ExprKind::Number),
        "(?s).{0,6}".prop_map(ExprKind::Text),
        any::<bool>().prop_map(ExprKind::Bool),
        prop::sample::select(Space::ALL.to_vec()).prop_map(ExprKind::Space),
        "[a-c]{1,2}".prop_map(ExprKind::Name),
    ]
    .prop_map(boxed)
}

fn call(inner: impl Strategy<Value = Expr>) -> impl Strategy<Value = Call> {
    let name = prop_oneof![Just("f"), Just("show"), Just("load"), Just("g2")];
    let arg = (
        prop::option::of(prop_oneof![Just("by"), Just("n"), Just("W"), Just("if")]),
        any::<bool>(),
        inner,
    )
        .prop_map(|(name, tagged, value)| {
            let value = match name {
                Some(_) if tagged => {
                    boxed(ExprKind::Tagged { word: ident("best_of"), value: Box::new(value) })
                }
                _ => value,
            };
            Arg { name: name.map(ident), value }
        });
    (name, prop::collection::vec(arg, 0..3))
        .prop_map(|(name, args)| Call { name: ident(name), args })
}

fn expr() -> impl Strategy<Value = Expr> {
    use BinaryOp::{Add, Div, Mul, Sub};
    use CompareOp::{Equal, Greater, GreaterEq, Less, LessEq, NotEqual};
    leaf().prop_recursive(5, 40, 4, |inner| {
        let b = || inner.clone().prop_map(Box::new);
        let two = || (b(), b());
        let arithmetic = prop::sample::select(vec![Add, Sub, Mul, Div]);
        let comparison =
            prop::sample::select(vec![Equal, Greater, GreaterEq, Less, LessEq, NotEqual]);
        let op_span = Span::default();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(ExprKind::List),
            (b(), b(), prop::option::of(b())).prop_map(|(body, over, filter)| {
                ExprKind::Comprehension { body, var: ident("v"), over, filter }
            }),
            (b(), b(), prop::option::of(b())).prop_map(|(from, to, step)| ExprKind::Range {
                from,
                to,
                step
            }),
            call(inner.clone()).prop_map(ExprKind::Call),
            two().prop_map(|(base, index)| ExprKind::Index { base, index }),
            two().prop_map(|(base, layers)| ExprKind::Layers { base, layers }),
            (b(), prop::collection::vec(inner.clone(), 1..3))
                .prop_map(|(base, conditions)| ExprKind::Condition { base, conditions }),
            b().prop_map(ExprKind::Neg),
            (arithmetic, b(), b()).prop_map(move |(op, lhs, rhs)| ExprKind::Binary {
                op,
                op_span,
                lhs,
                rhs
            }),
            (comparison, b(), b()).prop_map(move |(op, lhs, rhs)| ExprKind::Compare {
                op,
                op_span,
                lhs,
                rhs
            }),
            (b(), call(inner.clone())).prop_map(move |(lhs, call)| ExprKind::Pipe {
                lhs,
                call,
                call_span: op_span
            }),
        ]
        .prop_map(boxed)
    })
}

fn statement() -> impl Strategy<Value = Stmt> {
    let some = |call: Call| Call {
        args: call
            .args
            .into_iter()
            .chain([Arg { name: None, value: boxed(ExprKind::Name("z".into())) }])
            .collect(),
        ..call
    };
    prop_oneof![
        expr().prop_map(|value| StmtKind::Let { name: ident("x"), value }),
        expr().prop_map(|value| StmtKind::Param { name: ident("x"), value }),
        expr().prop_map(StmtKind::Assert),
        expr().prop_map(StmtKind::Expr),
        "[a-z/.\\\\\"]{0,6}".prop_map(|path| {
            StmtKind::Import(Import { path, span: Span::default(), library: None, repeated: false })
        }),
        call(expr()).prop_map(move |c| StmtKind::Show(Call { name: ident("show"), ..some(c) })),
        call(expr()).prop_map(move |c| StmtKind::Load(Call { name: ident("load"), ..some(c) })),
        (prop::sample::subsequence(vec!["p", "q", "r"], 0..4), expr()).prop_map(
            |(params, body)| {
                StmtKind::Def(Arc::new(Def {
                    name: ident("f"),
                    params: params.into_iter().map(ident).collect(),
                    body,
                    file: None,
                }))
            }
        ),
    ]
    .prop_map(|kind| Stmt { kind, span: Span::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_printed_statement_reads_back_and_is_in_canonical_layout(statement in statement()) {
        let text = statement.to_string();
        let (program, errors) = parse(&source(&text));
        prop_assert!(errors.is_empty(), "{text}: {errors:?}");
        let read = without_spans(&format!("{:?}", program.statements));
        prop_assert_eq!(read, without_spans(&format!("{:?}", [statement])), "{}", text);
        prop_assert_eq!(format(&source(&text)).unwrap(), text + "\n");
    }

    #[test]
    fn formatting_keeps_the_meaning_and_is_stable(text in "([ \n;]|#%% ?(md)?[ a]?\n|# \
                                                           ?[a(]\n|\\|>f|[a-c=(),\\[\\]:|@+*-]|W\\+|1|\\.\\.|show |def |\"a\"|for b in ){0,24}") {
        if let Ok(once) = format(&source(&text)) {
            prop_assert_eq!(shape(&text), shape(&once), "{:?} -> {:?}", text, once);
            prop_assert_eq!(format(&source(&once)).unwrap(), once);
        }
    }
}
