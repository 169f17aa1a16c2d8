//! Parser: tokens to the syntax tree, statement by statement, so an error in one does not hide
//! those of the next.

use super::ast::{Cell, CellKind, Comment, Def, ExprKind, Ident, Import, Program, Stmt, StmtKind};
use super::expr::{arguments, expression, text};
use super::input::{Failure, Parsed, Tokens, bare_path, ident, keyword, label, symbol};
use super::lex::{self, Token, TokenKind};
use super::slips;
use super::span::Source;
use crate::error::{Error, Span};
use nom::Parser;
use nom::branch::alt;
use nom::combinator::cut;
use nom::multi::separated_list0;
use std::cell::RefCell;
use std::sync::Arc;

/// Reads a source; what could be read, and every error in it.
///
/// ```
/// use gannet::lang::{parse::parse, span::Source};
/// let source = Source::new("edit.gnt", "w = r + 2*(smile | age)\nshow w")?;
/// let (program, errors) = parse(&source);
/// assert!(errors.is_empty() && program.statements.len() == 2);
/// # Ok::<(), gannet::error::Error>(())
/// ```
pub fn parse(source: &Source) -> (Program, Vec<Error>) {
    program(source)
}

fn program(source: &Source) -> (Program, Vec<Error>) {
    let text = source.text();
    let tokens = lex::tokens(text);
    let ends = lex::ends_statement(&tokens, text);
    let (mut program, mut errors) = (Program::default(), Vec::new());
    program.cells.push(cell(None, text, 0));
    let mut pending: Vec<Token> = Vec::new();
    for (token, end) in tokens.iter().zip(ends) {
        if end {
            finish(&mut pending, text, &mut program, &mut errors);
        }
        match token.kind {
            TokenKind::Comment => program.comments.push(comment(*token, text)),
            TokenKind::Marker => open_cell(*token, text, &mut program),
            TokenKind::Prose => {
                if let Some(cell) = program.cells.last_mut() {
                    cell.text = source.slice(token.span).to_string();
                }
            }
            TokenKind::Symbol("\n" | ";") => {}
            _ => pending.push(*token),
        }
    }
    finish(&mut pending, text, &mut program, &mut errors);
    drop_empty_start(&mut program);
    (program, errors)
}

/// Text before the first marker is a cell unless it is empty.
fn drop_empty_start(program: &mut Program) {
    let [first, second, ..] = program.cells.as_slice() else { return };
    let comment = program.comments.first().is_some_and(|c| c.span.start < second.body.start);
    if first.marker.is_none() && first.statements.is_empty() && !comment {
        program.cells.remove(0);
    }
}

/// Reads the statement that has been gathered, if any.
fn finish(pending: &mut Vec<Token>, text: &str, program: &mut Program, errors: &mut Vec<Error>) {
    if pending.is_empty() {
        return;
    }
    match whole_statement(pending, text) {
        Ok(statement) => {
            program.statements.push(statement);
            if let Some(cell) = program.cells.last_mut() {
                cell.statements.end = program.statements.len();
            }
        }
        Err(error) => errors.push(error),
    }
    pending.clear();
}

fn whole_statement(tokens: &[Token], text: &str) -> Result<Stmt, Error> {
    let farthest = RefCell::new(Failure::default());
    let input = Tokens::new(tokens, text, &farthest);
    let failure = match statement(input) {
        Ok((rest, statement)) if rest.peek(0).is_none() => return Ok(statement),
        Ok((rest, _)) => match rest.fail::<()>("the end of the statement") {
            Err(nom::Err::Error(failure)) => failure,
            _ => Failure::default(),
        },
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => failure,
        Err(nom::Err::Incomplete(_)) => Failure::default(),
    };
    let error = unclosed(input.error(failure), tokens);
    let reads = |text: &str| Source::new("", text).is_ok_and(|s| program(&s).1.is_empty());
    Err(slips::misplaced(error, tokens, text, reads))
}

/// Points at the bracket that was never closed, where that is why the statement ended too early.
fn unclosed(error: Error, tokens: &[Token]) -> Error {
    let mut open: Vec<&Token> = Vec::new();
    for token in tokens {
        if token.is("(") || token.is("[") {
            open.push(token);
        } else if token.is(")") || token.is("]") {
            open.pop();
        }
    }
    match (open.last(), error.span(), tokens.last()) {
        (Some(bracket), Some(at), Some(last)) if at.start >= last.span.end => {
            let hint =
                "close it; if a named argument follows, write it with a colon, `name: value`";
            error.label(bracket.span, "this bracket is still open").hint(hint)
        }
        _ => error,
    }
}

fn cell(marker: Option<Token>, text: &str, statements: usize) -> Cell {
    let start = marker
        .map_or(0, |m| text[m.span.end..].find('\n').map_or(text.len(), |n| m.span.end + n + 1));
    let line = marker.map_or("", |m| &text[m.span.start..m.span.end]);
    let (prose, title) = lex::marker(line);
    Cell {
        kind: if prose { CellKind::Text } else { CellKind::Code },
        title: title.into(),
        marker: marker.map(|m| m.span),
        body: Span::new(start, text.len()),
        statements: statements..statements,
        text: String::new(),
    }
}

fn open_cell(marker: Token, text: &str, program: &mut Program) {
    if let Some(before) = program.cells.last_mut() {
        before.body.end = marker.span.start.max(before.body.start);
    }
    program.cells.push(cell(Some(marker), text, program.statements.len()));
}

fn comment(token: Token, text: &str) -> Comment {
    Comment { text: text[token.span.start + 1..token.span.end].into(), span: token.span }
}

fn statement(i: Tokens<'_>) -> Parsed<'_, Stmt> {
    let start = i.at();
    let (i, kind) = alt((import, load, show, param, def, assert, binding, display)).parse(i)?;
    Ok((i, Stmt { kind, span: i.since(start) }))
}

fn import(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    let (i, _) = keyword("import", "")(i)?;
    if let Some(error) = bare_path(i) {
        return i.refuse(error);
    }
    let (i, file) = cut(label("the file in quotes, like \"lib.gnt\"", text)).parse(i)?;
    let ExprKind::Text(path) = file.kind else { return i.fail("a text") };
    Ok((i, StmtKind::Import(Import { path, span: file.span, library: None, repeated: false })))
}

fn load(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    let (i, call) = command("load", i)?;
    Ok((i, StmtKind::Load(call)))
}

fn show(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    let (i, call) = command("show", i)?;
    Ok((i, StmtKind::Show(call)))
}

/// A word and its arguments without brackets. A bracket that touches the word makes it a plain
/// call: `show(a) |> …`.
fn command<'a>(word: &'static str, i: Tokens<'a>) -> Parsed<'a, super::ast::Call> {
    let (rest, token) = keyword(word, "")(i)?;
    if rest.touches() && rest.peek(0).is_some_and(|t| t.is("(")) {
        return Err(nom::Err::Error(Failure::default()));
    }
    let (rest, args) = cut(arguments).parse(rest)?;
    if args.is_empty() && word == "load" {
        let message = "`load` needs a file, or the name of a generator";
        return rest.refuse(Error::check(message).at(token.span).hint("load \"faces\""));
    }
    if args.is_empty() {
        return cut(|i: Tokens<'a>| i.fail("an argument")).parse(rest);
    }
    Ok((rest, super::ast::Call { name: Ident { name: word.into(), span: token.span }, args }))
}

fn param(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    let (i, _) = keyword("param", "")(i)?;
    let (i, name) = cut(ident("the parameter's name", false)).parse(i)?;
    let (i, _) = cut(symbol("=", "`=`")).parse(i)?;
    let (i, value) = cut(expression).parse(i)?;
    Ok((i, StmtKind::Param { name, value }))
}

fn def(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    let (i, _) = keyword("def", "")(i)?;
    let (i, name) = cut(ident("the function's name", false)).parse(i)?;
    let (i, _) = cut(symbol("(", "`(`")).parse(i)?;
    let (i, params) = cut(parameters).parse(i)?;
    let (i, _) = cut(symbol(")", "`)`")).parse(i)?;
    let (i, _) = cut(symbol("=", "`=`")).parse(i)?;
    let (i, body) = cut(expression).parse(i)?;
    Ok((i, StmtKind::Def(Arc::new(Def { name, params, body, file: None }))))
}

fn parameters(i: Tokens<'_>) -> Parsed<'_, Vec<Ident>> {
    let (i, params) =
        separated_list0(symbol(",", "`,`"), ident("a parameter's name", false)).parse(i)?;
    for (n, p) in params.iter().enumerate() {
        if let Some(first) = params[..n].iter().find(|q| q.name == p.name) {
            let error = Error::check(format!("`{}` is a parameter twice", p.name)).at(p.span);
            return i.refuse(
                error.label(first.span, "the first one").hint("give them different names"),
            );
        }
    }
    Ok((i, params))
}

fn assert(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    let (i, _) = keyword("assert", "")(i)?;
    cut(expression).map(StmtKind::Assert).parse(i)
}

fn binding(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    if let (Some(word), Some(sign)) = (i.peek(0), i.peek(1))
        && sign.is("=")
        && matches!(word.kind, TokenKind::Keyword | TokenKind::Space(_))
    {
        let what = if word.kind == TokenKind::Keyword {
            "a word of the language"
        } else {
            "the name of a space"
        };
        let message = format!("`{}` is {what} and cannot name a value", i.word(word));
        return i.refuse(Error::check(message).at(word.span).hint("choose another name"));
    }
    if !i.peek(1).is_some_and(|t| t.is("=")) {
        return Err(nom::Err::Error(Failure::default()));
    }
    let (i, name) = ident("a name", false)(i)?;
    let (i, _) = symbol("=", "`=`")(i)?;
    let (i, value) = cut(expression).parse(i)?;
    Ok((i, StmtKind::Let { name, value }))
}

fn display(i: Tokens<'_>) -> Parsed<'_, StmtKind> {
    expression.map(StmtKind::Expr).parse(i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use proptest::prelude::*;

    fn read(text: &str) -> (Program, Vec<(String, String)>) {
        let source = Source::new("t.gnt", text).unwrap();
        let (program, errors) = parse(&source);
        let said =
            |e: &Error| (source.slice(e.span().unwrap()).to_string(), e.message().to_string());
        let errors = errors.iter().map(said).collect();
        (program, errors)
    }

    fn refused(text: &str, at: &str, message: &str) {
        let (_, errors) = read(text);
        assert_eq!(errors, [(at.to_string(), message.to_string())], "{text}");
    }

    #[test]
    fn the_sketch_of_the_language_is_read() {
        let text = include_str!("../../grammar/sketch.gnt");
        let (program, errors) = read(text);
        assert_eq!(errors, []);
        assert_eq!(program.statements.len(), 20);
        assert!(program.comments.len() > 5);
    }

    #[test]
    fn expectations_are_merged_at_the_farthest_failure() {
        refused("f(a b)", "b", "expected `,` or `)`, found `b`");
        refused("x = ", "", "expected an expression, but the statement ends");
        refused("(a", "", "expected `)`, but the statement ends");
        refused("def f(a, = 1", "=", "expected a parameter's name, found `=`");
        refused("param x 2", "2", "expected `=`, found `2`");
        refused("show", "", "expected an argument, but the statement ends");
        refused("load", "load", "`load` needs a file, or the name of a generator");
        refused("a b", "b", "expected the end of the statement, found `b`");
        refused("[a for b c]", "c", "expected `in`, found `c`");
        refused("a + * b", "*", "expected an expression, found `*`");
        refused("d @ \"x\"", "\"x\"", "expected layers, like `0..4` or `3`, found `\"x\"`");
        refused("a < b < c", "<", "comparisons do not chain");
        refused("for = 1", "for", "`for` is a word of the language and cannot name a value");
        refused("d | []", "[]", "a condition needs at least one direction");
        refused("x = \"a\\q\"", "\\q", "this escape means nothing");
        refused("x = \"abc", "\"abc", "this text does not end on its line");
        refused("x = 1e999", "1e999", "this number is too large");
        refused("def f(a, a) = a", "a", "`a` is a parameter twice");
    }

    #[test]
    fn every_statement_has_its_own_error() {
        let (program, errors) = read("a = (1\nb = 2\nc = )\nd = 4; e = 1 2\nf(\ng = 3)\nh = 1");
        let names: Vec<&str> =
            program.statements.iter().filter_map(|s| s.kind.binds()).map(|i| &*i.name).collect();
        assert_eq!(names, ["b", "d", "h"]);
        assert_eq!(errors.len(), 5, "{errors:?}");
    }

    #[test]
    fn deep_input_is_refused_and_never_overflows() {
        let n = 100_000;
        for text in [
            "(".repeat(n),
            "[".repeat(n),
            "f(".repeat(n),
            "a[".repeat(n),
            format!("{}a", "-".repeat(n)),
            format!("a{}", " + a".repeat(n)),
            format!("a{}", " |> f".repeat(n)),
            format!("a{}", "[0]".repeat(n)),
            format!("a{}", " @ 3".repeat(n)),
            format!("{}a{}", "(".repeat(n), ")".repeat(n)),
            format!("{}1{}", "[".repeat(60), "]".repeat(60)).repeat(300),
        ] {
            assert!(!read(&text).1.is_empty());
        }
        let flat = format!("a | b{}", " | c".repeat(n));
        assert_eq!(read(&flat).1, []);
        let deepest = |n| format!("{}a{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(read(&deepest(LIMITS.expression_depth - 1)).1, []);
        assert_eq!(read(&deepest(LIMITS.expression_depth)).1.len(), 1);
    }

    #[test]
    fn conditions_are_joint_however_they_are_written() {
        let conditions = |text: &str| match &read(text).0.statements[0].kind {
            StmtKind::Expr(e) => match &e.kind {
                ExprKind::Condition { conditions, .. } => conditions.len(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(
            ["a | b", "a | b | c", "a | [b, c]", "a | b | [c, d]"].map(conditions),
            [1, 2, 2, 3]
        );
    }

    #[test]
    fn cells_cover_the_text_and_hold_their_statements() {
        let (program, errors) =
            read("#%% md Intro\n# Hi (\n\n#%% first\na = 1\nb\n#%%\n#%%\nc # last");
        assert_eq!(errors, []);
        let shape: Vec<_> = program
            .cells
            .iter()
            .map(|c| (c.kind, c.title.as_str(), c.statements.clone()))
            .collect();
        use CellKind::{Code, Text};
        assert_eq!(
            shape,
            [(Text, "Intro", 0..0), (Code, "first", 0..2), (Code, "", 2..2), (Code, "", 2..3)]
        );
        assert_eq!(program.cells[0].text, "# Hi (\n\n");
        assert_eq!(program.comments[0].text, " last");
    }

    /// The text after the repair of its first error.
    fn repaired(text: &str) -> Option<String> {
        let (_, errors) = parse(&Source::new("t.gnt", text).unwrap());
        let fix = errors.first()?.applied()?;
        let mut mended = text.to_owned();
        mended.replace_range(fix.span.start..fix.span.end, &fix.text);
        assert_eq!(read(&mended).1, [], "{text}");
        Some(mended)
    }

    #[test]
    fn calls_without_brackets_and_products_without_a_sign_are_mended() {
        for (text, mended) in [
            ("invert x", "invert(x)"),
            ("compare x r", "compare(x, r)"),
            ("save r, \"r.png\"", "save(r, \"r.png\")"),
            ("a = 1\ninvert x, steps: 5", "a = 1\ninvert(x, steps: 5)"),
            ("r + 2 smile", "r + 2*smile"),
            ("show(r, r + 2 smile)", "show(r, r + 2*smile)"),
            ("r + 2(smile - age)", "r + 2*(smile - age)"),
        ] {
            assert_eq!(repaired(text).as_deref(), Some(mended), "{text}");
        }
        // These may mean several things.
        for text in ["f(1a: 2)", "invert x steps: 5", "a + b c", "(a) b", "x \"a\" +"] {
            assert_eq!(repaired(text), None, "{text}");
        }
    }

    #[test]
    fn a_question_mark_after_a_word_leads_to_its_help() {
        let hint = |text: &str| {
            let (_, errors) = parse(&Source::new("t.gnt", text).unwrap());
            errors[0].repair().unwrap().to_owned()
        };
        assert_eq!(hint("invert?"), "`?invert` at the prompt explains `invert`");
        assert_eq!(hint("r = mix?"), "`?mix` at the prompt explains `mix`");
    }

    proptest! {
        #[test]
        fn random_text_is_read_or_refused_within_itself(text in "[ \n()\\[\\]\\-+*/|@<>=!.,:;#%\"\\\\a-cW0-3]{0,80}") {
            let source = Source::new("t", text.clone()).unwrap();
            for e in parse(&source).1 {
                let span = e.span().unwrap();
                prop_assert!(span.start <= span.end && span.end <= text.len());
                prop_assert!(!crate::lang::span::render(&source, &e, false).is_empty());
            }
        }
    }
}
