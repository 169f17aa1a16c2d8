//! `images`: all pictures of a folder or a pattern.

use super::{examples, image};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Depends, Example, Kind, Param, Signature,
    Type,
};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::safe::Safe;
use crate::value::{Image, Value};
use std::path::{Path, PathBuf};

/// Most files of one call.
const MAX: usize = 1000;

/// `images("folder/*.jpg", align: auto, size: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "images",
        params: &[
            Param::required(
                "path",
                &[Kind::Text],
                "a folder, or a pattern for the names in one: `*` is any text, `?` any character",
            )
            .reads(|path| found(path).unwrap_or_default()),
            image::ALIGN,
            image::SIZE,
        ],
        returns: "Image",
        infer,
    },
    category: Category::Invert,
    summary: "reads all pictures of a folder as one batch",
    details: "In the order of their names, each fitted as `image` does; captions are the names. \
              `invert` takes the batch as a whole, `[p for p in images(…)]` one after the other.",
    examples: &[Example {
        code: "images(\"models/faces/examples/90000*.jpg\")",
        note: "the examples that are built into gannet, as a batch",
    }],
    cost: None,
    cache: Some(Depends::Networks),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if let (Some(Const::Text(path)), Some(arg)) = (call.value("path"), call.arg("path"))
        && !call.will_exist(path)
    {
        found(path).map_err(|e| crate::builtin::as_check(e).at(arg.span))?;
    }
    image::sized(call)
}

/// The pictures that a folder or a pattern names, sorted by name.
fn found(path: &str) -> Result<Vec<PathBuf>> {
    listed(path, "pictures", is_picture)
}

/// The files that a folder or a pattern names and that count, without hidden ones, sorted by name;
/// `what` is a word for them.
pub(super) fn listed(path: &str, what: &str, counts: fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let p = Path::new(path);
    let (folder, pattern) = if p.is_dir() {
        (p.to_path_buf(), "*".to_owned())
    } else {
        let folder = p.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        (folder.to_path_buf(), name)
    };
    if !folder.exists() {
        let built_in = examples::paths().map(PathBuf::from).filter(|p| {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            p.parent() == Some(folder.as_path()) && matches(&pattern, &name)
        });
        let built_in: Vec<PathBuf> = built_in.collect();
        if !built_in.is_empty() {
            return Ok(built_in);
        }
    }
    let shown = Safe(&folder.to_string_lossy()).to_string();
    let entries = std::fs::read_dir(&folder)
        .map_err(|e| Error::io(format!("cannot read the folder {shown}"), &e))?;
    let mut all: Vec<PathBuf> = entries
        .flatten()
        .filter(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            !name.starts_with('.')
                && counts(&name)
                && matches(&pattern, &name)
                && e.path().is_file()
        })
        .map(|e| folder.join(e.file_name()))
        .take(MAX + 1)
        .collect();
    if all.is_empty() {
        return Err(Error::runtime(format!("{} names no {what}", Safe(path)))
            .hint("a folder, or a pattern such as \"photos/*.jpg\""));
    }
    if all.len() > MAX {
        let message = format!("{} names more than {MAX} {what}", Safe(path));
        return Err(Error::new(ErrorKind::Limit, message).hint("choose some with a pattern"));
    }
    all.sort();
    Ok(all)
}

fn is_picture(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e).to_lowercase();
    ["png", "jpg", "jpeg", "webp", "gif"].contains(&ending.as_str())
}

/// Whether a name fits a pattern of `*` and `?`. Linear in the name for each star.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The latest star, and the place in the name up to which it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    p = at + 1;
                    n = reach + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let all = found(args.text("path")?).map_err(|e| e.at(args.span("path")))?;
    let paths: Vec<String> = all.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let image = image::batch(&paths, args, ctx)?;
    let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let captions = all.iter().map(|p| name(p).unwrap_or_default()).collect();
    let origin = format!("{} pictures of {}", all.len(), args.text("path")?);
    Ok(Value::Image(Image { captions, origin, ..image }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, fits) in [
            ("*", "a.jpg", true),
            ("*.jpg", "a.jpg", true),
            ("*.jpg", "a.jpeg", false),
            ("a*b*.png", "a1b2b.png", true),
            ("a?.png", "ab.png", true),
            ("a?.png", "a.png", false),
            ("", "a", false),
            ("a", "a", true),
            ("**a", "bca", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_folder_gives_its_pictures_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.jpg", "a.PNG", ".hidden.png", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let at = folder.path().to_str().unwrap();
        let names = |path: &str| {
            let all = found(path).unwrap();
            all.iter()
                .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(at), ["a.PNG", "b.jpg"]);
        assert_eq!(names(&format!("{at}/*.jpg")), ["b.jpg"]);
        assert!(found(&format!("{at}/*.webp")).unwrap_err().message().contains("no pictures"));
        assert!(found("/nonexistent/x/*.jpg").is_err());
        assert_eq!(found("models/faces/examples/90000*.jpg").unwrap().len(), 6);
    }
}
