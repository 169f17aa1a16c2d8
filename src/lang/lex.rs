//! Lexer: text to tokens.
//!
//! The lexer never fails, so highlighting, completion and the prompt can use it on incomplete text.
//! Text that is not a token becomes [`TokenKind::Bad`], which the parser refuses.

use crate::error::Span;
use crate::space::Space;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{anychar, char, digit1, one_of};
use nom::combinator::{opt, recognize, verify};
use nom::{IResult, Parser};

/// The words that cannot name a variable.
pub const KEYWORDS: [&str; 12] =
    ["import", "load", "show", "param", "def", "assert", "for", "in", "by", "if", "true", "false"];

/// All operators and punctuation, longer ones before their beginnings.
const SYMBOLS: [&str; 23] = [
    "|>", "..", "<=", ">=", "==", "!=", "(", ")", "[", "]", ",", ":", ";", "=", "+", "-", "*", "/",
    "|", "@", "<", ">", "\n",
];

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `1.5`
    Number,
    /// `"text"` with its quotes, escapes not yet checked.
    Text,
    /// A word that may name something.
    Name,
    /// One of [`KEYWORDS`].
    Keyword,
    /// The name of a space.
    Space(Space),
    /// An operator or punctuation; `"\n"` is the end of a line.
    Symbol(&'static str),
    /// `# …`, without its newline.
    Comment,
    /// A `#%%` line, without its newline.
    Marker,
    /// The words of a text cell.
    Prose,
    /// Invalid: a text literal without an end, or an unknown character.
    Bad,
}

/// A token with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Kind of the token.
    pub kind: TokenKind,
    /// Where.
    pub span: Span,
}

impl Token {
    /// Whether it is this symbol.
    pub fn is(&self, symbol: &str) -> bool {
        matches!(self.kind, TokenKind::Symbol(s) if s == symbol)
    }

    fn opens(&self) -> bool {
        self.is("(") || self.is("[")
    }

    fn closes(&self) -> bool {
        self.is(")") || self.is("]")
    }
}

/// All tokens of a text, in order; between them are only blanks. Never fails.
pub fn tokens(text: &str) -> Vec<Token> {
    let (mut out, mut at, mut prose): (Vec<Token>, _, _) = (Vec::new(), 0, false);
    while at < text.len() {
        let line_start =
            out.last().is_none_or(|t| t.is("\n") || t.is(";") || t.kind == TokenKind::Prose);
        let blanks = text[at..].len() - text[at..].trim_start_matches(blank).len();
        let rest = &text[at + blanks..];
        let marker = line_start && rest.starts_with("#%%");
        let (kind, start, len) = if prose && !marker {
            (TokenKind::Prose, at, prose_len(&text[at..]))
        } else if rest.is_empty() {
            break;
        } else if marker {
            let line = take_line(rest);
            prose = is_text_cell(line);
            (TokenKind::Marker, at + blanks, line.len())
        } else {
            let (kind, len) = next(rest);
            (kind, at + blanks, len)
        };
        at = start + len;
        out.push(Token { kind, span: Span::new(start, at) });
        // The marker's own newline belongs to it; the prose starts on the next line.
        if prose && kind == TokenKind::Marker {
            let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
            if end < text.len() {
                out.push(Token { kind: TokenKind::Symbol("\n"), span: Span::new(end, end + 1) });
            }
            at = (end + 1).min(text.len());
        }
    }
    out
}

/// Whether the prompt should read another line: a bracket is open, or an operator waits for its
/// right side.
pub fn incomplete(text: &str) -> bool {
    let mut reading = Reading::default();
    text.split_inclusive('\n').for_each(|line| reading.line(line));
    reading.incomplete()
}

/// Open brackets and the like after the lines read so far: reading on costs the next line only.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    open: Vec<&'static str>,
    /// The last word is an operator that waits for its right side.
    waits: bool,
    /// Within the words of a text cell.
    prose: bool,
    /// There is a mistake that more lines cannot mend.
    wrong: bool,
}

impl Reading {
    /// Reads the next line.
    pub fn line(&mut self, line: &str) {
        if self.prose && !line.trim_start_matches(blank).starts_with("#%%") {
            return;
        }
        for token in tokens(line) {
            self.token(&token, line);
        }
    }

    fn token(&mut self, token: &Token, line: &str) {
        match token.kind {
            TokenKind::Comment | TokenKind::Symbol("\n") => return,
            TokenKind::Marker | TokenKind::Prose => {
                self.open.clear();
                let marker = &line[token.span.start..token.span.end];
                self.prose = token.kind == TokenKind::Prose || is_text_cell(marker);
            }
            TokenKind::Symbol(s @ ("(" | "[")) => self.open.push(s),
            // A wrong closing bracket is an error to show now.
            TokenKind::Symbol(")") => self.wrong |= self.open.pop() != Some("("),
            TokenKind::Symbol("]") => self.wrong |= self.open.pop() != Some("["),
            TokenKind::Bad => self.wrong = true,
            _ => {}
        }
        self.waits = waits(token, line);
    }

    /// Whether the prompt should read another line.
    pub fn incomplete(&self) -> bool {
        !self.wrong && (!self.open.is_empty() || self.waits)
    }
}

/// The title and kind of a marker line: `true` for a text cell.
pub fn marker(line: &str) -> (bool, &str) {
    let rest = line.trim_start_matches("#%%").trim();
    match rest.strip_prefix("md") {
        Some(title) if is_text_cell(line) => (true, title.trim()),
        _ => (false, rest),
    }
}

fn is_text_cell(line: &str) -> bool {
    line.strip_prefix("#%%").is_some_and(|rest| rest.split_whitespace().next() == Some("md"))
}

/// Marks the newlines that end a statement: those that are not in brackets, after a waiting
/// operator or before `|>`.
///
/// A line that can only start a statement ends what an unclosed bracket holds open, so that one
/// slip costs one error.
pub(super) fn ends_statement(tokens: &[Token], text: &str) -> Vec<bool> {
    let mut ends = vec![false; tokens.len()];
    let next = words_after(tokens);
    let mut depth = 0usize;
    let mut last = None;
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol("\n") => {
                let held = depth > 0
                    || last.is_some_and(|t| waits(t, text))
                    || next[i].is_some_and(|t| t.is("|>"));
                ends[i] = !held || starts_statement(&tokens[i + 1..], text);
                if ends[i] {
                    (depth, last) = (0, None);
                }
            }
            TokenKind::Symbol(";") | TokenKind::Marker | TokenKind::Prose => {
                (ends[i], depth, last) = (true, 0, None);
            }
            TokenKind::Comment => {}
            _ => {
                depth = (depth + usize::from(token.opens()))
                    .saturating_sub(usize::from(token.closes()));
                last = Some(token);
            }
        }
    }
    ends
}

/// For every token, the next one that is neither a newline nor a comment.
fn words_after(tokens: &[Token]) -> Vec<Option<&Token>> {
    let mut next = vec![None; tokens.len()];
    let mut found = None;
    for (i, token) in tokens.iter().enumerate().rev() {
        next[i] = found;
        if !token.is("\n") && token.kind != TokenKind::Comment {
            found = Some(token);
        }
    }
    next
}

/// Whether these tokens can only be the start of a statement.
fn starts_statement(tokens: &[Token], text: &str) -> bool {
    let [first, second, ..] = tokens else { return false };
    match first.kind {
        TokenKind::Keyword => match &text[first.span.start..first.span.end] {
            "import" => second.kind == TokenKind::Text,
            "param" | "def" | "assert" => !second.is(":"),
            "load" | "show" => !second.is("(") && !second.is(":"),
            _ => false,
        },
        TokenKind::Name => second.is("="),
        _ => false,
    }
}

/// Whether an expression cannot end with this token.
fn waits(token: &Token, text: &str) -> bool {
    match token.kind {
        TokenKind::Symbol(s) => !matches!(s, ")" | "]" | ";" | "\n"),
        TokenKind::Keyword => {
            matches!(&text[token.span.start..token.span.end], "for" | "in" | "by" | "if")
        }
        _ => false,
    }
}

fn blank(c: char) -> bool {
    c != '\n' && (c.is_whitespace() || c == '\u{feff}')
}

fn take_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or("").trim_end_matches(blank)
}

/// Bytes up to the next line that starts a cell.
fn prose_len(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start_matches(blank).starts_with("#%%") {
            break;
        }
        at += line.len();
    }
    at
}

/// The token at the start of a text that is not empty, and its bytes.
fn next(text: &str) -> (TokenKind, usize) {
    type Rule = fn(&str) -> IResult<&str, TokenKind>;
    let rules: [Rule; 5] = [comment, number, text_literal, word, symbol];
    let found = rules.iter().find_map(|rule| rule(text).ok());
    match found {
        Some((rest, kind)) => (kind, text.len() - rest.len()),
        None => (TokenKind::Bad, text.chars().next().map_or(text.len(), char::len_utf8)),
    }
}

fn comment(i: &str) -> IResult<&str, TokenKind> {
    let (_, _) = char('#').parse(i)?;
    Ok((&i[take_line(i).len()..], TokenKind::Comment))
}

fn number(i: &str) -> IResult<&str, TokenKind> {
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    let digits = (digit1, opt((char('.'), digit1)), opt(exponent));
    recognize(digits).map(|_| TokenKind::Number).parse(i)
}

/// A text in quotes; one that does not end on its line is bad up to the line's end.
fn text_literal(i: &str) -> IResult<&str, TokenKind> {
    let (mut rest, _) = char('"').parse(i)?;
    loop {
        (rest, _) = take_while(|c| !matches!(c, '"' | '\\' | '\n')).parse(rest)?;
        match rest.as_bytes() {
            [b'"', ..] => return Ok((&rest[1..], TokenKind::Text)),
            [b'\\', next, ..] if *next != b'\n' => {
                (rest, _) = (char('\\'), anychar).parse(rest)?;
            }
            _ => return Ok((&i[take_line(i).len()..], TokenKind::Bad)),
        }
    }
}

fn word(i: &str) -> IResult<&str, TokenKind> {
    let mut name = verify(take_while1(|c: char| c.is_alphanumeric() || c == '_'), |w: &str| {
        w.starts_with(|c: char| c.is_alphabetic() || c == '_')
    });
    let mut plus = alt((tag("PN+"), tag("W+")));
    let (rest, word) = name.parse(i)?;
    // `W+` is one word, but `Wide+1` is not.
    if let (true, Ok((rest, word))) =
        (matches!(word, "W" | "PN"), plus.parse(i) as IResult<&str, &str>)
    {
        return Ok((rest, Space::parse(word).map_or(TokenKind::Bad, TokenKind::Space)));
    }
    let kind = match Space::parse(word) {
        Some(space) => TokenKind::Space(space),
        None if KEYWORDS.contains(&word) => TokenKind::Keyword,
        None => TokenKind::Name,
    };
    Ok((rest, kind))
}

fn symbol(i: &str) -> IResult<&str, TokenKind> {
    let found = SYMBOLS.iter().find(|s| i.starts_with(**s));
    let (rest, _) = tag(found.copied().unwrap_or("\n")).parse(i)?;
    Ok((rest, found.map_or(TokenKind::Bad, |s| TokenKind::Symbol(s))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|t| &text[t.span.start..t.span.end]).collect()
    }

    #[test]
    fn ranges_are_no_decimal_points() {
        assert_eq!(
            words("0..4 1.5..2 -3..3 1e-3 1.e 2E+1x"),
            [
                "0", "..", "4", "1.5", "..", "2", "-", "3", "..", "3", "1e-3", "1", ".", "e",
                "2E+1", "x"
            ]
        );
    }

    #[test]
    fn spaces_are_read_greedily_and_only_as_whole_words() {
        assert_eq!(
            words("W+1 W + 1 PN+x Wide+1 PN P N"),
            ["W+", "1", "W", "+", "1", "PN+", "x", "Wide", "+", "1", "PN", "P", "N"]
        );
        assert_eq!(tokens("W+")[0].kind, TokenKind::Space(Space::WPlus));
        assert_eq!(tokens("Wide")[0].kind, TokenKind::Name);
    }

    #[test]
    fn texts_end_on_their_line() {
        assert_eq!(words(r#""a\"b" x"#), [r#""a\"b""#, "x"]);
        let open = tokens("\"abc \nx");
        assert_eq!((open[0].kind, open[0].span), (TokenKind::Bad, Span::new(0, 4)));
        assert_eq!(open.len(), 3);
        assert_eq!(tokens("\"abc\\\nx")[0].kind, TokenKind::Bad);
    }

    #[test]
    fn text_cells_hold_anything_up_to_the_next_marker() {
        let text = "a\n#%% md Title\n# Head \"open (\n\n  #%% code\nb";
        let kinds: Vec<TokenKind> = tokens(text).iter().map(|t| t.kind).collect();
        use TokenKind::{Marker, Name, Prose, Symbol};
        let end = Symbol("\n");
        assert_eq!(kinds, [Name, end, Marker, end, Prose, Marker, end, Name]);
        assert_eq!(marker("#%% md  Title "), (true, "Title"));
        assert_eq!(marker("#%% mdx"), (false, "mdx"));
    }

    #[test]
    fn the_prompt_reads_on_where_something_is_open() {
        for text in [
            "f(",
            "f(a,",
            "[1, 2",
            "a +",
            "x |>",
            "a = # later",
            "show a,\n",
            "[x for",
            "(\n#%%x\n(",
        ] {
            assert!(incomplete(text), "{text}");
        }
        for text in
            ["", "f()", "a", "# a +", "(]", "f)", "\"abc", "load \"x\"", "#%% md\n(", "1..2"]
        {
            assert!(!incomplete(text), "{text}");
        }
    }

    #[test]
    fn newlines_end_statements_unless_held() {
        let count = |text: &str| {
            let tokens = tokens(text);
            ends_statement(&tokens, text).into_iter().filter(|e| *e).count()
        };
        for (text, n) in [
            ("a\nb", 1),
            ("a +\nb", 0),
            ("(a\nb)", 0),
            ("a\n\n# why\n|> f", 0),
            ("a; b", 1),
            ("f(a,\nx = 2", 1),
            ("f(a,\nb: 2)", 0),
            ("f(\nparam x = 1", 1),
            ("a =\nb = 1", 1),
        ] {
            assert_eq!(count(text), n, "{text}");
        }
    }

    /// The processor's time that `f` takes.
    fn time(f: impl Fn()) -> f64 {
        let now = || {
            let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
        };
        let start = now();
        f();
        now() - start
    }

    #[test]
    fn reading_takes_time_in_proportion_to_the_text() {
        use crate::lang::{layout::format, parse::parse, span::Source};
        let read = |text: &str| {
            let source = Source::new("long", text).unwrap();
            let _ = (parse(&source), format(&source), incomplete(text));
        };
        for (open, piece, close) in [
            ("", "\n", ""),
            ("(", "\n", "1)"),
            ("", "# why\n", ""),
            ("a", "\n# why\n", "\n|> f()"),
            ("", "a\n\n", ""),
            ("", "#%%\n", ""),
            ("#%% md\n", "words\n", ""),
            ("[", "1,\n", "1]"),
            ("", "\n;", ""),
        ] {
            let text = |n: usize| format!("{open}{}{close}", piece.repeat(n));
            let (few, many) = (text(5_000), text(40_000));
            // Eight times the text; the square would take sixty-four times as long.
            let took = |text: &str| (0..3).map(|_| time(|| read(text))).fold(f64::MAX, f64::min);
            let (short, long) = (took(&few), took(&many));
            assert!(long < 24.0 * short.max(1e-4), "{piece:?}: {short} s, then {long} s");
        }
    }

    proptest! {
        #[test]
        fn tokens_are_in_order_and_leave_only_blanks(text in "(?s)([ \t\r\n\\[\\](){}\"\\\\#%md|>.0-9eW+PNa;äé]|.){0,60}") {
            let mut at = 0;
            for t in tokens(&text) {
                prop_assert!(t.span.start < t.span.end && t.span.start >= at);
                prop_assert!(text[at..t.span.start].chars().all(blank));
                at = t.span.end;
            }
            prop_assert!(text[at..].chars().all(blank));
            let _ = incomplete(&text);
        }
    }
}
