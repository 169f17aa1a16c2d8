//! The language: text → AST → checked program.
pub mod ast;
pub mod bind;
mod expr;
mod input;
pub mod lex;
pub mod parse;
pub mod print;
pub mod span;
pub mod suggest;
pub mod types;
