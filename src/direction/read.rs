//! Directions from the arrays of a file: single boundaries, component files, and files of our own.
//!
//! The caller reads the file (`weights/`) and hands over plain arrays, so nothing here knows a
//! format. Known forms: InterFaceGAN `.npy` (1, 512); e4e `.pt` (1, 512) or (18,
//! 512); GANSpace `.npz` (`lat_comp`, `lat_mean`, `lat_stdev`) and `.pt` (`comp`, `mean`, `std`);
//! II2S `.npz` (`X_comp`, `X_mean`, `X_stdev`); rosinality's SeFa `factor.pt` (`eigvec`, whose
//! columns are the directions); and our own safetensors of family `directions`, one
//! tensor a direction, named `smile` or, with its space, `W/smile`.

use crate::error::{Error, Kind, Result};
use crate::latent::{Direction, ModelId};
use crate::safe::Safe;
use crate::space::Space;
use std::collections::BTreeMap;

/// Arrays of a file by name: shape and row-major values.
pub type Arrays = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

/// Facts about the generator that the directions are for.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w; equal to `z_dim` without a mapping network.
    pub w_dim: usize,
    /// Layers of a W+ code.
    pub num_ws: usize,
    /// Dimensions of a style code; 0 without a space S.
    pub s_dim: usize,
    /// Spaces its codes can live in.
    pub spaces: Vec<Space>,
    /// Identity of the generator, `None` when the file does not state it and the caller does not
    /// claim it.
    pub model: Option<ModelId>,
}

/// Origin of the arrays.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The file's name: it names the direction, and the ending `_w_boundary` means W
    /// (InterFaceGAN's convention).
    pub file: &'a str,
    /// The space, when the caller knows it; `None` infers it.
    pub space: Option<Space>,
}

const COMPONENTS: [[&str; 3]; 3] = [
    ["lat_comp", "lat_mean", "lat_stdev"],
    ["comp", "mean", "std"],
    ["X_comp", "X_mean", "X_stdev"],
];

/// The matrix whose columns are directions of W, as rosinality's `closed_form_factorization.py`
/// saves it.
const FACTOR: &str = "eigvec";

/// What the arrays of a file of codes or directions are, by their names and shapes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Principal components with their deviations.
    Components,
    /// Eigenvectors of a closed-form factorisation (SeFa), as columns.
    Factor,
    /// Mean and deviations of w before the mapping network's last activation (PULSE's
    /// `gaussian_fit.pt`): a distribution, no direction.
    Gaussian,
    /// Arrays, each for itself.
    Plain,
}

/// The form of a file with arrays of these names and shapes.
pub fn form<'a>(arrays: impl Iterator<Item = (&'a str, &'a [usize])>) -> Form {
    let all: Vec<(&str, &[usize])> = arrays.collect();
    let shape = |name: &str| all.iter().find(|(n, _)| *n == name).map(|(_, s)| *s);
    if are_components(all.iter().map(|(n, _)| *n)) {
        Form::Components
    } else if matches!(shape(FACTOR), Some([d, e]) if d == e) {
        Form::Factor
    } else if all.len() == 2
        && matches!((shape("mean"), shape("std")), (Some([a]), Some([b])) if a == b)
    {
        Form::Gaussian
    } else {
        Form::Plain
    }
}

/// All directions of a file's arrays by name: principal components as `pc0`, `pc1`, … in steps of
/// one σ; the columns of a factorisation as `sefa0`, `sefa1`, … of length 1; a single unnamed or
/// named array by the file's stem; otherwise every array by its own name, whose `W/` or `S/` says
/// its space.
///
/// # Errors
/// When the file holds no array, a shape fits no space of the generator, or the space is ambiguous.
pub fn from_arrays(arrays: &Arrays, source: &Source, facts: &Facts) -> Result<Vec<Direction>> {
    match form(arrays.iter().map(|(n, (shape, _))| (n.as_str(), shape.as_slice()))) {
        Form::Components => return components(arrays, source, facts),
        Form::Factor => return factor(arrays, source, facts),
        Form::Gaussian => {
            let what = "it holds the mean and deviations of a distribution, not a direction";
            return Err(bad(source, what).hint("`latent` reads its mean as a code of W"));
        }
        Form::Plain => {}
    }
    if arrays.is_empty() {
        return Err(bad(source, "it does not contain an array"));
    }
    let stem = stem(source.file);
    let single = arrays.len() == 1;
    let one = |(key, (shape, data)): (&String, &(Vec<usize>, Vec<f64>))| {
        let name = if single && (key.is_empty() || key == "data") { stem } else { key.as_str() };
        let (space, name) = split(name);
        from_array(
            name,
            shape,
            data,
            &Source { space: space.or(source.space), ..source.clone() },
            facts,
        )
    };
    arrays.iter().map(one).collect()
}

/// Whether arrays of these names are principal components.
fn are_components<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| COMPONENTS.iter().any(|[comp, ..]| *comp == name))
}

/// Names of the deviations of principal components, which a file may hold as bare numbers.
pub const DEVIATIONS: [&str; 3] = [COMPONENTS[0][2], COMPONENTS[1][2], COMPONENTS[2][2]];

/// Mean and deviations of a file of principal components; the mean is empty where it has none.
pub fn component_stats(arrays: &Arrays) -> Option<(&[f64], &[f64])> {
    let [_, mean, std] = COMPONENTS.iter().find(|[comp, ..]| arrays.contains_key(*comp))?;
    let values = |key: &str| arrays.get(key).map(|(_, v)| v.as_slice()).unwrap_or_default();
    Some((values(mean), values(std)))
}

/// Space and name of a key such as `W/smile`.
pub fn split(key: &str) -> (Option<Space>, &str) {
    match key.split_once('/') {
        Some((space, name)) if !name.is_empty() => match Space::parse(space) {
            Some(space) => (Some(space), name),
            None => (None, key),
        },
        _ => (None, key),
    }
}

/// One direction from one array of shape (D), (1, D) or (L, D).
///
/// # Space inference
/// L rows equal to `num_ws` > 1: W+. Another number of rows that are all the same: W, because such a
/// direction does not depend on the layers that it was saved for (e4e's `pose.pt` has 18 equal
/// rows). One row: the space that the caller gives; else W when the file is named `*_w_boundary`;
/// else the only space of the generator with that many dimensions. Z and W of equal size cannot be
/// told apart by looking, so that is an error.
///
/// # Errors
/// When the shape fits no space, the space is ambiguous, or a value is not finite.
pub fn from_array(
    name: &str,
    shape: &[usize],
    data: &[f64],
    source: &Source,
    facts: &Facts,
) -> Result<Direction> {
    let (rows, dim) = match *shape {
        [d] => (1, d),
        [l, d] => (l, d),
        [1, l, d] | [l, 1, d] => (l, d),
        _ => {
            return Err(bad(
                source,
                &format!("`{}` has shape {shape:?}, not (D) or (L, D)", Safe(name)),
            ));
        }
    };
    if rows.checked_mul(dim) != Some(data.len()) || data.is_empty() {
        return Err(bad(
            source,
            &format!("`{}` has {} values for shape {shape:?}", Safe(name), data.len()),
        ));
    }
    if let Some(i) = data.iter().position(|v| !v.is_finite()) {
        return Err(bad(source, &format!("value {i} of `{}` is not finite", Safe(name))));
    }
    let equal = rows > 1 && rows != facts.num_ws && equal_rows(data, dim);
    let (saved, rows) = (rows, if equal { 1 } else { rows });
    let data = &data[..rows * dim];
    let by_layers = if equal { Some(Space::W) } else { None };
    let source = &Source { space: source.space.or(by_layers), ..source.clone() };
    let space = space_of(name, rows, dim, source, facts)?;
    let remark = if equal { format!(", whose {saved} rows are equal") } else { String::new() };
    // A given W+ with one row is that row in every layer.
    let copies = if space == Space::WPlus && rows == 1 { facts.num_ws } else { 1 };
    Ok(Direction {
        space,
        data: data.repeat(copies),
        rows: rows * copies,
        dim,
        layers: None,
        model: facts.model.clone(),
        name: name.into(),
        origin: format!("file {}{remark}", source.file),
        about: None,
    })
}

/// Whether all rows of `dim` values are the same, bit for bit.
pub fn equal_rows(data: &[f64], dim: usize) -> bool {
    data.chunks_exact(dim.max(1)).all(|row| data.starts_with(row))
}

/// Whether a direction of that many rows and dimensions can be in a space of the generator.
fn fits(s: Space, rows: usize, dim: usize, facts: &Facts) -> bool {
    facts.spaces.contains(&s)
        && match s {
            Space::Z => rows == 1 && dim == facts.z_dim,
            Space::W => rows == 1 && dim == facts.w_dim,
            Space::WPlus => (rows == facts.num_ws || rows == 1) && dim == facts.w_dim,
            Space::S => rows == 1 && dim == facts.s_dim,
            _ => false,
        }
}

/// The spaces of a generator that a code or direction of that many rows and dimensions fits; one
/// row counts as W, not as W+.
pub fn spaces_for(rows: usize, dim: usize, facts: &Facts) -> Vec<Space> {
    [Space::Z, Space::W, Space::WPlus, Space::S]
        .into_iter()
        .filter(|s| fits(*s, rows, dim, facts) && (rows > 1 || *s != Space::WPlus))
        .collect()
}

fn space_of(name: &str, rows: usize, dim: usize, source: &Source, facts: &Facts) -> Result<Space> {
    let fits = |s: Space| fits(s, rows, dim, facts);
    let shape_error = || {
        bad(
            source,
            &format!("`{}` is {rows}×{dim}, which fits no code of the generator", Safe(name)),
        )
        .hint(format!(
            "Z is 1×{}, W is 1×{}, W+ is {}×{}, S is 1×{}; use the generator it was found for",
            facts.z_dim, facts.w_dim, facts.num_ws, facts.w_dim, facts.s_dim
        ))
    };
    if let Some(given) = source.space {
        return if fits(given) { Ok(given) } else { Err(shape_error()) };
    }
    if rows > 1 {
        return if fits(Space::WPlus) { Ok(Space::WPlus) } else { Err(shape_error()) };
    }
    if stem(source.file).ends_with("_w_boundary") && fits(Space::W) {
        return Ok(Space::W);
    }
    let all: Vec<Space> = [Space::Z, Space::W, Space::S].into_iter().filter(|s| fits(*s)).collect();
    match all[..] {
        [one] => Ok(one),
        [] => Err(shape_error()),
        [.., last] => {
            let names: Vec<&str> = all.iter().map(|s| s.name()).collect();
            let message = format!(
                "`{}` could be a {} direction: each is 1×{dim}",
                Safe(name),
                names.join(" or a ")
            );
            Err(bad(source, &message).hint(format!("say which: direction(\"…\", space: {last})")))
        }
    }
}

/// Principal components as directions `pc0`, `pc1`, … each one σ long.
///
/// The space, unless given, is W where the generator has one (GANSpace's choice for StyleGAN) and Z
/// otherwise.
///
/// # Errors
/// When components and deviations do not fit each other or the generator.
pub fn components(arrays: &Arrays, source: &Source, facts: &Facts) -> Result<Vec<Direction>> {
    let Some([comp_key, _, std_key]) =
        COMPONENTS.iter().find(|[comp, ..]| arrays.contains_key(*comp))
    else {
        return Err(bad(source, "it does not contain components (`lat_comp`, `comp` or `X_comp`)"));
    };
    let get = |key: &str| {
        arrays.get(key).ok_or_else(|| bad(source, &format!("array `{key}` is missing")))
    };
    let ((shape, comp), (_, std)) = (get(comp_key)?, get(std_key)?);
    let (count, dim) = match *shape.as_slice() {
        [n, d] | [n, 1, d] => (n, d),
        // A saved edit of GANSpace is one component, its deviation one number.
        [d] if std.len() == 1 => (1, d),
        _ => {
            return Err(bad(
                source,
                &format!("`{comp_key}` has shape {shape:?}, not (N, D), (N, 1, D) or (D)"),
            ));
        }
    };
    if std.len() != count || count.checked_mul(dim) != Some(comp.len()) || dim == 0 {
        return Err(bad(
            source,
            &format!("{count} components of {dim} values, but {} deviations", std.len()),
        ));
    }
    let default = if facts.spaces.contains(&Space::W) { Space::W } else { Space::Z };
    let source = Source { file: source.file, space: source.space.or(Some(default)) };
    let one = |(i, (row, sigma)): (usize, (&[f64], &f64))| {
        let data: Vec<f64> = row.iter().map(|v| v * sigma).collect();
        let mut d = from_array(&format!("pc{i}"), &[dim], &data, &source, facts)?;
        d.origin = format!("component {i} of {}, one step is one σ = {sigma:.4}", source.file);
        Ok(d)
    };
    comp.chunks_exact(dim).zip(std).enumerate().map(one).collect()
}

/// The columns of a square matrix as directions `sefa0`, `sefa1`, … in W unless the space is given:
/// what moves the styles of the layers most comes first (Shen and Zhou, arXiv 2007.06600).
fn factor(arrays: &Arrays, source: &Source, facts: &Facts) -> Result<Vec<Direction>> {
    let Some((shape, values)) = arrays.get(FACTOR) else {
        return Err(bad(source, "it does not contain eigenvectors (`eigvec`)"));
    };
    let dim = shape.first().copied().unwrap_or(0);
    let source = Source { file: source.file, space: source.space.or(Some(Space::W)) };
    let one = |i: usize| {
        let column: Vec<f64> = values.iter().skip(i).step_by(dim.max(1)).copied().collect();
        let mut d = from_array(&format!("sefa{i}"), &[dim], &column, &source, facts)?;
        d.origin = format!("column {i} of the factorisation in {}", source.file);
        Ok(d)
    };
    (0..dim).map(one).collect()
}

fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn bad(source: &Source, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(source.file)))
}
