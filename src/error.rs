//! The single error type of the crate: what happened, where, and how to repair it.

use std::fmt;
use std::sync::Arc;

/// A half-open byte range in a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span from `start` to `end` (bytes, half open).
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Kind of failure; it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line was used wrongly (exit 2).
    Usage,
    /// The program is wrong, found before anything ran (exit 2).
    Check,
    /// The program failed while it ran (exit 1).
    Runtime,
    /// An `assert` did not hold (exit 1).
    Assertion,
    /// The operating system refused a file operation (exit 1).
    Io,
    /// The reader of standard output has gone, as in `gannet run x | head -1` (exit 0).
    Closed,
    /// A file from outside does not keep its format's rules (exit 1).
    Format,
    /// A budget of [`crate::limits`] would be exceeded (exit 1).
    Limit,
    /// Stopped by the user (exit 130).
    Interrupted,
    /// Stopped by the user, who keeps the best result so far (exit 130).
    Kept,
    /// Stopped from outside, a checkpoint is written (exit 75).
    Resumable,
}

impl Kind {
    /// The process exit code that belongs to this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Check => 2,
            Self::Interrupted | Self::Kept => 130,
            Self::Closed => 0,
            Self::Resumable => 75,
            _ => 1,
        }
    }
}

/// A further place in the source that explains the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// Text of the label.
    pub text: String,
}

/// A repair that can be applied automatically: new text for a part of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Range to replace; empty to insert.
    pub span: Span,
    /// Replacement.
    pub text: String,
}

/// Another text than the program's own, to which the places of an error refer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The name of its file.
    pub name: String,
    /// The text.
    pub text: Arc<str>,
    /// The statement of the program that brings it in.
    pub from: Span,
}

/// An error: kind, message, place, explanation and repair.
///
/// ```
/// use gannet::error::{Error, Kind, Span};
/// let e = Error::new(Kind::Check, "cannot add a Z direction to a W+ code")
///     .at(Span::new(5, 8))
///     .hint("use a direction in W");
/// assert_eq!(e.kind().exit_code(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    kind: Kind,
    message: String,
    span: Option<Span>,
    span_text: String,
    labels: Vec<Label>,
    notes: Vec<String>,
    hint: Option<String>,
    fix: Option<Fix>,
    elsewhere: Option<Elsewhere>,
    more: Vec<Error>,
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A new error without a place.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            span: None,
            span_text: String::new(),
            labels: Vec::new(),
            notes: Vec::new(),
            hint: None,
            fix: None,
            elsewhere: None,
            more: Vec::new(),
        }))
    }

    /// Found while checking.
    pub fn check(message: impl Into<String>) -> Self {
        Self::new(Kind::Check, message)
    }

    /// Happened while running.
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(Kind::Runtime, message)
    }

    /// A broken rule of a file format: one line with file, byte offset and rule.
    pub fn format(file: &str, offset: u64, rule: impl fmt::Display) -> Self {
        Self::new(Kind::Format, format!("{}: at byte {offset}: {rule}", crate::safe::Safe(file)))
    }

    /// A file operation that the system refused: `doing` says what was tried. A pipe without a
    /// reader is [`Kind::Closed`].
    pub fn io(doing: impl fmt::Display, error: &std::io::Error) -> Self {
        let closed = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self::new(if closed { Kind::Closed } else { Kind::Io }, format!("{doing}: {error}"))
    }

    /// Whether the user asked for it: [`Kind::Interrupted`] or [`Kind::Kept`].
    pub fn is_stop(&self) -> bool {
        matches!(self.kind(), Kind::Interrupted | Kind::Kept)
    }

    /// Puts the error at a place, unless it has one already.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }

    /// Says what is found at the error's own span.
    #[must_use]
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.0.span_text = text.into();
        self
    }

    /// Adds an explained place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.0.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a line of explanation.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.0.notes.push(text.into());
        self
    }

    /// Names the repair; the first one given stays.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.0.hint.get_or_insert(text.into());
        self
    }

    /// Names the repair by the text that replaces a part of the source; the first one given stays.
    #[must_use]
    pub fn rewrite(self, span: Span, text: impl Into<String>) -> Self {
        let text = text.into();
        self.hint(text.clone()).fix(span, text)
    }

    /// Adds to the hint what applies it: the text that replaces a part of the source. The first
    /// one given stays.
    #[must_use]
    pub fn fix(mut self, span: Span, text: impl Into<String>) -> Self {
        self.0.fix.get_or_insert(Fix { span, text: text.into() });
        self
    }

    /// Says that the places of this error and of the others of its pass are in another text, which
    /// the program brings in at `from`. Errors without a place stay without one.
    #[must_use]
    pub fn within(mut self, name: &str, text: &Arc<str>, from: Span) -> Self {
        match &mut self.0.elsewhere {
            // An import of that text brought it in.
            Some(elsewhere) => elsewhere.from = from,
            none if self.0.span.is_some() => {
                *none = Some(Elsewhere { name: name.to_owned(), text: text.clone(), from });
            }
            _ => {}
        }
        let more = std::mem::take(&mut self.0.more);
        self.0.more = more.into_iter().map(|e| e.within(name, text, from)).collect();
        self
    }

    /// The error at a place of another text: that of a call whose function it happened in. What
    /// refers to the function's own text is dropped.
    #[must_use]
    pub fn moved(mut self, to: Span) -> Self {
        (self.0.span, self.0.span_text) = (Some(to), String::new());
        (self.0.labels, self.0.fix, self.0.elsewhere) = (Vec::new(), None, None);
        self
    }

    /// Adds a further error of the same pass.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.more.push(other);
        self
    }

    /// Joins all errors of one pass into one, `None` when there were none.
    pub fn all(errors: Vec<Self>) -> Option<Self> {
        errors.into_iter().reduce(Self::and)
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message, without place and repair.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Position in the source.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// The text that the places refer to, when it is not the program's own.
    pub fn elsewhere(&self) -> Option<&Elsewhere> {
        self.0.elsewhere.as_ref()
    }

    /// Position in the program's own text: of an error in an imported file, that of the import.
    pub fn place(&self) -> Option<Span> {
        self.0.elsewhere.as_ref().map(|e| e.from).or(self.0.span)
    }

    /// Label at the span (may be empty).
    pub fn span_text(&self) -> &str {
        &self.0.span_text
    }

    /// Further places.
    pub fn labels(&self) -> &[Label] {
        &self.0.labels
    }

    /// Further explanation.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// The repair.
    pub fn repair(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The edit that applies the repair, if it can be applied automatically.
    pub fn applied(&self) -> Option<&Fix> {
        self.0.fix.as_ref()
    }

    /// This error and the others of its pass, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Self> {
        let mut flat = Vec::new();
        fn walk<'a>(e: &'a Error, out: &mut Vec<&'a Error>) {
            out.push(e);
            for m in &e.0.more {
                walk(m, out);
            }
        }
        walk(self, &mut flat);
        flat.into_iter()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message)?;
        for n in &self.0.notes {
            write!(f, "; {n}")?;
        }
        if let Some(h) = &self.0.hint {
            write!(f, " (try: {h})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<candle_core::Error> for Error {
    fn from(e: candle_core::Error) -> Self {
        Self::new(Kind::Runtime, format!("tensor operation failed: {e}"))
    }
}
