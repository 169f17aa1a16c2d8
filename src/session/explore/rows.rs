//! The settings as rows of a panel: what there is to change, and how a key changes it.

use super::point::{LAST, Noise, Pin, Point, Walk, tidy};
use super::subject::Subject;
use crate::safe::Safe;

/// Change of a channel of S by one key press, in standard deviations.
const CHANNEL: f64 = 0.5;
/// The largest move of a channel.
const FARTHEST: f64 = 20.0;

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// The slider of that direction.
    Axis(usize),
    /// A channel of S: layer and channel.
    Channel(usize, usize),
    /// The code at the beginning of the walk.
    Seed,
    /// The part of the way to the next code.
    At,
    /// Truncation.
    Psi,
    /// Number of layers that are truncated.
    Cutoff,
    /// The class of sampled codes.
    Class,
    /// The noise.
    Noise,
    /// The seed of the second code of style mixing.
    Second,
    /// The layers that come from it.
    Mixed,
    /// Rotation (StyleGAN3).
    Rotate,
    /// Shift to the right (StyleGAN3).
    ShiftX,
    /// Shift down (StyleGAN3).
    ShiftY,
    /// Camera around the vertical axis (EG3D).
    Yaw,
    /// Camera around the horizontal axis (EG3D).
    Pitch,
}

impl Subject {
    /// The settings that there are at a point, in the order of the panel: of the channels of S
    /// those that are moved.
    pub fn rows(&self, p: &Point) -> Vec<Row> {
        let mut all: Vec<Row> = (0..self.axes.len()).map(Row::Axis).collect();
        all.extend(p.channels.keys().map(|(layer, channel)| Row::Channel(*layer, *channel)));
        all.extend([Row::Seed, Row::At]);
        let layers = self.layers > 1;
        for (row, there) in [
            (Row::Psi, self.psi),
            (Row::Cutoff, self.psi && layers),
            (Row::Class, self.classes > 0),
            (Row::Noise, self.noise),
            (Row::Second, layers),
            (Row::Mixed, layers),
            (Row::Rotate, self.transform),
            (Row::ShiftX, self.transform),
            (Row::ShiftY, self.transform),
            (Row::Yaw, self.camera),
            (Row::Pitch, self.camera),
        ] {
            if there {
                all.push(row);
            }
        }
        all
    }

    /// Changes a setting by `steps` key presses; a slider also by parts of one.
    pub fn change(&self, p: &mut Point, row: Row, steps: f64) {
        let whole = if steps < 0.0 { steps.floor() } else { steps.ceil() } as i64;
        // The map leads beyond the ends of a slider; a key goes on from there.
        let number = |v: f64, step: f64, most: f64| {
            let most = most.max(v.abs());
            tidy(v + step * steps).clamp(-most, most)
        };
        match row {
            Row::Axis(i) => {
                let (Some(axis), Some(slider)) = (self.axes.get(i), p.sliders.get_mut(i)) else {
                    return;
                };
                slider.amount = number(slider.amount, axis.step, axis.reach);
            }
            Row::Channel(layer, channel) => {
                let now = p.channels.get(&(layer, channel)).copied().unwrap_or(0.0);
                set_channel(p, (layer, channel), number(now, CHANNEL, FARTHEST));
            }
            Row::Seed => self.change_seed(p, whole),
            Row::At => p.stroll(0.05 * steps),
            Row::Psi => p.psi = number(p.psi, 0.05, 2.0),
            Row::Cutoff => {
                let now = p.cutoff.unwrap_or(self.layers) as i64;
                let next = (now + whole).clamp(0, self.layers as i64) as usize;
                p.cutoff = (next < self.layers).then_some(next);
            }
            Row::Class => {
                let last = self.classes.saturating_sub(1) as i64;
                p.class = (p.class as i64).saturating_add(whole).clamp(0, last) as usize;
            }
            Row::Noise => p.noise = noise(p.noise, whole),
            Row::Second => p.second = moved(p.second, whole),
            Row::Mixed => {}
            Row::Rotate => p.rotate = number(p.rotate, 5.0, 360.0),
            Row::ShiftX => p.shift[0] = number(p.shift[0], 0.02, 2.0),
            Row::ShiftY => p.shift[1] = number(p.shift[1], 0.02, 2.0),
            Row::Yaw => p.yaw = number(p.yaw, 5.0, 180.0),
            Row::Pitch => p.pitch = number(p.pitch, 5.0, 85.0),
        }
    }

    /// Below seed 0 is the code that the exploration began with, where there is one.
    fn change_seed(&self, p: &mut Point, by: i64) {
        p.at = 0.0;
        p.from = match (p.from, &self.given) {
            (Pin::Given, _) if by > 0 => Pin::Seed(moved(0, by - 1)),
            (Pin::Given, Some(_)) => Pin::Given,
            (Pin::Given, None) => Pin::Seed(0),
            (Pin::Seed(seed), Some(_)) if by.unsigned_abs() > seed && by < 0 => Pin::Given,
            (Pin::Seed(seed), _) => Pin::Seed(moved(seed, by)),
        };
    }

    /// Sets a setting to its beginning.
    pub fn reset(&self, p: &mut Point, row: Row) {
        let begin = Point::new(self.first(), self.axes.len(), self.layers);
        match row {
            Row::Axis(i) => {
                if let Some(slider) = p.sliders.get_mut(i) {
                    *slider = Default::default();
                }
            }
            Row::Channel(layer, channel) => set_channel(p, (layer, channel), 0.0),
            Row::Seed => (p.from, p.at) = (begin.from, 0.0),
            Row::At => p.at = 0.0,
            Row::Psi => p.psi = begin.psi,
            Row::Cutoff => p.cutoff = begin.cutoff,
            Row::Class => p.class = begin.class,
            Row::Noise => p.noise = begin.noise,
            Row::Second => p.second = begin.second,
            Row::Mixed => p.mixed = begin.mixed,
            Row::Rotate => p.rotate = begin.rotate,
            Row::ShiftX => p.shift[0] = 0.0,
            Row::ShiftY => p.shift[1] = 0.0,
            Row::Yaw => p.yaw = 0.0,
            Row::Pitch => p.pitch = 0.0,
        }
    }

    /// The code that the exploration begins with.
    pub fn first(&self) -> Pin {
        if self.given.is_some() { Pin::Given } else { Pin::Seed(0) }
    }

    /// The position of a row's knob on its track, in [0, 1]; `None` for a row without a track.
    pub fn knob(&self, p: &Point, row: Row) -> Option<f64> {
        let of = |v: f64, from: f64, to: f64| Some(((v - from) / (to - from)).clamp(0.0, 1.0));
        match row {
            Row::Axis(i) => {
                let (axis, slider) = (self.axes.get(i)?, p.sliders.get(i)?);
                of(slider.amount, -axis.reach, axis.reach)
            }
            Row::Channel(layer, channel) => {
                of(*p.channels.get(&(layer, channel))?, -FARTHEST, FARTHEST)
            }
            Row::At => of(p.at, 0.0, 1.0),
            Row::Psi => of(p.psi, 0.0, 1.0),
            Row::Cutoff => of(p.cutoff.unwrap_or(self.layers) as f64, 0.0, self.layers as f64),
            Row::Class => of(p.class as f64, 0.0, self.classes.saturating_sub(1).max(1) as f64),
            Row::Rotate => of(p.rotate, -180.0, 180.0),
            Row::ShiftX => of(p.shift[0], -0.5, 0.5),
            Row::ShiftY => of(p.shift[1], -0.5, 0.5),
            Row::Yaw => of(p.yaw, -60.0, 60.0),
            Row::Pitch => of(p.pitch, -45.0, 45.0),
            Row::Seed | Row::Noise | Row::Second | Row::Mixed => None,
        }
    }

    /// Puts a row's knob at a position of its track, in [0, 1], on the nearest step.
    pub fn drag(&self, p: &mut Point, row: Row, to: f64) {
        let at = |from: f64, end: f64, step: f64| {
            let v = from + (end - from) * to.clamp(0.0, 1.0);
            tidy((v / step).round() * step)
        };
        match row {
            Row::Axis(i) => {
                let (Some(axis), Some(slider)) = (self.axes.get(i), p.sliders.get_mut(i)) else {
                    return;
                };
                slider.amount = at(-axis.reach, axis.reach, axis.step / 5.0);
            }
            Row::Channel(layer, channel) => {
                set_channel(p, (layer, channel), at(-FARTHEST, FARTHEST, CHANNEL));
            }
            Row::At => p.at = at(0.0, 0.99, 0.01),
            Row::Psi => p.psi = at(0.0, 1.0, 0.05),
            Row::Cutoff => {
                let layers = at(0.0, self.layers as f64, 1.0) as usize;
                p.cutoff = (layers < self.layers).then_some(layers);
            }
            Row::Class => p.class = at(0.0, self.classes.saturating_sub(1) as f64, 1.0) as usize,
            Row::Rotate => p.rotate = at(-180.0, 180.0, 5.0),
            Row::ShiftX => p.shift[0] = at(-0.5, 0.5, 0.02),
            Row::ShiftY => p.shift[1] = at(-0.5, 0.5, 0.02),
            Row::Yaw => p.yaw = at(-60.0, 60.0, 5.0),
            Row::Pitch => p.pitch = at(-45.0, 45.0, 5.0),
            Row::Seed | Row::Noise | Row::Second | Row::Mixed => {}
        }
    }

    /// A row's name and value, as shown.
    pub fn shown(&self, p: &Point, row: Row) -> (String, String) {
        let (name, value) = match row {
            Row::Axis(i) => {
                let Some((axis, slider)) = self.axes.get(i).zip(p.sliders.get(i)) else {
                    return Default::default();
                };
                return (axis.label.clone(), signed(slider.amount, axis.unit));
            }
            Row::Channel(layer, channel) => {
                let name = self.network.get(layer).map_or("", |l| l.name.as_str());
                let amount = p.channels.get(&(layer, channel)).copied().unwrap_or(0.0);
                return (format!("{} {channel}", Safe(name)), signed(amount, "σ"));
            }
            Row::Seed => ("seed", pin(p.from)),
            Row::At => ("walk", format!("{:.2} to {}", p.at, pin(p.next()))),
            Row::Psi => ("psi", format!("{:.2}", p.psi)),
            Row::Cutoff => {
                let all = || "all layers".to_owned();
                ("cutoff", p.cutoff.map_or_else(all, |c| format!("layers 0–{c}")))
            }
            Row::Class => ("class", p.class.to_string()),
            Row::Noise => {
                let said = match p.noise {
                    Noise::Const => "const".to_owned(),
                    Noise::None => "none".to_owned(),
                    Noise::Random(seed) => format!("random {seed}"),
                };
                ("noise", said)
            }
            Row::Second => ("mix with", format!("seed {}", p.second)),
            Row::Mixed => {
                let dots = p.mixed.iter().map(|m| if *m { '●' } else { '·' });
                ("mix", dots.collect())
            }
            Row::Rotate => ("rotate", signed(p.rotate, "°")),
            Row::ShiftX => ("shift x", signed(p.shift[0], "")),
            Row::ShiftY => ("shift y", signed(p.shift[1], "")),
            Row::Yaw => ("yaw", signed(p.yaw, "°")),
            Row::Pitch => ("pitch", signed(p.pitch, "°")),
        };
        (name.to_owned(), value)
    }
}

/// Moves a channel; one that is back at its beginning is not moved.
fn set_channel(p: &mut Point, at: (usize, usize), amount: f64) {
    if amount == 0.0 {
        p.channels.remove(&at);
    } else {
        p.channels.insert(at, amount);
    }
}

fn signed(v: f64, unit: &str) -> String {
    let digits = if (v * 10.0).fract().abs() < 1e-9 { 1 } else { 2 };
    format!("{v:+.digits$}{unit}")
}

fn pin(pin: Pin) -> String {
    match pin {
        Pin::Given => "given".to_owned(),
        Pin::Seed(seed) => seed.to_string(),
    }
}

fn moved(seed: u64, by: i64) -> u64 {
    seed.saturating_add_signed(by).min(LAST)
}

/// const, none, then the seeds of random noise.
fn noise(now: Noise, by: i64) -> Noise {
    let at = match now {
        Noise::Const => 0,
        Noise::None => 1,
        Noise::Random(seed) => 2 + seed,
    };
    match moved(at, by) {
        0 => Noise::Const,
        1 => Noise::None,
        k => Noise::Random(k - 2),
    }
}

impl Walk {
    /// The next kind of walk; pins only where there are two to go between.
    #[must_use]
    pub fn other(self, pins: usize) -> Self {
        match self {
            Self::Seeds => Self::Random,
            Self::Random if pins > 1 => Self::Pins,
            Self::Random | Self::Pins => Self::Seeds,
        }
    }
}
