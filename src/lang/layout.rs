//! tmp
use super::span::Source; use crate::error::Result;
pub fn format(s:&Source)->Result<String>{Ok(s.text().to_owned())}
