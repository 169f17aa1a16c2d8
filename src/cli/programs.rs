//! `run`, `eval`, `check`, `fmt` and the prompt.

use super::{Common, Opened, Reporting, meant, options, runner, sets};
use crate::builtin::Output;
use crate::error::{Error, Kind, Result};
use crate::eval::{Options, State};
use crate::lang::import::Imports;
use crate::lang::layout;
use crate::lang::span::Source;
use crate::limits::LIMITS;
use crate::render::json::diagnostics;
use crate::render::{Block, Diagnostic, Symbols};
use crate::safe::Safe;
use crate::store::{Disk, config_folder, open_regular, write_atomic};
use crate::ui::notebook::{NotebookOptions, folder_of};
use crate::ui::repl::{ReplOptions, Resume};
use crate::ui::runner::{Runner, complain};
use crate::ui::{Keys, Verbosity, run_plain};
use crate::value::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Reads a program; `-` is standard input.
pub fn read(path: &Path) -> Result<Source> {
    let name = Safe(&path.to_string_lossy()).to_string();
    let failed = |e: std::io::Error| {
        Error::new(crate::error::Kind::Usage, format!("cannot read {name}: {e}"))
            .hint("give the path of a .gnt program, or - for standard input")
    };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(open_regular(path).map_err(failed)?)
    };
    let mut bytes = Vec::new();
    // One byte more than allowed shows that it is too long, whatever the file claims.
    input.take(LIMITS.source_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        Error::check(format!(
            "{name}: at byte {}: a program is UTF-8 text",
            e.utf8_error().valid_up_to()
        ))
        .hint(meant::use_of(path))
    })?;
    Source::new(name, text)
}

/// `gannet run`
pub fn run(common: &Common, file: &Path, set: &[String], reporting: Reporting) -> Result<u8> {
    let source = read(file)?;
    let options = Options { imports: beside(file), ..options(common, true) };
    program(common, &source, set, options, reporting)
}

/// Location of the files that a program imports; of one on standard input, the current folder.
pub fn beside(file: &Path) -> Imports {
    if file == Path::new("-") { Imports::default() } else { Imports::beside(file) }
}

/// `gannet eval`
pub fn eval(common: &Common, code: String, set: &[String], reporting: Reporting) -> Result<u8> {
    program(common, &Source::new("eval", code)?, set, options(common, false), reporting)
}

/// Checks and runs a program, and shows its error on its source.
fn program(
    common: &Common,
    source: &Source,
    set: &[String],
    options: Options,
    reporting: Reporting,
) -> Result<u8> {
    let sets = sets(set)?;
    let mut runner = runner(common, options, reporting)?;
    run_in(&mut runner, source, &sets)
}

/// As [`program`], in an existing session.
pub fn run_in(runner: &mut Runner, source: &Source, sets: &BTreeMap<String, String>) -> Result<u8> {
    let ran = runner.run(source, sets);
    ended(runner, source, ran)
}

/// Shows the error that ended a program; returns the exit code.
pub fn ended(runner: &mut Runner, source: &Source, ran: Result<()>) -> Result<u8> {
    match ran {
        Ok(()) => Ok(0),
        Err(e) if e.kind() == Kind::Closed => Ok(0),
        Err(e) => {
            runner.complain(source, &e);
            Ok(e.kind().exit_code())
        }
    }
}

/// `gannet check`
pub fn check(common: &Common, files: &[std::path::PathBuf]) -> Result<u8> {
    let models = super::prepare(common)?;
    let mut session = State::new(models, &common.model, options(common, true))?;
    let mut code = 0;
    for file in files {
        let source = read(file)?;
        session.options.imports = beside(file);
        let found = session.check(&source, &BTreeMap::new());
        match found {
            Ok(_) if common.json => super::out(
                format!("{}\n", serde_json::json!({"file": source.name(), "ok": true})).as_bytes(),
            )?,
            Ok(_) => {}
            Err(e) => {
                complain(&source, &e, super::terminal_stderr());
                code = e.kind().exit_code().max(2);
                if common.json {
                    for one in diagnostics(&Diagnostic { source, error: e }) {
                        super::out(format!("{one}\n").as_bytes())?;
                    }
                }
            }
        }
    }
    Ok(code)
}

/// `gannet fmt`
pub fn fmt(files: &[std::path::PathBuf], only_check: bool) -> Result<u8> {
    let mut code = 0;
    for file in files {
        let source = read(file)?;
        let laid_out = match layout::format(&source) {
            Ok(text) => text,
            Err(e) => {
                complain(&source, &e, super::terminal_stderr());
                code = code.max(2);
                continue;
            }
        };
        if file == Path::new("-") {
            super::out(laid_out.as_bytes())?;
        } else if laid_out != source.text() {
            if only_check {
                super::out(format!("{}\n", source.name()).as_bytes())?;
                code = code.max(1);
            } else {
                write_atomic(&Disk, file, laid_out.as_bytes())
                    .map_err(|e| Error::io(format!("cannot write {}", source.name()), &e))?;
            }
        }
    }
    Ok(code)
}

/// Results of the init script, which are not shown.
struct Unshown;

impl Output for Unshown {
    fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
        Ok(())
    }

    fn print(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
}

/// Runs the user's `init.gnt`, so that every prompt has its names and functions. An error is shown,
/// and the prompt begins all the same.
fn init(state: &mut State) {
    let Some(path) = config_folder().map(|f| f.join("init.gnt")).filter(|p| p.is_file()) else {
        return;
    };
    let source = match read(&path) {
        Ok(source) => source,
        Err(e) => {
            super::refused(&e);
            return;
        }
    };
    let before = state.clone();
    state.options.imports = beside(&path);
    let ran = run_plain("init.gnt", Verbosity::Quiet, |control| {
        state.run(&source, &BTreeMap::new(), control, &mut Unshown)
    });
    state.options.imports.clone_from(&before.options.imports);
    if let Err(e) = ran {
        *state = before;
        complain(&source, &e, super::terminal_stderr());
    }
}

/// The options of a notebook's program: what it saves lies beside it.
pub fn notebook_options(common: &Common, file: &Path) -> Options {
    let options = Options { imports: beside(file), ..options(common, true) };
    match common.out {
        None => Options { out: folder_of(file), ..options },
        Some(_) => options,
    }
}

/// `gannet open`
pub fn notebook(common: &Common, file: &Path, vi: bool) -> Result<u8> {
    let options = notebook_options(common, file);
    let Opened { state, terminal, painter, typed, .. } = super::open(common, options)?;
    crate::ui::notebook::open(NotebookOptions {
        file: file.to_owned(),
        state,
        model: common.model.clone(),
        terminal,
        probed: painter.terminal,
        typed,
        sessions: crate::store::session_folder(),
        keys: if vi { Keys::Vi } else { Keys::Emacs },
    })
}

/// The prompt.
pub fn repl(common: &Common, resume: Option<String>, vi: bool) -> Result<u8> {
    let Opened { mut state, terminal, painter, style, typed } =
        super::open(common, options(common, false))?;
    init(&mut state);
    crate::ui::repl::run(ReplOptions {
        state,
        model: common.model.clone(),
        terminal,
        painter,
        style,
        typed,
        history: crate::store::history_file(),
        sessions: crate::store::session_folder(),
        resume: resume.map(|r| if r.is_empty() { Resume::Latest } else { Resume::Path(r.into()) }),
        keys: if vi { Keys::Vi } else { Keys::Emacs },
        asked: (common.graphics.parse()?, Symbols::choice(&common.symbols)?),
    })
}
