//! The frame rate of a live view, limited so that drawing does not slow the work that it shows.

use std::time::Duration;

/// Minimum time between two frames.
const FRAME: Duration = Duration::from_millis(40);
/// Minimum time between two previews.
const PREVIEW: Duration = Duration::from_millis(120);
/// Minimum rest before the next frame, as a multiple of the last frame's CPU time. Frames with a
/// new preview and those without are counted separately, so each kind takes at most a hundredth of
/// one core. A step waits for its slowest core and becomes at most 2 % longer.
const REST: u32 = 100;
/// A rest that [`REST`] does not prolong further, so that two previews a second appear where they
/// cost up to 22 ms each.
const LIVELY: Duration = Duration::from_millis(450);
/// Minimum rest after a preview that costs more: it takes at most a twentieth of one core.
const REST_LIVELY: u32 = 20;

/// Cost of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    /// Whether it shows a new preview.
    pub preview: bool,
    /// CPU time since the end of the previous frame.
    pub busy: Duration,
    /// Time until the terminal accepted its bytes; long on a slow connection.
    pub wrote: Duration,
    /// Whether the terminal will say that it has shown the preview. The next one then waits for
    /// that, and not for a multiple of the time to write this one.
    pub asked: bool,
}

/// Decides when the next frame and the next preview are due. Times count from the start of the
/// work.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// CPU time of the last frame without a new preview, and of the last with one.
    busy: [Duration; 2],
    /// Time to write the last frame.
    wrote: Duration,
    /// Whether the terminal says when it has shown a preview.
    asked: bool,
    last_preview: Option<Duration>,
}

impl Pace {
    /// Time to wait before the next frame. On a slow connection, writing takes at most a fifth of
    /// the time.
    pub(super) fn pause(&self) -> Duration {
        FRAME.max(self.wrote * 4).max(self.busy[0] * REST)
    }

    /// Whether the next frame may show a new preview.
    pub(super) fn preview_due(&self, now: Duration) -> bool {
        let written = if self.asked { Duration::ZERO } else { self.wrote * 12 };
        let busy = self.busy[1];
        let spared = (busy * REST).min(LIVELY.max(busy * REST_LIVELY));
        let rest = PREVIEW.max(written).max(spared);
        self.last_preview.is_none_or(|last| now.saturating_sub(last) >= rest)
    }

    /// Records the cost of a frame that ended at `now`.
    pub(super) fn learn(&mut self, now: Duration, drawn: Drawn) {
        self.busy[usize::from(drawn.preview)] = drawn.busy;
        self.wrote = drawn.wrote;
        if drawn.preview {
            (self.last_preview, self.asked) = (Some(now), drawn.asked);
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
        let frame = |wrote| Drawn { preview: false, busy: MS / 10, wrote, asked: false };
        pace.learn(MS, frame(MS / 5));
        assert_eq!(pace.pause(), FRAME);
        pace.learn(2 * MS, Drawn { preview: true, ..frame(100 * MS) });
        assert_eq!(pace.pause(), 400 * MS);
        assert!(!pace.preview_due(1201 * MS) && pace.preview_due(1202 * MS));
        // A terminal that says when it is ready decides itself.
        pace.learn(2000 * MS, Drawn { preview: true, asked: true, ..frame(100 * MS) });
        assert!(!pace.preview_due(2119 * MS) && pace.preview_due(2120 * MS));
    }

    #[test]
    fn what_costs_much_to_draw_is_drawn_rarely() {
        let mut pace = Pace::default();
        assert!(pace.preview_due(Duration::ZERO));
        let cheap = Drawn { preview: false, busy: MS / 10, wrote: MS / 10, asked: false };
        // The rest after previews of 4, 15 and 50 ms.
        for (busy, rest) in [(4, 400), (15, 450), (50, 1000)] {
            pace.learn(50 * MS, Drawn { preview: true, busy: busy * MS, ..cheap });
            // Frames without a preview continue and do not shorten the preview's rest.
            pace.learn(90 * MS, cheap);
            assert_eq!(pace.pause(), FRAME);
            let due = (50 + rest) * MS;
            assert!(!pace.preview_due(due - MS) && pace.preview_due(due), "{busy} ms");
        }
        pace.learn(130 * MS, Drawn { busy: MS, ..cheap });
        assert_eq!(pace.pause(), 100 * MS);
    }

    /// Simulates two minutes of a view whose frames take up to `frame` of CPU time and its previews
    /// up to `preview`. Returns the largest share of the time so far that drawing took, without the
    /// last drawing of each kind, and the number of previews.
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
            // Half of the frames are accepted with a delay.
            let wrote = busy + if rng.uniform() < 0.5 { MS } else { Duration::ZERO };
            now += wrote;
            pace.learn(now, Drawn { preview: new, busy, wrote, asked: false });
            now += pace.pause();
        }
        (most, previews)
    }

    #[test]
    fn a_view_takes_a_small_part_of_a_core() {
        for (seed, (frame, preview, limit)) in
            [(MS, 4 * MS, 0.02), (10 * MS, 50 * MS, 0.06), (MS / 10, 400 * MS, 0.06)]
                .into_iter()
                .enumerate()
        {
            let (most, previews) = share(frame, preview, seed as u64);
            assert!(most <= limit, "{frame:?} {preview:?}: {most}");
            // The view is as lively as its limits allow.
            assert!(
                most > 0.004 && previews > 2,
                "{frame:?} {preview:?}: {most}, {previews} previews"
            );
        }
    }
}
