//! Static types, and the signatures that the checker, help and completion read.

use crate::error::{Error, Kind as ErrorKind, Result, Span};
use crate::space::{Dims, Form, Space, form_for};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What a generator does besides turning codes into pictures, as far as options of built-ins ask
/// for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Truncation of a draw multiplies z by psi, so that it acts in Z.
    pub scales_z: bool,
    /// It turns and shifts what it draws.
    pub transform: bool,
    /// It has a camera.
    pub camera: bool,
    /// It has statistics for several truncations.
    pub truncation: bool,
}

/// A layer of a generator's synthesis network, as calls name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// Its name: `b8.conv0`.
    pub name: String,
    /// Channels of S that it reads; 0 for none.
    pub styles: usize,
    /// Channels of its feature map; 0 where it cannot be tapped.
    pub maps: usize,
    /// Pixels of its feature map; 0 where it cannot be tapped.
    pub area: usize,
}

/// A network of a generator's own that runs after its encoder and adds something beside the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Companion {
    /// Adds to a feature map (HFGI, StyleFeatureEditor).
    Residual,
    /// Changes weights (HyperStyle, HyperInverter).
    Hyper,
}

impl Companion {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Residual, Self::Hyper];

    /// Its name: of the method that runs it, of the family of its files, and in their names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual",
            Self::Hyper => "hyper",
        }
    }

    /// What it is called.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Residual => "feature-residual network",
            Self::Hyper => "hypernetwork",
        }
    }
}

/// Facts about a generator that are known before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// Its name, as shown: `faces`.
    pub name: String,
    /// Sha256 over its tensors, hexadecimal: which generator a latent belongs to.
    pub fingerprint: String,
    /// Family: `stylegan2`, …
    pub family: String,
    /// Spaces that its codes can live in.
    pub spaces: Vec<Space>,
    /// Layers of a W+ code.
    pub num_ws: usize,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Number of styles that each row of a W+ code controls: the layers of a code of S; empty
    /// without a space S.
    pub style_sizes: Vec<usize>,
    /// The layers that read styles or can be tapped, in the order in which they run.
    pub network: Vec<LayerFacts>,
    /// Number of classes; 0 when unconditional.
    pub c_dim: usize,
    /// Its abilities.
    pub can: Abilities,
    /// Width of its pictures in pixels.
    pub width: usize,
    /// Height of its pictures in pixels.
    pub height: usize,
    /// Channels of its pictures.
    pub channels: usize,
    /// Its own directions by name, each with the spaces in which it is known, the default one
    /// first.
    pub directions: BTreeMap<String, Vec<Space>>,
    /// Whether it brings an encoder.
    pub encoder: bool,
    /// Whether its encoder is a pair that finds z and tells the class.
    pub pair: bool,
    /// The networks that it brings to run after its encoder.
    pub companions: Vec<Companion>,
    /// Whether it brings a network for attributes and the perceptual distance.
    pub perceptual: bool,
    /// Whether that network has an identity embedding.
    pub identity: bool,
    /// Whether that network finds faces and their landmarks.
    pub landmarks: bool,
    /// Whether its file says that it draws faces in FFHQ's frame.
    pub ffhq: bool,
}

impl ModelFacts {
    /// Name and the first digits of the fingerprint, as shown in errors: `faces (77f0…)`.
    pub fn label(&self) -> String {
        format!("{} ({}…)", self.name, self.fingerprint.get(..4).unwrap_or(""))
    }

    /// Whether its own encoder may find codes of a space: a pair those of Z, others of W, W+ or S.
    pub fn encodes(&self, space: Space) -> bool {
        self.pair == (space == Space::Z)
    }

    /// The space of the codes that its own encoder usually finds.
    pub fn encoded(&self) -> Space {
        if self.pair { Space::Z } else { Space::WPlus }
    }

    /// The longer side of its pictures.
    pub fn side(&self) -> usize {
        self.width.max(self.height)
    }

    /// Its pictures' size in words: `256²`, or `256×512` where the sides differ.
    pub fn size(&self) -> String {
        crate::words::size(self.width, self.height)
    }

    /// Pixels of a picture.
    pub fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// Dimensions of a style code; 0 without a space S.
    pub fn s_dim(&self) -> usize {
        self.style_sizes.iter().sum()
    }

    /// Layers of a whole code of that space; `None` for codes without layers.
    pub fn layers(&self, space: Space) -> Option<usize> {
        self.dims().layers(space)
    }

    /// The sizes of its codes.
    pub fn dims(&self) -> Dims {
        Dims {
            spaces: self.spaces.clone(),
            z_dim: self.z_dim,
            w_dim: self.w_dim,
            num_ws: self.num_ws,
            style_sizes: self.style_sizes.clone(),
        }
    }

    /// Its own directions in one line: `age glasses smile pc01..pc20`.
    pub fn direction_names(&self) -> String {
        let component = |name: &str| name.strip_prefix("pc").and_then(|n| n.parse::<usize>().ok());
        let mut words: Vec<String> = Vec::new();
        let mut run: Option<(&str, usize)> = None;
        for name in self.directions.keys() {
            match (component(name), &mut run) {
                (Some(k), Some((first, last))) if k == *last + 1 => {
                    *last = k;
                    words.pop();
                    words.push(format!("{first}..{name}"));
                    continue;
                }
                (k, run) => *run = k.map(|k| (name.as_str(), k)),
            }
            words.push(name.clone());
        }
        if words.is_empty() { "none".into() } else { words.join(" ") }
    }
}

/// Static type of a code, a direction or an inversion; `None` means "known only at run time".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CodeType {
    /// Its space.
    pub space: Option<Space>,
    /// Rows of a layered code.
    pub layers: Option<usize>,
    /// Its generator.
    pub model: Option<Arc<ModelFacts>>,
    /// Number of codes.
    pub count: Option<usize>,
    /// Origin, for messages: `found by svm`.
    pub origin: Option<String>,
    /// The forms of a direction that exists in several spaces, which then has no `space`, or whose
    /// only form lives in another space than its set; else empty.
    pub forms: Vec<Form>,
}

impl CodeType {
    /// The forms of a direction; empty when they are known only at run time.
    pub fn all_forms(&self) -> Vec<Form> {
        match self.space {
            Some(space) if self.forms.is_empty() => vec![Form { set: space, space }],
            _ => self.forms.clone(),
        }
    }

    /// A direction of these forms; layers are known where there is one form.
    #[must_use]
    pub fn of_forms(self, forms: Vec<Form>) -> Self {
        let space = if let [one] = forms[..] { Some(one.space) } else { None };
        let layers = space.and_then(|s| self.model.as_ref()?.layers(s));
        let plain = matches!(forms[..], [one] if one.set == one.space);
        Self { space, layers, forms: if plain { Vec::new() } else { forms }, ..self }
    }

    /// A direction as it moves codes of that space: see [`form_for`]. As it is where the space is
    /// not known; `None` when no form can.
    pub fn moving(&self, code: Option<Space>) -> Option<Self> {
        let Some(code) = code.filter(|_| !self.forms.is_empty()) else {
            return Some(self.clone());
        };
        let form = self.forms[form_for(code, &self.forms)?];
        Some(self.clone().of_forms(vec![Form { set: form.space, space: form.space }]))
    }

    /// The sets of a direction's forms in words: `W, W+ and S`.
    pub fn sets(&self) -> String {
        let names: Vec<&str> = self.all_forms().iter().map(|f| f.set.name()).collect();
        match names.split_last() {
            Some((last, most)) if !most.is_empty() => format!("{} and {last}", most.join(", ")),
            _ => names.concat(),
        }
    }
}

/// A static type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Only known when it runs (a function's parameter, say).
    Unknown,
    /// No value: a statement.
    Nothing,
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// `a..b` or `a..b by s`.
    Range,
    /// The name of a latent space.
    Space,
    /// A list of one element type.
    List(Box<Type>),
    /// Pictures: `[channels, height, width]` when known.
    Image(Option<[usize; 3]>),
    /// A generator.
    Model(Option<Arc<ModelFacts>>),
    /// A latent code.
    Latent(CodeType),
    /// A direction.
    Direction(CodeType),
    /// An inversion; it counts as its code.
    Inversion(CodeType),
    /// A mask.
    Mask,
    /// A table.
    Table,
    /// A plot.
    Plot,
    /// A data set.
    Dataset,
    /// A path through a latent space.
    Path(CodeType),
    /// A function.
    Function,
}

/// A type without details: the kind that a parameter accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// A number.
    Number,
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// A range.
    Range,
    /// The name of a space.
    Space,
    /// A list.
    List,
    /// Pictures.
    Image,
    /// A generator.
    Model,
    /// A code (an inversion counts as one).
    Latent,
    /// A direction.
    Direction,
    /// An inversion.
    Inversion,
    /// A mask.
    Mask,
    /// A table.
    Table,
    /// A plot.
    Plot,
    /// A data set.
    Dataset,
    /// A path.
    Path,
    /// A function.
    Function,
    /// One of the parameter's `choices`, written as a bare word: `method: hybrid`.
    Choice,
}

impl Kind {
    /// The name in signatures and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Number => "Number",
            Self::Text => "Text",
            Self::Bool => "Bool",
            Self::Range => "Range",
            Self::Space => "Space",
            Self::List => "List",
            Self::Image => "Image",
            Self::Model => "Model",
            Self::Latent => "Latent",
            Self::Direction => "Direction",
            Self::Inversion => "Inversion",
            Self::Mask => "Mask",
            Self::Table => "Table",
            Self::Plot => "Plot",
            Self::Dataset => "Dataset",
            Self::Path => "Path",
            Self::Function => "Function",
            Self::Choice => "word",
        }
    }

    /// Whether a value of that type is accepted for this kind.
    pub fn accepts(self, ty: &Type) -> bool {
        matches!(
            (self, ty),
            (Self::Any, _)
                | (_, Type::Unknown)
                | (Self::Number, Type::Number)
                | (Self::Text, Type::Text)
                | (Self::Bool, Type::Bool)
                | (Self::Range, Type::Range)
                | (Self::Space, Type::Space)
                | (Self::List, Type::List(_))
                | (Self::Image, Type::Image(_))
                | (Self::Model, Type::Model(_))
                | (Self::Latent, Type::Latent(_) | Type::Inversion(_))
                | (Self::Direction, Type::Direction(_))
                | (Self::Inversion, Type::Inversion(_))
                | (Self::Mask, Type::Mask)
                | (Self::Table, Type::Table)
                | (Self::Plot, Type::Plot)
                | (Self::Dataset, Type::Dataset)
                | (Self::Path, Type::Path(_))
                | (Self::Function, Type::Function)
        )
    }
}

impl fmt::Display for Type {
    /// `Latent[W+]`, `List[Image]`, …: as in help and messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |f: &mut fmt::Formatter<'_>, name: &str, c: &CodeType| match c.space {
            Some(s) => write!(f, "{name}[{s}]"),
            None if c.forms.is_empty() => f.write_str(name),
            None => {
                let sets: Vec<&str> = c.forms.iter().map(|form| form.set.name()).collect();
                write!(f, "{name}[{}]", sets.join(", "))
            }
        };
        match self {
            Self::Unknown => f.write_str("a value known when it runs"),
            Self::Nothing => f.write_str("nothing"),
            Self::Number => f.write_str("Number"),
            Self::Text => f.write_str("Text"),
            Self::Bool => f.write_str("Bool"),
            Self::Range => f.write_str("Range"),
            Self::Space => f.write_str("Space"),
            Self::List(t) => match **t {
                Self::Unknown => f.write_str("List"),
                ref t => write!(f, "List[{t}]"),
            },
            Self::Image(_) => f.write_str("Image"),
            Self::Model(_) => f.write_str("Model"),
            Self::Latent(c) => code(f, "Latent", c),
            Self::Direction(c) => code(f, "Direction", c),
            Self::Inversion(c) => code(f, "Inversion", c),
            Self::Mask => f.write_str("Mask"),
            Self::Table => f.write_str("Table"),
            Self::Plot => f.write_str("Plot"),
            Self::Dataset => f.write_str("Dataset"),
            Self::Path(c) => code(f, "Path", c),
            Self::Function => f.write_str("Function"),
        }
    }
}

/// Range of a parameter's numbers: from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The smallest.
    pub from: f64,
    /// The largest.
    pub to: f64,
    /// Whether only whole ones.
    pub whole: bool,
}

impl Bounds {
    /// Whether it is one of these numbers.
    pub fn takes(&self, n: f64) -> bool {
        n >= self.from && n <= self.to && (!self.whole || n.fract() == 0.0)
    }

    /// The nearest of these numbers.
    fn nearest(&self, n: f64) -> f64 {
        let n = if self.whole { n.round() } else { n };
        n.clamp(self.from, self.to)
    }

    /// The error for a number `n` at `span` outside the range, with the nearest valid one as the
    /// repair.
    pub fn refusal(&self, kind: ErrorKind, name: &str, (n, span): (f64, Span)) -> Error {
        let error = Error::new(kind, format!("`{name}` is {self}, not {n}")).at(span);
        if n.is_finite() { error.rewrite(span, self.nearest(n).to_string()) } else { error }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.whole { "a whole number" } else { "a number" };
        write!(f, "{what} from {} to {}", self.from, self.to)
    }
}

/// The files that a text names.
pub type Files = fn(&str) -> Vec<PathBuf>;

/// One parameter of a built-in function.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name, as in `space: W+`.
    pub name: &'static str,
    /// Kinds of values that it accepts.
    pub accepts: &'static [Kind],
    /// Bare words it takes (with [`Kind::Choice`]); a word ending in `:` takes a value after it
    /// (`best_of: 8`).
    pub choices: &'static [&'static str],
    /// Source text of the default; `None` makes it required. `"-"` means optional without a value.
    pub default: Option<&'static str>,
    /// Takes all remaining positional arguments (only the last positional parameter).
    pub variadic: bool,
    /// Must be written with its name.
    pub named: bool,
    /// Range of its numbers; for a parameter with words, of the number after a word's colon.
    pub bounds: Option<Bounds>,
    /// Names a file that the call writes: later statements may read what does not exist yet.
    pub writes: bool,
    /// The files that one of its texts names and the call reads.
    pub reads: Option<Files>,
    /// One line of help, with units and range.
    pub doc: &'static str,
}

impl Param {
    /// A required parameter.
    pub const fn required(name: &'static str, accepts: &'static [Kind], doc: &'static str) -> Self {
        Self {
            name,
            accepts,
            choices: &[],
            default: None,
            variadic: false,
            named: false,
            bounds: None,
            writes: false,
            reads: None,
            doc,
        }
    }

    /// A parameter with a default, written in the language; `"-"` for "none".
    pub const fn optional(
        name: &'static str,
        accepts: &'static [Kind],
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            accepts,
            choices: &[],
            default: Some(default),
            variadic: false,
            named: false,
            bounds: None,
            writes: false,
            reads: None,
            doc,
        }
    }

    /// Takes numbers from `from` to `to`, both included.
    pub const fn within(mut self, from: f64, to: f64) -> Self {
        self.bounds = Some(Bounds { from, to, whole: false });
        self
    }

    /// Takes whole numbers from `from` to `to`, both included.
    pub const fn whole(mut self, from: u64, to: u64) -> Self {
        self.bounds = Some(Bounds { from: from as f64, to: to as f64, whole: true });
        self
    }

    /// Takes seeds: whole numbers up to 2^53, beyond which a number of the language no longer names
    /// one integer.
    pub const fn seed(self) -> Self {
        self.whole(0, 1 << 53)
    }

    /// The bare words it takes.
    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// Takes all remaining positional arguments, at least one.
    pub const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// Names a file that the call writes.
    pub const fn writes(mut self) -> Self {
        self.writes = true;
        self
    }

    /// Names files that the call reads.
    pub const fn reads(mut self, files: Files) -> Self {
        self.reads = Some(files);
        self
    }

    /// Names a file that the call reads.
    pub const fn reads_it(self) -> Self {
        self.reads(|path| vec![path.into()])
    }

    /// Its texts name no files.
    pub const fn reads_nothing(self) -> Self {
        self.reads(|_| Vec::new())
    }

    /// Must be written with its name.
    pub const fn named(mut self) -> Self {
        self.named = true;
        self
    }
}

/// A value known before the program runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Const {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// `from..to by step`.
    Range(f64, f64, Option<f64>),
    /// A space.
    Space(Space),
    /// A bare word, with the value after its colon.
    Choice(String, Option<Box<Const>>),
}

/// An argument as the checker sees it.
#[derive(Clone, Debug)]
pub struct CheckedArg {
    /// Its type.
    pub ty: Type,
    /// Its value, if it is a constant.
    pub value: Option<Const>,
    /// Its span.
    pub span: Span,
}

/// A call as the checker hands it to a built-in's `infer`.
#[derive(Clone, Debug)]
pub struct CheckedCall<'a> {
    /// Arguments by parameter, in the order of the signature; several for a variadic one, empty for
    /// a default.
    pub args: Vec<Vec<CheckedArg>>,
    /// The whole call.
    pub span: Span,
    /// The current generator at this point of the program.
    pub model: Option<Arc<ModelFacts>>,
    /// Facts about other generators.
    pub generators: &'a dyn Generators,
    /// The signature.
    pub signature: &'a Signature,
    /// Files that earlier statements of the program write.
    pub written: &'a [String],
    /// Whether results must stay inside the output folder: true for script files.
    pub confined: bool,
}

impl CheckedCall<'_> {
    /// The (first) argument given for a parameter.
    pub fn arg(&self, name: &str) -> Option<&CheckedArg> {
        let i = self.signature.params.iter().position(|p| p.name == name)?;
        self.args.get(i)?.first()
    }

    /// Whether the file will be there when the call runs although it is not there now.
    pub fn will_exist(&self, path: &str) -> bool {
        self.written.iter().any(|w| w == path) && !std::path::Path::new(path).exists()
    }

    /// The constant given for a parameter.
    pub fn value(&self, name: &str) -> Option<&Const> {
        self.arg(name)?.value.as_ref()
    }
}

/// A built-in function's result type from its arguments; refuses what cannot work, with a span and
/// a repair.
pub type Infer = fn(&CheckedCall<'_>) -> Result<Type, Error>;

/// Name, parameters and result of a built-in function.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Its name.
    pub name: &'static str,
    /// Its parameters; positional arguments fill those that are not `named` in this order.
    pub params: &'static [Param],
    /// Its result, as shown in help.
    pub returns: &'static str,
    /// Computes the result type.
    pub infer: Infer,
}

impl Signature {
    /// Whether a call does more than give a value: it shows or saves something, or changes the
    /// generator.
    pub fn acts(&self) -> bool {
        self.returns == "nothing" || self.name == "load" || self.params.iter().any(|p| p.writes)
    }

    /// Whether the function takes nothing. Its name alone is then a call: `pc[0]` is `pc()[0]`.
    pub fn is_bare(&self) -> bool {
        self.params.is_empty()
    }
}

/// The checker's access to generators: it learns facts about them and never sees a tensor.
pub trait Generators: fmt::Debug {
    /// Facts about the generator that `load` takes by this name or path.
    ///
    /// # Errors
    /// When it cannot be loaded.
    fn load_facts(&self, source: &str) -> Result<Arc<ModelFacts>>;
    /// Facts about a generator that was loaded before, by its fingerprint.
    fn known_facts(&self, fingerprint: &str) -> Option<Arc<ModelFacts>>;
    /// The type of a direction that a generator brings: in every space in which it has one, or in
    /// `space` alone. `None` when it has none, or was never loaded.
    ///
    /// # Errors
    /// When the directions cannot be read.
    fn own_direction(
        &self,
        fingerprint: &str,
        name: &str,
        space: Option<Space>,
    ) -> Result<Option<CodeType>>;
}

/// The checker's access to what is outside the program.
pub trait World {
    /// The signature of a built-in function.
    fn signature(&self, name: &str) -> Option<&Signature>;
    /// The names of all built-in functions, for did-you-mean.
    fn names(&self) -> Vec<&'static str>;
    /// The generator that is current before the first statement.
    fn model(&self) -> Option<Arc<ModelFacts>>;
    /// Other generators.
    fn generators(&self) -> &dyn Generators;
    /// The type of a name bound earlier in the session.
    fn binding(&self, name: &str) -> Option<Type>;
    /// All names bound earlier in the session.
    fn bindings(&self) -> Vec<String>;
    /// Whether results must stay inside the output folder: true for script files.
    fn confined(&self) -> bool {
        true
    }
    /// A function defined earlier in the session.
    fn function(&self, name: &str) -> Option<Arc<super::ast::Def>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_listed_as_one_run() {
        let names = ["age", "pc01", "pc02", "pc03", "smile"];
        let facts = |names: &[&str]| ModelFacts {
            name: "g".into(),
            fingerprint: String::new(),
            family: "stylegan2".into(),
            spaces: vec![Space::W],
            num_ws: 3,
            z_dim: 2,
            w_dim: 2,
            style_sizes: vec![4, 2, 1],
            network: Vec::new(),
            c_dim: 0,
            can: Abilities::default(),
            width: 8,
            height: 8,
            channels: 3,
            directions: names.iter().map(|n| ((*n).to_owned(), vec![Space::W])).collect(),
            encoder: false,
            pair: false,
            companions: Vec::new(),
            perceptual: false,
            identity: false,
            landmarks: false,
            ffhq: false,
        };
        assert_eq!(facts(&names).direction_names(), "age pc01..pc03 smile");
        assert_eq!(facts(&["pc01", "pc03", "pc04"]).direction_names(), "pc01 pc03..pc04");
        assert_eq!(facts(&[]).direction_names(), "none");
        assert_eq!(
            (facts(&[]).layers(Space::S), facts(&[]).s_dim(), facts(&[]).layers(Space::Z)),
            (Some(3), 7, None)
        );
    }
}
