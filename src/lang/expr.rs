//! Expressions: one function a rule of `grammar/gannet.ebnf`, from loose to tight.

use super::ast::{Arg, BinaryOp, Call, CompareOp, Expr, ExprKind, Ident};
use super::input::{Parsed, Tokens, ident, keyword, kind, label, operator, symbol};
use super::lex::TokenKind;
use crate::error::{Error, Span};
use crate::limits::LIMITS;
use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, opt};
use nom::multi::{many0, separated_list0};
use nom::sequence::preceded;

/// A node, unless the tree above the leaves would become too deep to walk.
fn node(i: Tokens<'_>, kind: ExprKind, start: usize) -> Parsed<'_, Expr> {
    let expr = Expr::new(kind, i.since(start));
    if expr.depth() > LIMITS.expression_depth { too_deep(i, expr.span) } else { Ok((i, expr)) }
}

fn too_deep<T>(i: Tokens<'_>, span: Span) -> Parsed<'_, T> {
    let message =
        format!("this expression is nested deeper than {} levels", LIMITS.expression_depth);
    i.refuse(Error::check(message).at(span).hint("give a part of it a name first: `part = …`"))
}

/// Parses bracketed content, one level deeper.
fn nested<'a, T>(
    mut parser: impl Parser<Tokens<'a>, Output = T, Error = super::input::Failure>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, T> {
    move |i| {
        if i.depth >= LIMITS.expression_depth {
            return too_deep(i, i.peek(0).map_or(i.since(i.at()), |t| t.span));
        }
        let (mut rest, value) = parser.parse(i.at_depth(i.depth + 1))?;
        rest.depth = i.depth;
        Ok((rest, value))
    }
}

pub(super) fn expression(i: Tokens<'_>) -> Parsed<'_, Expr> {
    label("an expression", pipe)(i)
}

fn pipe(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (mut i, mut lhs) = comparison(i)?;
    while let (rest, Some(_)) = opt(operator(&["|>"])).parse(i)? {
        let at = rest.at();
        let (rest, call) = cut(alt((call, bare_call))).parse(rest)?;
        let kind = ExprKind::Pipe { lhs: Box::new(lhs), call, call_span: rest.since(at) };
        (i, lhs) = node(rest, kind, start)?;
    }
    Ok((i, lhs))
}

fn bare_call(i: Tokens<'_>) -> Parsed<'_, Call> {
    function_name.map(|name| Call { name, args: Vec::new() }).parse(i)
}

fn comparison(i: Tokens<'_>) -> Parsed<'_, Expr> {
    const SIGNS: &[&str] = &["<", "<=", ">", ">=", "==", "!="];
    let start = i.at();
    let (i, lhs) = range(i)?;
    let (i, Some((sign, op_span))) = opt(operator(SIGNS)).parse(i)? else { return Ok((i, lhs)) };
    let (i, rhs) = cut(label("an expression", range)).parse(i)?;
    if let (_, Some((_, span))) = opt(operator(SIGNS)).parse(i)? {
        let error = Error::check("comparisons do not chain")
            .at(span)
            .label(op_span, "the first comparison");
        return i.refuse(error.hint("write two asserts, `assert a < b` and `assert b < c`"));
    }
    let op = match sign {
        "<" => CompareOp::Less,
        "<=" => CompareOp::LessEq,
        ">" => CompareOp::Greater,
        ">=" => CompareOp::GreaterEq,
        "==" => CompareOp::Equal,
        _ => CompareOp::NotEqual,
    };
    node(i, ExprKind::Compare { op, op_span, lhs: Box::new(lhs), rhs: Box::new(rhs) }, start)
}

fn range(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, from) = sum(i)?;
    let (i, Some(_)) = opt(operator(&[".."])).parse(i)? else { return Ok((i, from)) };
    let (i, to) = cut(label("the end of the range", sum)).parse(i)?;
    let (i, step) = opt(preceded(keyword("by", ""), cut(label("a step", sum)))).parse(i)?;
    node(
        i,
        ExprKind::Range { from: Box::new(from), to: Box::new(to), step: step.map(Box::new) },
        start,
    )
}

fn sum(i: Tokens<'_>) -> Parsed<'_, Expr> {
    chain(i, product, &["+", "-"])
}

fn product(i: Tokens<'_>) -> Parsed<'_, Expr> {
    chain(i, negation, &["*", "/"])
}

/// Operands with operators between them, grouped from the left.
fn chain<'a>(
    i: Tokens<'a>,
    operand: fn(Tokens<'a>) -> Parsed<'a, Expr>,
    symbols: &'static [&'static str],
) -> Parsed<'a, Expr> {
    let start = i.at();
    let (mut i, mut lhs) = operand(i)?;
    while let (rest, Some((sign, op_span))) = opt(operator(symbols)).parse(i)? {
        let op = match sign {
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Sub,
            "*" => BinaryOp::Mul,
            _ => BinaryOp::Div,
        };
        let (rest, rhs) = cut(label("an expression", operand)).parse(rest)?;
        let kind = ExprKind::Binary { op, op_span, lhs: Box::new(lhs), rhs: Box::new(rhs) };
        (i, lhs) = node(rest, kind, start)?;
    }
    Ok((i, lhs))
}

fn negation(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let (i, signs) = many0(operator(&["-"])).parse(i)?;
    // Read in a loop and built from the inside, so that a thousand signs are refused rather than
    // recursed into.
    let (mut i, mut value) =
        if signs.is_empty() { condition(i)? } else { cut(condition).parse(i)? };
    for (_, span) in signs.into_iter().rev() {
        (i, value) = node(i, ExprKind::Neg(Box::new(value)), span.start)?;
    }
    Ok((i, value))
}

fn condition(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, base) = layers(i)?;
    let (rest, parts) =
        many0(preceded(operator(&["|"]), cut(label("a direction", layers)))).parse(i)?;
    if parts.is_empty() {
        return Ok((i, base));
    }
    let mut conditions = Vec::new();
    for part in parts {
        match part.kind {
            ExprKind::List(items) if items.is_empty() => {
                let error = Error::check("a condition needs at least one direction").at(part.span);
                return rest.refuse(
                    error.hint("name the directions to project out: `smile | [age, glasses]`"),
                );
            }
            ExprKind::List(items) => conditions.extend(items),
            _ => conditions.push(part),
        }
    }
    node(rest, ExprKind::Condition { base: Box::new(base), conditions }, start)
}

fn layers(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (mut i, mut base) = postfix(i)?;
    while let (rest, Some(_)) = opt(operator(&["@"])).parse(i)? {
        let (rest, layers) = cut(label("layers, like `0..4` or `3`", layer_range)).parse(rest)?;
        (i, base) =
            node(rest, ExprKind::Layers { base: Box::new(base), layers: Box::new(layers) }, start)?;
    }
    Ok((i, base))
}

fn layer_range(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, from) = layer(i)?;
    let (i, Some(_)) = opt(operator(&[".."])).parse(i)? else { return Ok((i, from)) };
    let (i, to) = cut(layer).parse(i)?;
    node(i, ExprKind::Range { from: Box::new(from), to: Box::new(to), step: None }, start)
}

fn layer(i: Tokens<'_>) -> Parsed<'_, Expr> {
    label("a layer", alt((number, name, group))).parse(i)
}

fn postfix(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (mut i, mut base) = primary(i)?;
    while let (rest, Some(_)) = opt(operator(&["["])).parse(i)? {
        let (rest, index) = cut(nested(expression)).parse(rest)?;
        let (rest, _) = cut(symbol("]", "`]`")).parse(rest)?;
        (i, base) =
            node(rest, ExprKind::Index { base: Box::new(base), index: Box::new(index) }, start)?;
    }
    Ok((i, base))
}

fn primary(i: Tokens<'_>) -> Parsed<'_, Expr> {
    label("an expression", alt((number, text, truth, space, call_expression, name, list, group)))
        .parse(i)
}

fn number(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, token) = kind("a number", |k| k == TokenKind::Number)(i)?;
    match i.word(token).parse::<f64>() {
        Ok(value) if value.is_finite() => {
            Ok((rest, Expr::new(ExprKind::Number(value), token.span)))
        }
        _ => rest.refuse(
            Error::check("this number is too large")
                .at(token.span)
                .hint("numbers reach up to 1.7e308"),
        ),
    }
}

pub(super) fn text(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, token) = kind("a text", |k| k == TokenKind::Text)(i)?;
    let word = i.word(token);
    match escape(&word[1..word.len() - 1]) {
        Ok(value) => Ok((rest, Expr::new(ExprKind::Text(value), token.span))),
        Err((at, len)) => {
            let start = token.span.start + 1 + at;
            let error = Error::check("this escape means nothing").at(Span::new(start, start + len));
            rest.refuse(error.hint(
                "write `\\\\` for a backslash; there are `\\\"`, `\\\\`, `\\n`, `\\t`, `\\u{e4}`",
            ))
        }
    }
}

/// The text of an escaped literal, or start and length of an invalid escape.
fn escape(text: &str) -> Result<String, (usize, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('\\') {
        out.push_str(plain);
        let at = text.len() - tail.len() - 1;
        let first = tail.chars().next();
        let (c, len) = match first {
            Some(c @ ('"' | '\\')) => (c, 1),
            Some('n') => ('\n', 1),
            Some('t') => ('\t', 1),
            Some('u') => unicode(tail).ok_or((at, 2))?,
            _ => return Err((at, 1 + first.map_or(0, char::len_utf8))),
        };
        out.push(c);
        rest = &tail[len..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of `u{..}`, and its bytes.
fn unicode(escape: &str) -> Option<(char, usize)> {
    let (digits, _) = escape.strip_prefix("u{")?.split_once('}')?;
    let code = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() <= 6)?;
    Some((char::from_u32(code)?, digits.len() + 3))
}

fn truth(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let word =
        |word, value| keyword(word, "").map(move |t| Expr::new(ExprKind::Bool(value), t.span));
    alt((word("true", true), word("false", false))).parse(i)
}

fn space(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, token) = kind("a space", |k| matches!(k, TokenKind::Space(_)))(i)?;
    match token.kind {
        TokenKind::Space(space) => Ok((rest, Expr::new(ExprKind::Space(space), token.span))),
        _ => i.fail("a space"),
    }
}

fn name(i: Tokens<'_>) -> Parsed<'_, Expr> {
    ident("a name", false).map(|id| Expr::new(ExprKind::Name(id.name), id.span)).parse(i)
}

fn call_expression(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, call) = call(i)?;
    node(i, ExprKind::Call(call), start)
}

fn call(i: Tokens<'_>) -> Parsed<'_, Call> {
    let (rest, name) = function_name(i)?;
    let (rest, _) = operator(&["("])(rest)?;
    let (rest, args) = nested(arguments)(rest)?;
    let (rest, _) = cut(symbol(")", "`)`")).parse(rest)?;
    Ok((rest, Call { name, args }))
}

/// A name that can be called; `load` and `show` can, though they are words of the language.
fn function_name(i: Tokens<'_>) -> Parsed<'_, Ident> {
    let word =
        |word| keyword(word, "").map(move |t| Ident { name: String::from(word), span: t.span });
    alt((ident("a function", false), word("load"), word("show"))).parse(i)
}

/// Arguments with commas between them; one more comma may end them.
pub(super) fn arguments(i: Tokens<'_>) -> Parsed<'_, Vec<Arg>> {
    let (i, args) = separated_list0(symbol(",", "`,`"), argument).parse(i)?;
    trailing_comma(i, args)
}

fn trailing_comma<T>(i: Tokens<'_>, items: Vec<T>) -> Parsed<'_, Vec<T>> {
    if items.is_empty() {
        return Ok((i, items));
    }
    opt(operator(&[","])).map(|_| ()).parse(i).map(|(i, ())| (i, items))
}

fn argument(i: Tokens<'_>) -> Parsed<'_, Arg> {
    if i.peek(1).is_some_and(|t| t.is(":")) {
        let (i, name) = argument_name(i)?;
        let tag = i.peek(1).is_some_and(|t| t.is(":"));
        let (i, value) = if tag { cut(tagged).parse(i)? } else { cut(expression).parse(i)? };
        return Ok((i, Arg { name: Some(name), value }));
    }
    label("an argument", expression).map(|value| Arg { name: None, value }).parse(i)
}

/// The word before a colon: any word, so that `by:` and `S:` can name arguments.
fn argument_name(i: Tokens<'_>) -> Parsed<'_, Ident> {
    let (i, name) = ident("the name of an argument", true)(i)?;
    let (i, _) = symbol(":", "`:`")(i)?;
    Ok((i, name))
}

fn tagged(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, word) = argument_name(i)?;
    let (i, value) = cut(expression).parse(i)?;
    node(i, ExprKind::Tagged { word, value: Box::new(value) }, start)
}

fn list(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, _) = symbol("[", "`[`")(i)?;
    let (i, kind) = cut(nested(elements)).parse(i)?;
    let (i, _) = cut(symbol("]", "`]`")).parse(i)?;
    node(i, kind, start)
}

fn elements(i: Tokens<'_>) -> Parsed<'_, ExprKind> {
    let (rest, Some(first)) = opt(expression).parse(i)? else {
        return Ok((i, ExprKind::List(Vec::new())));
    };
    // The first element is read once: reading it again as a comprehension would double the work at
    // every level.
    if rest.peek(0).is_some_and(|t| t.kind == TokenKind::Keyword && rest.word(t) == "for") {
        return comprehension(rest, first);
    }
    let (rest, more) = many0(preceded(symbol(",", "`,`"), expression)).parse(rest)?;
    trailing_comma(rest, std::iter::once(first).chain(more).collect())
        .map(|(i, items)| (i, ExprKind::List(items)))
}

fn comprehension(i: Tokens<'_>, body: Expr) -> Parsed<'_, ExprKind> {
    let (i, _) = keyword("for", "`for`")(i)?;
    let (i, var) = cut(ident("a name", false)).parse(i)?;
    let (i, _) = cut(keyword("in", "`in`")).parse(i)?;
    let (i, over) = cut(expression).parse(i)?;
    let (i, filter) = opt(preceded(keyword("if", "`if`"), cut(expression))).parse(i)?;
    Ok((
        i,
        ExprKind::Comprehension {
            body: Box::new(body),
            var,
            over: Box::new(over),
            filter: filter.map(Box::new),
        },
    ))
}

fn group(i: Tokens<'_>) -> Parsed<'_, Expr> {
    let start = i.at();
    let (i, _) = symbol("(", "`(`")(i)?;
    let (i, inner) = cut(nested(expression)).parse(i)?;
    let (i, _) = cut(symbol(")", "`)`")).parse(i)?;
    let expr = Expr::new(inner.kind, i.since(start));
    Ok((i, expr))
}
