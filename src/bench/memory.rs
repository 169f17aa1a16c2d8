//! The most memory that this process had resident since a moment.

/// Forgets the peak so far; whether that worked. Linux only.
pub fn forget() -> bool {
    // 5 resets the high-water mark of the resident set: proc(5).
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The peak since [`forget`] in MiB, memory in use at that moment included; `None` where the system
/// does not report it.
pub fn peak() -> Option<f64> {
    mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmHWM` of a status file.
fn mark(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_in_mib() {
        assert_eq!(mark("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n"), Some(2.0));
        assert_eq!(mark("Name:\tx\n"), None);
        assert_eq!(mark("VmHWM:\tmany kB\n"), None);
    }

    /// The mark is the whole process's: beside other tests, which allocate and forget it too, no
    /// number would hold.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_grows_by_an_allocation_and_is_forgotten() {
        let out = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bench::memory::tests::alone", "--ignored"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "a child of the test above"]
    fn alone() {
        const MIB: usize = 64;
        let taken = |n: usize| drop(std::hint::black_box(vec![1u8; n << 20]));
        taken(1);
        if !forget() {
            return; // a sandbox that forbids it: rows then say null
        }
        let before = peak().expect("a mark");
        taken(MIB);
        let with = peak().expect("a mark");
        assert!(with - before > 0.9 * MIB as f64, "{before} {with}");
        assert!(forget());
        let after = peak().expect("a mark");
        assert!(with - after > 0.5 * MIB as f64, "{with} {after}");
    }
}
