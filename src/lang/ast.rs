//! The syntax tree.
//!
//! Every node knows its span in the source. The parser keeps the depth of a tree within
//! [`expression_depth`](crate::limits::Limits::expression_depth), so plain recursion over it is
//! safe.

use super::span::Source;
use crate::error::Span;
use crate::safe::Safe;
use crate::space::Space;
use std::ops::Range;
use std::sync::Arc;

/// A parsed source text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// The statements of all code cells, in order.
    pub statements: Vec<Stmt>,
    /// The cells of a notebook, in order; a plain script is one code cell without a marker. They
    /// cover the text.
    pub cells: Vec<Cell>,
    /// Comments, in order, without the `#%%` lines.
    pub comments: Vec<Comment>,
}

/// A cell of a notebook.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Code or text.
    pub kind: CellKind,
    /// Text after `#%%` (and `md`) on its line, trimmed.
    pub title: String,
    /// The `#%%` line without its newline; `None` for what comes before the first one.
    pub marker: Option<Span>,
    /// The cell's text after the marker line, up to the next marker or the end.
    pub body: Span,
    /// Its statements, as indices into [`Program::statements`]; empty for a text cell.
    pub statements: Range<usize>,
    /// The words of a text cell, as written; empty for code.
    pub text: String,
}

/// Content of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// `#%%`: statements.
    Code,
    /// `#%% md`: Markdown, not run.
    Text,
}

/// A `#` comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// Text after the `#`, without trailing blanks.
    pub text: String,
    /// Range from the `#` to the end of the line.
    pub span: Span,
}

/// A word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The word.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// Kind of the statement.
    pub kind: StmtKind,
    /// Where, without the newline.
    pub span: Span,
}

/// Kind of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `name = value`.
    Let {
        /// The name it binds.
        name: Ident,
        /// Its value.
        value: Expr,
    },
    /// `import "lib.gnt"`.
    Import(Import),
    /// `load "x"`: a call of `load` that sets the current generator and displays it. The span of
    /// the call is the statement's, its name's span is the keyword.
    Load(Call),
    /// `show a, b`: a call of `show`; one list counts as its elements.
    Show(Call),
    /// `param name = value`.
    Param {
        /// The name it binds.
        name: Ident,
        /// The value unless `--set` gives another; a constant.
        value: Expr,
    },
    /// `def name(a, b) = body`.
    Def(Arc<Def>),
    /// `assert condition`.
    Assert(Expr),
    /// An expression; its value displays.
    Expr(Expr),
}

/// An import of the definitions of another file.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The path as written, from the folder of the file that it is written in.
    pub path: String,
    /// Where the path is written.
    pub span: Span,
    /// The file; `None` until it is read.
    pub library: Option<Arc<Library>>,
    /// Whether the program has imported the file before, so that nothing remains to be done.
    pub repeated: bool,
}

/// An imported file.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    /// Its path from the folder of the program.
    pub key: String,
    /// Its text.
    pub source: Arc<Source>,
    /// Its statements. Their spans are those of its text.
    pub statements: Vec<Stmt>,
}

impl Library {
    /// What it defines, functions with their parameters: `older(w, k)`; also what it imports.
    pub fn names(&self) -> Vec<String> {
        let mut all = Vec::new();
        for statement in &self.statements {
            match &statement.kind {
                StmtKind::Def(def) => {
                    let params: Vec<&str> = def.params.iter().map(|p| p.name.as_str()).collect();
                    all.push(format!("{}({})", def.name.name, params.join(", ")));
                }
                StmtKind::Import(Import { library: Some(library), .. }) => {
                    all.extend(library.names())
                }
                other => all.extend(other.binds().map(|name| name.name.clone())),
            }
        }
        all
    }
}

/// A function definition. Its body sees its parameters, and the names of the program as they are
/// when it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Def {
    /// Its name.
    pub name: Ident,
    /// Its parameters, all positional and required, all different.
    pub params: Vec<Ident>,
    /// Body of the function.
    pub body: Expr,
    /// The text that it is in: an imported file, or that of the cell or program that defined it.
    /// `None` until its definition runs, for a function of the text that is read.
    pub file: Option<Arc<Source>>,
}

impl Def {
    /// The function as defined in `text`, unless it is from another one.
    #[must_use]
    pub fn defined_in(self: &Arc<Self>, text: &Arc<Source>) -> Arc<Self> {
        match self.file {
            Some(_) => self.clone(),
            None => Arc::new(Self { file: Some(text.clone()), ..Self::clone(self) }),
        }
    }

    /// Says that an error happened in its body: where in the text that it is in, and what is there.
    pub fn called(&self, at: Option<Span>) -> String {
        let name = &self.name.name;
        let Some(file) = &self.file else {
            return format!("in the body of `{name}`, defined earlier");
        };
        let span = at.unwrap_or(self.body.span);
        let place = file.named_location(span.start);
        let there = file.slice(span).lines().next().unwrap_or_default();
        let short = there.len() == span.end.saturating_sub(span.start);
        match Safe(there).to_string() {
            text if short && !text.is_empty() && text.chars().count() <= QUOTED => {
                format!("in the call of `{name}`, at {place}: {text}")
            }
            _ => format!("in the call of `{name}`, at {place}"),
        }
    }
}

/// Most characters of a text that an error quotes from another one.
const QUOTED: usize = 60;

/// A call: name and arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function's name.
    pub name: Ident,
    /// Its arguments, in source order.
    pub args: Vec<Arg>,
}

impl Call {
    /// `direction("name")`: what a bare name means that is not defined and that the generator's
    /// own set has.
    pub fn own_direction(name: &str, span: Span) -> Self {
        let value = Expr::new(ExprKind::Text(name.to_owned()), span);
        let name = Ident { name: "direction".to_owned(), span };
        Self { name, args: vec![Arg { name: None, value }] }
    }
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// The name before the colon, if any.
    pub name: Option<Ident>,
    /// Its value; [`ExprKind::Tagged`] only with a name.
    pub value: Expr,
}

impl Arg {
    /// Range from its name, or its value, to its end.
    pub fn span(&self) -> Span {
        self.name.as_ref().map_or(self.value.span, |n| n.span.to(self.value.span))
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Kind of the expression.
    pub kind: ExprKind,
    /// Where; parentheses around it are part of it.
    pub span: Span,
}

/// Kind of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `1e-3`; finite, not negative.
    Number(f64),
    /// `"text"`, its escapes resolved.
    Text(String),
    /// `true`, `false`.
    Bool(bool),
    /// `W+`.
    Space(Space),
    /// A variable, a function as a value, or a bare word of an argument (`method: hybrid`).
    Name(String),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `[body for var in over if filter]`.
    Comprehension {
        /// Expression of each element.
        body: Box<Expr>,
        /// The name bound in `body` and `filter`.
        var: Ident,
        /// Value that is iterated.
        over: Box<Expr>,
        /// Condition on the elements.
        filter: Option<Box<Expr>>,
    },
    /// `from..to by step`.
    Range {
        /// First value.
        from: Box<Expr>,
        /// Last value, or one past the last layer.
        to: Box<Expr>,
        /// Step, 1 unless given.
        step: Option<Box<Expr>>,
    },
    /// `name(args)`.
    Call(Call),
    /// `base[index]`; the index is a number or a range.
    Index {
        /// Value that is indexed.
        base: Box<Expr>,
        /// Which.
        index: Box<Expr>,
    },
    /// `base @ layers`; the layers are a number or a range.
    Layers {
        /// The direction.
        base: Box<Expr>,
        /// Its layers.
        layers: Box<Expr>,
    },
    /// `base | a | b`, `base | [a, b]`: one joint condition.
    Condition {
        /// The direction.
        base: Box<Expr>,
        /// Directions that are projected out of it together; at least one. An element may be a list
        /// of directions.
        conditions: Vec<Expr>,
    },
    /// `-a`.
    Neg(Box<Expr>),
    /// `a + b`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The span of the operator.
        op_span: Span,
        /// Left operand.
        lhs: Box<Expr>,
        /// Right operand.
        rhs: Box<Expr>,
    },
    /// `a < b`.
    Compare {
        /// The operator.
        op: CompareOp,
        /// The span of the operator.
        op_span: Span,
        /// Left operand.
        lhs: Box<Expr>,
        /// Right operand.
        rhs: Box<Expr>,
    },
    /// `lhs |> call`: `lhs` becomes the first positional argument.
    Pipe {
        /// Value that is passed on.
        lhs: Box<Expr>,
        /// The function that takes it.
        call: Call,
        /// Range from the call's name to its end.
        call_span: Span,
    },
    /// `word: value`, as the value of a named argument: `init: best_of: 8`.
    Tagged {
        /// The word.
        word: Ident,
        /// Expression after the colon.
        value: Box<Expr>,
    },
}

/// Arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
}

impl BinaryOp {
    /// Source text of the operator.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
        }
    }
}

/// Comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `<`
    Less,
    /// `<=`
    LessEq,
    /// `>`
    Greater,
    /// `>=`
    GreaterEq,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl CompareOp {
    /// Source text of the operator.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessEq => "<=",
            Self::Greater => ">",
            Self::GreaterEq => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

impl Expr {
    /// An expression at a place.
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// The expressions right below this one, in source order.
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Space(_)
            | ExprKind::Name(_) => Vec::new(),
            ExprKind::List(items) => items.iter().collect(),
            ExprKind::Comprehension { body, over, filter, .. } => {
                [Some(body), Some(over), filter.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(AsRef::as_ref)
                    .collect()
            }
            ExprKind::Range { from, to, step } => [Some(from), Some(to), step.as_ref()]
                .into_iter()
                .flatten()
                .map(AsRef::as_ref)
                .collect(),
            ExprKind::Call(call) => call.args.iter().map(|a| &a.value).collect(),
            ExprKind::Index { base, index: other } | ExprKind::Layers { base, layers: other } => {
                vec![base, other]
            }
            ExprKind::Condition { base, conditions } => {
                std::iter::once(&**base).chain(conditions).collect()
            }
            ExprKind::Neg(inner) | ExprKind::Tagged { value: inner, .. } => vec![inner],
            ExprKind::Binary { lhs, rhs, .. } | ExprKind::Compare { lhs, rhs, .. } => {
                vec![lhs, rhs]
            }
            ExprKind::Pipe { lhs, call, .. } => {
                std::iter::once(&**lhs).chain(call.args.iter().map(|a| &a.value)).collect()
            }
        }
    }

    /// Height of the tree: 1 for a leaf.
    pub fn depth(&self) -> usize {
        1 + self.children().into_iter().map(Self::depth).max().unwrap_or(0)
    }
}

impl StmtKind {
    /// One word for the kind of the statement.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Let { .. } => "binding",
            Self::Import(_) => "import",
            Self::Load(_) => "load",
            Self::Show(_) => "show",
            Self::Param { .. } => "param",
            Self::Def(_) => "def",
            Self::Assert(_) => "assert",
            Self::Expr(_) => "display",
        }
    }

    /// The name that the statement itself binds, if any.
    pub fn binds(&self) -> Option<&Ident> {
        match self {
            Self::Let { name, .. } | Self::Param { name, .. } => Some(name),
            Self::Def(def) => Some(&def.name),
            _ => None,
        }
    }

    /// The expressions right below the statement, in source order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Let { value, .. }
            | Self::Param { value, .. }
            | Self::Assert(value)
            | Self::Expr(value) => {
                vec![value]
            }
            Self::Load(call) | Self::Show(call) => call.args.iter().map(|a| &a.value).collect(),
            Self::Def(def) => vec![&def.body],
            Self::Import(_) => Vec::new(),
        }
    }
}
