//! The layer inspector: feature maps of a layer, its channels of S, the spectrum of the picture.

use super::Explorer;
use super::panel::{accent, quiet};
use crate::image::{Filter, Raster, resize};
use crate::metric::spectrum;
use crate::render::text::cut;
use crate::safe::Safe;
use crate::session::explore::Move;
use crate::ui::chart;
use crate::ui::full::{Canvas, Image};
use crossterm::event::KeyCode;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a feature map, at least.
const MAP: u16 = 4;
/// Most feature maps at once.
const MAPS: usize = 64;
/// Rows of the channels at least and at most: a title, the bars, the cursor.
const BARS: [u16; 2] = [7, 13];
/// Standard deviations from the middle of the bars to their ends.
const DEVIATION: f64 = 4.0;
/// Columns of the picture and its spectrum, of all.
const LEFT: u16 = 3;
/// Rows that the spectrum needs, with its title.
const SPECTRUM: u16 = 5;

/// What the inspector shows.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) open: bool,
    /// Index of the layer in the generator's network.
    layer: usize,
    /// The channel of S under the cursor.
    channel: usize,
    /// The first feature map that is shown.
    first: usize,
    /// How many are shown, and in how many columns, as last drawn.
    room: (usize, usize),
    /// The spectrum of a picture, by its hash and the number of its rings.
    spectrum: Option<(u64, Vec<f64>)>,
}

impl Explorer {
    pub(super) fn open_layers(&mut self) {
        if self.model.subject.network.is_empty() {
            return self.say("this generator has no layers to look into");
        }
        let last = self.model.subject.network.len() - 1;
        self.layers.layer = self.layers.layer.min(last);
        (self.layers.open, self.playing) = (true, false);
    }

    pub(super) fn layers_key(&mut self, code: KeyCode, shift: bool) {
        let size = if shift { super::keys::FINE } else { 1.0 };
        let (layer, channel) = (self.layers.layer, self.layers.channel);
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.choose_layer(-1),
            KeyCode::Down | KeyCode::Char('j') => self.choose_layer(1),
            KeyCode::Left => self.choose_channel(-1),
            KeyCode::Right => self.choose_channel(1),
            KeyCode::Home => self.choose_channel(i64::MIN),
            KeyCode::End => self.choose_channel(i64::MAX),
            KeyCode::Char('+' | '=') => self.make(Move::Channel(layer, channel, size)),
            KeyCode::Char('-' | '_') => self.make(Move::Channel(layer, channel, -size)),
            KeyCode::Char('0') => self.make(Move::ChannelBack(layer, channel)),
            KeyCode::Char('n') => self.choose_outlier(),
            KeyCode::PageDown | KeyCode::Char(' ') => self.page_maps(true),
            KeyCode::PageUp => self.page_maps(false),
            KeyCode::Char('u') => self.undo(),
            KeyCode::Char('r') => self.make(Move::Redo),
            KeyCode::Char('s') => self.save(),
            KeyCode::Char('?') => self.help = true,
            KeyCode::Esc | KeyCode::Char('f' | 'q') => self.layers.open = false,
            _ => self.say("? explains the keys"),
        }
    }

    fn choose_layer(&mut self, by: i64) {
        let count = self.model.subject.network.len() as i64;
        self.layers.layer = (self.layers.layer as i64 + by).rem_euclid(count) as usize;
        (self.layers.channel, self.layers.first) = (0, 0);
    }

    fn choose_channel(&mut self, by: i64) {
        let last = self.styles().saturating_sub(1) as i64;
        let next = (self.layers.channel as i64).saturating_add(by).clamp(0, last);
        self.layers.channel = next as usize;
    }

    /// Goes to the channel that is next in the order of their distances from the mean.
    fn choose_outlier(&mut self) {
        let Some(all) = self.deviations() else { return self.say("not known yet") };
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|a, b| all[*b].abs().total_cmp(&all[*a].abs()));
        let at = order.iter().position(|k| *k == self.layers.channel);
        // From elsewhere to the farthest one first.
        let next = at.filter(|_| self.layers.channel != 0 || order[0] == 0).map_or(0, |k| k + 1);
        self.layers.channel = order.get(next % order.len().max(1)).copied().unwrap_or(0);
    }

    fn page_maps(&mut self, down: bool) {
        let (count, page) = (self.maps(), self.layers.room.0.max(1));
        let next =
            if down { self.layers.first + page } else { self.layers.first.saturating_sub(page) };
        if next < count {
            self.layers.first = next;
        }
    }

    /// Number of channels of S that the layer reads.
    fn styles(&self) -> usize {
        self.model.subject.network.get(self.layers.layer).map_or(0, |l| l.styles)
    }

    /// Number of feature maps of the layer.
    fn maps(&self) -> usize {
        self.model.subject.network.get(self.layers.layer).map_or(0, |l| l.maps)
    }

    /// The feature maps that are shown.
    fn shown_maps(&self) -> Range<usize> {
        let end = (self.layers.first + self.layers.room.0).min(self.maps());
        self.layers.first.min(end)..end
    }

    /// The programs that the inspector wants besides the picture.
    pub(super) fn layers_wishes(&self) -> Vec<String> {
        let (subject, now) = (&self.model.subject, self.model.now());
        let mut wishes = vec![subject.program(now)];
        wishes.extend(self.maps_program());
        if self.styles() > 0 {
            wishes.push(subject.styles(now));
            let known = self.renderer.model().is_some_and(|m| m.known_style_spread().is_some());
            wishes.extend(subject.spread().filter(|_| !known));
        }
        wishes
    }

    fn maps_program(&self) -> Option<String> {
        let maps = self.shown_maps();
        let (subject, now) = (&self.model.subject, self.model.now());
        let columns = self.layers.room.1.max(1);
        (!maps.is_empty()).then(|| subject.maps(now, self.layers.layer, &maps, columns))
    }

    /// How many standard deviations each channel of the layer is from its mean; `None` until the
    /// code and the spread are known.
    fn deviations(&self) -> Option<Vec<f64>> {
        let model = self.renderer.model()?;
        let layer = self.model.subject.network.get(self.layers.layer)?;
        let before = model.spec().styles.iter().take_while(|s| s.name != layer.name);
        let from: usize = before.map(|s| s.size).sum();
        let stats = model.known_style_spread()?;
        let answer = self.renderer.answer(&self.model.subject.styles(self.model.now()))?;
        let point = answer.code.as_ref()?.point().flatten_all().ok()?;
        let values = point.narrow(0, from, layer.styles).ok()?.to_vec1::<f32>().ok()?;
        let deviation = |(k, v): (usize, f32)| {
            let (mean, sigma) = (stats.mean[from + k], stats.sigma[from + k]);
            if sigma > 0.0 { (f64::from(v) - mean) / sigma } else { 0.0 }
        };
        Some(values.into_iter().enumerate().map(deviation).collect())
    }

    // ---- drawing

    /// Draws the inspector; `shown` is the picture.
    pub(super) fn draw_layers(
        &mut self,
        canvas: &mut Canvas<'_>,
        body: Rect,
        shown: Option<Arc<Image>>,
    ) {
        let left = (body.width / LEFT).clamp(8, 64);
        if let Some(image) = shown {
            self.room = (left, body.height.saturating_sub(SPECTRUM).max(1));
            let size = canvas.fit(image.raster(), self.room);
            canvas.live(&image, (i32::from(body.x), i32::from(body.y)), size, body);
            let y = body.y + size.1 + 1;
            let height = body.bottom().saturating_sub(y);
            self.draw_spectrum(canvas, Rect::new(body.x, y, left, height), &image);
        }
        let x = body.x + left + 2;
        let right = Rect { x, width: body.right().saturating_sub(x), ..body };
        let bars = match self.styles() {
            0 => 0,
            _ => (right.height / 4).clamp(BARS[0], BARS[1]).min(right.height / 2),
        };
        let maps = Rect { height: right.height - bars, ..right };
        self.draw_maps(canvas, maps);
        let bars = Rect { y: maps.bottom(), height: bars, ..right };
        self.draw_bars(canvas, bars);
    }

    fn draw_maps(&mut self, canvas: &mut Canvas<'_>, area: Rect) {
        let name = self.model.subject.network.get(self.layers.layer).map(|l| l.name.clone());
        let name = Safe(&name.unwrap_or_default()).to_string();
        let count = self.model.subject.network.len();
        let head = format!("{name}  layer {} of {count}", self.layers.layer + 1);
        let style = accent().add_modifier(Modifier::BOLD);
        canvas.text((area.x, area.y), &cut(&head, area.width.into()), style, area.width);
        let room = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
        self.layers.room = arranged(room, canvas.cell(), self.maps());
        let maps = self.shown_maps();
        let said = match (self.maps(), maps.len()) {
            (0, _) => "it has no feature maps of its own".to_owned(),
            (all, n) if n == all => format!("{all} feature maps, each from black to white"),
            (all, _) => format!("feature maps {}–{} of {all}", maps.start, maps.end - 1),
        };
        let y = area.bottom().saturating_sub(1);
        canvas.text((area.x, y), &cut(&said, area.width.into()), quiet(), area.width);
        let Some(program) = self.maps_program() else { return };
        let trouble = self.renderer.answer(&program).and_then(|a| a.error.clone());
        let Some(sheet) = self.sheet(&program, room, canvas.cell()) else {
            let text = trouble.map_or_else(|| "…".to_owned(), |e| e.message().to_owned());
            canvas.text((room.x, room.y), &text, quiet(), room.width);
            return;
        };
        let size = canvas.fit(sheet.raster(), (room.width, room.height));
        canvas.picture(&sheet, (i32::from(room.x), i32::from(room.y)), size, room);
    }

    /// The feature maps as one picture, its pixels as squares.
    fn sheet(&mut self, program: &str, room: Rect, cell: (u16, u16)) -> Option<Arc<Image>> {
        let raster = self.renderer.answer(program)?.picture.clone()?;
        let pixels = |cells: u16, of: u16| usize::from(cells) * usize::from(of);
        let (width, height) = (pixels(room.width, cell.0), pixels(room.height, cell.1));
        let factor = (width / raster.width).min(height / raster.height).max(1);
        let key = format!("{program}×{factor}");
        // No words: maps are no pictures of a person.
        self.pictures.of(&key, || enlarged(&raster, factor).map(Image::new))
    }

    /// The channels of S that the layer reads, as far as they fit around the cursor.
    fn draw_bars(&mut self, canvas: &mut Canvas<'_>, area: Rect) {
        if area.height < 4 {
            return;
        }
        let (count, at) = (self.styles(), self.layers.channel.min(self.styles() - 1));
        let all = self.deviations();
        let moved = self.model.now().channels.get(&(self.layers.layer, at));
        let now =
            all.as_ref().and_then(|a| a.get(at)).map_or(String::new(), |v| format!(": {v:+.1} σ"));
        let moved = moved.map_or(String::new(), |m| format!(", moved {m:+}"));
        let title = format!("S: channel {at} of {count}{now}{moved}");
        canvas.text((area.x, area.y), &cut(&title, area.width.into()), Style::new(), area.width);
        let width = usize::from(area.width);
        let first = at.saturating_sub(width / 2).min(count.saturating_sub(width));
        let window = first..(first + width).min(count);
        let bars = Rect { y: area.y + 1, height: area.height - 2, ..area };
        let layer = self.layers.layer;
        let ink = |k: usize| {
            let moved = self.model.now().channels.contains_key(&(layer, first + k));
            if first + k == at || moved { accent() } else { Style::new() }
        };
        if let Some(all) = &all {
            chart::signed(canvas.buffer, bars, &all[window.clone()], DEVIATION, &ink);
        } else {
            canvas.text((bars.x, bars.y), "…", quiet(), 1);
        }
        let (y, x) = (area.bottom() - 1, area.x + (at - first) as u16);
        canvas.text((area.x, y), &edges(&window, count, width), quiet(), area.width);
        canvas.text((x, y), "▲", accent(), 1);
    }

    fn draw_spectrum(&mut self, canvas: &mut Canvas<'_>, area: Rect, image: &Arc<Image>) {
        if area.height < SPECTRUM - 1 {
            return;
        }
        let rings = usize::from(area.width);
        let known = self.layers.spectrum.as_ref();
        if known.is_none_or(|(hash, power)| *hash != image.hash() || power.len() != rings) {
            let power = spectrum::radial(image.raster(), rings);
            // As many columns as there are, whatever the picture's size.
            let column = |x: usize| power.get(x * power.len() / rings).copied();
            self.layers.spectrum = Some((image.hash(), (0..rings).filter_map(column).collect()));
        }
        let Some((_, power)) = &self.layers.spectrum else { return };
        let (low, high) = power.iter().fold((f64::MAX, 0f64), |(l, h), p| (l.min(*p), h.max(*p)));
        let range = 10.0 * libm::log10(high.max(1e-30) / low.max(1e-30));
        let title = format!("power spectrum, {range:.0} dB");
        canvas.text((area.x, area.y), &cut(&title, rings), Style::new(), area.width);
        let plot = Rect { y: area.y + 1, height: area.height - 2, ..area };
        chart::curve(canvas.buffer, plot, power, accent());
        let y = area.bottom() - 1;
        canvas.text((area.x, y), &edges_of("0", "½ cycle a pixel", rings), quiet(), area.width);
    }
}

/// How many maps are shown, and in how many columns: as many as are worth looking at.
fn arranged(area: Rect, cell: (u16, u16), all: usize) -> (usize, usize) {
    let rows = usize::from((area.height / MAP).max(1));
    let wide = (f64::from(area.height) / rows as f64 * f64::from(cell.1)
        / f64::from(cell.0.max(1)))
    .max(1.0);
    let columns = ((f64::from(area.width) / wide) as usize).max(1);
    let count = (rows * columns).min(MAPS).min(all);
    (count, columns.min(count.max(1)))
}

fn enlarged(raster: &Raster, factor: usize) -> Option<Raster> {
    resize(raster, raster.width * factor, raster.height * factor, Filter::Area).ok()
}

/// The first and the last of the shown channels at the ends of a line.
fn edges(window: &Range<usize>, count: usize, width: usize) -> String {
    let more = |hidden: bool, sign: &str| if hidden { sign.to_owned() } else { String::new() };
    let left = more(window.start > 0, "← ") + &window.start.to_string();
    let right = window.end.saturating_sub(1).to_string() + &more(window.end < count, " →");
    edges_of(&left, &right, width.min(window.len().max(left.len() + right.len() + 1)))
}

fn edges_of(left: &str, right: &str, width: usize) -> String {
    let used = left.chars().count() + right.chars().count();
    format!("{left}{}{right}", " ".repeat(width.saturating_sub(used).max(1)))
}
