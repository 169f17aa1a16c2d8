//! Definition of built-in functions. Each one has its own file under [`crate::builtins`]; the
//! checker, help, completion, hints and the reference read only the constant there.

use crate::cache::Cache;
use crate::control::{Control, Stop};
use crate::direction::Forms;
use crate::error::{Error, Kind as ErrorKind, Result, Span};
use crate::latent::{Code, ModelId};
use crate::render::Block;
use crate::space::Space;
use crate::value::{Image, Loaded, Models, Value, pictures, words};
use candle_core::Device;
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::lang::types::{
    Bounds, CheckedArg, CheckedCall, CodeType, Const, Generators, Kind, LayerFacts, ModelFacts,
    Param, Signature, Type,
};

/// The section of the reference that a built-in belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Generators and what they make.
    Generate,
    /// Pictures in, codes out.
    Invert,
    /// Codes and directions.
    Edit,
    /// Looking at results.
    See,
    /// Numbers.
    Measure,
    /// Files.
    File,
}

impl Category {
    /// All, in the order of the reference.
    pub const ALL: [Self; 6] =
        [Self::Generate, Self::Invert, Self::Edit, Self::See, Self::Measure, Self::File];

    /// Its heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Invert => "invert",
            Self::Edit => "edit",
            Self::See => "see",
            Self::Measure => "measure",
            Self::File => "files",
        }
    }
}

/// A call that works, shown by `?name` and run as a test on the toy generator.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The program.
    pub code: &'static str,
    /// Description of the example.
    pub note: &'static str,
}

/// What a result depends on besides the arguments, the seed and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depends {
    /// The generators of the session and of the arguments.
    Generator,
    /// Also their networks and directions.
    Networks,
}

/// A built-in function.
#[derive(Clone, Copy)]
pub struct Builtin {
    /// Name, parameters, result, and how the checker types a call.
    pub signature: Signature,
    /// Its section of the reference.
    pub category: Category,
    /// One-line description.
    pub summary: &'static str,
    /// The rest one must know: units, formulas, papers.
    pub details: &'static str,
    /// Calls that run.
    pub examples: &'static [Example],
    /// Bytes of tensors that the call would need at most; refused before it runs when over the
    /// budget.
    pub cost: Option<fn(&Args, &Context<'_>) -> u64>,
    /// For a function whose results are worth keeping in the cache: what they depend on. It has no
    /// effect besides its result, reads no file but those that its parameters name
    /// ([`Param::reads`]), and its result does not show how its arguments were written.
    pub cache: Option<Depends>,
    /// Meaning of its number, shown when it is alone on a line; `None` when it needs no
    /// explanation.
    pub definition: Option<fn(&Context<'_>) -> String>,
    /// Computes it.
    pub run: fn(&Args, &mut Context<'_>) -> Result<Value>,
}

/// Destination of the results of statements.
pub trait Output {
    /// Shows a value as blocks.
    fn display(&mut self, blocks: &[Block], value: &Value) -> Result<()>;
    /// Writes a line of its own to standard output.
    fn print(&mut self, line: &str) -> Result<()>;
    /// As [`print`](Self::print); an output for programs takes `exact`, with its numbers in full.
    fn print_exact(&mut self, line: &str, exact: &str) -> Result<()> {
        let _ = exact;
        self.print(line)
    }
    /// Reports an omission, which is not a result. Outputs may ignore it.
    fn note(&mut self, line: &str) -> Result<()> {
        let _ = line;
        Ok(())
    }
    /// Lets the user change a code and gives the one that was chosen; `None` where there is no
    /// screen to do it on.
    ///
    /// # Errors
    /// When the screen fails, and for a call that cannot be recorded.
    fn explore(&mut self, what: Exploration) -> Result<Option<Code>> {
        let _ = what;
        Ok(None)
    }
}

/// The subject of a call of `explore`.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// The code to begin with.
    pub code: Code,
    /// The code as written in the program.
    pub written: String,
    /// The directions to move it along.
    pub along: Vec<Along>,
    /// The call in its program.
    pub span: Span,
}

/// A direction of an [`Exploration`].
#[derive(Clone, Debug)]
pub struct Along {
    /// An expression for it, in the names of the program.
    pub written: String,
    /// The direction.
    pub forms: Arc<Forms>,
}

/// Environment of a built-in function.
pub struct Context<'a> {
    /// The current generator.
    pub model: Option<Arc<Loaded>>,
    /// The loaded generators of the session.
    pub models: Arc<Models>,
    /// The seed of the session (`--seed`).
    pub seed: u64,
    /// Device of the tensors.
    pub device: Device,
    /// Folder for relative paths that are saved (`--out`).
    pub out: PathBuf,
    /// Whether `save` must stay inside `out`: true for script files, false for what a user types.
    pub confined: bool,
    /// Results of earlier computations.
    pub cache: Cache,
    /// The interrupt and the progress of long work.
    pub control: Control,
    /// Whether pictures are described in words.
    pub describe: bool,
    /// Folder for checkpoints of long work, if it is to be resumable.
    pub checkpoints: Option<PathBuf>,
    /// Whether a cell runs again only for its value: `save` then replaces no file.
    pub replaying: bool,
    /// Destination of results.
    pub output: &'a mut dyn Output,
}

impl Context<'_> {
    /// The current generator.
    ///
    /// # Errors
    /// When none is loaded.
    pub fn model(&self) -> Result<&Arc<Loaded>> {
        self.model
            .as_ref()
            .ok_or_else(|| Error::runtime("no generator is loaded").hint("load \"faces\""))
    }

    /// Shows a value as blocks, with words for its pictures where these are wanted.
    ///
    /// # Errors
    /// When the output fails, or the pictures cannot be described.
    pub fn display(&mut self, mut blocks: Vec<Block>, value: &Value) -> Result<()> {
        if self.describe {
            words::describe(&mut blocks, value, self.model.as_ref(), &self.models)?;
        }
        self.output.display(&blocks, value)
    }

    /// The pictures of codes, by the generator that made them; large ones are kept in the cache.
    ///
    /// # Errors
    /// As [`Context::model_of`], and when rendering fails.
    pub fn picture(&self, code: &Code) -> Result<Image> {
        let model = self.model_of(code)?;
        let name = self.cache.key("picture", &self.device).and_then(|mut key| {
            key.text(&model.content());
            key.value(&Value::Latent(code.clone()))?;
            Some(key.name())
        });
        let drawn = || {
            let picture = pictures::render(code, &model, &self.control)?;
            Ok((Value::Image(picture), self.control.stop() == Stop::No))
        };
        match self.cache.through(name.as_ref(), &self.models, drawn)? {
            Value::Image(picture) => Ok(picture),
            _ => pictures::render(code, &model, &self.control),
        }
    }

    /// The generator that made a code, or the current one for a code that does not say.
    ///
    /// # Errors
    /// When the code's generator is not loaded in this session, or none is loaded.
    pub fn model_of(&self, code: &Code) -> Result<Arc<Loaded>> {
        match &code.model {
            None => self.model().cloned(),
            Some(id) => self.models.loaded(id).ok_or_else(|| {
                Error::runtime(format!(
                    "the code belongs to {}, which is not loaded",
                    crate::safe::Safe(&id.name)
                ))
                .hint("load that generator first")
            }),
        }
    }
}

/// The arguments of a call, sorted by parameter, defaults filled in.
#[derive(Clone, Debug)]
pub struct Args {
    /// The parameters they belong to.
    pub params: &'static [Param],
    /// Values given, by parameter, with their spans.
    pub values: Vec<Vec<(Value, Span)>>,
    /// Arguments as written, by parameter, for captions; empty for a default.
    pub written: Vec<Vec<String>>,
    /// The whole call.
    pub span: Span,
}

impl Args {
    fn all(&self, name: &str) -> &[(Value, Span)] {
        let at = self.params.iter().position(|p| p.name == name);
        at.and_then(|i| self.values.get(i)).map_or(&[], Vec::as_slice)
    }

    /// Whether an argument is written in the call.
    pub fn given(&self, name: &str) -> bool {
        let at = self.params.iter().position(|p| p.name == name);
        at.and_then(|i| self.written.get(i)).is_some_and(|w| !w.is_empty())
    }

    /// The values of a variadic parameter, lists opened.
    pub fn many(&self, name: &str) -> Vec<(Value, Span)> {
        let mut out = Vec::new();
        for (v, span) in self.all(name) {
            match v {
                Value::List(items) => out.extend(items.iter().map(|i| (i.clone(), *span))),
                other => out.push((other.clone(), *span)),
            }
        }
        out
    }

    /// The generators of all values, each once.
    pub fn models(&self) -> Vec<ModelId> {
        let mut all: Vec<ModelId> = Vec::new();
        for (value, _) in self.values.iter().flatten() {
            value.each_model(&mut |id| {
                if !all.contains(id) {
                    all.push(id.clone());
                }
            });
        }
        all
    }

    /// The value of an optional parameter, `None` when it is not given and has no default.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all(name).first().map(|(v, _)| v)
    }

    /// The span of an argument; the whole call when it was left out.
    pub fn span(&self, name: &str) -> Span {
        self.all(name).first().map_or(self.span, |(_, s)| *s)
    }

    /// The value of a required parameter.
    ///
    /// # Errors
    /// When it is missing; the checker reports that first.
    pub fn need(&self, name: &str) -> Result<&Value> {
        self.get(name)
            .ok_or_else(|| Error::runtime(format!("argument `{name}` is missing")).at(self.span))
    }

    fn wrong(&self, name: &str, wanted: &str, got: &Value) -> Error {
        Error::runtime(format!("`{name}` wants {wanted}, this is {}", got.ty())).at(self.span(name))
    }

    /// An optional number; it lies in the bounds that its parameter declares.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(v)) => Ok(Some(*v)),
            Some(other) => Err(self.wrong(name, "a number", other)),
        }
    }

    /// An optional whole number; it lies in the bounds that its parameter declares.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        self.count_to(name, usize::MAX)
    }

    /// As [`Args::count`], up to a limit that is known only at run time.
    pub fn count_to(&self, name: &str, most: usize) -> Result<Option<usize>> {
        let Some(v) = self.number(name)? else { return Ok(None) };
        let declared = self.params.iter().find(|p| p.name == name).and_then(|p| p.bounds);
        let bounds = Bounds {
            from: declared.map_or(0.0, |b| b.from),
            to: declared.map_or(f64::INFINITY, |b| b.to).min(most as f64),
            whole: true,
        };
        if bounds.takes(v) {
            return Ok(Some(v as usize));
        }
        Err(bounds.refusal(ErrorKind::Runtime, name, (v, self.span(name))))
    }

    /// A whole number of a parameter that has a default.
    pub fn need_count(&self, name: &str) -> Result<usize> {
        self.count(name)?
            .ok_or_else(|| Error::runtime(format!("`{name}` is missing")).at(self.span))
    }

    /// A number of a parameter that has a default.
    pub fn need_number(&self, name: &str) -> Result<f64> {
        self.number(name)?
            .ok_or_else(|| Error::runtime(format!("`{name}` is missing")).at(self.span))
    }

    /// The seed given, or the session's.
    pub fn seed(&self, ctx: &Context<'_>) -> Result<u64> {
        Ok(self.count("seed")?.map_or(ctx.seed, |s| s as u64))
    }

    /// A required text.
    pub fn text(&self, name: &str) -> Result<&str> {
        match self.need(name)? {
            Value::Text(t) => Ok(t),
            other => Err(self.wrong(name, "a text", other)),
        }
    }

    /// The bare word given.
    pub fn word(&self, name: &str) -> Result<&str> {
        match self.need(name)? {
            Value::Word(w, _) => Ok(w),
            other => Err(self.wrong(name, "a word", other)),
        }
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(other) => Err(self.wrong(name, "true or false", other)),
        }
    }

    /// An optional space.
    pub fn space(&self, name: &str) -> Result<Option<Space>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Space(s)) => Ok(Some(*s)),
            Some(other) => Err(self.wrong(name, "a space", other)),
        }
    }

    /// A code; an inversion counts as its code.
    pub fn latent(&self, name: &str) -> Result<Code> {
        as_latent(self.need(name)?).ok_or_else(|| match self.get(name) {
            Some(v) => self.wrong(name, "a code", v),
            None => Error::runtime(format!("`{name}` is missing")).at(self.span),
        })
    }

    /// A direction.
    pub fn direction(&self, name: &str) -> Result<Arc<Forms>> {
        match self.need(name)? {
            Value::Direction(d) => Ok(d.clone()),
            other => Err(self.wrong(name, "a direction", other)),
        }
    }

    /// Pictures: an image, an inversion's reconstruction, or the picture of a code.
    pub fn images(&self, name: &str, ctx: &Context<'_>) -> Result<Image> {
        let span = self.span(name);
        as_images(self.need(name)?, ctx).map_err(|e| e.at(span))
    }

    /// Layers, half open, within `0..count`.
    pub fn layers(&self, name: &str, count: usize) -> Result<Option<std::ops::Range<usize>>> {
        let span = self.span(name);
        self.get(name).map(|v| layer_range(v, count).map_err(|e| e.at(span))).transpose()
    }
}

/// A value as layers, half open, within `0..count`.
///
/// # Errors
/// When it is not a range of whole numbers inside the generator's layers.
pub fn layer_range(value: &Value, count: usize) -> Result<std::ops::Range<usize>> {
    range_within(value, count, "layers")
}

/// A value as a range of `what`, half open, within `0..count`; a number is a range of one.
///
/// # Errors
/// When it is not a range of whole numbers inside of that.
pub fn range_within(value: &Value, count: usize, what: &str) -> Result<std::ops::Range<usize>> {
    let (from, to) = match value {
        Value::Range { from, to, step } if step.is_none_or(|s| s == 1.0) => (*from, *to),
        Value::Number(n) => (*n, *n + 1.0),
        Value::Range { from, to, .. } => {
            return Err(Error::runtime(format!("{what} are a range without a step"))
                .hint(format!("{from}..{to}")));
        }
        other => {
            return Err(Error::runtime(format!(
                "{what} are a range such as 4..8, this is {}",
                other.ty()
            )));
        }
    };
    if from.fract() != 0.0 || to.fract() != 0.0 || from < 0.0 || from >= to || to > count as f64 {
        return Err(Error::runtime(format!("{what} {from}..{to} are not within 0..{count}"))
            .hint(format!("{what} count from 0, half open: 0..{count} are all of them")));
    }
    Ok(from as usize..to as usize)
}

/// The same error, as found while checking.
pub fn as_check(e: Error) -> Error {
    let mut check = Error::check(e.message());
    if let Some(h) = e.repair() {
        check = check.hint(h);
    }
    if let Some(fix) = e.applied() {
        check = check.fix(fix.span, fix.text.clone());
    }
    check
}

/// Values with the elements of lists, and of lists in lists, in their place.
fn opened(values: &[(Value, Span)]) -> Vec<(Value, Span)> {
    let mut all = Vec::with_capacity(values.len());
    for (value, span) in values {
        match value {
            Value::List(items) => {
                let inner: Vec<_> = items.iter().map(|v| (v.clone(), *span)).collect();
                all.extend(opened(&inner));
            }
            other => all.push((other.clone(), *span)),
        }
    }
    all
}

/// A value as a code: a latent, an inversion's code, a path's frames.
pub fn as_latent(value: &Value) -> Option<Code> {
    match value {
        Value::Latent(l) | Value::Path(l) => Some(l.clone()),
        Value::Inversion(i) => Some(i.code.clone()),
        _ => None,
    }
}

/// A value as pictures: an image, an inversion's reconstruction, or the rendered picture of a code.
///
/// # Errors
/// When the value has no picture.
pub fn as_images(value: &Value, ctx: &Context<'_>) -> Result<Image> {
    match value {
        Value::Image(i) => Ok(i.clone()),
        Value::Inversion(i) => Ok(Image {
            model: i.code.model.clone(),
            photographs: i.photographs.clone(),
            ..Image::new(i.reconstruction.clone(), "inversion")
        }),
        Value::Latent(l) | Value::Path(l) => ctx.picture(l),
        Value::Mask(m) => pictures::mask_picture(m),
        other => Err(Error::runtime(format!("{} has no picture", other.ty()))),
    }
}

/// As [`as_images`] of every value; codes beside each other are rendered in batches.
///
/// # Errors
/// When a value has no picture; the error names its position.
pub fn all_images(values: &[(Value, Span)], ctx: &Context<'_>) -> Result<Vec<Image>> {
    let values = &opened(values)[..];
    let code =
        |v: &Value| if let Value::Latent(l) | Value::Path(l) = v { Some(l.clone()) } else { None };
    let mut images = Vec::with_capacity(values.len());
    let mut rest = values;
    while let [(first, span), ..] = rest {
        let codes: Vec<Code> = rest.iter().map_while(|(v, _)| code(v)).collect();
        if codes.is_empty() {
            images.push(as_images(first, ctx).map_err(|e| e.at(*span))?);
        } else {
            images
                .extend(pictures::together(&codes, &|l| ctx.picture(l)).map_err(|e| e.at(*span))?);
        }
        rest = &rest[codes.len().max(1)..];
    }
    Ok(images)
}
