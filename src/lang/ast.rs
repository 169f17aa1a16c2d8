//! The syntax tree.
/// A function definition.
#[derive(Debug)]
pub struct Def;
