//! Tests that names and links cannot lead a result out of its folder.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A folder `in` that was handed over, beside `evil`, and a folder `in/real`.
fn handed() -> tempfile::TempDir {
    let all = tempfile::tempdir().unwrap();
    for folder in ["in/real", "evil/deep"] {
        fs::create_dir_all(all.path().join(folder)).unwrap();
    }
    fs::write(all.path().join("evil/kept.png"), "kept").unwrap();
    all
}

/// Every file and folder outside of `in`, with its content.
fn outside(all: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut rest) = (BTreeMap::new(), vec![all.to_path_buf()]);
    while let Some(folder) = rest.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == all.join("in") {
                continue;
            }
            if path.is_dir() {
                rest.push(path.clone());
            }
            found.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
    found
}

/// A link below `in`, where it leads, the name that is written, and whether it may be written.
const CASES: &[(&str, &str, &str, bool)] = &[
    ("", "", "a.png", true),
    ("", "", "./real/./a.png", true),
    ("", "", "new/deep/a.png", true),
    ("", "", "real/…/a.png", true),
    ("", "", "../evil/a.png", false),
    ("", "", "..", false),
    ("", "", ".", false),
    ("", "", "", false),
    ("", "", "real/../../evil/a.png", false),
    ("", "", "real/../a.png", false),
    ("", "", "/tmp/gannet-escape.png", false),
    ("", "", "real/a\0.png", false),
    ("0", "../evil", "0/a.png", false),
    ("0", "../evil", "0/deep/a.png", false),
    ("0", "../evil", "0/new/a.png", false),
    ("0", "../evil", "./0/./a.png", false),
    ("0", "../evil", "0/../a.png", false),
    ("0", "../evil/", "0/a.png", false),
    ("0", "..", "0/evil/a.png", false),
    ("0", "real", "0/a.png", false),
    ("0", ".", "0/a.png", false),
    ("0", "0", "0/a.png", false),
    ("0", "../absent", "0/a.png", false),
    ("0", "/proc/self/cwd", "0/a.png", false),
    ("0", "/proc/self/fd", "0/1", false),
    ("real/0", "../../evil", "real/0/a.png", false),
    ("a.png", "../evil/kept.png", "a.png", false),
    ("a.png", "../evil/new.png", "a.png", false),
    ("a.png", "../evil", "a.png", false),
    ("a.png", "/dev/full", "a.png", false),
    ("real/a.png", "../../evil/kept.png", "real/a.png", false),
    ("real/a.png", "a.png", "real/a.png", false),
];

#[test]
fn no_name_and_no_link_leads_out() {
    for (link, target, name, allowed) in CASES {
        for fresh in [false, true] {
            let all = handed();
            let root = all.path().join("in");
            if !link.is_empty() {
                symlink(target, root.join(link)).unwrap();
            }
            let before = outside(all.path());
            let outlet = Outlet::below(&root);
            let (checked, name) = (outlet.check(Path::new(name)), Path::new(name));
            let written =
                if fresh { outlet.create(name, b"x") } else { outlet.replace(name, b"x") };
            assert_eq!(written.is_ok(), *allowed, "{link} -> {target}, {name:?}: {written:?}");
            assert_eq!(checked.is_ok(), *allowed, "{link} -> {target}, {name:?}: {checked:?}");
            assert_eq!(outside(all.path()), before, "{link} -> {target}, {name:?} escaped");
            if let Ok(path) = written {
                assert_eq!(fs::read(path).unwrap(), b"x");
                assert_eq!(outlet.read(name, 9).unwrap(), b"x");
            }
            assert!(!Path::new("/tmp/gannet-escape.png").exists());
        }
    }
    assert!(CASES.len() >= 30);
}

#[test]
fn the_users_own_folder_may_be_a_link_and_what_is_allowed_goes_anywhere() {
    let all = handed();
    let link = all.path().join("mine");
    symlink("evil", &link).unwrap();
    Outlet::below(&link).replace(Path::new("a/b.png"), b"1").unwrap();
    assert_eq!(fs::read(all.path().join("evil/a/b.png")).unwrap(), b"1");
    let free = Outlet::anywhere(&all.path().join("in"));
    free.replace(Path::new("../evil/kept.png"), b"2").unwrap();
    assert_eq!(fs::read(all.path().join("evil/kept.png")).unwrap(), b"2");
    assert!(free.create(Path::new("../evil/kept.png"), b"3").is_err());
}

#[test]
fn a_file_in_the_place_of_a_folder_is_no_result_that_exists() {
    let all = handed();
    let file = all.path().join("evil/kept.png");
    for outlet in [Outlet::below(&file), Outlet::anywhere(&file)] {
        let e = outlet.create(Path::new("a.png"), b"x").unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::NotADirectory);
    }
    fs::write(all.path().join("in/f"), "").unwrap();
    let e = Outlet::below(&all.path().join("in")).create(Path::new("f/a.png"), b"x").unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn a_hard_link_to_a_file_elsewhere_is_replaced_not_written_through() {
    let all = handed();
    let (kept, here) = (all.path().join("evil/kept.png"), all.path().join("in/a.png"));
    fs::hard_link(&kept, &here).unwrap();
    Outlet::below(&all.path().join("in")).replace(Path::new("a.png"), b"x").unwrap();
    assert_eq!((fs::read(kept).unwrap(), fs::read(here).unwrap()), (b"kept".into(), b"x".into()));
}

#[test]
fn a_folder_that_becomes_a_link_while_it_is_written_to_leads_nowhere() {
    let all = handed();
    let root = all.path().join("in");
    let before = outside(all.path());
    let done = AtomicBool::new(false);
    let (mut written, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (real, link, away) = (root.join("real"), root.join("link"), root.join("away"));
            symlink("../evil", &link).unwrap();
            while !done.load(Ordering::Relaxed) {
                fs::rename(&real, &away).unwrap();
                fs::rename(&link, &real).unwrap();
                std::thread::yield_now();
                fs::rename(&real, &link).unwrap();
                fs::rename(&away, &real).unwrap();
            }
        });
        // As `replace`, without creating folders: `real` is missing for moments.
        let outlet = Outlet::below(&root);
        // On a busy machine the other thread may wait long for its turn.
        let deadline = Instant::now() + Duration::from_secs(60);
        for i in 0u64.. {
            if (i >= 300 && written > 0 && refused > 0) || Instant::now() > deadline {
                break;
            }
            let name = PathBuf::from(format!("real/{}.png", i % 7));
            let put = outlet
                .folder_of(&name, open_below)
                .and_then(|(folder, last)| write_atomic(&Below(folder), Path::new(last), b"x"));
            if put.is_ok() { written += 1 } else { refused += 1 }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(outside(all.path()), before);
    assert!(written > 0 && refused > 0, "{written} written, {refused} refused: no race was run");
}

#[test]
fn a_lock_or_journal_that_is_a_link_is_refused() {
    let all = handed();
    let before = outside(all.path());
    let lock = all.path().join("in/s.lock");
    symlink("../evil/new.lock", &lock).unwrap();
    assert!(crate::store::Lock::try_take(&lock).is_err());
    let journal = all.path().join("in/s.journal");
    symlink("../evil/kept.png", &journal).unwrap();
    assert!(disk::Disk.append(&journal).is_err());
    assert_eq!(outside(all.path()), before);
}

#[test]
fn a_result_that_cannot_be_written_leaves_no_new_folder() {
    // The system refuses names of that length.
    let long = format!("{}.png", "a".repeat(300));
    let top = tempfile::tempdir().unwrap();
    for outlet in [Outlet::below(top.path()), Outlet::anywhere(top.path())] {
        fs::create_dir(top.path().join("old")).unwrap();
        for folder in ["old", "new"] {
            assert!(outlet.create(&Path::new(folder).join(&long), b"x").is_err());
        }
        assert!(top.path().join("old").is_dir() && !top.path().join("new").exists());
        // A folder with a result in it stays.
        outlet.create(Path::new("new/a.png"), b"x").unwrap();
        assert!(outlet.replace(&Path::new("new").join(&long), b"x").is_err());
        assert!(top.path().join("new/a.png").is_file());
        fs::remove_dir_all(top.path().join("new")).unwrap();
        fs::remove_dir(top.path().join("old")).unwrap();
    }
}
