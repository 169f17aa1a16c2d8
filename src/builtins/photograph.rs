//! Photographs as `image`, `faces` and `paste` read them: their files, their faces, their frames.

use super::examples;
use crate::builtin::{Context, ModelFacts};
use crate::error::{Error, Result, Span};
use crate::face::{self, Framing};
use crate::image::{Decoded, Photograph, Raster, decode, decode::content, fit};
use crate::limits::LIMITS;
use crate::metric::Features;
use crate::safe::Safe;
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// A picture file that was read.
pub(super) struct Opened {
    /// Its pixels, upright, and notes on them.
    pub(super) decoded: Decoded,
    /// The whole of it.
    pub(super) photograph: Photograph,
    /// The content of the file.
    pub(super) content: Cow<'static, [u8]>,
}

/// The content of a picture file, or of the built-in example of that name where no such file
/// exists; and whether it is the example.
fn bytes(path: &str) -> Result<(Cow<'static, [u8]>, bool)> {
    match examples::find(path).filter(|_| !Path::new(path).exists()) {
        Some(example) => Ok((Cow::Borrowed(example), true)),
        None => Ok((Cow::Owned(content(Path::new(path), &LIMITS)?), false)),
    }
}

/// Opens a picture file.
///
/// # Errors
/// When it cannot be read or decoded.
pub(super) fn open(path: &str) -> Result<Opened> {
    let (bytes, example) = bytes(path)?;
    let mut decoded = decode(path, &bytes, &LIMITS)?;
    if example {
        let note = "read the example built into gannet: this file does not exist here";
        decoded.notes.push(note.to_owned());
    }
    let photograph = Photograph::whole(path, &bytes, &decoded.raster);
    Ok(Opened { decoded, photograph, content: bytes })
}

/// Opens the file of a photograph again.
///
/// # Errors
/// When it is gone, or has changed since the picture was cut from it.
pub(super) fn open_again(photograph: &Photograph) -> Result<Opened> {
    let path = &photograph.path;
    if !Path::new(path).exists() && examples::find(path).is_none() {
        let text = format!("{} is gone, and the picture was cut from it", Safe(path));
        return Err(Error::runtime(text).hint("put the file back, or read another: image(path)"));
    }
    let (bytes, _) = bytes(path)?;
    photograph.check(&bytes)?;
    let decoded = decode(path, &bytes, &LIMITS)?;
    Ok(Opened { decoded, photograph: photograph.clone(), content: bytes })
}

/// The network that finds faces for a generator, and the frame around them.
pub(super) type Finder = (Arc<Features>, Framing);

/// Whether a generator was trained on FFHQ: by its name, by the options in its file, or as the only
/// public one of its family.
fn draws_ffhq(facts: &ModelFacts) -> bool {
    let named = facts.name.to_lowercase().contains("ffhq");
    let random_face = facts.family == "mobilestylegan" && facts.side() == 1024;
    facts.width == facts.height && (named || facts.ffhq || random_face)
}

/// The finder for a word of `align`: of `auto` only where the generator draws faces, `None` for the
/// words that look for none.
///
/// # Errors
/// For `own` where the generator has no network that finds faces.
pub(super) fn finder(align: &str, ctx: &Context<'_>, span: Span) -> Result<Option<Finder>> {
    let own = match &ctx.model {
        Some(m) if m.facts.landmarks => m.features()?.cloned(),
        _ => None,
    };
    let framing = match (align, &ctx.model) {
        ("own", _) => Framing::Own,
        ("ffhq", _) => Framing::Ffhq,
        ("auto", Some(_)) if own.is_some() => Framing::Own,
        ("auto", Some(m)) if draws_ffhq(&m.facts) => Framing::Ffhq,
        _ => return Ok(None),
    };
    match own {
        Some(network) => Ok(Some((network, framing))),
        None if framing == Framing::Ffhq => Ok(Some((built_in(ctx)?, framing))),
        None => {
            let name = ctx.model.as_ref().map_or("no generator", |m| &m.facts.name);
            Err(Error::runtime(format!("{} has no network that finds faces", Safe(name)))
                .at(span)
                .hint("align: ffhq uses the built-in one; load \"faces\" brings its own"))
        }
    }
}

/// The network of the built-in generator.
pub(super) fn built_in(ctx: &Context<'_>) -> Result<Arc<Features>> {
    let faces = ctx.models.load("faces")?;
    faces.features()?.cloned().ok_or_else(|| Error::runtime("no network finds faces"))
}

/// What a picture is fitted to.
#[derive(Clone)]
pub(super) struct Fitting {
    /// Width and height in pixels.
    pub(super) size: (usize, usize),
    /// Its channels.
    pub(super) channels: usize,
    /// The network that finds the face, where one is looked for.
    pub(super) finder: Option<Finder>,
    /// The wanted face, counted from 1.
    pub(super) face: Option<usize>,
}

/// A picture that was fitted, and where it was cut out.
pub(super) struct Fitted {
    /// The picture.
    pub(super) raster: Raster,
    /// Its photograph.
    pub(super) photograph: Photograph,
    /// What was done.
    pub(super) notes: Vec<String>,
}

/// Fits a picture, which was itself cut from a photograph, to a size.
///
/// # Errors
/// As [`face::align`] and [`fit`].
pub(super) fn fitted(
    picture: &Raster,
    photograph: Photograph,
    fitting: &Fitting,
    ctx: &Context<'_>,
) -> Result<Fitted> {
    let Fitting { size, channels, face, .. } = *fitting;
    if let Some((network, framing)) = &fitting.finder
        && size.0 == size.1
    {
        let wanted = face::Wanted { channels, side: size.0, framing: *framing, face };
        let found = face::align(network, (picture, photograph), wanted, &ctx.control)?;
        let face::Aligned { picture, photograph, notes } = found;
        return Ok(Fitted { raster: picture, photograph, notes });
    }
    let (raster, notes) = fit(picture, channels, size)?;
    let part = crate::image::align::centre((picture.width, picture.height), size);
    Ok(Fitted { raster, photograph: photograph.part(part), notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Models;

    #[test]
    fn generators_of_ffhq_are_known_by_name_or_family() {
        let toy = Models::cpu().load("toy").unwrap();
        let facts = |name: &str, family: &str, side: usize| ModelFacts {
            name: name.into(),
            family: family.into(),
            width: side,
            height: side,
            ..ModelFacts::clone(&toy.facts)
        };
        assert!(draws_ffhq(&facts("stylegan2-FFHQ-config-f", "stylegan2", 1024)));
        assert!(draws_ffhq(&facts("random_face-2021.7.21.1", "mobilestylegan", 1024)));
        let said = ModelFacts { ffhq: true, ..facts("e4e", "stylegan2", 1024) };
        assert!(draws_ffhq(&said));
        assert!(!draws_ffhq(&facts("small", "mobilestylegan", 64)));
        assert!(!draws_ffhq(&facts("afhqcat", "stylegan2", 512)));
        let wide = ModelFacts { width: 512, ..facts("ffhq", "stylegan2", 1024) };
        assert!(!draws_ffhq(&wide));
    }

    #[test]
    fn a_photograph_is_opened_again_only_while_it_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me.png");
        let name = path.to_str().unwrap();
        let write = |v: u8| {
            let picture = Raster::filled(4, 3, &[v, 0, 0]).unwrap();
            std::fs::write(&path, crate::image::encode::png(&picture, &[]).unwrap()).unwrap();
        };
        write(1);
        let opened = open(name).unwrap();
        assert_eq!(open_again(&opened.photograph).unwrap().decoded.raster.data[0], 1);
        write(2);
        let e = open_again(&opened.photograph).err().unwrap();
        assert!(e.message().contains("has changed"), "{e}");
        std::fs::remove_file(&path).unwrap();
        let e = open_again(&opened.photograph).err().unwrap();
        assert!(e.message().contains("is gone"), "{e}");
    }
}
