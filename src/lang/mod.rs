//! The language: text → AST → checked program.
pub mod ast;
mod expr;
mod input;
pub mod lex;
pub mod parse;
pub mod span;
pub mod types;
