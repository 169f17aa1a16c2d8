//! Where the state of a user lives.

use std::ffi::OsString;
use std::path::PathBuf;

/// The state folder: `$GANNET_STATE`, else `$XDG_STATE_HOME/gannet`, else `~/.local/state/gannet`;
/// `None` without a home.
pub fn state_folder() -> Option<PathBuf> {
    resolve(|name| std::env::var_os(name))
}

/// Where the journals of the sessions lie.
pub fn session_folder() -> Option<PathBuf> {
    state_folder().map(|s| s.join("sessions"))
}

/// The history of what was typed, one file a user.
pub fn history_file() -> Option<PathBuf> {
    state_folder().map(|s| s.join("history"))
}

fn resolve(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("GANNET_STATE")
        // The XDG specification says that a relative path is to be ignored.
        .or_else(|| set("XDG_STATE_HOME").filter(|p| p.is_absolute()).map(|p| p.join("gannet")))
        .or_else(|| set("HOME").map(|h| h.join(".local/state/gannet")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_wins() {
        let with = |pairs: &[(&str, &str)]| {
            resolve(|name| pairs.iter().find(|p| p.0 == name).map(|p| OsString::from(p.1)))
        };
        let all = [("GANNET_STATE", "/g"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(with(&all), Some("/g".into()));
        assert_eq!(with(&all[1..]), Some("/x/gannet".into()));
        assert_eq!(with(&all[2..]), Some("/h/.local/state/gannet".into()));
        assert_eq!(
            with(&[("GANNET_STATE", ""), ("XDG_STATE_HOME", "rel"), ("HOME", "/h")]),
            Some("/h/.local/state/gannet".into())
        );
        assert_eq!(with(&[]), None);
    }
}
