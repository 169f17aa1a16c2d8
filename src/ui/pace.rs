//! How often a live view draws: never so often that it slows the work which it shows.

use std::time::Duration;

/// Between two frames, at least.
const FRAME: Duration = Duration::from_millis(40);
/// Between two previews, at least.
const PREVIEW: Duration = Duration::from_millis(120);
/// How many times as long as drawing kept a core busy the next drawing of its kind rests. Frames
/// without a new preview and those with one then take a hundredth of one core each, and a step,
/// which waits for the last of its cores, becomes longer by a fiftieth, 2 %, at most.
const REST: u32 = 100;

/// What a frame took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    /// Whether a new preview was made for it.
    pub preview: bool,
    /// Time of a core, for all that was done since the frame before.
    pub busy: Duration,
    /// Time until its bytes were taken, which is long when the line is slow.
    pub wrote: Duration,
}

/// How fast frames and previews may follow each other. Times are since the work began.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Time of a core that the last frame without a new preview took, and the last with one.
    busy: [Duration; 2],
    /// What the last frame took to be written.
    wrote: Duration,
    last_preview: Option<Duration>,
}

impl Pace {
    /// How long to wait before the next frame: over a slow line a frame gets a fifth of the time.
    pub(super) fn pause(&self) -> Duration {
        FRAME.max(self.wrote * 4).max(self.busy[0] * REST)
    }

    /// Whether the next frame may show a new preview.
    pub(super) fn preview_due(&self, now: Duration) -> bool {
        let rest = PREVIEW.max(self.wrote * 12).max(self.busy[1] * REST);
        self.last_preview.is_none_or(|last| now.saturating_sub(last) >= rest)
    }

    /// Takes in what a frame took, which ended `now`.
    pub(super) fn learn(&mut self, now: Duration, drawn: Drawn) {
        self.busy[usize::from(drawn.preview)] = drawn.busy;
        self.wrote = drawn.wrote;
        if drawn.preview {
            self.last_preview = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_line_gets_fewer_frames() {
        let mut pace = Pace::default();
        let frame = |wrote| Drawn { preview: false, busy: MS / 10, wrote };
        pace.learn(MS, frame(MS / 5));
        assert_eq!(pace.pause(), FRAME);
        pace.learn(2 * MS, Drawn { preview: true, ..frame(100 * MS) });
        assert_eq!(pace.pause(), 400 * MS);
        assert!(!pace.preview_due(1201 * MS) && pace.preview_due(1202 * MS));
    }

    #[test]
    fn what_is_dear_to_draw_comes_seldom() {
        let mut pace = Pace::default();
        assert!(pace.preview_due(Duration::ZERO));
        let cheap = Drawn { preview: false, busy: MS / 10, wrote: MS / 10 };
        pace.learn(50 * MS, Drawn { preview: true, busy: 15 * MS, ..cheap });
        // Frames without a preview go on, and do not shorten its rest.
        pace.learn(90 * MS, cheap);
        assert_eq!(pace.pause(), FRAME);
        assert!(!pace.preview_due(1549 * MS) && pace.preview_due(1550 * MS));
        pace.learn(130 * MS, Drawn { busy: MS, ..cheap });
        assert_eq!(pace.pause(), 100 * MS);
    }

    /// Two minutes of a view whose frames take up to `frame` of a core and its previews up to
    /// `preview`; the most that all drawings but the last of each kind had taken at any time, as a
    /// share of it, and the number of previews.
    fn share(frame: Duration, preview: Duration, seed: u64) -> (f64, usize) {
        let (mut pace, mut rng) = (Pace::default(), Rng::new(seed));
        let (mut now, mut spent, mut last, mut previews) =
            (Duration::ZERO, Duration::ZERO, [Duration::ZERO; 2], 0);
        let mut most: f64 = 0.0;
        while now < 120_000 * MS {
            let new = pace.preview_due(now);
            let busy = if new { preview } else { frame }.mul_f64(rng.uniform());
            most =
                most.max((spent - last[0] - last[1]).as_secs_f64() / now.as_secs_f64().max(1e-9));
            spent += busy;
            last[usize::from(new)] = busy;
            previews += usize::from(new);
            // Half of the frames are not taken at once.
            let wrote = busy + if rng.uniform() < 0.5 { MS } else { Duration::ZERO };
            now += wrote;
            pace.learn(now, Drawn { preview: new, busy, wrote });
            now += pace.pause();
        }
        (most, previews)
    }

    #[test]
    fn a_view_takes_the_fiftieth_part_of_a_core_at_most() {
        for (seed, (frame, preview)) in
            [(MS, 5 * MS), (10 * MS, 50 * MS), (MS / 10, 400 * MS)].into_iter().enumerate()
        {
            let (most, previews) = share(frame, preview, seed as u64);
            assert!(most <= 0.02, "{frame:?} {preview:?}: {most}");
            // It is no less alive than it may be.
            assert!(
                most > 0.004 && previews > 2,
                "{frame:?} {preview:?}: {most}, {previews} previews"
            );
        }
    }
}
