//! A report as Markdown, with its pictures beside it.

use super::MARK;
use super::page::{Output, Page, Part, Shot, shown};
use crate::error::{Error, Result};
use crate::render::Table;
use crate::render::text::printable;
use crate::store::{Disk, Files, write_atomic};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The page as Markdown; its pictures are written to the folder `NAME.files` beside `to`.
///
/// # Errors
/// When the disk refuses a picture.
pub fn markdown(page: &Page, to: &Path) -> Result<String> {
    let name = to.file_stem().map_or_else(|| "report".into(), |s| s.to_string_lossy().into_owned());
    let folder = format!("{name}.files");
    let mut pictures = Pictures { folder: to.with_file_name(&folder), name: folder, count: 0 };
    let mut out = format!("<!-- {MARK} -->\n\n# {}\n", printable(&page.title));
    for part in &page.parts {
        match part {
            Part::Words(words) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\n{}\n", words.trim_end());
            }
            Part::Code { number, source, remark, outputs } => {
                let _ = write!(out, "\n[{number}]");
                if !remark.is_empty() {
                    let _ = write!(out, " {}", printable(remark));
                }
                out.push_str("\n\n");
                fenced(&mut out, "gnt", source.lines());
                for output in outputs {
                    match output {
                        Output::Lines(lines) | Output::Error(lines) => {
                            out.push('\n');
                            fenced(&mut out, "text", lines.iter().map(String::as_str));
                        }
                        Output::Table(all) => {
                            out.push('\n');
                            table(&mut out, all);
                        }
                        Output::Pictures(shots) => {
                            out.push('\n');
                            for shot in shots {
                                pictures.add(&mut out, shot)?;
                            }
                        }
                    }
                }
            }
        }
    }
    let _ = write!(out, "\n---\n{}\n", printable(&page.origin));
    Ok(out)
}

/// A table with pipes; numbers to the right.
fn table(out: &mut String, all: &Table) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let text = |shown: &str| printable(shown).replace('\\', "\\\\").replace('|', "\\|");
    let heads: Vec<String> = all.columns.iter().map(|c| text(c)).collect();
    let rule = |k: usize| if all.is_numeric(k) { "---:" } else { "---" }.to_owned();
    out.push_str(&line(&heads));
    out.push_str(&line(&(0..heads.len()).map(rule).collect::<Vec<_>>()));
    for row in &all.rows {
        out.push_str(&line(&row.iter().map(|c| text(&c.shown())).collect::<Vec<_>>()));
    }
}

/// Lines in a fence that is longer than any fence among them.
fn fenced<'a>(out: &mut String, kind: &str, lines: impl Iterator<Item = &'a str> + Clone) {
    let run = |l: &str| l.trim_start().chars().take_while(|c| *c == '`').count();
    let fence = "`".repeat(lines.clone().map(run).max().unwrap_or(0).max(2) + 1);
    let _ = writeln!(out, "{fence}{kind}");
    for line in lines {
        let _ = writeln!(out, "{}", printable(line));
    }
    let _ = writeln!(out, "{fence}");
}

/// The folder of pictures.
struct Pictures {
    folder: PathBuf,
    name: String,
    count: usize,
}

impl Pictures {
    fn add(&mut self, out: &mut String, shot: &Shot) -> Result<()> {
        self.count += 1;
        let file = format!("{:04}.png", self.count);
        let path = self.folder.join(&file);
        let failed = |e: &std::io::Error| Error::io(format!("cannot write {}", shown(&path)), e);
        Disk.make_folder(&self.folder).map_err(|e| failed(&e))?;
        write_atomic(&Disk, &path, &shot.png).map_err(|e| failed(&e))?;
        let words = if shot.caption.is_empty() { &shot.words } else { &shot.caption };
        // Characters that would end the text or the address.
        let words = printable(words).replace(['[', ']'], " ");
        let address = self.name.replace(' ', "%20").replace('(', "%28").replace(')', "%29");
        let _ = writeln!(out, "![{}]({address}/{file})", words.trim());
        Ok(())
    }
}
