//! `:doctor` and `gannet doctor`: findings about this terminal and machine, with repairs.

use crate::cache::{Cache, Report};
use crate::render::text::wrap;
use crate::render::{Colours, Protocol, Terminal};
use crate::safe::Safe;
use crate::store;
use crate::words;
use candle_core::Device;
use std::path::Path;

const COLUMNS: usize = 79;

/// A finding with its reason and, where needed, a repair.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// Topic of the finding.
    pub topic: &'static str,
    /// The finding and its reason.
    pub found: String,
    /// The repair; `None` when all is well.
    pub repair: Option<String>,
}

fn fine(topic: &'static str, found: impl Into<String>) -> Finding {
    Finding { topic, found: found.into(), repair: None }
}

/// The report on this terminal and machine, in lines of at most 79 columns.
pub fn report(terminal: &Terminal, device: &Device, cache: &Cache) -> Vec<String> {
    findings(terminal, device, cache).iter().flat_map(lines).collect()
}

/// The findings on this terminal and machine; `device` holds the generators.
pub fn findings(terminal: &Terminal, device: &Device, cache: &Cache) -> Vec<Finding> {
    let files = on_files().into_iter().chain([on_cache(cache)]);
    on_terminal(terminal).into_iter().chain(on_machine(device)).chain(files).collect()
}

/// A finding in lines of at most 79 columns.
pub fn lines(f: &Finding) -> Vec<String> {
    let mark = if f.repair.is_some() { "!" } else { "✓" };
    let mut out: Vec<String> =
        wrap(&f.found, COLUMNS - 17).into_iter().map(|l| format!("{:17}{l}", "")).collect();
    if let Some(first) = out.first_mut() {
        *first = format!("{mark} {:<14} {}", f.topic, first.trim_start());
    }
    let repair = f.repair.iter().flat_map(|r| wrap(&format!("try: {r}"), COLUMNS - 17));
    out.extend(repair.map(|l| format!("{:17}{l}", "")));
    out
}

fn on_terminal(t: &Terminal) -> Vec<Finding> {
    let name = if t.name.is_empty() { "unnamed".to_owned() } else { Safe(&t.name).to_string() };
    let mut out = vec![fine(
        "terminal",
        format!("{name}, {}×{} cells of {}×{} pixels", t.columns, t.rows, t.cell.0, t.cell.1),
    )];
    let mut pictures = fine("pictures", format!("{}; {}", t.summary(), t.reasons.join("; ")));
    if matches!(t.protocol, Protocol::Blocks | Protocol::None) {
        pictures.repair = Some(
            "a terminal with kitty, iTerm2 or sixel graphics shows pictures pixel by pixel; :set \
             graphics NAME asks for one, :set graphics words for a sentence about each picture"
                .into(),
        );
    }
    out.push(pictures);
    out.push(match t.round_trip {
        Some(time) => fine("line", format!("answered in {:.0} ms", time.as_secs_f64() * 1e3)),
        None => fine("line", "the terminal did not answer, so nothing was measured"),
    });
    let in_tmux = std::env::var_os("TMUX").is_some();
    out.push(colours(t.colours, in_tmux));
    if in_tmux {
        // What keeps pictures back stands with the pictures.
        out.push(fine(
            "tmux",
            if t.passthrough { "hands pictures on" } else { "hands no pictures on" },
        ));
    }
    if t.name.starts_with("Zellij") || std::env::var_os("ZELLIJ").is_some() {
        out.push(fine(
            "zellij",
            "kitty and sixel graphics from Zellij 0.45 on, where the terminal behind it has them",
        ));
    }
    if std::env::var_os("SSH_CONNECTION").is_some() {
        out.push(fine("ssh", "yes: pictures are sent in a reduced size"));
    }
    out
}

fn colours(colours: Colours, in_tmux: bool) -> Finding {
    match colours {
        Colours::True => fine("colours", "24 bits"),
        Colours::Indexed => Finding {
            repair: in_tmux.then(|| {
                "where the terminal behind tmux has 24 bits: tmux set -as terminal-features \
                 ',*:RGB', then attach again"
                    .into()
            }),
            ..fine("colours", "256")
        },
        Colours::None => fine("colours", "none (NO_COLOR, a pipe, or a terminal without)"),
    }
}

fn on_machine(device: &Device) -> Vec<Finding> {
    let features = features();
    let mut cpu = fine(
        "cpu",
        format!("{}, {}", features.join(" "), words::count(rayon::current_num_threads(), "thread")),
    );
    if cfg!(target_arch = "x86_64") && !features.contains(&"fma") {
        cpu.repair = Some("this CPU has no AVX2 and FMA: expect a tenth of the speed".into());
    }
    let gpu = match (device.is_cuda(), candle_core::utils::cuda_is_available()) {
        (true, _) => fine("gpu", "in use"),
        (false, true) => Finding {
            repair: Some("gannet --device cuda".into()),
            ..fine("gpu", "available, but not in use")
        },
        (false, false) => fine("gpu", "not used: this build has no CUDA"),
    };
    vec![cpu, gpu]
}

/// The processor features that gannet uses.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let all = [
            ("avx2", std::is_x86_feature_detected!("avx2")),
            ("fma", std::is_x86_feature_detected!("fma")),
            ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ];
        all.into_iter().filter(|f| f.1).map(|f| f.0).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    vec![std::env::consts::ARCH]
}

fn on_files() -> Vec<Finding> {
    let Some(folder) = store::state_folder() else {
        let repair = Some("set HOME or GANNET_STATE".into());
        return vec![Finding {
            repair,
            ..fine("sessions", "no folder for them: sessions are not saved")
        }];
    };
    let shown = Safe(&folder.to_string_lossy()).to_string();
    let usable = nearest(&folder)
        .is_some_and(|f| rustix::fs::access(f, rustix::fs::Access::WRITE_OK).is_ok());
    vec![if usable {
        fine("sessions", format!("kept in {shown}"))
    } else {
        Finding {
            repair: Some("make it writable, or set GANNET_STATE".into()),
            ..fine("sessions", format!("{shown} cannot be written"))
        }
    }]
}

fn on_cache(cache: &Cache) -> Finding {
    let report = match cache.report() {
        Ok(Some(report)) => report,
        Ok(None) => return fine("cache", "off: everything is computed each time"),
        Err(e) => {
            let repair = Some("name another folder: GANNET_CACHE, or --no-cache".into());
            return Finding { repair, ..fine("cache", format!("cannot be read: {e}")) };
        }
    };
    let folder = Safe(&report.folder.to_string_lossy()).to_string();
    match store::writable(&report.folder) {
        Ok(()) => fine("cache", format!("{} in {folder}", held(&report))),
        Err(e) => Finding {
            repair: Some("make it writable, or name another: GANNET_CACHE".into()),
            ..fine("cache", format!("{folder} cannot be written: {e}"))
        },
    }
}

/// `12 results, 34 MB of at most 2.0 GB`.
pub(super) fn held(report: &Report) -> String {
    let [bytes, limit] = [report.held.bytes, report.limit].map(words::bytes);
    format!("{}, {bytes} of at most {limit}", words::count(report.held.files, "result"))
}

/// The folder itself, or its nearest existing ancestor.
fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|f| f.exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::text::width;

    #[test]
    fn tmux_that_rounds_colours_has_a_repair() {
        let repair = |c, in_tmux| colours(c, in_tmux).repair;
        assert!(repair(Colours::Indexed, true).unwrap().contains("terminal-features"));
        for (c, in_tmux) in
            [(Colours::Indexed, false), (Colours::True, true), (Colours::None, true)]
        {
            assert_eq!(repair(c, in_tmux), None);
        }
    }

    #[test]
    fn every_finding_fits_and_a_plain_terminal_gets_a_repair() {
        let mut t = Terminal::plain("output is not a terminal");
        t.name = "x\u{1b}[2J".into();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path(), 1_000_000);
        let lines = report(&t, &Device::Cpu, &cache);
        assert!(lines.iter().all(|l| width(l) <= COLUMNS), "{lines:#?}");
        let text = lines.join("\n");
        assert!(
            text.contains("x\\u{1b}[2J") && text.contains("! pictures") && text.contains("try: "),
            "{text}"
        );
        assert!(text.contains("✓ cache          0 results, 0 B of at most 1 MB in"), "{text}");
        assert!(report(&t, &Device::Cpu, &Cache::default()).join("\n").contains("off: everything"));
        for topic in ["terminal", "line", "colours", "cpu", "gpu", "sessions"] {
            assert!(
                lines
                    .iter()
                    .any(|l| l[3..].trim_start().starts_with(topic)
                        || l.contains(&format!(" {topic} "))),
                "{topic}"
            );
        }
    }
}
