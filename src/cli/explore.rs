//! `explore`: sliders for a code, a picture or a generator.

use super::{Common, Opened, options};
use crate::builtin::{Exploration, as_latent};
use crate::builtins;
use crate::error::{Error, Kind, Result, Span};
use crate::eval::State;
use crate::generator::registry;
use crate::lang::span::Source;
use crate::latent::Code;
use crate::limits::LIMITS;
use crate::session::explore::{Model, Renderer, Subject};
use crate::session::script::quoted;
use crate::session::{Session, Start};
use crate::ui::explore::{self, Explorer, Scripts};
use crate::ui::runner::Runner;
use crate::value::{models, shelf};
use crate::weights;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The end of `explore --help`.
pub const HELP: &str = "The script of the last settings is printed at the end, and saved with the \
                        key s: it shows the same picture, byte for byte. The key ? explains the \
                        keys. At the prompt: w2 = explore(w, along: [smile, pc[0..4]])";

/// Endings of pictures.
const PICTURES: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];

/// What the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// A generator.
    Model(String),
    /// The expression of a code.
    Code(String),
}

/// `gannet explore`
pub fn explore(common: &Common, what: Option<&Path>) -> Result<u8> {
    if !crate::ui::screen::interactive() {
        return Err(Error::new(Kind::Usage, "explore needs a terminal, and here is none")
            .hint("in a script: show w + 1.5*direction(\"smile\")"));
    }
    let what = what.map(named).transpose()?;
    let mut common = common.clone();
    if let Some(What::Model(model)) = &what {
        common.model.clone_from(model);
    }
    let Opened { state, terminal, painter, style, .. } =
        super::open(&common, options(&common, false))?;
    let start = Start { state, model: common.model.clone(), folder: None, lists: style.json };
    let mut runner = Runner::new(Session::start(start)?, terminal, painter, style);
    let (subject, bound, state) = match &what {
        Some(What::Code(expression)) => given(&mut runner, expression)?,
        _ => {
            let state = runner.session.snapshot().state.clone();
            let (subject, bound) = Subject::samples(&state)?;
            (subject, bound, state)
        }
    };
    let version = env!("CARGO_PKG_VERSION");
    let preamble = format!("# gannet {version}\nload {}\n\n", quoted(&common.model));
    let scripts = Scripts { preamble, folder: common.out.clone().unwrap_or_default() };
    let explorer = Explorer::new(Model::new(subject), Renderer::new(&state, bound)?, scripts);
    let able = runner.painter.terminal.clone();
    let (_, script) = explore::explore(&mut runner.terminal, &able, explorer)?;
    super::out(script.as_bytes())?;
    Ok(0)
}

type Opening = (Subject, Vec<(String, crate::value::Value)>, State);

/// Computes the code of an expression, with progress, and makes it the subject.
fn given(runner: &mut Runner, expression: &str) -> Result<Opening> {
    let name = "explored";
    let source = Source::new("explore", format!("{name} = {expression}"))?;
    match runner.run(&source, &BTreeMap::new()) {
        // Ctrl-C: the best so far is in a file, which gives the same code again.
        Err(e) if e.kind() == Kind::Kept => {
            let folder = &runner.session.snapshot().state.options.out;
            let kept = folder.join(format!("{name}-stopped.safetensors"));
            return given(runner, &format!("latent({})", quoted(&kept.to_string_lossy())));
        }
        ran => ran?,
    }
    let mut state = runner.session.snapshot().state.clone();
    let code = state.names.remove(name).as_ref().and_then(as_latent).map(first).transpose()?;
    let code = code.ok_or_else(|| Error::runtime("this is not a code"))?;
    let model = state.model.clone().ok_or_else(|| Error::runtime("no generator is loaded"))?;
    let along = builtins::explore::usual(&code, &model)?;
    let written = expression.to_owned();
    let what = Exploration { code, written, along, span: Span::default() };
    let (subject, bound) = Subject::of(&what, &state)?;
    Ok((subject, bound, state))
}

fn first(code: Code) -> Result<Code> {
    if code.count() == 1 {
        return Ok(code);
    }
    Err(Error::runtime(format!("one code is explored at a time, this file has {}", code.count()))
        .hint("at the prompt: explore([c for c in latent(\"file\")][0])"))
}

/// What a path or a name is, by its ending or its content.
fn named(path: &Path) -> Result<What> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::new(Kind::Usage, "the path is not UTF-8").hint("rename the file"))?;
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !path.exists() {
        let known = models::NAMES.contains(&text) || shelf::find(text).is_some();
        return match known {
            true => Ok(What::Model(text.to_owned())),
            false => Err(Error::new(
                Kind::Usage,
                format!("there is no file {}", crate::safe::Safe(text)),
            )
            .hint("give a code, a picture, a generator, or nothing for samples")),
        };
    }
    if PICTURES.contains(&ending.as_str()) {
        return Ok(What::Code(format!("invert(image({}))", quoted(text))));
    }
    if path.is_dir() {
        return Ok(What::Model(text.to_owned()));
    }
    let file: PathBuf = shelf::generator(path);
    let opened = weights::open(&file, &LIMITS)?;
    if registry::find(opened.weights.list()).is_some() {
        Ok(What::Model(text.to_owned()))
    } else {
        Ok(What::Code(format!("latent({})", quoted(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Options;
    use crate::value::Models;

    #[test]
    fn a_name_is_a_generator_a_picture_or_a_code() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut state = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        let text =
            format!("save(sample(seed: 1), \"{}\", outside: true)", at("w.safetensors").display());
        let source = Source::new("test", text).unwrap();
        struct Nothing;
        impl crate::builtin::Output for Nothing {
            fn display(
                &mut self,
                _: &[crate::render::Block],
                _: &crate::value::Value,
            ) -> Result<()> {
                Ok(())
            }
            fn print(&mut self, _: &str) -> Result<()> {
                Ok(())
            }
        }
        state.run(&source, &BTreeMap::new(), &Default::default(), &mut Nothing).unwrap();
        std::fs::write(at("me.JPG"), "").unwrap();
        let said = |path: &Path| named(path).unwrap();
        assert_eq!(said(Path::new("faces")), What::Model("faces".into()));
        assert!(matches!(said(&at("w.safetensors")), What::Code(e) if e.starts_with("latent(")));
        assert!(matches!(said(&at("me.JPG")), What::Code(e) if e.starts_with("invert(image(")));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/faces");
        assert!(matches!(said(&root), What::Model(_)));
        assert_eq!(named(&at("none.pt")).unwrap_err().kind(), Kind::Usage);
    }
}
