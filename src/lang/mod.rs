//! The language: text → AST → checked program.
pub mod ast;
pub mod lex;
pub mod span;
pub mod types;
