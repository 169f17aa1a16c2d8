//! Values as blocks: the picture first, then its numbers.

use super::describe::{self, direction_lines, found, numbers};
use super::pictures::{ERROR, error_picture, mask_picture, room, together};
use super::{Image, List, Table, Value, text};
use crate::control;
use crate::error::Result;
use crate::image::Raster;
use crate::invert::Inversion;
use crate::latent::Code;
use crate::render::{Block, Picture};

/// The display of a value: pictures, then the other blocks.
#[derive(Default)]
pub struct Shown {
    /// Pictures, from left to right.
    pub pictures: Vec<Picture>,
    /// The blocks below the pictures.
    pub rest: Vec<Block>,
}

impl Shown {
    fn of(rest: Block) -> Self {
        Self { pictures: Vec::new(), rest: vec![rest] }
    }

    /// Appends the pictures and blocks of another value.
    pub fn extend(&mut self, other: Self) {
        self.pictures.extend(other.pictures);
        self.rest.extend(other.rest);
    }

    /// All blocks, the pictures first.
    pub fn blocks(self) -> Vec<Block> {
        let pictures = (!self.pictures.is_empty()).then_some(Block::Pictures(self.pictures));
        pictures.into_iter().chain(self.rest).collect()
    }

    /// Gives pictures without captions the texts of the list that they are the elements of.
    pub fn label(&mut self, list: &List) {
        if self.pictures.len() != list.labels().len() {
            return;
        }
        for (picture, label) in self.pictures.iter_mut().zip(list.labels()) {
            if picture.caption.is_empty() {
                picture.caption.clone_from(label);
            }
        }
    }

    /// Appends an image's pictures with their captions.
    fn add(&mut self, image: &Image) -> Result<()> {
        control::check()?;
        let held: usize = self.pictures.iter().map(|p| p.raster.data.len()).sum();
        room(held as u64 + image.data.elem_count() as u64)?;
        let rasters = Raster::from_tensor(&image.data)?.into_iter().enumerate();
        self.pictures.extend(rasters.map(|(i, raster)| {
            Picture::new(raster, image.captions.get(i).cloned().unwrap_or_default())
        }));
        Ok(())
    }
}

/// Renders a code as a picture.
pub type Render<'a> = dyn Fn(&Code) -> Result<Image> + 'a;

/// Builds what a value shows; `picture` renders a code.
///
/// # Errors
/// When a code cannot be rendered.
pub fn display(value: &Value, picture: &Render<'_>) -> Result<Shown> {
    Ok(match value {
        Value::Image(i) => show_image(i, value)?,
        Value::Latent(l) | Value::Path(l) => show_image(&picture(l)?, value)?,
        Value::Inversion(i) => show_inversion(i)?,
        Value::Mask(m) => show_image(&mask_picture(m)?, value)?,
        Value::Table(t) => show_table(t)?,
        Value::Plot(p) => Shown::of(Block::Plot((**p).clone())),
        Value::Direction(d) => Shown::of(Block::Text(direction_lines(d))),
        Value::List(items) => show_list(items, picture)?,
        other => Shown::of(Block::text([text::shown(other)])),
    })
}

/// Builds what several values show side by side, as `show` does.
///
/// # Errors
/// As [`display`].
pub fn side_by_side(values: &[Value], picture: &Render<'_>) -> Result<Shown> {
    let code = |v: &Value| match v {
        Value::Latent(l) | Value::Path(l) => Some(l.clone()),
        Value::Inversion(i) => Some(i.code.clone()),
        _ => None,
    };
    let codes: Vec<Code> = values.iter().filter_map(code).collect();
    let mut rendered = together(&codes, picture)?.into_iter();
    let mut all = Shown::default();
    for v in values {
        let image = match v {
            Value::Image(i) => Some(i.clone()),
            Value::Latent(_) | Value::Path(_) | Value::Inversion(_) => rendered.next(),
            _ => None,
        };
        match image {
            Some(i) => all.add(&i)?,
            None => all.extend(display(v, picture)?),
        }
    }
    Ok(all)
}

fn show_image(image: &Image, of: &Value) -> Result<Shown> {
    let words = describe::line(of).unwrap_or_default();
    let mut all = Shown::of(Block::text(words.lines().map(str::to_owned)));
    all.add(image)?;
    Ok(all)
}

fn show_list(items: &List, picture: &Render<'_>) -> Result<Shown> {
    let visual = |v: &Value| {
        matches!(v, Value::Image(_) | Value::Latent(_) | Value::Inversion(_) | Value::Mask(_))
    };
    if !items.is_empty() && items.iter().all(visual) {
        let mut all = side_by_side(items, picture)?;
        all.label(items);
        return Ok(all);
    }
    let own = |v: &Value| {
        visual(v) || matches!(v, Value::Table(_) | Value::Direction(_) | Value::Plot(_))
    };
    if !items.is_empty() && items.len() <= SHOWN && items.iter().all(own) {
        let mut all = Shown::default();
        items.iter().try_for_each(|v| display(v, picture).map(|one| all.extend(one)))?;
        return Ok(all);
    }
    Ok(Shown::of(Block::text([text::shown(&Value::List(items.clone()))])))
}

/// Tables, plots and directions of a list that are shown one after the other.
const SHOWN: usize = 20;

fn show_inversion(i: &Inversion) -> Result<Shown> {
    let mut pictures = Vec::new();
    room(3 * i.target.elem_count() as u64)?;
    for n in 0..i.code.count() {
        control::check()?;
        let (target, inverted) = (i.target.narrow(0, n, 1)?, i.reconstruction.narrow(0, n, 1)?);
        let error = error_picture(&target, &inverted)?;
        for (data, caption) in [(target, "target"), (inverted, "inverted"), (error, ERROR)] {
            let raster = Raster::from_tensor(&data)?.remove(0);
            pictures.push(Picture::new(raster, caption));
        }
    }
    Ok(Shown { pictures, rest: vec![Block::Numbers(numbers(i)), Block::Text(found(i))] })
}

fn show_table(t: &Table) -> Result<Shown> {
    let mut all = Shown::of(Block::Table(t.block()));
    all.rest.extend(t.plots.iter().cloned().map(Block::Plot));
    all.rest.push(Block::Text(t.notes.clone()));
    for i in &t.pictures {
        all.add(i)?;
    }
    Ok(all)
}
