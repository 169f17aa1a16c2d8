//! What a wrong command line most likely means.

use super::models::shell_word;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use std::path::Path;

/// Examples of the commands that need arguments.
const EXAMPLES: [(&str, &str); 9] = [
    ("check", "gannet check edit.gnt"),
    ("compare", "gannet compare me.jpg found/me.png --align"),
    ("convert", "gannet convert model.pkl model.safetensors"),
    ("eval", "gannet eval 'sample(n: 4)'"),
    ("export", "gannet export latest -o report.html"),
    ("info", "gannet info model.pkl"),
    ("invert", "gannet invert me.jpg --out found"),
    ("open", "gannet open notes.gnt"),
    ("run", "gannet run edit.gnt"),
];

/// The command line that was most likely meant: a file in the place of a command, a parameter
/// without its option, a command without its arguments.
pub(super) fn meant(e: &Error) -> Option<String> {
    let context = |kind| match e.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match e.kind() {
        ErrorKind::InvalidSubcommand => {
            let path = Path::new(context(ContextKind::InvalidSubcommand)?);
            (path.exists() || path.extension().is_some()).then(|| use_of(path))
        }
        ErrorKind::UnknownArgument => {
            let given = context(ContextKind::InvalidArg)?;
            let (name, _) = given.split_once('=')?;
            let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            named.then(|| format!("--set {given}"))
        }
        ErrorKind::MissingRequiredArgument => {
            let Some(ContextValue::StyledStr(usage)) = e.get(ContextKind::Usage) else {
                return None;
            };
            let usage = usage.to_string();
            let command = usage.split_whitespace().nth(2)?;
            EXAMPLES.iter().find(|(name, _)| *name == command).map(|(_, line)| (*line).to_owned())
        }
        _ => None,
    }
}

/// The command for a file of that name.
pub(super) fn use_of(path: &Path) -> String {
    let shown = crate::safe::Safe(&path.to_string_lossy()).to_string();
    let shown = shell_word(&shown);
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("gnt") => format!("gannet run {shown}, or gannet open {shown}"),
        Some("png" | "jpg" | "jpeg" | "webp" | "gif") => {
            format!("gannet invert {shown} --out found, or gannet explore {shown}")
        }
        _ if path.is_dir() => format!("gannet invert {shown}/*.jpg --out found"),
        _ => format!("gannet info {shown}, or gannet --model {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn of(line: &[&str]) -> Option<String> {
        meant(&Cli::try_parse_from([&["gannet"], line].concat()).unwrap_err())
    }

    #[test]
    fn a_file_is_no_command_but_has_one() {
        let said = |file| of(&[file]).unwrap();
        assert_eq!(said("me.JPG"), "gannet invert me.JPG --out found, or gannet explore me.JPG");
        assert_eq!(said("a b.gnt"), "gannet run 'a b.gnt', or gannet open 'a b.gnt'");
        assert_eq!(said("it's.gnt"), r"gannet run 'it'\''s.gnt', or gannet open 'it'\''s.gnt'");
        assert_eq!(said("x.pkl"), "gannet info x.pkl, or gannet --model x.pkl");
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert_eq!(said(name), format!("gannet invert {name}/*.jpg --out found"));
        assert_eq!(of(&["nonsense"]), None);
    }

    #[test]
    fn what_a_command_lacks_is_shown_by_an_example() {
        for (command, example) in EXAMPLES {
            assert_eq!(of(&[command]).as_deref(), Some(example));
            let line = example.replace('\'', "");
            let words = line.split(' ').collect::<Vec<_>>();
            // The words of an example's last text are one argument.
            let words = if command == "eval" { words[..3].to_vec() } else { words };
            assert!(Cli::try_parse_from(words).is_ok(), "{example}");
        }
        assert_eq!(of(&["run", "a.gnt", "strength=3"]).as_deref(), Some("--set strength=3"));
        assert_eq!(of(&["run", "a.gnt", "--strength"]), None);
    }
}
