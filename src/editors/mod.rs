//! For editors: grammars that colour programs, and a language server.

pub mod grammar;
pub mod lsp;
