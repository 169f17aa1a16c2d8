//! The language: text → AST → checked program.
mod arith;
pub mod ast;
pub mod bind;
pub mod check;
mod checker;
mod expr;
pub mod import;
mod infer;
mod input;
pub mod layout;
pub mod lex;
pub mod parse;
pub mod print;
mod slips;
pub mod span;
pub mod suggest;
pub mod types;
