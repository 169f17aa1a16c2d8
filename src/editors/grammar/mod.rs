//! Grammars for editors, made from the tables that the checker reads: keywords, built-in functions,
//! their parameters and words, spaces.
//!
//! The files below `grammar/` are what [`Editor::files`] gives; `tests/editors.rs` compares them.

mod textmate;
mod vim;
mod words;

use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use words::Words;

/// An editor that a grammar is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editor {
    /// Vim and neovim.
    Vim,
    /// Editors that read TextMate grammars.
    TextMate,
    /// Visual Studio Code: an extension with the grammar.
    VsCode,
}

/// A file that an editor reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path below the folder of the editor.
    pub path: &'static str,
    /// Its text.
    pub text: String,
}

/// A file that is written by hand, kept in the repository below `grammar/`.
macro_rules! kept {
    ($folder:literal, $path:literal) => {
        File {
            path: $path,
            text: include_str!(concat!("../../../grammar/", $folder, "/", $path)).to_owned(),
        }
    };
}

impl Editor {
    /// All editors.
    pub const ALL: [Self; 3] = [Self::Vim, Self::TextMate, Self::VsCode];

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vim => "vim",
            Self::TextMate => "textmate",
            Self::VsCode => "vscode",
        }
    }

    /// The files that it reads; the first one is the grammar.
    pub fn files(self) -> Vec<File> {
        let words = Words::of_the_language();
        match self {
            Self::Vim => vec![
                File { path: "syntax/gannet.vim", text: vim::syntax(&words) },
                kept!("vim", "ftdetect/gannet.vim"),
                kept!("vim", "ftplugin/gannet.vim"),
            ],
            Self::TextMate => {
                vec![File { path: "gannet.tmLanguage.json", text: textmate::grammar(&words) }]
            }
            Self::VsCode => vec![
                File { path: "syntaxes/gannet.tmLanguage.json", text: textmate::grammar(&words) },
                kept!("vscode", "package.json"),
                kept!("vscode", "language-configuration.json"),
                kept!("vscode", "extension.js"),
            ],
        }
    }
}

impl std::str::FromStr for Editor {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|e| e.name() == word).ok_or_else(|| {
            Error::new(Kind::Usage, format!("there is no grammar for \"{}\"", Safe(word)))
                .hint("vim, textmate or vscode")
        })
    }
}
