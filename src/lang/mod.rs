//! The language: text → AST → checked program.
pub mod ast;
pub mod check;
mod expr;
mod input;
pub mod lex;
pub mod parse;
pub mod span;
pub mod types;
