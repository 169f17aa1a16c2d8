//! The command line: its definition, and the dispatch of commands.

mod bench;
mod config;
mod convert;
mod doctor;
mod editors;
mod explore;
mod export;
mod fit;
mod front;
mod how;
mod info;
mod man;
mod meant;
mod models;
mod programs;
mod shortcuts;
mod speed;
mod watch;

use crate::editors::grammar::Editor;
use crate::error::{Error, Kind, Result};
use crate::lang::span::Source;
use crate::safe::Safe;
use crate::ui::{Colour, runner};
use clap::{Args, CommandFactory, Parser, Subcommand};
use front::{Opened, asking, cache, open, options, prepare, runner};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A terminal notebook for the latent spaces of GANs.
#[derive(Debug, Parser)]
#[command(
    name = "gannet",
    version,
    about,
    max_term_width = 80,
    args_conflicts_with_subcommands = false,
    args_override_self = true
)]
#[command(after_help = "Without a command: the prompt, with the embedded generator loaded.\n\
    Exit codes: 0 ok, 1 the program failed, 2 usage or a check error, 75 stopped and can resume, \
    130 interrupted.")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
    /// Show the cells of the last session again, or of the one named, and continue it.
    #[arg(long, value_name = "SESSION", num_args = 0..=1, default_missing_value = "")]
    resume: Option<String>,
    /// Edit with the keys of vi.
    #[arg(long, global = true)]
    vi: bool,
}

/// Options of everything that runs.
#[derive(Clone, Debug, Args)]
struct Common {
    /// Generator to begin with: faces (embedded), toy, or a path.
    #[arg(long, global = true, default_value = "faces", env = "GANNET_MODEL", hide_env = true)]
    model: String,
    /// Folder for saved results, and for pictures when the terminal cannot show them.
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object a line on standard output; with --out, pictures are files that it names.
    #[arg(long, global = true)]
    json: bool,
    /// No progress.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Seed of everything random.
    #[arg(long, global = true, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    seed: u64,
    /// cpu, cuda or cuda:N.
    #[arg(long, global = true, default_value = "cpu", value_name = "NAME")]
    device: String,
    /// Threads that compute; results do not depend on it.
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    /// Instructions of the CPU engine: auto, avx512, avx2 or portable, bf16 for fast previews;
    /// numbers of a GPU: auto, f32, tf32 or f16.
    #[arg(
        long,
        global = true,
        default_value = "auto",
        env = "GANNET_KERNELS",
        hide_env = true,
        value_name = "SET"
    )]
    kernels: String,
    /// Display of pictures: auto, kitty, iterm, sixel, blocks, words (a sentence about each) or none.
    #[arg(
        long,
        global = true,
        default_value = "auto",
        env = "GANNET_GRAPHICS",
        hide_env = true,
        value_name = "HOW"
    )]
    graphics: String,
    /// The characters of block pictures: auto, half, quad or sextant.
    #[arg(long, global = true, default_value = "auto", value_name = "WHICH")]
    symbols: String,
    /// Colours of the prompt, for the background of the terminal: dark or light.
    #[arg(long, global = true, default_value = "dark", value_name = "WHICH")]
    theme: String,
    /// Width of every picture in columns; as large as the window allows unless given.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    picture_width: Option<u16>,
    /// Compute everything: neither take results from the cache nor keep them there.
    #[arg(long, global = true)]
    no_cache: bool,
    /// Most that the cache may hold, such as 500MB or 2GB; 0 keeps nothing.
    #[arg(
        long,
        global = true,
        default_value = "2GB",
        env = "GANNET_CACHE_LIMIT",
        hide_env = true,
        value_name = "SIZE",
        value_parser = size
    )]
    cache_limit: u64,
}

/// A size such as `500MB`, in bytes.
fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "K" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        "KIB" => 1024.0,
        "MIB" => 1_048_576.0,
        "GIB" => 1_073_741_824.0,
        _ => return Err("a size is a number and B, kB, MB, GB or TB".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "a size begins with a number".to_owned())?;
    Ok((number * unit) as u64)
}

/// Reports about a running program.
#[derive(Clone, Copy, Debug, Default, Args)]
struct Reporting {
    /// Progress on standard error: lines for a reader, or JSON objects for a program.
    #[arg(long, value_name = "HOW", default_value = "plain")]
    progress: Progress,
}

/// Form of progress reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Progress {
    /// A live view, or an occasional line without a terminal.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program.
    #[command(after_help = RUN_HELP)]
    Run {
        /// The program.
        file: PathBuf,
        /// Another value of a parameter.
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Run again whenever the program, a file that it imports or one that it reads changes.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        reporting: Reporting,
    },
    /// Run one line.
    Eval {
        /// The line.
        #[arg(allow_hyphen_values = true)]
        code: String,
        /// Another value of a parameter.
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        #[command(flatten)]
        reporting: Reporting,
    },
    /// Edit and run a notebook on the whole screen.
    #[command(after_help = OPEN_HELP)]
    Open {
        /// The notebook; a new one when there is no such file.
        file: PathBuf,
    },
    /// Write a notebook or a session as a report: .html, .md or .ipynb, with the results that were
    /// kept.
    Export {
        /// A notebook, a journal, or the name of a session; `latest` is the last one.
        from: PathBuf,
        /// The report; its ending says the format.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Run the cells of the notebook first whose results are missing or old.
        #[arg(long)]
        run: bool,
    },
    /// Check programs without running them.
    Check {
        /// The programs.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lay programs out in the usual way.
    Fmt {
        /// The programs.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Write nothing; exit with 1 when a file would change.
        #[arg(long)]
        check: bool,
    },
    /// Say what a file is, without running anything in it.
    #[command(after_help = info::HELP)]
    Info {
        /// The file, a name in your model folders, or `faces`.
        model: String,
        /// List all tensors.
        #[arg(long)]
        tensors: bool,
    },
    /// Convert a checkpoint, codes or directions.
    #[command(after_help = convert::HELP)]
    Convert {
        /// File to read.
        from: PathBuf,
        /// File to write: NAME.safetensors, .pt, .npz or .npy.
        to: PathBuf,
        /// Form of a .pt: nvidia or rosinality; the usual one of the family unless given.
        #[arg(long = "to", id = "form", value_name = "FORM")]
        form: Option<String>,
    },
    /// Sliders for a code: move it along directions, walk, mix, compare; needs a terminal.
    #[command(after_help = explore::HELP)]
    Explore {
        /// A code, a picture (it is inverted first), or a generator; samples unless given.
        what: Option<PathBuf>,
    },
    /// Invert pictures, several together; with --out, save codes and reconstructions.
    #[command(after_help = INVERT_HELP)]
    Invert {
        /// The pictures.
        #[arg(required = true)]
        images: Vec<PathBuf>,
        #[command(flatten)]
        how: how::How,
        #[command(flatten)]
        reporting: Reporting,
    },
    /// Make what a checkpoint lacks, from its own samples.
    Fit {
        /// What to make.
        #[command(subcommand)]
        which: fit::Which,
    },
    /// Compare pictures with a target: on the full screen, or as numbers in a pipe.
    Compare {
        /// The target.
        target: PathBuf,
        /// The pictures to compare with it; one of another size is scaled to that of the target.
        #[arg(required = true)]
        others: Vec<PathBuf>,
        /// Find the face in each picture and frame it as the generator does.
        #[arg(long)]
        align: bool,
    },
    /// List generators: built in, in your model folders, and public ones with how to get them.
    #[command(after_help = models::HELP)]
    Models {
        /// What to do.
        #[command(subcommand)]
        which: Option<models::Which>,
    },
    /// Report on terminal and machine, with reasons.
    Doctor,
    /// Show or change the options that hold whenever they are not given.
    #[command(after_help = config::HELP)]
    Config {
        /// A key.
        key: Option<String>,
        /// Its new value.
        value: Option<String>,
    },
    /// Measurements: without a subcommand of speed and memory.
    #[command(after_help = speed::HELP)]
    Bench {
        #[command(flatten)]
        speed: speed::Options,
        /// Another benchmark to run.
        #[command(subcommand)]
        which: Option<Box<bench::Which>>,
    },
    /// Shell completions.
    Completions {
        /// bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
    /// Colours for an editor.
    #[command(after_help = editors::GRAMMAR_HELP)]
    Grammar {
        /// vim, textmate or vscode.
        editor: Editor,
    },
    /// A language server for editors.
    #[command(after_help = editors::LSP_HELP)]
    Lsp,
    /// The manual page: gannet man > gannet.1
    Man,
}

const RUN_HELP: &str = "\
--watch runs the program again after each change of the program, of a file
that it imports, or of a picture, code or other file that it names in a text.
A change during a run stops that run. A run that fails is shown, and watching
goes on; Ctrl-C ends it. With --json, an object of type Watch comes before and
after each run.

--progress json writes one object a line to standard error:
  {\"event\": \"begin\", \"statement\": 2, \"statements\": 9, \"line\": 5,
   \"kind\": \"binding\", \"text\": \"r = invert(x)\"}
  {\"event\": \"progress\", \"statement\": 2, \"kind\": \"invert W+\", \"step\": 40,
   \"of\": 300, \"loss\": 0.042, \"losses\": {\"l2\": 0.01, …}, \"seconds\": 1.5}
  {\"event\": \"end\", \"statement\": 2, \"ok\": true, \"seconds\": 11.2}
and objects note and error; an error has file, line, column, message, notes,
try and fix, as with gannet check --json. kind is that of the statement
(import, load, show, param, def, assert, binding or display), then of the
work. A statement reports at most ten times a second, and its last step
always. Errors in the command line itself are plain text.";

const INVERT_HELP: &str = "\
The options are the parameters of invert in the language, and so are their
values: --mask 'mask(box: [0, 0, 1, 0.5])', --init best_of:8. A file of a mask
or a code is opened: --mask eyes.png, --start me.safetensors.";

const OPEN_HELP: &str = "A notebook is a plain text file: #%% begins a code cell, #%% md a text \
    cell. Results are kept in FILE.gnt.outputs and shown at once; nothing runs by itself. \
    ? shows the keys, --vi gives those of vi. Without a screen: gannet run FILE.gnt";

/// Runs the program with these arguments and gives its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    crate::tensor::own_threads_only();
    let args = match config::with_file(args.into_iter().collect()) {
        Ok(args) => args,
        Err(e) => return refused(&e),
    };
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version go to stdout with 0, mistakes to stderr with 2; a closed pipe is
            // ignored here.
            let _ = e.print();
            if let Some(meant) = meant::meant(&e) {
                runner::remark(&format!("  try: {meant}"));
            }
            return u8::try_from(e.exit_code()).unwrap_or(2);
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(e) if e.kind() == Kind::Closed => 0,
        Err(e) => refused(&e),
    }
}

/// Shows an error that belongs to no program, and gives its exit code.
fn refused(e: &Error) -> u8 {
    if let Ok(source) = Source::new("gannet", "") {
        let colour = Colour::of_environment() != Colour::None && terminal_stderr();
        runner::complain(&source, e, colour);
    }
    e.kind().exit_code()
}

fn terminal_stderr() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

fn dispatch(cli: Cli) -> Result<u8> {
    let common = cli.common;
    match cli.command {
        None => programs::repl(&common, cli.resume, cli.vi),
        Some(Command::Run { file, set, watch: true, reporting }) => {
            watch::watch(&common, &file, &set, reporting)
        }
        Some(Command::Run { file, set, watch: false, reporting }) => {
            programs::run(&common, &file, &set, reporting)
        }
        Some(Command::Eval { code, set, reporting }) => {
            programs::eval(&common, code, &set, reporting)
        }
        Some(Command::Open { file }) => programs::notebook(&common, &file, cli.vi),
        Some(Command::Export { from, output, run }) => export::export(&common, &from, &output, run),
        Some(Command::Check { files }) => programs::check(&common, &files),
        Some(Command::Fmt { files, check }) => programs::fmt(&files, check),
        Some(Command::Info { model, tensors }) => info::info(&common, &model, tensors),
        Some(Command::Convert { from, to, form }) => {
            convert::convert(&common, &from, &to, form.as_deref())
        }
        Some(Command::Invert { images, how, reporting }) => {
            shortcuts::invert(&common, &images, &how, reporting)
        }
        Some(Command::Fit { which }) => fit::fit(&common, &which),
        Some(Command::Compare { target, others, align }) => {
            let pictures = shortcuts::Pictures { target: &target, others: &others, align };
            shortcuts::compare(&common, &pictures)
        }
        Some(Command::Explore { what }) => explore::explore(&common, what.as_deref()),
        Some(Command::Models { which: None }) => models::models(&common),
        Some(Command::Models { which: Some(models::Which::Get { name }) }) => {
            models::get(&common, &name)
        }
        Some(Command::Doctor) => doctor::doctor(&common),
        Some(Command::Config { key, value }) => config::config(key.as_deref(), value.as_deref()),
        Some(Command::Bench { speed, which: None }) => speed::speed(&common, &speed),
        Some(Command::Bench { speed, which: Some(which) }) => {
            speed.refuse()?;
            bench::bench(&common, &which)
        }
        Some(Command::Completions { shell }) => completions(shell),
        Some(Command::Grammar { editor }) => editors::grammar(&common, editor),
        Some(Command::Lsp) => editors::serve(&common),
        Some(Command::Man) => out(man::page().as_bytes()).map(|()| 0),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<u8> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gannet", &mut bytes);
    out(&bytes)?;
    Ok(0)
}

/// Writes to standard output.
fn out(bytes: &[u8]) -> Result<()> {
    use crate::ui::Screen;
    crate::ui::screen::Stdout.put(bytes).map_err(|e| runner::unwritten(&e))
}

/// `name=value` pairs.
fn sets(given: &[String]) -> Result<BTreeMap<String, String>> {
    given
        .iter()
        .map(|s| {
            s.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).ok_or_else(
                || {
                    Error::new(Kind::Usage, format!("`--set {}` has no `=`", Safe(s)))
                        .hint("--set strength=3")
                },
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_invert_names_every_method() {
        let mut all = Cli::command();
        let help = all.find_subcommand_mut("invert").unwrap().render_help().to_string();
        for method in crate::invert::METHODS {
            assert!(help.contains(method.name), "{}: {help}", method.name);
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("500MB", 500_000_000),
            ("1.5 gb", 1_500_000_000),
            ("2GiB", 2 << 30),
            ("17", 17),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "MB", "5 parsecs", "-1", "1.2.3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sets_are_pairs() {
        let pairs = sets(&["a=1".into(), "b = \"x=y\"".into()]);
        assert_eq!(
            pairs.unwrap(),
            BTreeMap::from([("a".into(), "1".into()), ("b".into(), "\"x=y\"".into())])
        );
        assert_eq!(sets(&["a".into()]).unwrap_err().kind(), Kind::Usage);
    }
}
