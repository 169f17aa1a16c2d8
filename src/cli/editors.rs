//! `gannet grammar` and `gannet lsp`.

use super::{Common, options, out, prepare};
use crate::editors::grammar::Editor;
use crate::editors::lsp;
use crate::error::{Error, Result};
use crate::eval::State;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic};
use std::io::{BufReader, stdin, stdout};
use std::path::Path;

/// The end of `grammar --help`.
pub(super) const GRAMMAR_HELP: &str = "Without --out the grammar goes to standard output. With \
    --out DIR all files of the editor are written below DIR: for vim ~/.vim, for neovim \
    ~/.config/nvim, for VS Code ~/.vscode/extensions/gannet.";

/// The end of `lsp --help`.
pub(super) const LSP_HELP: &str = "An editor starts it and talks to it on standard input and \
    output: mistakes, help, completion, layout and repairs. Paths in programs are relative to the \
    editor's folder. `gannet grammar vscode --out DIR` writes a client for VS Code.";

/// `gannet grammar`
pub(super) fn grammar(common: &Common, editor: Editor) -> Result<u8> {
    let files = editor.files();
    let Some(folder) = &common.out else {
        let grammar = files.first().map_or("", |f| f.text.as_str());
        return out(grammar.as_bytes()).map(|()| 0);
    };
    for file in files {
        let path = folder.join(file.path);
        write(&path, file.text.as_bytes())
            .map_err(|e| Error::io(format!("cannot write {}", shown(&path)), &e))?;
        out(format!("{}\n", shown(&path)).as_bytes())?;
    }
    Ok(0)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| Disk.make_folder(folder))?;
    write_atomic(&Disk, path, bytes)
}

fn shown(path: &Path) -> String {
    Safe(&path.to_string_lossy()).to_string()
}

/// `gannet lsp`
pub(super) fn serve(common: &Common) -> Result<u8> {
    let state = State::new(prepare(common)?, &common.model, options(common, true))?;
    lsp::serve(BufReader::new(stdin()), &mut stdout(), state)
}
