//! The parameters of `invert` as options of the command line.

use crate::builtins;
use crate::error::{Error, Kind, Result};
use crate::invert::methods;
use crate::lang::ast::{ExprKind, StmtKind};
use crate::lang::parse::parse;
use crate::lang::span::Source;
use crate::lang::types::{self, Param};
use crate::safe::Safe;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::path::Path;
use std::sync::OnceLock;

/// The options of an inversion that were given, in the order of its parameters.
#[derive(Clone, Debug, Default)]
pub struct How(Vec<(&'static Named, String)>);

/// A parameter and the name of its option, with hyphens.
type Named = (&'static Param, String);

/// The parameters that are options of their own; the pictures are arguments, the seed belongs to
/// every command.
fn parameters() -> &'static [Named] {
    static ALL: OnceLock<Vec<Named>> = OnceLock::new();
    ALL.get_or_init(|| {
        let invert = builtins::ALL.iter().filter(|b| b.signature.name == "invert");
        let all = invert.flat_map(|b| b.signature.params);
        let own = all.filter(|p| p.default.is_some() && p.name != "seed");
        own.map(|p| (p, p.name.replace('_', "-"))).collect()
    })
}

/// The help of an option: that of the parameter, without the marks of code.
fn help((param, _): &Named) -> String {
    match param.name {
        // What each one does fills a page: `?invert`.
        "method" => format!("auto, {}", methods::listed()),
        _ => param.doc.replace('`', ""),
    }
}

fn option(named: &'static Named) -> Arg {
    let (param, option) = named;
    let arg = Arg::new(param.name).long(option.as_str()).help(help(named)).action(ArgAction::Set);
    let arg = arg.value_name("VALUE").allow_hyphen_values(false);
    match param.accepts {
        [types::Kind::Bool] => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        _ => arg,
    }
}

impl clap::Args for How {
    fn augment_args(command: Command) -> Command {
        command.args(parameters().iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for How {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let given =
            |named: &'static Named| Some((named, matches.get_one::<String>(named.0.name)?.clone()));
        Ok(Self(parameters().iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl How {
    /// Source text of the arguments of `invert`.
    ///
    /// # Errors
    /// When a value is no value of the language.
    pub fn arguments(&self) -> Result<String> {
        let each = self.0.iter().map(|((param, option), given)| {
            let value = source(param, given)?;
            if one_value(&value) {
                return Ok(format!("{}: {value}", param.name));
            }
            let message = format!("`--{option} {}` is no value", Safe(given));
            Err(Error::new(Kind::Usage, message)
                .hint(format!("?{} at the prompt says what it takes", param.name)))
        });
        Ok(each.collect::<Result<Vec<_>>>()?.join(", "))
    }
}

/// A value as the language writes it: files of masks and codes are opened, texts have their marks.
fn source(param: &Param, given: &str) -> Result<String> {
    let takes = |kind: types::Kind| param.accepts.contains(&kind);
    let file = |function: &str| -> Result<String> {
        Ok(format!("{function}({})", quoted(Path::new(given))?))
    };
    match () {
        () if takes(types::Kind::Mask) && Path::new(given).is_file() => file("mask"),
        () if takes(types::Kind::Latent) && Path::new(given).is_file() => file("latent"),
        () if takes(types::Kind::Text) && !given.starts_with('"') => quoted(Path::new(given)),
        () => Ok(given.to_owned()),
    }
}

/// A text of the language.
pub(super) fn quoted(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::new(Kind::Usage, "the path is not UTF-8").hint("rename the file"))?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Whether a text is a single value, as behind the colon of an argument.
fn one_value(value: &str) -> bool {
    let Ok(source) = Source::new("option", format!("f(value: {value})")) else { return false };
    let (program, errors) = parse(&source);
    match &program.statements[..] {
        [only] if errors.is_empty() => match &only.kind {
            StmtKind::Expr(e) => matches!(&e.kind, ExprKind::Call(c) if c.args.len() == 1),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    /// The arguments of `invert` that options give.
    fn arguments(options: &[&str]) -> Result<String> {
        let command = How::augment_args(Command::new("invert"));
        let given = ["invert"].iter().chain(options).copied();
        let matches = command.try_get_matches_from(given).expect("options that exist");
        How::from_arg_matches(&matches).expect("options").arguments()
    }

    #[test]
    fn options_are_the_parameters_in_the_language() {
        assert_eq!(arguments(&[]).unwrap(), "");
        let given =
            ["--offset", "0.1", "--space", "W+", "--prior-pn=0.001", "--noise", "--init", "mean"];
        let wanted = "space: W+, init: mean, offset: 0.1, prior_pn: 0.001, noise: true";
        assert_eq!(arguments(&given).unwrap(), wanted);
        let given = ["--layer", "b16.conv1", "--init", "best_of: 8", "--noise=false"];
        let wanted = "init: best_of: 8, noise: false, layer: \"b16.conv1\"";
        assert_eq!(arguments(&given).unwrap(), wanted);
        let shape = "mask(box: [0, 0, 1, 0.5])";
        assert_eq!(arguments(&["--mask", shape]).unwrap(), format!("mask: {shape}"));
    }

    #[test]
    fn files_are_opened_as_what_the_parameter_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.png");
        std::fs::write(&path, "").unwrap();
        let path = path.to_str().unwrap();
        for (option, function) in [("--mask", "mask"), ("--start", "latent")] {
            let own = &option[2..];
            let wanted = format!("{own}: {function}(\"{path}\")");
            assert_eq!(arguments(&[option, path]).unwrap(), wanted);
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_option() {
        for wrong in ["1, steps: 3", "1)", "(1", "", "1\nprint(2)", "1); print(2"] {
            let e = arguments(&["--tune-lr", wrong]).unwrap_err();
            assert_eq!(e.kind(), Kind::Usage, "{wrong}");
            assert!(e.message().contains("--tune-lr") && e.repair().is_some(), "{e}");
        }
    }

    #[test]
    fn every_parameter_has_an_option_with_help() {
        let command = How::augment_args(Command::new("invert"));
        let options: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        for option in ["space", "method", "steps", "offset", "rank", "until", "class"] {
            assert!(options.contains(&option), "{options:?}");
        }
        assert!(!options.contains(&"picture") && !options.contains(&"seed"));
        assert!(command.get_arguments().all(|a| a.get_help().is_some()));
    }
}
