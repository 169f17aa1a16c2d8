//! The names of a session, for colours and completion at the prompt.

use crate::builtin::Type;
use crate::builtins;
use crate::eval;
use crate::value::{Value, describe};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The names of a session.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Variables, with their types as shown.
    pub names: BTreeMap<String, String>,
    /// The types of variables that have a value.
    pub types: BTreeMap<String, Type>,
    /// The folder of the sessions' journals.
    pub sessions: Option<PathBuf>,
    /// The folder from which paths of imports lead; empty for the current one.
    pub imports: PathBuf,
    /// Functions defined in the session, with their parameters.
    pub functions: BTreeMap<String, Vec<String>>,
    /// The generator's own directions.
    pub directions: Vec<String>,
    /// The generator's spaces, for completion.
    pub spaces: Vec<crate::space::Space>,
}

impl Words {
    /// Collects the current names of a session.
    pub fn of(session: &eval::State) -> Self {
        let facts = session.model.as_ref().map(|m| &m.facts);
        let params = |d: &crate::lang::ast::Def| d.params.iter().map(|p| p.name.clone()).collect();
        Self {
            names: session.names.iter().map(|(n, v)| (n.clone(), describe::type_name(v))).collect(),
            types: session.names.iter().map(|(n, v)| (n.clone(), Value::ty(v))).collect(),
            sessions: None,
            imports: session.options.imports.folder().to_path_buf(),
            functions: session.functions.iter().map(|(n, d)| (n.clone(), params(d))).collect(),
            directions: facts.map(|f| f.directions.keys().cloned().collect()).unwrap_or_default(),
            spaces: facts.map(|f| crate::space::Space::beside(&f.spaces)).unwrap_or_default(),
        }
    }

    /// Adds a name whose value is not computed yet.
    pub fn promise(&mut self, name: &str) {
        let when = || "a value that is computed when it is used".to_owned();
        self.names.entry(name.to_owned()).or_insert_with(when);
    }

    /// Whether a function of that name can be called.
    pub(super) fn calls(&self, name: &str) -> bool {
        self.functions.contains_key(name) || builtins::find(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_resumed_session_are_known_before_they_have_values() {
        let mut words = Words::default();
        words.names.insert("b".into(), "Number".into());
        words.promise("a");
        words.promise("b");
        assert_eq!(words.names.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(words.names["b"], "Number");
    }
}
