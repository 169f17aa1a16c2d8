//! stub
use super::ast::*;
use super::types::*;
use crate::error::*;
use std::collections::BTreeMap;
pub struct Checked {
    pub params: BTreeMap<String, Const>,
    pub types: BTreeMap<String, Type>,
}
pub fn check(_: &Program, _: &dyn World, _: &BTreeMap<String, String>) -> Result<Checked> {
    Ok(Checked { params: BTreeMap::new(), types: BTreeMap::new() })
}
pub fn numbers(from: f64, to: f64, step: Option<f64>) -> Result<Vec<f64>> {
    let s = step.unwrap_or(1.0);
    let mut v = vec![];
    let mut k = 0.0;
    while from + k * s <= to + 1e-9 {
        v.push(from + k * s);
        k += 1.0;
    }
    Ok(v)
}
pub fn moved(a: &CodeType, _: &CodeType) -> Result<CodeType> {
    Ok(a.clone())
}
pub fn bind<'a>(sig: &Signature, piped: Option<&'a Expr>, args: &'a [Arg]) -> Result<Vec<Vec<&'a Expr>>> {
    let mut out: Vec<Vec<&Expr>> = vec![vec![]; sig.params.len()];
    let mut pos = 0;
    if let Some(p) = piped {
        out[0].push(p);
        if !sig.params[0].variadic {
            pos = 1;
        }
    }
    for a in args {
        match &a.name {
            Some(n) => {
                let i = sig.params.iter().position(|p| p.name == n.name).ok_or_else(|| Error::check("no arg"))?;
                out[i].push(&a.value)
            }
            None => {
                out[pos].push(&a.value);
                if !sig.params[pos].variadic {
                    pos += 1;
                }
            }
        }
    }
    Ok(out)
}
