//! Held-out people, each with the true pictures of their edits.

use super::labels::{self, Label};
use super::tar::Archive;
use crate::error::{Error, Kind, Result};
use crate::image::{Raster, decode, fit};
use crate::limits::LIMITS;
use crate::safe::Safe;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version that edits start from.
const BASE: &str = "base";

/// One picture of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Its name in the archives.
    pub file: String,
    /// Its labels that are numbers.
    pub labels: BTreeMap<String, f64>,
    /// Eyes, nose and corners of the mouth in pixels of the picture, where they are labelled.
    pub landmarks: Option<[[f64; 2]; 5]>,
}

/// A person: the picture to invert, and the truth of every edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Identifier used by the labels.
    pub id: String,
    /// The version that is inverted.
    pub base: Version,
    /// The true pictures, by edit.
    pub edits: BTreeMap<String, Version>,
}

/// The people of a folder with `pairs_*.tar` and `pairs_*.jsonl` or `pairs_*.jsonl.gz`.
pub struct Pairs {
    folder: PathBuf,
    /// The people, in the order of the files' names and lines.
    pub people: Vec<Person>,
    /// Names of all edits, in the order in which they first appear.
    pub edits: Vec<String>,
    archives: Vec<Archive>,
}

impl Pairs {
    /// Reads all labels and locates every picture; pictures are read on demand.
    ///
    /// # Errors
    /// When the folder holds no such files, a file is damaged, a version is labelled twice, a
    /// person has no base picture, or a labelled picture is in no archive.
    pub fn open(folder: &Path) -> Result<Self> {
        let files = listed(folder)?;
        let ends = |p: &&PathBuf, endings: &[&str]| {
            endings.iter().any(|e| p.to_string_lossy().ends_with(e))
        };
        let archives =
            files.iter().filter(|p| ends(p, &[".tar"])).map(|p| Archive::open(p, &LIMITS));
        let archives = archives.collect::<Result<Vec<_>>>()?;
        let mut pairs =
            Self { folder: folder.into(), people: Vec::new(), edits: Vec::new(), archives };
        let mut found: Vec<(String, BTreeMap<String, Version>)> = Vec::new();
        let mut known = BTreeMap::new();
        for path in files.iter().filter(|p| ends(p, &[".jsonl", ".jsonl.gz"])) {
            for label in labels::read(path, &LIMITS)? {
                pairs.check(path, &label)?;
                let at = *known.entry(label.person.clone()).or_insert(found.len());
                if at == found.len() {
                    found.push((label.person.clone(), BTreeMap::new()));
                }
                pairs.take(path, label, &mut found[at].1)?;
            }
        }
        for (id, mut edits) in found {
            let base = edits.remove(BASE).ok_or_else(|| {
                Error::new(
                    Kind::Format,
                    format!("{}: person {} has no `base` picture", pairs.shown(), Safe(&id)),
                )
                .hint("each person needs a line with \"edit\": \"base\"")
            })?;
            pairs.people.push(Person { id, base, edits });
        }
        if pairs.people.is_empty() {
            return Err(Error::new(
                Kind::Usage,
                format!("{} does not contain people", pairs.shown()),
            )
            .hint("--data wants a folder with pairs_*.tar and pairs_*.jsonl or pairs_*.jsonl.gz"));
        }
        Ok(pairs)
    }

    fn shown(&self) -> String {
        Safe(&self.folder.to_string_lossy()).to_string()
    }

    fn check(&self, path: &Path, label: &Label) -> Result<()> {
        if self.archives.iter().any(|a| a.holds(&label.file)) {
            return Ok(());
        }
        let from = path.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("{}: no pairs_*.tar holds {}", self.shown(), Safe(&label.file));
        Err(Error::new(Kind::Io, what)
            .note(format!(
                "{} names it as {} of person {}",
                Safe(&from),
                Safe(&label.edit),
                Safe(&label.person)
            ))
            .hint("put the archive that belongs to these labels beside them"))
    }

    fn take(
        &mut self,
        path: &Path,
        label: Label,
        versions: &mut BTreeMap<String, Version>,
    ) -> Result<()> {
        let Label { person, edit, file, scalars, landmarks } = label;
        if versions.insert(edit.clone(), Version { file, labels: scalars, landmarks }).is_some() {
            let shown = path.to_string_lossy();
            let what = format!(
                "{}: {} of person {} is labelled twice",
                Safe(&shown),
                Safe(&edit),
                Safe(&person)
            );
            return Err(Error::new(Kind::Format, what).hint("keep one of the two lines or files"));
        }
        if edit != BASE && !self.edits.contains(&edit) {
            self.edits.push(edit);
        }
        Ok(())
    }

    /// The label that an edit changes: of those which differ from the base picture for at least one
    /// person, the one that differs for most people (glasses put on may be sunglasses, too).
    ///
    /// # Errors
    /// When it changes no label, or two labels for as many people.
    pub fn attribute(&self, edit: &str) -> Result<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (person, truth) in self.people.iter().filter_map(|p| Some((p, p.edits.get(edit)?))) {
            let changed = |(key, value): &(&String, &f64)| {
                person.base.labels.get(*key).is_some_and(|b| b != *value)
            };
            for (key, _) in truth.labels.iter().filter(changed) {
                *counts.entry(key).or_default() += 1;
            }
        }
        let most = counts.values().max().copied().unwrap_or(0);
        let names: Vec<&str> =
            counts.iter().filter(|(_, n)| **n == most).map(|(k, _)| *k).collect();
        let fail = |what: String| {
            Err(Error::new(
                Kind::Format,
                format!("{}: the edit {} {what}", self.shown(), Safe(edit)),
            ))
        };
        match names[..] {
            [one] => Ok(one.to_owned()),
            [] => fail("changes the labels of no person".into()),
            _ => fail(format!("changes several labels alike: {}", Safe(&names.join(", ")))),
        }
    }

    /// A picture as a generator of that size sees it: cropped to its centre square, resized, values
    /// in [-1, 1].
    ///
    /// # Shapes
    /// → `[1, channels, resolution, resolution]`
    ///
    /// # Errors
    /// When the file cannot be read or is not a picture.
    pub fn picture(
        &self,
        version: &Version,
        channels: usize,
        resolution: usize,
        device: &Device,
    ) -> Result<Tensor> {
        fit(&self.raster(version)?, channels, (resolution, resolution))?.0.to_tensor(device)
    }

    /// A picture as it is stored.
    ///
    /// # Errors
    /// As [`Self::picture`].
    pub fn raster(&self, version: &Version) -> Result<Raster> {
        let missing = || {
            Error::new(
                Kind::Io,
                format!("{}: no archive holds {}", self.shown(), Safe(&version.file)),
            )
        };
        let archive = self.archives.iter().find(|a| a.holds(&version.file)).ok_or_else(missing)?;
        let name = format!("{}: {}", archive.path().to_string_lossy(), version.file);
        Ok(decode(&name, &archive.read(&version.file, &LIMITS)?, &LIMITS)?.raster)
    }
}

/// The `pairs_…` files of a folder, by name.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let shown = folder.to_string_lossy();
    let failed = |e: std::io::Error| {
        Error::new(Kind::Usage, format!("cannot read the folder {}: {e}", Safe(&shown)))
            .hint("--data wants a folder with pairs_*.tar and pairs_*.jsonl or pairs_*.jsonl.gz")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with("pairs_") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
