//! Locations of a user's state and models.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The state folder: `$GANNET_STATE`, else `$XDG_STATE_HOME/gannet`, else `~/.local/state/gannet`;
/// `None` without a home.
pub fn state_folder() -> Option<PathBuf> {
    resolve(|name| std::env::var_os(name))
}

/// The config folder: `$GANNET_CONFIG`, else `$XDG_CONFIG_HOME/gannet`, else `~/.config/gannet`;
/// `None` without a home.
pub fn config_folder() -> Option<PathBuf> {
    own("GANNET_CONFIG", "XDG_CONFIG_HOME", ".config/gannet", |name| std::env::var_os(name))
}

/// Folder of what can be computed again: `$GANNET_CACHE`, else `cache` in `$GANNET_STATE` where that
/// is set, else `$XDG_CACHE_HOME/gannet`, else `~/.cache/gannet`; `None` without a home, and where
/// `$GANNET_CACHE` is `off`.
pub fn cache_folder() -> Option<PathBuf> {
    cache(|name| std::env::var_os(name))
}

fn cache(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let beside =
        var("GANNET_STATE").filter(|v| !v.is_empty()).map(|s| PathBuf::from(s).join("cache"));
    let set = var("GANNET_CACHE").filter(|v| !v.is_empty());
    match beside.filter(|_| set.is_none()) {
        _ if set.as_ref().is_some_and(|v| v == "off") => None,
        Some(beside) => Some(beside),
        None => own("GANNET_CACHE", "XDG_CACHE_HOME", ".cache/gannet", var),
    }
}

/// Folder of the sessions' journals.
pub fn session_folder() -> Option<PathBuf> {
    state_folder().map(|s| s.join("sessions"))
}

/// The history of what was typed, one file a user.
pub fn history_file() -> Option<PathBuf> {
    state_folder().map(|s| s.join("history"))
}

/// Folders in which a user keeps models, the one that new files go to first: those of
/// `$GANNET_MODELS` (a list as `$PATH` is); else `$XDG_DATA_HOME/gannet/models`, or
/// `~/.local/share/gannet/models`, and `models` in the folder that gannet was started in.
pub fn model_folders() -> Vec<PathBuf> {
    folders(|name| std::env::var_os(name))
}

fn folders(var: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| var(name).filter(|v| !v.is_empty());
    if let Some(list) = set("GANNET_MODELS") {
        let named = std::env::split_paths(&list).filter(|p| !p.as_os_str().is_empty());
        return named.collect();
    }
    let data = set("XDG_DATA_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let data = data.or_else(|| set("HOME").map(|h| PathBuf::from(h).join(".local/share")));
    data.map(|d| d.join("gannet/models")).into_iter().chain([PathBuf::from("models")]).collect()
}

/// Checks that files can be made in a folder, or the folder in its nearest existing parent, without
/// creating anything.
///
/// # Errors
/// The I/O error when it is not writable.
pub fn writable(folder: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    let found =
        folder.ancestors().map(|f| if f.as_os_str().is_empty() { Path::new(".") } else { f });
    for folder in found {
        match std::fs::metadata(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
            Ok(m) if !m.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            Ok(_) => return Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn resolve(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    own("GANNET_STATE", "XDG_STATE_HOME", ".local/state/gannet", var)
}

/// The folder that one variable names, else `gannet` in that of the other, else a folder at home.
fn own(
    ours: &str,
    xdg: &str,
    at_home: &str,
    var: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set(ours)
        // The XDG specification says that a relative path is to be ignored.
        .or_else(|| set(xdg).filter(|p| p.is_absolute()).map(|p| p.join("gannet")))
        .or_else(|| set("HOME").map(|h| h.join(at_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_made_is_writable_and_one_in_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        writable(folder.path()).unwrap();
        writable(&folder.path().join("new/deep")).unwrap();
        assert!(!folder.path().join("new").exists());
        for wrong in [file.clone(), file.join("new")] {
            assert!(writable(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn models_are_looked_for_where_the_user_says() {
        let with = |pairs: &[(&str, &str)]| {
            folders(|name| pairs.iter().find(|p| p.0 == name).map(|p| OsString::from(p.1)))
        };
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(with(&[("GANNET_MODELS", "/a:/b"), ("HOME", "/h")]), paths(&["/a", "/b"]));
        let home = paths(&["/h/.local/share/gannet/models", "models"]);
        assert_eq!(with(&[("GANNET_MODELS", ""), ("HOME", "/h")]), home);
        let data = paths(&["/d/gannet/models", "models"]);
        assert_eq!(with(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]), data);
        assert_eq!(with(&[]), paths(&["models"]));
    }

    #[test]
    fn the_cache_lies_beside_a_state_that_was_moved() {
        let with = |pairs: &[(&str, &str)]| {
            cache(|name| pairs.iter().find(|p| p.0 == name).map(|p| OsString::from(p.1)))
        };
        let all = [
            ("GANNET_CACHE", "/c"),
            ("GANNET_STATE", "/s"),
            ("XDG_CACHE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        for (from, place) in ["/c", "/s/cache", "/x/gannet", "/h/.cache/gannet"].iter().enumerate()
        {
            assert_eq!(with(&all[from..]), Some(place.into()));
        }
        assert_eq!(with(&[("GANNET_STATE", "")]), None);
        assert_eq!(with(&[("GANNET_CACHE", "off"), ("HOME", "/h")]), None);
    }

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
