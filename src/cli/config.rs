//! The config file: options that hold whenever they are not given, and `gannet config`.
//!
//! A line is `key = value`; `#` begins a comment. The options are put before those of the command
//! line, which therefore win.

use super::{Cli, out};
use crate::error::{Error, Kind, Result};
use crate::render::{Graphics, Symbols};
use crate::safe::Safe;
use crate::store::{Disk, Files, config_folder, write_atomic};
use crate::ui::screen::Theme;
use clap::Parser;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

/// The end of `config --help`.
pub(super) const HELP: &str = "\
     Without arguments: the file, and every key with its value. KEY alone: its value. KEY VALUE \
     sets it, KEY default removes it. Options on the command line win over the file. A script \
     init.gnt beside it runs at the beginning of every prompt.";

/// Most bytes of the file.
const BYTES: u64 = 64 << 10;

/// A key of the file.
struct Key {
    name: &'static str,
    /// The option of the command line.
    option: &'static str,
    /// The environment variable that wins over the file.
    variable: &'static str,
    about: &'static str,
}

const fn key(
    name: &'static str,
    option: &'static str,
    variable: &'static str,
    about: &'static str,
) -> Key {
    Key { name, option, variable, about }
}

const KEYS: [Key; 12] = [
    key("model", "--model", "GANNET_MODEL", "generator to begin with"),
    key(
        "graphics",
        "--graphics",
        "GANNET_GRAPHICS",
        "auto, kitty, iterm, sixel, blocks, words or none",
    ),
    key("symbols", "--symbols", "", "auto, half, quad or sextant"),
    key("picture-width", "--picture-width", "", "width of every picture in columns"),
    key("seed", "--seed", "", "seed of everything random"),
    key("device", "--device", "", "cpu, cuda or cuda:N"),
    key("threads", "--threads", "", "threads that compute"),
    key("kernels", "--kernels", "GANNET_KERNELS", "instructions of the CPU engine"),
    key("cache", "--no-cache", "", "on or off: whether results are kept from run to run"),
    key("cache-limit", "--cache-limit", "GANNET_CACHE_LIMIT", "most that it may hold: 2GB"),
    key("theme", "--theme", "", "dark or light"),
    key("keys", "--vi", "", "emacs or vi"),
];

/// The environment variables that win over the file, with what they set.
pub(super) fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().filter(|k| !k.variable.is_empty()).map(|k| (k.variable, k.about))
}

fn path() -> Result<PathBuf> {
    config_folder().map(|f| f.join("config")).ok_or_else(|| {
        Error::new(Kind::Usage, "there is no place for a config file")
            .hint("set HOME, or GANNET_CONFIG to a folder")
    })
}

fn read() -> Result<String> {
    let Ok(path) = path() else { return Ok(String::new()) };
    match Disk.read(&path, BYTES) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| wrong(&path, 1, "it is not UTF-8 text")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => {
            let shown = path.to_string_lossy().into_owned();
            Err(Error::io(format!("cannot read {}", Safe(&shown)), &e))
        }
    }
}

fn wrong(path: &std::path::Path, line: usize, what: &str) -> Error {
    let shown = path.to_string_lossy();
    Error::new(Kind::Usage, format!("{}:{line}: {what}", Safe(&shown)))
        .hint("gannet config lists the keys")
}

/// The keys of a file and their values, in order.
fn parse(text: &str, path: &std::path::Path) -> Result<Vec<(&'static Key, String)>> {
    let mut all = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, value) =
            line.split_once('=').ok_or_else(|| wrong(path, i + 1, "a line is `key = value`"))?;
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        let key = KEYS
            .iter()
            .find(|k| k.name == name)
            .ok_or_else(|| wrong(path, i + 1, &format!("there is no key `{}`", Safe(name))))?;
        valid(key, value).map_err(|e| wrong(path, i + 1, e.message()))?;
        all.push((key, value.to_owned()));
    }
    Ok(all)
}

/// Refuses a value that the option does not take.
fn valid(key: &Key, value: &str) -> Result<()> {
    match key.name {
        "graphics" => value.parse::<Graphics>().map(drop),
        "symbols" => Symbols::choice(value).map(drop),
        "theme" => value.parse::<Theme>().map(drop),
        "cache" if ["on", "off"].contains(&value) => Ok(()),
        "cache" => Err(Error::new(Kind::Usage, format!("`{}` is neither on nor off", Safe(value)))),
        "keys" if ["emacs", "vi"].contains(&value) => Ok(()),
        "keys" => {
            Err(Error::new(Kind::Usage, format!("`{}` is neither emacs nor vi", Safe(value))))
        }
        _ => match Cli::try_parse_from(["gannet", key.option, value]) {
            Ok(_) => Ok(()),
            Err(e) => {
                let message = format!("`{}` is not a value of {}", Safe(value), key.name);
                let error = Error::new(Kind::Usage, message);
                Err(match std::error::Error::source(&e) {
                    Some(why) => error.hint(why.to_string()),
                    None => error,
                })
            }
        },
    }
}

/// The arguments with those of the config file before them.
///
/// # Errors
/// When the file cannot be read or holds what is no option; not for `gannet config`, which mends
/// it.
pub(super) fn with_file(args: Vec<OsString>) -> Result<Vec<OsString>> {
    if args.get(1).is_some_and(|a| a == "config") {
        return Ok(args);
    }
    let set =
        |name: &str| !name.is_empty() && std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let path = path().unwrap_or_default();
    let file = parse(&read()?, &path)?;
    Ok(joined(args, file.iter().filter(|(key, _)| !set(key.variable))))
}

fn joined<'k>(
    args: Vec<OsString>,
    file: impl Iterator<Item = &'k (&'static Key, String)>,
) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut all: Vec<OsString> = args.next().into_iter().collect();
    for (key, value) in file {
        match (key.name, value.as_str()) {
            ("keys", "vi") | ("cache", "off") => all.push(key.option.into()),
            ("keys" | "cache", _) => {}
            _ => all.extend([key.option.into(), value.into()]),
        }
    }
    all.extend(args);
    all
}

/// `gannet config`
pub(super) fn config(name: Option<&str>, value: Option<&str>) -> Result<u8> {
    let path = path()?;
    let text = read()?;
    let Some(name) = name else {
        out(listed(&text, &path).as_bytes())?;
        // An error in the file is named after the list that helps to mend it.
        return parse(&text, &path).map(|_| 0);
    };
    let key = KEYS.iter().find(|k| k.name == name).ok_or_else(|| {
        let names = KEYS.each_ref().map(|k| k.name).join(", ");
        Error::new(Kind::Usage, format!("there is no key `{}`", Safe(name)))
            .hint(format!("one of {names}"))
    })?;
    let Some(value) = value else {
        let found = of(&text, key).unwrap_or_else(|| "default".into());
        out(format!("{found}\n").as_bytes())?;
        return Ok(0);
    };
    if value != "default" {
        valid(key, value)?;
    }
    if let Some(folder) = path.parent() {
        Disk.make_folder(folder).map_err(|e| {
            Error::io(format!("cannot make {}", Safe(&folder.to_string_lossy())), &e)
        })?;
    }
    write_atomic(&Disk, &path, changed(&text, key, value).as_bytes())
        .map_err(|e| Error::io(format!("cannot write {}", Safe(&path.to_string_lossy())), &e))?;
    Ok(0)
}

fn name_of(line: &str) -> &str {
    line.split(['=', '#']).next().unwrap_or_default().trim()
}

/// The value of a key in a file; the last one counts, as on the command line.
fn of(text: &str, key: &Key) -> Option<String> {
    let line = text.lines().rev().find(|l| name_of(l) == key.name)?;
    let value = line.split_once('=')?.1.split('#').next().unwrap_or_default();
    Some(Safe(value.trim().trim_matches('"')).to_string())
}

/// The file with another value of a key; other lines stay as they are.
fn changed(text: &str, key: &Key, value: &str) -> String {
    let mut out: String =
        text.lines().filter(|l| name_of(l) != key.name).map(|l| format!("{l}\n")).collect();
    if value != "default" {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{} = {value}", key.name);
    }
    out
}

fn listed(text: &str, path: &std::path::Path) -> String {
    let mut out = format!("{}\n", Safe(&path.to_string_lossy()));
    for key in &KEYS {
        let value = of(text, key).unwrap_or_else(|| "default".into());
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {:<14} {value:<12} {}", key.name, key.about);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn args(all: &[&str]) -> Vec<OsString> {
        all.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let text = "# mine\nmodel = toy\nseed = 7 # lucky\nkeys = vi\npicture-width = \"60\"\n\
             cache = off\ncache-limit = 5MB\n";
        let file = parse(text, Path::new("config")).unwrap();
        let cli = Cli::try_parse_from(joined(args(&["gannet"]), file.iter())).unwrap();
        assert_eq!((cli.common.model.as_str(), cli.common.seed, cli.vi), ("toy", 7, true));
        assert_eq!(cli.common.picture_width, Some(60));
        assert_eq!((cli.common.no_cache, cli.common.cache_limit), (true, 5_000_000));
        for given in [&["gannet", "--seed", "9"][..], &["gannet", "eval", "1", "--seed", "9"]] {
            let cli = Cli::try_parse_from(joined(args(given), file.iter())).unwrap();
            assert_eq!((cli.common.seed, cli.common.model.as_str()), (9, "toy"), "{given:?}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, words) in [
            ("\nmodle = toy", "config:2: there is no key `modle`"),
            ("seed", "config:1: a line is"),
            ("seed = x", "config:1: `x` is not a value of seed"),
            ("graphics = paint", "config:1: no graphics called"),
            ("keys = nano", "neither emacs nor vi"),
            ("cache = yes", "neither on nor off"),
            ("cache-limit = much", "config:1: `much` is not a value of cache-limit"),
        ] {
            let e = parse(text, Path::new("config")).err().unwrap();
            assert!(e.message().contains(words), "{text}: {e}");
        }
    }

    #[test]
    fn a_key_is_changed_and_the_rest_stays() {
        let text = "# mine\nseed = 1\nmodel = toy\nseed=2\n";
        let seed = KEYS.iter().find(|k| k.name == "seed").unwrap();
        assert_eq!(of(text, seed).unwrap(), "2");
        assert_eq!(changed(text, seed, "5"), "# mine\nmodel = toy\nseed = 5\n");
        assert_eq!(changed(text, seed, "default"), "# mine\nmodel = toy\n");
        for key in &KEYS {
            assert!(listed(text, Path::new("c")).contains(key.name));
        }
    }
}
