//! The language: text → AST → checked program.
pub mod ast;
pub mod types;
