//! The content of the live view, as data and one drawing function.

use super::chart;
use super::format;
use super::screen::{ACCENT, Colour, QUIET, themed};
use crate::control::{Progress, Stop};
use crate::render::plot::number;
use crate::render::text::printable;
use crate::safe::Safe;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use std::time::Duration;

/// Maximum number of losses kept for the curve; beyond it, every second one is dropped.
const HISTORY: usize = 4096;
/// Width of the gauge in cells.
const GAUGE: usize = 28;
/// Text before the keys that wait for the next prompt.
const NEXT: &str = " next prompt: ";

/// The state of one run as shown.
pub(super) struct View {
    title: String,
    step: usize,
    total: usize,
    losses: Vec<(&'static str, f64)>,
    history: Vec<f64>,
    /// Number of reports for each loss in the history.
    stride: usize,
    skipped: usize,
    /// Share and time of the first report: the time to load says nothing about the steps.
    first: Option<(f64, Duration)>,
    /// The share of the work that is done.
    share: f64,
    /// Time since the run began.
    pub(super) elapsed: Duration,
    /// The current request to the run.
    pub(super) stop: Stop,
    /// The keys that wait for the next prompt.
    pub(super) typed: String,
    /// Colours in use.
    pub(super) colour: Colour,
}

impl View {
    pub(super) fn new(title: &str, colour: Colour) -> Self {
        Self {
            title: Safe(title).to_string(),
            step: 0,
            total: 0,
            losses: Vec::new(),
            history: Vec::new(),
            stride: 1,
            skipped: 0,
            first: None,
            share: 0.0,
            elapsed: Duration::ZERO,
            stop: Stop::No,
            typed: String::new(),
            colour,
        }
    }

    /// Adds a report that arrived `at` after the run began. The caller reduces its preview.
    pub(super) fn take(&mut self, progress: Progress, at: Duration) {
        self.title = Safe(&progress.title).to_string();
        (self.step, self.total) = (progress.step, progress.total);
        self.share = progress.share;
        let first = self.first.get_or_insert((progress.share, at));
        if progress.share < first.0 {
            // A new loop of the same run has its own pace.
            *first = (progress.share, at);
            self.history.clear();
        }
        self.losses = progress.losses;
        if !self.losses.is_empty() {
            self.remember(self.loss());
        }
    }

    /// Whether the work has something that a stop keeps: only searches report losses, and they do
    /// so from their start on.
    pub(super) fn keeps(&self) -> bool {
        !self.losses.is_empty()
    }

    fn loss(&self) -> f64 {
        self.losses.iter().map(|l| l.1).sum()
    }

    fn remember(&mut self, loss: f64) {
        self.skipped += 1;
        if self.skipped < self.stride {
            return;
        }
        self.skipped = 0;
        self.history.push(loss);
        if self.history.len() > HISTORY {
            let mut keep = false;
            self.history.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    fn left(&self) -> Option<Duration> {
        let (from, at) = self.first?;
        format::remaining(from, self.share, self.elapsed.saturating_sub(at))
    }

    /// `7.4 s, 3.8 s left`.
    pub(super) fn times(&self) -> String {
        let left = self.left().filter(|_| self.step < self.total);
        let left = left.map_or(String::new(), |t| format!(", {} left", format::time(t)));
        format!("{}{left}", format::time(self.elapsed))
    }

    /// The loss and as many of its terms as fit into `width` columns; empty without losses.
    pub(super) fn losses(&self, width: usize) -> String {
        let terms: Vec<String> =
            self.losses.iter().map(|(n, v)| format!("{n} {}", number(*v))).collect();
        if terms.len() < 2 {
            return terms.concat();
        }
        let mut line = format!("loss {}", number(self.loss()));
        for (k, term) in terms.iter().enumerate() {
            let gap = if k == 0 { "  " } else { " " };
            if line.chars().count() + gap.len() + term.chars().count() >= width {
                break;
            }
            line += gap;
            line += term;
        }
        line
    }

    /// Steps done and total; empty before the first report.
    pub(super) fn steps(&self) -> String {
        if self.total == 0 { String::new() } else { format!("{}/{}", self.step, self.total) }
    }

    /// The run's title.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Draws title, gauge, losses and curve into an area.
    pub(super) fn text(&self, text: Rect, buffer: &mut Buffer) {
        let lines = [
            self.head(text.width),
            Line::raw(format!(" {}", self.losses(usize::from(text.width)))),
        ];
        for (y, line) in lines.iter().enumerate().take(usize::from(text.height)) {
            line.render(Rect { y: text.y + y as u16, height: 1, ..text }, buffer);
        }
        if text.height > 2 {
            Line::styled(self.last(usize::from(text.width)), self.dim())
                .render(Rect { y: text.bottom() - 1, height: 1, ..text }, buffer);
        }
        if text.height > 3 {
            let width = text.width.saturating_sub(2);
            let area = Rect { x: text.x + 1, y: text.y + 2, width, height: text.height - 3 };
            // Logarithmic, because losses fall by decades.
            chart::curve(buffer, area, &self.history, self.accent());
        }
    }

    fn head(&self, width: u16) -> Line<'static> {
        let (steps, times) = (self.steps(), self.times());
        let title = format!(" {}  ", self.title);
        let fixed = title.chars().count() + steps.len() + times.len() + 6;
        let cells = usize::from(width).saturating_sub(fixed).min(GAUGE);
        let mut spans = vec![Span::styled(title, Style::new().add_modifier(Modifier::BOLD))];
        if self.total > 0 && cells >= 4 {
            let done = (self.step.min(self.total) * cells * 2 / self.total).min(cells * 2);
            let half = if done % 2 == 1 { "╸" } else { "" };
            let full = "━".repeat(done / 2) + half;
            let rest = "─".repeat(cells - done.div_ceil(2));
            spans.push(Span::styled(full, self.accent()));
            spans.push(Span::styled(rest, self.dim()));
            spans.push(Span::raw("  "));
        }
        spans.push(Span::raw(if steps.is_empty() { times } else { format!("{steps}   {times}") }));
        Line::from(spans)
    }

    /// The last line, in `width` columns: what was typed for the next prompt, or what Ctrl-C does.
    fn last(&self, width: usize) -> String {
        if self.typed.is_empty() || self.stop != Stop::No {
            return self.advice(width).to_owned();
        }
        let typed = printable(&self.typed);
        let room = width.saturating_sub(NEXT.len());
        let cut = typed.chars().count().saturating_sub(room);
        format!("{NEXT}{}", typed.chars().skip(cut).collect::<String>())
    }

    /// What Ctrl-C does, in as many words as fit into `width` columns.
    fn advice(&self, width: usize) -> &'static str {
        let all: &[&str] = match self.stop {
            Stop::No if !self.keeps() => &[" ^C stop"],
            Stop::Keep if !self.keeps() => &[" stopping"],
            Stop::No => {
                &[" ^C stop and keep the best so far", " ^C stop, keep the best", " ^C stop"]
            }
            Stop::Keep => &[
                " stopping after this step, keeping the best · ^C again drops it",
                " stopping · ^C again drops the best",
                " stopping",
            ],
            Stop::Abort => &[" stopping, keeping nothing", " stopping"],
            Stop::Checkpoint => &[" writing a checkpoint"],
        };
        let fits = all.iter().find(|text| text.chars().count() <= width);
        fits.or(all.last()).copied().unwrap_or_default()
    }

    fn accent(&self) -> Style {
        if self.colour == Colour::None {
            Style::new()
        } else {
            Style::new().fg(Color::Indexed(themed(ACCENT)))
        }
    }

    fn dim(&self) -> Style {
        if self.colour == Colour::None {
            Style::new()
        } else {
            Style::new().fg(Color::Indexed(themed(QUIET)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn running(colour: Colour) -> View {
        let mut view = View::new("invert W+", colour);
        for step in 1..=198 {
            let losses = vec![("pixel", 1.0 / step as f64), ("perceptual", 0.0297)];
            let progress = Progress { losses, ..Progress::new("invert W+".into(), (step, 300)) };
            view.take(progress, Duration::from_millis(100 + 37 * step as u64));
        }
        view.elapsed = Duration::from_millis(100 + 37 * 198);
        view
    }

    fn screen(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|f| view.text(f.area(), f.buffer_mut())).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| {
            (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_string()
        };
        (0..height).map(row).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn as_sketched() {
        let shown = screen(&running(Colour::None), 79, 5);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            " invert W+  ━━━━━━━━━━━━━━━━━━──────────  198/300   7.4 s, 3.8 s left"
        );
        assert_eq!(lines[1], " loss 0.0348  pixel 0.0051 perceptual 0.0297");
        assert!(
            lines[2].starts_with(" █") && lines[3].starts_with(" █") && lines[3].ends_with('▁'),
            "{shown}"
        );
        assert_eq!(lines[4], " ^C stop and keep the best so far");
    }

    #[test]
    fn the_best_is_promised_once_there_is_one() {
        let mut view = View::new("invert W+", Colour::None);
        let last = |view: &View| screen(view, 79, 5).lines().last().unwrap_or_default().to_owned();
        assert_eq!(last(&view), " ^C stop");
        let mut at = |losses| {
            let title = "invert W+".into();
            let progress = Progress { losses, ..Progress::new(title, (0, 9)) };
            view.take(progress, Duration::ZERO);
            view.stop = Stop::No;
            let before = last(&view);
            view.stop = Stop::Keep;
            [before, last(&view)]
        };
        assert_eq!(at(vec![]), [" ^C stop", " stopping"]);
        let [before, after] = at(vec![("pixel", 0.5)]);
        assert_eq!(before, " ^C stop and keep the best so far");
        assert_eq!(after, " stopping after this step, keeping the best · ^C again drops it");
    }

    #[test]
    fn a_narrow_view_leaves_whole_words_out() {
        let shown = screen(&running(Colour::None), 30, 5);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((lines[1], lines[4]), (" loss 0.0348  pixel 0.0051", " ^C stop, keep the best"));
        let shown = screen(&running(Colour::None), 20, 5);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((lines[1], lines[4]), (" loss 0.0348", " ^C stop"));
    }

    #[test]
    fn typed_keys_are_echoed_in_the_last_line() {
        let mut view = running(Colour::None);
        view.typed = "r + 2*smile\nshow r".into();
        assert!(screen(&view, 40, 5).contains(" next prompt: r + 2*smile show r"));
        // Of a long line the end is shown, where the cursor would be.
        view.typed = "x".repeat(50) + "yz";
        assert!(screen(&view, 20, 5).ends_with(" next prompt: xxxxyz"), "{}", screen(&view, 20, 5));
        view.stop = Stop::Keep;
        assert!(screen(&view, 79, 5).contains("stopping after this step"));
    }

    #[test]
    fn a_stop_is_acknowledged_and_any_size_is_drawn() {
        let mut view = running(Colour::True);
        view.stop = Stop::Keep;
        assert!(screen(&view, 79, 5).contains("stopping after this step"));
        for (w, h) in [(1, 1), (2, 9), (9, 2), (200, 60), (30, 4)] {
            screen(&view, w, h);
        }
    }

    #[test]
    fn the_history_stays_bounded_and_keeps_its_ends() {
        let mut view = View::new("x", Colour::None);
        for i in 0..100_000 {
            view.remember(f64::from(i));
        }
        assert!(view.history.len() <= HISTORY && view.history.len() > HISTORY / 4);
        assert!(view.history.windows(2).all(|w| w[0] < w[1]));
        assert!(view.history[0] < 64.0 && view.history[view.history.len() - 1] > 99_900.0);
    }

    #[test]
    fn the_title_cannot_drive_the_terminal() {
        let view = View::new("a\u{1b}[2Jb", Colour::None);
        assert!(screen(&view, 40, 1).starts_with(" a\\u{1b}[2Jb"));
    }
}
