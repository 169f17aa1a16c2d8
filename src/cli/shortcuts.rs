//! `invert` and `compare`: the shortest way to what a program can say, written as that program.

use super::how::{How, quoted};
use super::{Common, Progress, Reporting, programs};
use crate::error::{Error, Kind, Result};
use crate::generator::batch_size;
use crate::lang::span::Source;
use crate::safe::Safe;
use crate::ui::compare::{self, Candidate, Comparison};
use crate::ui::runner::{Runner, remark};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `gannet invert`: as many pictures together as the generator makes in one batch, each saved
/// before the next ones begin.
pub fn invert(common: &Common, images: &[PathBuf], how: &How, reporting: Reporting) -> Result<u8> {
    let mut how = how.arguments()?;
    if !how.is_empty() {
        how.insert_str(0, ", ");
    }
    let names = match &common.out {
        Some(out) => names(images, out)?.into_iter().map(Some).collect(),
        None => vec![None; images.len()],
    };
    let mut runner = super::runner(common, super::options(common, true), reporting)?;
    let together = runner
        .session
        .snapshot()
        .state
        .model
        .as_ref()
        .map_or(1, |m| batch_size(m.facts.width, m.facts.height));
    let batches = images.chunks(together).zip(names.chunks(together));
    let program = batches
        .map(|(images, names)| inversion(images, names, &how))
        .collect::<Result<String>>()?;
    let code = run_own(&mut runner, &Source::new("invert", program)?)?;
    let for_a_reader = !common.json && !common.quiet && reporting.progress == Progress::Plain;
    if code == 0 && common.out.is_none() && for_a_reader {
        remark("the code is not saved: --out DIR keeps it");
    }
    Ok(code)
}

/// Runs a program that the user has not written: a stop names no place in it.
fn run_own(runner: &mut Runner, source: &Source) -> Result<u8> {
    match runner.run(source, &BTreeMap::new()) {
        Err(e) if e.is_stop() => {
            runner.complain(&Source::new("", "")?, &placeless(&e));
            Ok(e.kind().exit_code())
        }
        ended => programs::ended(runner, source, ended),
    }
}

/// The error without its place.
fn placeless(e: &Error) -> Error {
    let bare = Error::new(e.kind(), e.message());
    let noted = e.notes().iter().fold(bare, |all, note| all.note(note.clone()));
    e.repair().map_or(noted.clone(), |repair| noted.hint(repair))
}

/// Names of the results, without endings.
///
/// # Errors
/// When one would be written over another, or over a picture that is to be inverted.
fn names(images: &[PathBuf], out: &Path) -> Result<Vec<String>> {
    let given: Vec<PathBuf> = images.iter().filter_map(|i| i.canonicalize().ok()).collect();
    let mut taken: BTreeMap<String, &Path> = BTreeMap::new();
    let mut all = Vec::with_capacity(images.len());
    for image in images {
        let name = image
            .file_stem()
            .map_or_else(|| "inverted".into(), |s| s.to_string_lossy().into_owned());
        if let Some(other) = taken.insert(name.clone(), image) {
            let (a, b) = (shown(other), shown(image));
            return Err(Error::new(
                Kind::Usage,
                format!("{a} and {b} would both be saved as {}.png", Safe(&name)),
            )
            .hint("rename one, or invert them one by one, each with an --out of its own"));
        }
        let target = out.join(format!("{name}.png"));
        if target.canonicalize().is_ok_and(|t| given.contains(&t)) {
            return Err(Error::new(
                Kind::Usage,
                format!("{} would be replaced by a reconstruction", shown(&target)),
            )
            .hint("give --out another folder"));
        }
        all.push(name);
    }
    Ok(all)
}

fn shown(path: &Path) -> String {
    Safe(&path.to_string_lossy()).to_string()
}

/// The program that inverts some pictures together and shows one result after the other, saved
/// where it has a name.
fn inversion(images: &[PathBuf], names: &[Option<String>], how: &str) -> Result<String> {
    let paths = images.iter().map(|i| quoted(i)).collect::<Result<Vec<_>>>()?;
    let mut program = String::new();
    for (i, path) in paths.iter().enumerate() {
        let _ = writeln!(program, "x{i} = image({path})\nprint(x{i})");
    }
    let pictures = (0..paths.len()).map(|i| format!("x{i}")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(program, "r = invert([{pictures}]{how})\neach = [one for one in r]");
    for (i, (path, name)) in paths.iter().zip(names).enumerate() {
        if paths.len() > 1 {
            let _ = writeln!(program, "print({path})");
        }
        let _ = writeln!(program, "each[{i}]");
        for file in name.iter().flat_map(|n| [format!("{n}.png"), format!("{n}.safetensors")]) {
            let _ = writeln!(program, "print(save(each[{i}], {}))", quoted(Path::new(&file))?);
        }
    }
    Ok(program)
}

/// The pictures of a comparison: the first is the target.
pub struct Pictures<'p> {
    /// The target.
    pub target: &'p Path,
    /// What is compared with it.
    pub others: &'p [PathBuf],
    /// Whether the face is found and framed in each, as `image()` does.
    pub align: bool,
}

impl Pictures<'_> {
    /// The call that reads a picture.
    fn opened(&self, path: &Path) -> Result<String> {
        let how = if self.align { "" } else { ", align: none" };
        Ok(format!("image({}{how})", quoted(path)?))
    }
}

/// `gannet compare`: on the full screen of a terminal, otherwise each picture beside the target with
/// its numbers. A picture of another size is scaled to that of the target, which a line says.
pub fn compare(common: &Common, pictures: &Pictures<'_>) -> Result<u8> {
    let options = super::options(common, true);
    let mut runner = super::runner(common, options, Reporting::default())?;
    if runner.full_screens() && common.out.is_none() {
        return on_screen(&mut runner, pictures);
    }
    let mut program = format!("target = {}\n", pictures.opened(pictures.target)?);
    for other in pictures.others {
        if pictures.others.len() > 1 {
            let _ = writeln!(program, "print({})", quoted(other)?);
        }
        let opened = pictures.opened(other)?;
        let _ = writeln!(program, "picture = {opened}\ncompare(target, picture)");
    }
    run_own(&mut runner, &Source::new("compare", program)?)
}

/// Compares pictures of any size on the screen.
fn on_screen(runner: &mut Runner, pictures: &Pictures<'_>) -> Result<u8> {
    match compared(runner, pictures) {
        Ok(mut comparison) => {
            compare::read(&mut comparison, &[], &runner.session.snapshot().state)?;
            runner.compare(comparison).map(|()| 0)
        }
        Err((Some(source), e)) => {
            runner.complain(&source, &e);
            Ok(e.kind().exit_code())
        }
        Err((None, e)) => Err(e),
    }
}

/// An error, and the program in which it is.
type Failed = (Option<Source>, Error);

fn compared(
    runner: &mut Runner,
    pictures: &Pictures<'_>,
) -> std::result::Result<Comparison, Failed> {
    let alone = |e: Error| (None, e);
    let mut run = |program: String| {
        let source = Source::new("compare", program).map_err(alone)?;
        runner.collect(&source).map_err(|e| (Some(source), e))
    };
    let paths = || std::iter::once(pictures.target).chain(pictures.others.iter().map(|p| &**p));
    // The numbers are of the pictures that are read here.
    let show = |(k, path): (usize, &Path)| {
        Ok(format!("picture{k} = {}\nshow picture{k}\n", pictures.opened(path)?))
    };
    let given = run(paths().enumerate().map(show).collect::<Result<String>>().map_err(alone)?)?;
    let name = |p: &Path| p.file_name().map_or_else(|| shown(p), |n| shown(Path::new(n)));
    let read = compare::pictures(&given).into_iter();
    let mut all: Vec<Candidate> =
        paths().zip(read).map(|(path, p)| Candidate::new(name(path), p)).collect();
    let numbers = |k: usize| format!("compare(picture0, picture{k})\n");
    let tables = compare::measured(&run((1..all.len()).map(numbers).collect())?);
    for (candidate, numbers) in all.iter_mut().skip(1).zip(tables) {
        candidate.numbers = numbers;
    }
    let mut comparison = Comparison::of(all).map_err(alone)?;
    for candidate in comparison.candidates.iter_mut().filter(|c| !c.remarks.is_empty()) {
        if !pictures.align {
            candidate.remarks.push("--align frames the face in each picture first".into());
        }
    }
    comparison.measure().map_err(alone)?;
    Ok(comparison)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_called_as_their_pictures_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.png", "b.jpg"] {
            std::fs::write(at(name), "").unwrap();
        }
        let out = at("out");
        assert_eq!(
            names(&[at("a.png"), at("b.jpg"), at("c d.webp")], &out).unwrap(),
            ["a", "b", "c d"]
        );
        let e = names(&[at("x/a.png"), at("y/a.jpg")], &out).unwrap_err();
        assert!(
            e.kind() == Kind::Usage
                && e.message().contains("x/a.png")
                && e.message().contains("y/a.jpg"),
            "{e}"
        );
        // The picture itself is where its reconstruction would go, however the folder is written; a
        // jpg is not.
        let e = names(&[at("b.jpg"), at("a.png")], &at("./")).unwrap_err();
        assert!(e.kind() == Kind::Usage && e.message().contains("a.png would be replaced"), "{e}");
        assert_eq!(names(&[at("b.jpg")], folder.path()).unwrap(), ["b"]);
    }

    #[test]
    fn texts_of_a_program_mean_the_path() {
        let program = inversion(&["a\"b\\.png".into()], &[None], "method: auto").unwrap();
        assert!(program.starts_with("x0 = image(\"a\\\"b\\\\.png\")\n"), "{program}");
        assert!(!program.contains("save"), "{program}");
    }
}
