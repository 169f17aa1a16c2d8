//! `gannet fmt`: the canonical layout of a source.
//!
//! It works on tokens, so comments, cells, parentheses and the author's line breaks within a
//! statement stay: only blanks, indentation, blank lines and `;` change, never the meaning.

use super::lex::{self, Token, TokenKind};
use super::parse::parse;
use super::span::Source;
use crate::error::{Error, Result, Span};

/// A source in its canonical layout: one statement a line, one blank line at most, one blank around
/// operators and none around `*`, `/` and `..`, four for every open bracket.
///
/// ```
/// use gannet::lang::{layout::format, span::Source};
/// let source = Source::new("edit.gnt", "w=r+2 * smile;show  r,w # both")?;
/// assert_eq!(format(&source)?, "w = r + 2*smile\nshow r, w  # both\n");
/// # Ok::<(), gannet::error::Error>(())
/// ```
///
/// # Errors
/// When the parser refuses the text.
pub fn format(source: &Source) -> Result<String> {
    match Error::all(parse(source).1) {
        Some(error) => Err(error),
        None => Ok(Layout::new(source.text()).run()),
    }
}

struct Layout<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    ends: Vec<bool>,
    out: String,
    depth: usize,
    /// Whether the statement went on in a new line outside of brackets.
    held: bool,
    /// Newlines since the last token.
    newlines: usize,
    /// The last token of the statement being written.
    last: Option<Token>,
    /// The previous token, which decides whether a `-` is a sign.
    before: Option<Token>,
}

impl<'a> Layout<'a> {
    fn new(text: &'a str) -> Self {
        let tokens = lex::tokens(text);
        let ends = lex::ends_statement(&tokens, text);
        Self {
            text,
            tokens,
            ends,
            out: String::new(),
            depth: 0,
            held: false,
            newlines: 0,
            last: None,
            before: None,
        }
    }

    fn run(mut self) -> String {
        for i in 0..self.tokens.len() {
            let token = self.tokens[i];
            if self.ends[i] {
                (self.last, self.before, self.depth, self.held) = (None, None, 0, false);
            }
            match token.kind {
                TokenKind::Symbol("\n") => self.newlines += 1,
                TokenKind::Symbol(";") => self.newlines = self.newlines.max(1),
                TokenKind::Prose => self.prose(token),
                TokenKind::Marker => self.marker(token),
                TokenKind::Comment => self.comment(token),
                _ => self.word(token),
            }
        }
        let prose = self
            .tokens
            .iter()
            .rev()
            .find(|t| !t.is("\n"))
            .is_some_and(|t| t.kind == TokenKind::Prose);
        if !self.out.is_empty() && !self.out.ends_with('\n') && !prose {
            self.out.push('\n');
        }
        self.out
    }

    fn slice(&self, token: Token) -> &'a str {
        let Span { start, end } = token.span;
        &self.text[start..end]
    }

    /// Ends the line; a blank line stays one, but not within a statement or at the top.
    fn line(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        if self.newlines > 1 && self.last.is_none() && !self.out.is_empty() {
            self.out.push('\n');
        }
        self.newlines = 0;
    }

    fn indent(&mut self, closing: bool) {
        self.held |= self.depth == 0 && self.last.is_some();
        let depth = (self.depth + usize::from(self.held)).saturating_sub(usize::from(closing));
        self.out.push_str(&"    ".repeat(depth));
    }

    fn at_line_start(&self) -> bool {
        self.newlines > 0 || self.out.is_empty() || self.out.ends_with('\n')
    }

    /// The words of a text cell stay as they are.
    fn prose(&mut self, token: Token) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.newlines = 0;
        self.out.push_str(self.slice(token));
    }

    fn marker(&mut self, token: Token) {
        self.line();
        let (prose, title) = lex::marker(self.slice(token));
        self.out.push_str("#%%");
        for part in [if prose { "md" } else { "" }, title] {
            if !part.is_empty() {
                self.out.push(' ');
                self.out.push_str(part);
            }
        }
    }

    fn comment(&mut self, token: Token) {
        if self.at_line_start() {
            self.line();
            self.indent(false);
        } else {
            self.out.push_str("  ");
        }
        self.out.push_str(self.slice(token));
    }

    fn word(&mut self, token: Token) {
        let closing = token.is(")") || token.is("]");
        if self.at_line_start() {
            self.line();
            self.indent(closing);
        } else if self.gap(token) {
            self.out.push(' ');
        }
        self.out.push_str(self.slice(token));
        self.depth = match token.kind {
            TokenKind::Symbol("(" | "[") => self.depth + 1,
            _ => self.depth.saturating_sub(usize::from(closing)),
        };
        (self.before, self.last) = (self.last, Some(token));
    }

    /// Whether there is a blank between the last token and this one.
    fn gap(&self, next: Token) -> bool {
        let Some(last) = self.last else { return false };
        let sign = last.is("-") && !self.before.is_some_and(|t| self.operand(t));
        match (last.kind, next.kind) {
            (TokenKind::Symbol("(" | "[" | "*" | "/" | ".."), _) => false,
            (_, TokenKind::Symbol(")" | "]" | "," | ":" | "..")) => false,
            (_, TokenKind::Symbol("*" | "/")) => false,
            _ if sign => false,
            // `show (a)` and `show(a)` are two different things.
            (TokenKind::Keyword, TokenKind::Symbol("(")) => {
                last.span.end != next.span.start || !self.callable(last)
            }
            (_, TokenKind::Symbol("(")) => !self.operand(last),
            (_, TokenKind::Symbol("[")) => !self.operand(last),
            _ => true,
        }
    }

    fn callable(&self, token: Token) -> bool {
        matches!(self.slice(token), "load" | "show")
    }

    /// Whether an operand can end with this token.
    fn operand(&self, token: Token) -> bool {
        match token.kind {
            TokenKind::Number | TokenKind::Text | TokenKind::Name | TokenKind::Space(_) => true,
            TokenKind::Keyword => matches!(self.slice(token), "true" | "false"),
            TokenKind::Symbol(s) => matches!(s, ")" | "]"),
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
