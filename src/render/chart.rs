//! Plots as lines of text, which read well in 80 columns, without colour and in ASCII.

use super::plot::{bars, number};
use super::text::cut;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::widgets::Widget;
use ratatui::widgets::canvas::{Canvas, Line, Points};

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub enum Plot {
    /// Curves over a common axis, one line each, on a logarithmic scale.
    Curves {
        /// Title above the curves.
        title: String,
        /// The curves.
        curves: Vec<Curve>,
    },
    /// How often numbers occur.
    Histogram(Histogram),
    /// Points or curves over two axes.
    Chart(Chart),
}

/// A curve of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its values, from left to right.
    pub values: Vec<f64>,
}

/// How many of some numbers lie in each of several bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// What the numbers are.
    pub name: String,
    /// The ends of the bins, one more than bins. A bin holds its lower end, the last one both.
    pub edges: Vec<f64>,
    /// Numbers in each bin.
    pub counts: Vec<usize>,
    /// The smallest number, the largest, the mean and the standard deviation (of a population).
    pub summary: [f64; 4],
}

/// Points or curves over two axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What x is.
    pub x: String,
    /// What y is.
    pub y: String,
    /// Whether y is on a logarithmic scale.
    pub log: bool,
    /// Whether neighbouring points are joined.
    pub joined: bool,
    /// The points of each series, with its name.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

/// Width of a curve of one line, in columns.
const CURVE: usize = 36;
/// Width of a curve's name, in columns.
const NAME: usize = 12;
/// Greatest width of a plot, in columns.
const WIDEST: usize = 100;
/// Smallest width of a plot, in columns; narrower windows wrap it.
const NARROWEST: usize = 30;
/// Rows of a chart between its axes.
const ROWS: usize = 14;
/// Columns between two labels of the horizontal axis.
const APART: usize = 12;
/// Most bins that are chosen without being asked for.
const BINS: usize = 30;
/// The marks of several series, which also differ without colour.
const MARKS: [char; 6] = ['o', '+', 'x', '*', '#', '%'];

impl Plot {
    /// How many numbers it holds.
    pub fn numbers(&self) -> usize {
        match self {
            Self::Curves { curves, .. } => curves.iter().map(|c| c.values.len()).sum(),
            Self::Histogram(h) => h.edges.len() + h.counts.len() + h.summary.len(),
            Self::Chart(c) => c.series.iter().map(|(_, points)| 2 * points.len()).sum(),
        }
    }

    /// The plot in at most `columns` columns.
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let columns = columns.clamp(NARROWEST, WIDEST);
        match self {
            Self::Curves { title, curves } => {
                std::iter::once(title.clone()).chain(curves.iter().map(Curve::line)).collect()
            }
            Self::Histogram(histogram) => histogram.lines(columns),
            Self::Chart(chart) => chart.lines(columns),
        }
    }

    /// What the plot shows, in sentences.
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Curves { title, curves } => {
                let ends = |c: &Curve| {
                    let [first, last] = [c.values.first(), c.values.last()].map(end);
                    format!("  {}: from {first} to {last}", c.name)
                };
                std::iter::once(title.clone()).chain(curves.iter().map(ends)).collect()
            }
            Self::Histogram(histogram) => histogram.words(),
            Self::Chart(chart) => chart.words(),
        }
    }
}

fn end(value: Option<&f64>) -> String {
    number(value.copied().unwrap_or(f64::NAN))
}

impl Curve {
    fn line(&self) -> String {
        let name = cut(&self.name, NAME);
        let [first, last] = [self.values.first(), self.values.last()].map(end);
        format!("  {name:<NAME$} {:<CURVE$} {first} → {last}", bars(&self.values, CURVE))
    }
}

impl Histogram {
    /// The histogram of these numbers, of which there is at least one, in `bins` bins of equal
    /// width. Without `bins` about as many as the rule of Freedman and Diaconis gives, with ends
    /// that are short numbers.
    ///
    /// `None` for numbers that are not finite, or farther apart than numbers can be.
    pub fn of(name: &str, values: &[f64], bins: Option<usize>) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        if !(high - low).is_finite() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().map(|v| v / n).sum::<f64>();
        let sigma = values.iter().map(|v| (v - mean).powi(2) / n).sum::<f64>().sqrt();
        let (from, step, count) = match bins {
            Some(bins) => {
                let (low, high) = if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
                (low, (high - low) / bins as f64, bins)
            }
            None => {
                let step = nearest_step(width(&sorted));
                let first = (low / step).floor();
                // A number at the end of the last bin belongs to it.
                let count = ((high / step).ceil() - first).max(1.0);
                (first * step, step, count as usize)
            }
        };
        let mut counts = vec![0; count];
        for v in values {
            let bin = ((v - from) / step + 1e-9).max(0.0) as usize;
            counts[bin.min(count - 1)] += 1;
        }
        let edges = (0..=count).map(|i| from + i as f64 * step).collect();
        Some(Self { name: name.into(), edges, counts, summary: [low, high, mean, sigma] })
    }

    fn title(&self) -> String {
        let [low, high, mean, sigma] = self.summary.map(short);
        let n: usize = self.counts.iter().sum();
        let values = if n == 1 { "value" } else { "values" };
        format!("{}: {n} {values}, {low} to {high}, mean {mean}, σ {sigma}", self.name)
    }

    fn lines(&self, columns: usize) -> Vec<String> {
        let labels = labels(&self.edges);
        let wide = labels.iter().map(String::len).max().unwrap_or(0);
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let digits = most.to_string().len();
        let room = columns.saturating_sub(2 * wide + digits + 8).max(1);
        let row = |(i, count): (usize, &usize)| {
            let bar = bar(*count as f64 / most as f64 * room as f64);
            let (from, to) = (&labels[i], &labels[i + 1]);
            let line = format!("  {from:>wide$} – {to:>wide$}  {count:>digits$} {bar}");
            line.trim_end().to_owned()
        };
        std::iter::once(self.title()).chain(self.counts.iter().enumerate().map(row)).collect()
    }

    fn words(&self) -> Vec<String> {
        let labels = labels(&self.edges);
        let row = |(i, count): (usize, &usize)| {
            format!("  from {} to {}: {count}", labels[i], labels[i + 1])
        };
        let title = format!("histogram of {}", self.title());
        std::iter::once(title).chain(self.counts.iter().enumerate().map(row)).collect()
    }
}

/// The width of bins after Freedman and Diaconis, or after Sturges where that one is smaller, as
/// numpy's `auto`; 1 for numbers that are all alike.
fn width(sorted: &[f64]) -> f64 {
    let n = sorted.len() as f64;
    let quantile = |q: f64| sorted[(q * (n - 1.0)).round() as usize];
    let range = quantile(1.0) - quantile(0.0);
    let sturges = range / (n.log2() + 1.0);
    let diaconis = 2.0 * (quantile(0.75) - quantile(0.25)) / n.cbrt();
    let width = if diaconis > 0.0 { sturges.min(diaconis) } else { sturges };
    if width > 0.0 { width.max(range / BINS as f64) } else { 1.0 }
}

/// The step of 1, 2, 2.5 or 5 times a power of ten that is next to this one, from above.
fn short_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor()).max(f64::MIN_POSITIVE);
    let fits = [1.0, 2.0, 2.5, 5.0].into_iter().find(|m| m * power >= step * (1.0 - 1e-9));
    fits.unwrap_or(10.0) * power
}

/// As [`short_step`], from above or below.
fn nearest_step(step: f64) -> f64 {
    let above = short_step(step);
    let below = short_step(above * 0.45);
    if step * step < above * below { below } else { above }
}

/// Numbers at equal distances, with as many digits as they differ by.
fn labels(values: &[f64]) -> Vec<String> {
    let step = values.windows(2).map(|p| p[1] - p[0]).next().unwrap_or(1.0).abs();
    let most = values.iter().fold(0f64, |m, v| m.max(v.abs()));
    if !(1e-4..1e7).contains(&most.max(step)) {
        return values.iter().map(|v| format!("{v:.2e}")).collect();
    }
    let exact = |digits: usize| {
        let shown = |v: f64| format!("{v:.digits$}").parse().unwrap_or(f64::NAN);
        values.iter().all(|v| (shown(*v) - v).abs() < step * 0.01)
    };
    let digits = (0..8).find(|d| exact(*d)).unwrap_or(8);
    let shown = |v: &f64| {
        let text = format!("{v:.digits$}");
        // Rounding can leave a minus before zero.
        if text.parse() == Ok(0.0) { text.trim_start_matches('-').to_owned() } else { text }
    };
    values.iter().map(shown).collect()
}

/// A number with four significant digits, without zeros at the end.
fn short(v: f64) -> String {
    if !(1e-3..1e6).contains(&v.abs()) {
        return number(v);
    }
    let digits = (3.0 - v.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{v:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A horizontal bar of so many columns; what is not zero is seen.
fn bar(columns: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (columns * 8.0).round() as usize;
    let eighths = if columns > 0.0 { eighths.max(1) } else { 0 };
    let rest = EIGHTHS[eighths % 8];
    "█".repeat(eighths / 8) + rest.to_string().trim_end()
}

/// An axis: its ends and its labelled places.
struct Axis {
    ends: [f64; 2],
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over these numbers with about `count` labels at short numbers.
    fn over(values: impl Iterator<Item = f64>, count: usize) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let least = (low.abs().max(high.abs()) * 1e-9).max(f64::MIN_POSITIVE * 1e9);
        let step = match high - low {
            range if range > least => short_step(range / count.max(1) as f64),
            // All values are alike.
            _ if low == 0.0 => 1.0,
            _ => short_step(low.abs() / 10.0),
        };
        let first = (low / step + 1e-9).floor();
        let last = (high / step - 1e-9).ceil().max(first + 1.0);
        let places: Vec<f64> =
            (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect();
        let ends = [first * step, last * step];
        let ticks = places.iter().copied().zip(labels(&places)).collect();
        Self { ends, ticks }
    }

    /// As [`over`](Self::over), for the decimal logarithms of numbers: labels at powers of ten, or
    /// also at two and five times them over a small range.
    fn of_logarithms(values: impl Iterator<Item = f64>) -> Self {
        let Self { ends: [low, high], .. } = Self::over(values, 3);
        let decades = high - low;
        let between: &[f64] = if decades < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let step = (decades / 5.0).ceil().max(1.0) as usize;
        let powers = (low.floor() as i32..=high.ceil() as i32).step_by(step);
        let place = |k: i32, m: &f64| (f64::from(k) + m.log10(), short(m * 10f64.powi(k)));
        let all = powers.flat_map(|k| between.iter().map(move |m| place(k, m)));
        let ticks = all.filter(|(v, _)| (low..=high).contains(v)).collect();
        Self { ends: [low, high], ticks }
    }

    /// The place of a value on `cells` cells.
    fn place(&self, value: f64, cells: usize) -> usize {
        let [low, high] = self.ends;
        ((value - low) / (high - low) * (cells - 1) as f64).round().max(0.0) as usize
    }
}

impl Chart {
    /// Its points as they are drawn: on a logarithmic scale only positive ones have a place.
    fn drawn(&self) -> Vec<Vec<(f64, f64)>> {
        let scaled = |&(x, y): &(f64, f64)| {
            let y = if self.log { y.log10() } else { y };
            (x.is_finite() && y.is_finite()).then_some((x, y))
        };
        self.series.iter().map(|(_, points)| points.iter().filter_map(scaled).collect()).collect()
    }

    fn lines(&self, columns: usize) -> Vec<String> {
        let drawn = self.drawn();
        let points = || drawn.iter().flatten();
        let heights = points().map(|p| p.1);
        let y = if self.log { Axis::of_logarithms(heights) } else { Axis::over(heights, 4) };
        let left = y.ticks.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
        let wide = columns.saturating_sub(left + 4).max(8);
        let x = Axis::over(points().map(|p| p.0), (wide / APART).max(2));
        let mut lines = vec![self.title(&drawn)];
        lines.extend(self.legend());
        let rows = canvas(&drawn, self.joined, [&x, &y], wide);
        for (row, text) in rows.iter().enumerate() {
            let tick = y.ticks.iter().find(|(v, _)| y.place(*v, ROWS) == ROWS - 1 - row);
            let (label, mark) = tick.map_or(("", '│'), |(_, label)| (label.as_str(), '┤'));
            lines.push(format!("  {label:>left$} {mark}{text}").trim_end().to_owned());
        }
        lines.extend(below(&x, left + 3, wide));
        lines
    }

    /// What is drawn, and of points how x and y go together.
    fn title(&self, drawn: &[Vec<(f64, f64)>]) -> String {
        let n: usize = drawn.iter().map(Vec::len).sum();
        let scale = if self.log { ", logarithmic" } else { "" };
        let what = format!("{} over {}{scale}: {n} points", self.y, self.x);
        match (self.joined, drawn) {
            (false, [points]) => {
                let r = correlation(points).map(|r| format!(", correlation {r:.2}"));
                what + &r.unwrap_or_default()
            }
            _ => what,
        }
    }

    /// The names of several series with their marks.
    fn legend(&self) -> Option<String> {
        let named = |(i, (name, _)): (usize, &(String, _))| format!("{} {name}", mark(i));
        let all: Vec<String> = self.series.iter().enumerate().map(named).collect();
        (all.len() > 1).then(|| format!("  {}", all.join("   ")))
    }

    fn words(&self) -> Vec<String> {
        let kind = if self.joined { "curve" } else { "scatter plot" };
        let mut lines = vec![format!("{kind}: {}", self.title(&self.drawn()))];
        for (name, points) in self.series.iter().filter(|s| !s.1.is_empty()) {
            let span = |of: fn(&(f64, f64)) -> f64| {
                let ends = |(l, h): (f64, f64), v: f64| (l.min(v), h.max(v));
                let (low, high) = points.iter().map(of).fold((f64::MAX, f64::MIN), ends);
                format!("from {} to {}", short(low), short(high))
            };
            let name = if self.series.len() > 1 { format!("{name}: ") } else { String::new() };
            let (x, y) = (span(|p| p.0), span(|p| p.1));
            lines.push(format!("  {name}{} {x}, {} {y}", self.x, self.y));
            if let (true, [first, .., last]) = (self.joined, &points[..]) {
                let [first, last] = [first.1, last.1].map(short);
                lines.push(format!("  it begins at {first} and ends at {last}"));
            }
        }
        lines
    }
}

fn mark(series: usize) -> char {
    MARKS[series % MARKS.len()]
}

/// The rows of a chart's inside.
fn canvas(series: &[Vec<(f64, f64)>], joined: bool, axes: [&Axis; 2], wide: usize) -> Vec<String> {
    let area = Rect::new(0, 0, u16::try_from(wide).unwrap_or(u16::MAX), ROWS as u16);
    let mut buffer = Buffer::empty(area);
    let [x, y] = axes.map(|a| a.ends);
    let paint = |ctx: &mut ratatui::widgets::canvas::Context<'_>| {
        for (i, points) in series.iter().enumerate() {
            let alone = series.len() == 1;
            ctx.marker(if alone { Marker::Braille } else { Marker::Custom(mark(i)) });
            ctx.draw(&Points { coords: points, color: Color::Reset });
            for pair in points.windows(2).filter(|_| joined) {
                let [(x1, y1), (x2, y2)] = [pair[0], pair[1]];
                ctx.draw(&Line { x1, y1, x2, y2, color: Color::Reset });
            }
        }
    };
    Canvas::default().x_bounds(x).y_bounds(y).paint(paint).render(area, &mut buffer);
    let row = |y: u16| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..area.height).map(|y| row(y).replace('\u{2800}', " ")).collect()
}

/// The horizontal axis and its labels, each below its place.
fn below(x: &Axis, indent: usize, wide: usize) -> [String; 2] {
    let mut line = vec!['─'; wide];
    let mut text = String::new();
    for (value, label) in &x.ticks {
        let place = x.place(*value, wide).min(wide - 1);
        line[place] = '┬';
        // Below the middle of the label, as far as it stays inside.
        let at = place.saturating_sub(label.len() / 2).min(wide.saturating_sub(label.len()));
        if text.is_empty() || at > text.len() {
            text.push_str(&" ".repeat(at.saturating_sub(text.len())));
            text.push_str(label);
        }
    }
    let line: String = line.into_iter().collect();
    let pad = " ".repeat(indent);
    [format!("{pad}└{line}"), format!("{pad} {text}")]
}

/// Pearson's correlation; `None` where x or y does not change.
fn correlation(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
        xy += (x - mx) * (y - my);
    }
    let r = xy / (xx * yy).sqrt();
    r.is_finite().then_some(r)
}

#[cfg(test)]
mod tests {
    use super::super::text::width as columns_of;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn curves_have_their_ends_in_numbers() {
        let curve = Curve { name: "l2".into(), values: vec![1.0, 0.5, 0.25] };
        let plot = Plot::Curves { title: "loss".into(), curves: vec![curve] };
        let lines = plot.lines(79);
        assert_eq!(lines[0], "loss");
        assert!(lines[1].starts_with("  l2 ") && lines[1].ends_with("1.0000 → 0.2500"));
        assert_eq!(plot.words()[1], "  l2: from 1.0000 to 0.2500");
    }

    #[test]
    fn bins_end_at_short_numbers_or_where_they_are_asked_for() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 10) + 0.5).collect();
        let h = Histogram::of("a", &values, None).unwrap();
        assert_eq!((h.edges[0], *h.edges.last().unwrap()), (0.0, 10.0));
        assert_eq!(h.counts.iter().sum::<usize>(), 100);
        // As numpy.histogram([1, 2, 2, 4], bins=3): half open, the last one closed.
        let h = Histogram::of("a", &[1.0, 2.0, 2.0, 4.0], Some(3)).unwrap();
        assert_eq!((h.counts, h.edges), (vec![1, 2, 1], vec![1.0, 2.0, 3.0, 4.0]));
        let h = Histogram::of("a", &[3.0, 3.0], None).unwrap();
        assert_eq!((h.counts, h.edges), (vec![2], vec![3.0, 4.0]));
        assert_eq!(Histogram::of("a", &[3.0], Some(2)).unwrap().counts, [0, 1]);
        for bad in [&[][..], &[f64::NAN], &[f64::INFINITY, 0.0], &[f64::MAX, f64::MIN]] {
            assert!(Histogram::of("a", bad, None).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_histogram_reads_from_top_to_bottom() {
        let h = Histogram::of("age", &[1.0, 2.0, 2.0, 4.0], Some(3)).unwrap();
        let lines = Plot::Histogram(h.clone()).lines(30);
        assert_eq!(lines[0], "age: 4 values, 1 to 4, mean 2.25, σ 1.09");
        assert_eq!(lines[1], "  1 – 2  1 █████████▌");
        assert_eq!(lines[2], "  2 – 3  2 ███████████████████");
        assert_eq!(Plot::Histogram(h).words()[2], "  from 2 to 3: 2");
    }

    #[test]
    fn a_chart_has_its_points_at_their_places() {
        let points = vec![(0.0, 0.0), (10.0, 100.0)];
        let chart = Chart {
            x: "steps".into(),
            y: "psnr".into(),
            series: vec![(String::new(), points)],
            ..Chart::default()
        };
        let lines = Plot::Chart(chart.clone()).lines(60);
        assert_eq!(lines[0], "psnr over steps: 2 points, correlation 1.00");
        assert_eq!(lines.len(), 1 + ROWS + 2, "{lines:#?}");
        assert!(lines[1].starts_with("  100 ┤") && lines[ROWS].starts_with("    0 ┤"));
        // The upper right dot of the last column and the lower left one of the first.
        assert!(lines[1].ends_with('⠈') && lines[ROWS].ends_with("┤⡀"), "{lines:#?}");
        let labels: Vec<&str> = lines[ROWS + 2].split_whitespace().collect();
        assert_eq!(labels, ["0.0", "2.5", "5.0", "7.5", "10.0"]);
        let log =
            Chart { log: true, series: vec![("a".into(), vec![(0.0, 1.0), (1.0, 1e-3)])], ..chart };
        let lines = Plot::Chart(log).lines(60);
        assert!(lines[1].trim_start().starts_with("1 ┤"), "{lines:#?}");
        assert!(lines[ROWS].trim_start().starts_with("0.001 ┤"), "{lines:#?}");
    }

    #[test]
    fn several_series_have_marks_of_their_own() {
        let series = |name: &str, y: f64| (name.to_owned(), vec![(0.0, y), (1.0, y)]);
        let chart = Chart {
            series: vec![series("a", 0.0), series("b", 1.0)],
            joined: true,
            ..Chart::default()
        };
        let lines = Plot::Chart(chart).lines(40);
        assert_eq!(lines[1], "  o a   + b");
        assert!(lines[2].contains("++++") && lines[1 + ROWS].contains("oooo"), "{lines:#?}");
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let value = prop_oneof![-1e3..1e3, Just(0.0), Just(1e-300), Just(-1e300), Just(7.0)];
        proptest::collection::vec((value.clone(), value), 0..20)
    }

    proptest! {
        #[test]
        fn any_numbers_fit_any_width(points in points(), columns in 0usize..200, log: bool, joined: bool) {
            let ys: Vec<f64> = points.iter().map(|p| p.1).collect();
            let chart = Chart { series: vec![(String::new(), points)], log, joined, x: "x".into(), y: "y".into() };
            let histogram = Histogram::of("y", &ys, None).map(Plot::Histogram);
            for plot in histogram.into_iter().chain([Plot::Chart(chart)]) {
                let room = columns.max(80);
                for line in plot.lines(room) {
                    prop_assert!(columns_of(&line) <= room, "{line}");
                }
                plot.lines(columns);
                plot.words();
            }
        }
    }
}
