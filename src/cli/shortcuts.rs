//! `invert` and `compare`: the shortest way to what a program can say, written as that program.

use super::{Common, programs};
use crate::error::{Error, Kind, Result};
use crate::lang::span::Source;
use crate::space::Space;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// How to invert.
pub struct How {
    /// The space, the method's usual one unless given.
    pub space: Option<String>,
    /// The method.
    pub method: String,
    /// Gradient steps.
    pub steps: Option<usize>,
}

/// A text of the language.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::new(Kind::Usage, "the path is no UTF-8").hint("rename the file"))?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// `gannet invert`
pub fn invert(common: &Common, images: &[PathBuf], how: &How) -> Result<u8> {
    let space = how.space.as_deref().map(|s| {
        Space::parse(s).ok_or_else(|| {
            Error::new(Kind::Usage, format!("there is no space {}", crate::safe::Safe(s))).hint("Z, W, W+ or S")
        })
    });
    let mut options = format!("method: {}", how.method);
    if let Some(s) = space.transpose()? {
        let _ = write!(options, ", space: {s}");
    }
    if let Some(s) = how.steps {
        let _ = write!(options, ", steps: {s}");
    }
    let mut program = String::new();
    for image in images {
        let _ = writeln!(program, "x = image({})\nprint(x)\nr = invert(x, {options})\nr", quoted(image)?);
        if common.out.is_some() {
            let stem = image.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_else(|| "inverted".into());
            for ending in ["png", "safetensors"] {
                let _ = writeln!(program, "print(save(r, {}))", quoted(Path::new(&format!("{stem}.{ending}")))?);
            }
        }
    }
    programs::program(common, &Source::new("invert", program)?, &[], true)
}

/// `gannet compare`
pub fn compare(common: &Common, a: &Path, b: &Path) -> Result<u8> {
    let program = format!("compare(image({}, align: none), image({}, align: none))", quoted(a)?, quoted(b)?);
    programs::program(common, &Source::new("compare", program)?, &[], true)
}
