//! Helpers that several built-in functions share.

mod numbers;

pub use numbers::{numbers, of_numbers};

use crate::builtin::{
    Args, Bounds, CheckedArg, CheckedCall, CodeType, Const, Context, Kind, LayerFacts, ModelFacts,
    Param, Type,
};
use crate::error::{Error, Result, Span};
use crate::lang::suggest::near;
use crate::latent::Code;
use crate::limits::LIMITS;
use crate::metric::Metric;
use crate::render::text::cut;
use crate::safe::Safe;
use crate::space::Space;
use crate::space::lattice::{self, Repair};
use crate::value::{Image, Loaded, Value};
use crate::weights;
use candle_core::Tensor;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// The parameter `seed` of what searches, alike wherever there is one.
pub const SEED: Param = Param::optional(
    "seed",
    &[Kind::Number],
    "-",
    "seed of everything random; by default the session's",
)
.seed()
.named();

/// A short name of what is computed, for its files: a rerun finds its own, another run never does.
pub fn key(what: &str) -> String {
    Sha256::digest(what).iter().take(12).map(|b| format!("{b:02x}")).collect()
}

/// The parameter `class`, alike wherever there is one.
pub const CLASS: Param = Param::optional(
    "class",
    &[Kind::Number, Kind::List],
    "-",
    "class of a conditional generator, from 0; a list has one for each code",
)
.whole(0, 1_000_000)
.named();

/// The parameter `labels`, alike wherever there is a class: for generators whose condition is not
/// one class of several.
pub const LABELS: Param = Param::optional(
    "labels",
    &[Kind::Text],
    "-",
    "file with the numbers that a conditional generator reads in place of a class: [C], or [N, C] \
     with one row for each code",
)
.reads_it()
.named();

/// Refuses labels and classes that cannot be meant.
///
/// # Errors
/// When a constant path of labels leads to no file and none is written before; and, of a known
/// generator, when it has no classes, or a constant class is none of them.
pub fn check_condition(call: &CheckedCall<'_>, model: Option<&ModelFacts>) -> Result<()> {
    if let Some(model) = model {
        check_class(call, model)?;
    }
    let (Some(arg), Some(Const::Text(path))) = (call.arg("labels"), call.value("labels")) else {
        return Ok(());
    };
    if call.will_exist(path) || Path::new(path).exists() {
        return Ok(());
    }
    Err(Error::check(format!("there is no file {}", Safe(path)))
        .at(arg.span)
        .hint("labels are an array in a file: numpy.save(\"labels.npy\", …)"))
}

/// As [`check_condition`], for calls in which a conditional generator needs a class or labels.
///
/// # Errors
/// As [`check_condition`], and when a known generator is conditional and the call gives neither.
pub fn check_needed_condition(call: &CheckedCall<'_>, model: Option<&ModelFacts>) -> Result<()> {
    check_condition(call, model)?;
    let given = ["class", "labels"].iter().any(|p| call.arg(p).is_some());
    match model {
        Some(m) if m.c_dim > 0 && !given => {
            Err(unconditioned(Error::check, &m.name, m.c_dim).at(call.span))
        }
        _ => Ok(()),
    }
}

/// The error of a conditional generator without a class.
fn unconditioned(error: fn(String) -> Error, name: &str, classes: usize) -> Error {
    error(format!("{} is conditional on {classes} classes", Safe(name))).hint("say which: class: 0")
}

/// Refuses a class or labels for a generator without classes, and a constant class that it lacks.
fn check_class(call: &CheckedCall<'_>, model: &ModelFacts) -> Result<()> {
    let given = ["class", "labels"].into_iter().find_map(|p| Some((p, call.arg(p)?)));
    let Some((asked, arg)) = given else { return Ok(()) };
    let Some(last) = model.c_dim.checked_sub(1) else {
        return Err(no_classes(Error::check, &model.name, asked).at(arg.span));
    };
    let Some(Const::Number(k)) = call.value("class") else { return Ok(()) };
    let bounds = Bounds { from: 0.0, to: last as f64, whole: true };
    if bounds.takes(*k) {
        return Ok(());
    }
    Err(bounds.refusal(crate::error::Kind::Check, "class", (*k, arg.span)))
}

/// The error of a class for a generator that has none.
fn no_classes(error: fn(String) -> Error, name: &str, asked: &str) -> Error {
    error(format!("{} has no classes", Safe(name))).hint(format!("leave `{asked}` out"))
}

/// The labels that a call gives, `[n, c_dim]`: one-hot for a class, or the numbers of a file;
/// `None` without either.
///
/// # Errors
/// When the generator has no classes or fewer, when their number is neither one nor `n`, and for a
/// file that does not hold labels of the generator.
pub fn labels(args: &Args, model: &Loaded, n: usize) -> Result<Option<Tensor>> {
    let (given, c) = (args.many("class"), model.facts.c_dim);
    let classes = !given.is_empty() || args.get("class").is_some();
    let file = args.get("labels").is_some();
    if !classes && !file {
        return Ok(None);
    }
    let asked = if file { "labels" } else { "class" };
    let (name, span) = (crate::safe::Safe(&model.facts.name), args.span(asked));
    if c == 0 {
        return Err(no_classes(Error::runtime, &model.facts.name, asked).at(span));
    }
    if file {
        if classes {
            return Err(Error::runtime("both `class` and `labels` are given")
                .at(span)
                .hint("keep the one that says what you mean"));
        }
        return file_labels(args.text("labels")?, model, n).map_err(|e| e.at(span)).map(Some);
    }
    if given.len() != 1 && given.len() != n {
        return Err(Error::runtime(format!("{} classes for {n} codes", given.len()))
            .at(span)
            .hint("give one class for all codes, or a list with one for each"));
    }
    let mut all = vec![0f32; n * c];
    for (k, row) in all.chunks_exact_mut(c).enumerate() {
        match given.get(if given.len() == 1 { 0 } else { k }) {
            Some((Value::Number(v), _)) if v.fract() == 0.0 && (0.0..c as f64).contains(v) => {
                row[*v as usize] = 1.0;
            }
            _ => {
                return Err(Error::runtime(format!("a class of {name} is a number"))
                    .at(span)
                    .hint(format!("its classes are 0 to {}", c - 1)));
            }
        }
    }
    Ok(Some(Tensor::from_vec(all, (n, c), model.device())?))
}

/// The numbers of a file that holds one array.
///
/// # Errors
/// When the file cannot be read or holds several arrays; `hint` says what to save.
pub fn only_array(path: &str, hint: &str) -> Result<Tensor> {
    let mut file = weights::open(Path::new(path), &LIMITS)?;
    let names: Vec<String> = file.weights.list().tensors.keys().cloned().collect();
    let [only] = &names[..] else {
        let message = format!("{} holds {} arrays, not one", Safe(path), names.len());
        return Err(Error::runtime(message).hint(hint));
    };
    file.weights.take_any(only)
}

/// The labels in a file, `[n, c_dim]`.
fn file_labels(path: &str, model: &Loaded, n: usize) -> Result<Tensor> {
    let c = model.facts.c_dim;
    let hint = "save the labels alone: numpy.save(\"labels.npy\", …)";
    let numbers = only_array(path, hint)?;
    let rows = match *numbers.dims() {
        [d] if d == c => numbers.unsqueeze(0)?,
        [rows, d] if d == c && (rows == 1 || rows == n) => numbers,
        ref other => {
            let name = Safe(&model.facts.name);
            return Err(Error::runtime(format!(
                "labels of shape {other:?} for {n} codes of {name}"
            ))
            .hint(format!("it reads [{c}], or [{n}, {c}] with one row for each code")));
        }
    };
    let rows = if rows.dim(0)? == n { rows } else { rows.repeat((n, 1))? };
    Ok(rows.to_device(model.device())?)
}

/// As [`labels`], for calls in which a conditional generator needs them.
///
/// # Errors
/// As [`labels`], and when a conditional generator gets no class.
pub fn needed_labels(args: &Args, model: &Loaded, n: usize) -> Result<Option<Tensor>> {
    let given = labels(args, model, n)?;
    if given.is_none() && model.facts.c_dim > 0 {
        let (name, c) = (&model.facts.name, model.facts.c_dim);
        return Err(unconditioned(Error::runtime, name, c).at(args.span));
    }
    Ok(given)
}

/// Static type of a code argument.
pub fn code(call: &CheckedCall<'_>, name: &str) -> CodeType {
    call.arg(name).map(|a| code_type(&a.ty)).unwrap_or_default()
}

/// Static type of the code in a type.
pub fn code_type(ty: &Type) -> CodeType {
    match ty {
        Type::Latent(c) | Type::Inversion(c) | Type::Path(c) | Type::Direction(c) => c.clone(),
        _ => CodeType::default(),
    }
}

/// The generator that an argument belongs to, or the current one.
pub fn model_of(call: &CheckedCall<'_>, name: &str) -> Option<Arc<ModelFacts>> {
    code(call, name).model.or_else(|| call.model.clone())
}

/// A whole number written for a parameter, if it is a constant.
pub fn count(call: &CheckedCall<'_>, name: &str) -> Option<usize> {
    match call.value(name) {
        Some(Const::Number(v)) if *v >= 0.0 && v.fract() == 0.0 => Some(*v as usize),
        _ => None,
    }
}

/// The layer of that name that has what `count` counts: styles, or maps.
///
/// # Errors
/// When there is none, with the names that are near.
pub fn layer<'m>(
    model: &'m ModelFacts,
    name: &str,
    count: fn(&LayerFacts) -> usize,
) -> Result<&'m LayerFacts> {
    let known = || model.network.iter().filter(|l| count(l) > 0);
    known().find(|l| l.name == name).ok_or_else(|| {
        let message = format!("{} has no layer \"{}\" for this", Safe(&model.name), Safe(name));
        let names: Vec<&str> = known().map(|l| l.name.as_str()).collect();
        Error::runtime(message).hint(
            match (near(name, names.iter().copied()).first(), &names[..]) {
                (Some(like), _) => format!("\"{like}\""),
                (None, []) => "other families have such layers: StyleGAN2, StyleGAN3".to_owned(),
                (None, all) => format!("one of {}", all.join(", ")),
            },
        )
    })
}

/// The picture type of a generator.
pub fn picture(model: Option<&Arc<ModelFacts>>) -> Type {
    Type::Image(model.map(|m| [m.channels, m.height, m.width]))
}

/// Refuses a space in which the generator has no codes.
pub fn check_space(space: Space, model: &ModelFacts, span: Span) -> Result<()> {
    if model.spaces.contains(&space.base()) {
        return Ok(());
    }
    let names: Vec<&str> = model.spaces.iter().map(|s| s.name()).collect();
    Err(Error::check(format!("{} has no codes in {space}", crate::safe::Safe(&model.name)))
        .at(span)
        .hint(format!("one of its spaces: {}", names.join(", "))))
}

/// The space written for a parameter.
pub fn space(call: &CheckedCall<'_>, name: &str) -> Option<Space> {
    match call.value(name) {
        Some(Const::Space(s)) => Some(*s),
        _ => None,
    }
}

/// Checks that two codes share space, layers and generator; gives what is known of them together.
pub fn same_codes(call: &CheckedCall<'_>, names: [&str; 2]) -> Result<CodeType> {
    let [a, b] = names.map(|n| code(call, n));
    let span = call.arg(names[1]).map_or(call.span, |x| x.span);
    let left = call.arg(names[0]).map_or(call.span, |x| x.span);
    agree(&a, &b).map_err(|e| match &a.space {
        Some(s) => e.at(span).label(left, format!("code in {s}")),
        None => e.at(span),
    })?;
    if let (Some(m), Some(n)) = (a.count, b.count)
        && m != n
    {
        let error = Error::check(format!("here are {m} codes and {n}")).at(span);
        return Err(error.label(left, format!("{m}")).hint("use equally many on both sides"));
    }
    Ok(CodeType {
        space: a.space.or(b.space),
        layers: a.layers.or(b.layers),
        model: a.model.or(b.model),
        ..a
    })
}

fn agree(a: &CodeType, b: &CodeType) -> Result<()> {
    if let (Some(x), Some(y)) = (a.space, b.space)
        && x != y
    {
        let wide = lattice::wider(x, y).unwrap_or(Space::WPlus);
        return Err(Error::check(format!("the codes live in different spaces: {x} and {y}"))
            .hint(format!("lift the other one first: to({wide}, …)")));
    }
    if let (Some(x), Some(y)) = (&a.model, &b.model)
        && x.fingerprint != y.fingerprint
    {
        return Err(Error::check(format!(
            "the codes belong to different generators: {} and {}",
            x.label(),
            y.label()
        ))
        .hint("take both codes from one generator"));
    }
    Ok(())
}

/// Checks that a direction can move a code: the same generator, and a space that acts on the
/// code's.
pub fn moves(code: &CodeType, direction: &CodeType) -> Result<()> {
    if let (Some(x), Some(y)) = (&code.model, &direction.model)
        && x.fingerprint != y.fingerprint
    {
        return Err(Error::check(format!(
            "the direction was found in {}, the code belongs to {}",
            y.label(),
            x.label()
        ))
        .hint("take a direction of the code's generator"));
    }
    let Some(direction) = direction.moving(code.space) else {
        let code = code.space.map_or("", Space::name);
        let message = format!("a direction of {} cannot move a {code} code", direction.sets());
        return Err(Error::check(message).hint(in_space(code)));
    };
    let (Some(c), Some(d)) = (code.space, direction.space) else { return Ok(()) };
    lattice::moved(c, d).map(drop).map_err(|refusal| {
        Error::check(format!("a {d} direction cannot move a {c} code")).hint(match refusal.repair {
            Repair::Lift(to) => format!("lift the code: to({to}, …)"),
            Repair::LiftOrDirectionOf(to, own) => {
                format!("lift the code: to({to}, …), or use a direction of {own}")
            }
            Repair::DirectionOf(_) | Repair::Invert(_) => in_space(c.name()),
        })
    })
}

fn in_space(space: &str) -> String {
    format!("use a direction of {space}; one named without `space:` is taken where the code is")
}

/// The running counterpart of [`same_codes`]: both codes in one space, one generator, and as many
/// of each.
pub fn pair(args: &Args, names: [&str; 2]) -> Result<(Code, Code)> {
    let (a, b) = (args.latent(names[0])?, args.latent(names[1])?);
    let span = args.span(names[1]);
    if a.space != b.space || a.point().dims() != b.point().dims() {
        return Err(Error::runtime(format!(
            "the codes do not fit: {} {:?} and {} {:?}",
            a.space,
            a.point().dims(),
            b.space,
            b.point().dims()
        ))
        .at(span)
        .hint("bring both into one space with to(…), and as many codes on each side"));
    }
    if let (Some(x), Some(y)) = (&a.model, &b.model)
        && x.fingerprint != y.fingerprint
    {
        return Err(Error::runtime("the codes belong to different generators").at(span));
    }
    Ok((a, b))
}

/// Two batches of pictures of one size; one picture is compared with many.
pub fn two_images(args: &Args, ctx: &Context<'_>) -> Result<(Tensor, Tensor)> {
    let (a, b) = (args.images("a", ctx)?, args.images("b", ctx)?);
    align(&a, &b).map_err(|e| e.at(args.span))
}

/// The numbers of a list, at least one, each of which has a place in a plot.
///
/// # Errors
/// As [`numbers`], and for infinity, what is no number, and what is beyond every axis.
pub fn finite(values: &[(Value, Span)], list: Span) -> Result<Vec<f64>> {
    /// A plot of greater numbers could not be drawn in numbers.
    const GREATEST: f64 = 1e300;
    let all = numbers::numbers_of(values, list)?;
    match all.iter().position(|v| !v.is_finite() || v.abs() > GREATEST) {
        None => Ok(all),
        Some(i) => Err(Error::runtime(format!("number {i} is {}, which has no place", all[i]))
            .at(list)
            .hint("leave it out: [v for v in x if v < 1e9]")),
    }
}

/// Refuses lists that are known to hold no numbers.
///
/// # Errors
/// For such a list.
pub fn check_numbers(call: &CheckedCall<'_>) -> Result<()> {
    for arg in call.args.iter().flatten() {
        if let Type::List(of) = &arg.ty
            && !matches!(**of, Type::Number | Type::Unknown)
        {
            let message = format!("a list of numbers is wanted, this is {}", arg.ty);
            return Err(Error::check(message).at(arg.span));
        }
    }
    Ok(())
}

/// Width of an expression that names what is drawn, in columns.
const WRITTEN: usize = 32;

/// The `k`th argument of a parameter as it is written, cut to a name; `None` for a default.
pub fn written(args: &Args, name: &str, k: usize) -> Option<String> {
    let at = args.params.iter().position(|p| p.name == name)?;
    Some(cut(args.written.get(at)?.get(k)?, WRITTEN))
}

/// Two batches of pictures of one size; one picture is repeated for many.
pub fn align(a: &Image, b: &Image) -> Result<(Tensor, Tensor)> {
    let ([n, c, h, w], [m, c2, h2, w2]) = (a.dims(), b.dims());
    if (c, h, w) != (c2, h2, w2) {
        return Err(Error::runtime(unlike([c, h, w], [c2, h2, w2])).hint(RESIZE));
    }
    match (n, m) {
        _ if n == m => Ok((a.data.clone(), b.data.clone())),
        (1, _) => Ok((a.data.broadcast_as(b.data.shape())?.contiguous()?, b.data.clone())),
        (_, 1) => Ok((a.data.clone(), b.data.broadcast_as(a.data.shape())?.contiguous()?)),
        _ => Err(Error::runtime(format!("{n} pictures against {m}"))
            .hint("compare equally many, or several with one")),
    }
}

/// Runs a metric over two arguments `a` and `b`: the mean over the pictures.
pub fn metric(m: &dyn Metric, args: &Args, ctx: &Context<'_>) -> Result<Value> {
    let (a, b) = two_images(args, ctx)?;
    let each = m.measure(&a, &b).map_err(|e| e.at(args.span))?;
    Ok(Value::Number(each.iter().sum::<f64>() / each.len().max(1) as f64))
}

/// The parameters of every metric.
pub mod params {
    use crate::builtin::{Kind, Param};

    /// Kinds that can be measured: pictures, inversions (their reconstruction), codes (rendered).
    pub const PICTURES: &[Kind] = &[Kind::Image, Kind::Latent];

    /// As [`PICTURES`], or lists of them.
    pub const CANDIDATES: &[Kind] = &[Kind::Image, Kind::Latent, Kind::List];

    /// Two pictures.
    pub const TWO: &[Param] = &[
        Param::required(
            "a",
            PICTURES,
            "pictures, an inversion (its reconstruction) or codes (rendered)",
        ),
        Param::required("b", PICTURES, "as many pictures of the same size, or one"),
    ];
}

/// The result type of every metric.
pub fn number(call: &CheckedCall<'_>) -> Result<Type> {
    same_size(call)?;
    Ok(Type::Number)
}

/// Refuses two pictures of different sizes, as far as these are known.
fn same_size(call: &CheckedCall<'_>) -> Result<()> {
    let size = |arg: &CheckedArg| match &arg.ty {
        Type::Image(size) => *size,
        Type::Latent(c) | Type::Inversion(c) | Type::Path(c) => {
            c.model.as_ref().map(|m| [m.channels, m.height, m.width])
        }
        _ => None,
    };
    let Some(a) = call.arg("a").and_then(size) else { return Ok(()) };
    for other in call.args.iter().skip(1).flatten() {
        if let Some(b) = size(other).filter(|b| *b != a) {
            return Err(Error::check(unlike(a, b)).at(other.span).hint(RESIZE));
        }
    }
    Ok(())
}

const RESIZE: &str = "image(path, size: …) brings a picture to a size";

fn unlike([c, h, w]: [usize; 3], [c2, h2, w2]: [usize; 3]) -> String {
    format!("the pictures differ in size: {w}×{h}×{c} and {w2}×{h2}×{c2}")
}
