//! Input and failures of the parser: tokens as a nom input, and failures that keep the farthest
//! position.

use super::ast::Ident;
use super::lex::{Token, TokenKind};
use super::slips;
use crate::error::{Error, Span};
use crate::space::Space;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Needed, Parser};
use std::cell::RefCell;

/// Result of a parser function.
pub(super) type Parsed<'a, T> = IResult<Tokens<'a>, T, Failure>;

/// The tokens of one statement that are not yet read.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    rest: &'a [Token],
    text: &'a str,
    /// End of the last token read, or the statement's start.
    last: usize,
    /// Brackets around.
    pub(super) depth: usize,
    farthest: &'a RefCell<Failure>,
}

/// Position at which nothing fits, and the tokens expected there; or a specific error.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    at: usize,
    expected: Vec<&'static str>,
    said: Option<Error>,
}

impl Failure {
    /// Keeps a specific error, else the farther failure, else both expectations.
    fn merge(mut self, other: Self) -> Self {
        if self.said.is_some() || (other.said.is_none() && self.at > other.at) {
            return self;
        }
        if other.said.is_some() || other.at > self.at {
            return other;
        }
        self.expected.extend(
            other.expected.iter().filter(|e| !self.expected.contains(e)).collect::<Vec<_>>(),
        );
        self
    }

    fn expected(&self) -> String {
        match self.expected.as_slice() {
            [] => "nothing more".into(),
            [one] => (*one).into(),
            [most @ .., last] => format!("{} or {last}", most.join(", ")),
        }
    }
}

impl<'a> ParseError<Tokens<'a>> for Failure {
    fn from_error_kind(input: Tokens<'a>, _: ErrorKind) -> Self {
        Self { at: input.at(), ..Self::default() }
    }

    fn append(_: Tokens<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }

    fn or(self, other: Self) -> Self {
        self.merge(other)
    }
}

impl<'a> Tokens<'a> {
    pub(super) fn new(rest: &'a [Token], text: &'a str, farthest: &'a RefCell<Failure>) -> Self {
        let last = rest.first().map_or(0, |t| t.span.start);
        Self { rest, text, last, depth: 0, farthest }
    }

    /// The same tokens, with that many brackets around.
    pub(super) fn at_depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// The next token.
    pub(super) fn peek(&self, ahead: usize) -> Option<Token> {
        self.rest.get(ahead).copied()
    }

    /// The text of a token.
    pub(super) fn word(&self, token: Token) -> &'a str {
        &self.text[token.span.start..token.span.end]
    }

    /// Start of the next token, or the end of the last one.
    pub(super) fn at(&self) -> usize {
        self.rest.first().map_or(self.last, |t| t.span.start)
    }

    /// Range from `start` to the end of the last token read.
    pub(super) fn since(&self, start: usize) -> Span {
        Span::new(start, self.last.max(start))
    }

    /// Whether the next token follows the last one without a blank.
    pub(super) fn touches(&self) -> bool {
        self.at() == self.last
    }

    fn advance(mut self) -> Self {
        if let [first, rest @ ..] = self.rest {
            (self.last, self.rest) = (first.span.end, rest);
        }
        self
    }

    /// Fails softly: another alternative may still fit.
    pub(super) fn fail<T>(self, expected: &'static str) -> Parsed<'a, T> {
        let failure = Failure { at: self.at(), expected: vec![expected], said: None };
        let merged = self.farthest.take().merge(failure.clone());
        self.farthest.replace(merged);
        Err(nom::Err::Error(failure))
    }

    /// Fails without naming an expectation: operators that may follow anything are not worth
    /// listing.
    fn decline<T>(self) -> Parsed<'a, T> {
        Err(nom::Err::Error(Failure { at: self.at(), ..Failure::default() }))
    }

    /// Fails for good, in words.
    pub(super) fn refuse<T>(self, error: Error) -> Parsed<'a, T> {
        Err(nom::Err::Failure(Failure { at: self.at(), expected: Vec::new(), said: Some(error) }))
    }

    /// The error of a failure: the tokens expected and the token found.
    pub(super) fn error(&self, failure: Failure) -> Error {
        let failure = self.farthest.take().merge(failure);
        if let Some(error) = failure.said {
            return error;
        }
        let expected = failure.expected();
        let Some(token) = self.rest.iter().find(|t| t.span.start >= failure.at) else {
            let message = format!("expected {expected}, but the statement ends");
            return Error::check(message).at(Span::new(failure.at, failure.at));
        };
        let path = path_around(self.text, token.span);
        if let Some(path) = path {
            return unquoted(self.text, token.span, path);
        }
        if token.kind == TokenKind::Bad {
            return bad(self.text, token.span);
        }
        let found = self.word(*token);
        if let Some(error) = small_space(self.text, token.span) {
            return error;
        }
        let error = Error::check(format!("expected {expected}, found `{found}`")).at(token.span);
        match (token.kind, found) {
            (TokenKind::Symbol(_), "=") => {
                error.hint("arguments are named with a colon, `name: value`; `==` compares")
            }
            (TokenKind::Keyword, _) => error.note(format!("`{found}` is a word of the language")),
            _ => error,
        }
    }
}

/// Whether a character occurs in paths that are written without quotes.
fn in_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '~' | '\\')
}

/// Range around a position that looks like a file path: `me.jpg`, `/tmp/x.png`, `~/a.jpg`.
fn path_around(text: &str, span: Span) -> Option<Span> {
    let start = text[..span.start].trim_end_matches(in_path).len();
    let end = text.len() - text[span.end..].trim_start_matches(in_path).len();
    let found = &text[start..end];
    let odd = match &text[span.start..span.end] {
        "." | "/" | "~" | "\\" => true,
        ".." => found.contains('/'),
        _ => false,
    };
    let named = odd && found.contains(|c: char| c.is_alphabetic());
    // A number that begins with its point, or a quotient, is not a path.
    let (stem, ending) = found.rsplit_once('.')?;
    let file = !ending.is_empty() && ending.chars().all(char::is_alphanumeric);
    (named && file && !stem.is_empty()).then_some(Span::new(start, end))
}

/// The error of a path without quotes that begins with the next token, if one does.
pub(super) fn bare_path(i: Tokens<'_>) -> Option<Error> {
    let rest = &i.text[i.at()..];
    let len = rest.len() - rest.trim_start_matches(in_path).len();
    let path = Span::new(i.at(), i.at() + len);
    (len > 0).then(|| {
        let quoted = format!("\"{}\"", rest[..len].replace('\\', "/"));
        let error = Error::check("the name of a file is written in quotes").at(path);
        error.rewrite(path, quoted)
    })
}

/// The error of a path without quotes.
fn unquoted(text: &str, at: Span, path: Span) -> Error {
    let found = &text[at.start..at.end];
    let quoted = format!("\"{}\"", text[path.start..path.end].replace('\\', "/"));
    let error = Error::check(format!("a `{found}` means nothing here")).at(at);
    error.hint(format!("the name of a file is written in quotes: {quoted}")).fix(path, quoted)
}

/// The error of `w+` where W+ is meant: something that cannot follow a plus is at `span`.
fn small_space(text: &str, span: Span) -> Option<Error> {
    let before = text[..span.start].trim_end().strip_suffix('+')?;
    let start = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    let space = Space::parse(&format!("{}+", before[start..].to_uppercase()))?;
    let whole = Span::new(start, before.len() + 1);
    let error =
        Error::check(format!("`{}` is not a space", &text[whole.start..whole.end])).at(whole);
    Some(error.note("spaces are capital letters").rewrite(whole, space.name()))
}

/// The error for text that is not a token.
fn bad(text: &str, span: Span) -> Error {
    let word = &text[span.start..span.end];
    let error = |text: String| Error::check(text).at(span);
    match word.chars().next().unwrap_or(' ') {
        '"' => error("this text does not end on its line".into()).hint("close it with `\"`"),
        '\'' | '“' | '”' | '‘' | '’' | '`' => {
            let error = error(format!("`{word}` does not start a text"))
                .hint("texts are written in `\"…\"`");
            let line = text[span.end..].split('\n').next().unwrap_or_default();
            match line.split_once(['\'', '’', '”', '`']) {
                Some((inner, rest)) if !inner.contains(['"', '\\']) => {
                    let closing = line.len() - inner.len() - rest.len();
                    let whole = Span::new(span.start, span.end + inner.len() + closing);
                    error.fix(whole, format!("\"{inner}\""))
                }
                _ => error,
            }
        }
        '−' | '–' | '—' => {
            error(format!("`{word}` is not a minus sign")).hint("write `-`").fix(span, "-")
        }
        '.' => {
            let error = error("a `.` means nothing here".into())
                .hint("write `0.5` for a number, `0..4` for a range");
            let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            let before = digit(text[..span.start].chars().next_back());
            match (before, digit(text[span.end..].chars().next())) {
                (false, true) => error.fix(span, "0."),
                (true, false) => error.fix(span, ""),
                _ => error,
            }
        }
        '!' => error("a `!` means nothing here".into()).hint("`!=` compares"),
        '×' => error(format!("`{word}` means nothing here")).hint("write `*`").fix(span, "*"),
        '?' => {
            let error = error("a `?` means nothing here".into());
            error.hint(
                slips::asked(text, span)
                    .unwrap_or_else(|| "`?invert` at the prompt explains `invert`".into()),
            )
        }
        _ => error(format!("`{word}` means nothing here"))
            .hint("take it out, or put it into a text or a comment"),
    }
}

/// A token by its kind.
pub(super) fn kind<'a>(
    expected: &'static str,
    test: impl Fn(TokenKind) -> bool,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    move |i| match i.peek(0) {
        Some(token) if test(token.kind) => Ok((i.advance(), token)),
        _ => i.fail(expected),
    }
}

/// A symbol; `name` is how it is called when it is missing.
pub(super) fn symbol<'a>(
    symbol: &'static str,
    name: &'static str,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    kind(name, move |k| k == TokenKind::Symbol(symbol))
}

/// One of some symbols, where one may follow but need not.
pub(super) fn operator<'a>(
    symbols: &'static [&'static str],
) -> impl Fn(Tokens<'a>) -> Parsed<'a, (&'static str, Span)> {
    move |i| match i.peek(0) {
        Some(Token { kind: TokenKind::Symbol(s), span }) if symbols.contains(&s) => {
            Ok((i.advance(), (s, span)))
        }
        _ => i.decline(),
    }
}

/// A word of the language.
pub(super) fn keyword<'a>(
    word: &'static str,
    name: &'static str,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Token> {
    move |i| match i.peek(0) {
        Some(token) if token.kind == TokenKind::Keyword && i.word(token) == word => {
            Ok((i.advance(), token))
        }
        _ if name.is_empty() => i.decline(),
        _ => i.fail(name),
    }
}

/// Any word as an [`Ident`], keywords included when `any`.
pub(super) fn ident<'a>(
    expected: &'static str,
    any: bool,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Ident> {
    move |i| {
        let fits = |k| {
            matches!(k, TokenKind::Name)
                || (any && matches!(k, TokenKind::Keyword | TokenKind::Space(_)))
        };
        let (rest, token) = kind(expected, fits)(i)?;
        Ok((rest, Ident { name: i.word(token).into(), span: token.span }))
    }
}

/// Calls what `parser` reads by one name when it fails at its first token.
pub(super) fn label<'a, T>(
    name: &'static str,
    mut parser: impl Parser<Tokens<'a>, Output = T, Error = Failure>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, T> {
    move |i| {
        let before = i.farthest.borrow().clone();
        match parser.parse(i) {
            Err(nom::Err::Error(failure)) if failure.at <= i.at() => {
                i.farthest.replace(before);
                i.fail(name)
            }
            other => other,
        }
    }
}

// Only what nom's combinators ask of an input; the parser itself reads token by token.
impl<'a> nom::Input for Tokens<'a> {
    type Item = Token;
    type Iter = std::iter::Copied<std::slice::Iter<'a, Token>>;
    type IterIndices = std::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.rest.len()
    }

    fn take(&self, index: usize) -> Self {
        Self { rest: &self.rest[..index], ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        let last = index.checked_sub(1).map_or(self.last, |i| self.rest[i].span.end);
        Self { rest: &self.rest[index..], last, ..*self }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Token) -> bool>(&self, predicate: P) -> Option<usize> {
        self.rest.iter().position(|t| predicate(*t))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.rest.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count <= self.rest.len() { Ok(count) } else { Err(Needed::new(count - self.rest.len())) }
    }
}
