//! The settings of an exploration at one moment.

use std::collections::BTreeMap;
use std::ops::Range;

/// Seeds of a random walk: 0 to this, not included.
const SEEDS: u64 = 1 << 20;
/// The largest seed: above, a number of the language no longer represents every integer.
pub(super) const LAST: u64 = 1 << 53;
/// A multiplier and an increment of full period modulo [`SEEDS`] (Knuth, The Art of Computer
/// Programming 2, section 3.2.1.2): the walk visits every seed, and goes back the way it came.
const STEP: [u64; 2] = [0xD_9F35, 0x5_D583];

/// A slider: how far the code is moved along a direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slider {
    /// The multiple of the direction.
    pub amount: f64,
    /// Whether the other directions move with this one projected out.
    pub hold: bool,
    /// The layers that it moves; `None` for all.
    pub layers: Option<Range<usize>>,
}

/// A code that an exploration begins at or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The code that the exploration was opened with.
    Given,
    /// The sample of this seed.
    Seed(u64),
}

/// The way from one code to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Walk {
    /// From each seed to the next number.
    #[default]
    Seeds,
    /// From each seed to another one, in an order that looks random and is always the same.
    Random,
    /// From pin to pin, around and around.
    Pins,
}

impl Walk {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seeds => "seeds",
            Self::Random => "random",
            Self::Pins => "pins",
        }
    }
}

/// The noise that the layers add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Noise {
    /// The stored maps, or those that were found with the code.
    #[default]
    Const,
    /// None.
    None,
    /// Fresh maps of this seed.
    Random(u64),
}

/// All settings: a picture follows from them alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The code at the beginning of the walk.
    pub from: Pin,
    /// The part of the way to the next code, in [0, 1).
    pub at: f64,
    /// What the next code is.
    pub walk: Walk,
    /// The codes that a walk of pins visits.
    pub pins: Vec<Pin>,
    /// Truncation towards the mean; 1 is none.
    pub psi: f64,
    /// Number of the first layers that are truncated; `None` for all.
    pub cutoff: Option<usize>,
    /// The class of sampled codes.
    pub class: usize,
    /// The noise.
    pub noise: Noise,
    /// Seed of the second code of style mixing.
    pub second: u64,
    /// Whether each layer comes from the second code.
    pub mixed: Vec<bool>,
    /// One slider for each direction.
    pub sliders: Vec<Slider>,
    /// The channels of S that are moved, by layer and channel, in standard deviations.
    pub channels: BTreeMap<(usize, usize), f64>,
    /// Degrees, counterclockwise (StyleGAN3).
    pub rotate: f64,
    /// To the right and down, in sides of the picture (StyleGAN3).
    pub shift: [f64; 2],
    /// Degrees around the vertical axis (EG3D).
    pub yaw: f64,
    /// Degrees around the horizontal axis (EG3D).
    pub pitch: f64,
}

impl Point {
    /// The beginning: nothing is moved.
    pub fn new(from: Pin, sliders: usize, layers: usize) -> Self {
        Self {
            from,
            at: 0.0,
            walk: Walk::default(),
            pins: Vec::new(),
            psi: 1.0,
            cutoff: None,
            class: 0,
            noise: Noise::default(),
            second: 1,
            mixed: vec![false; layers],
            sliders: vec![Slider::default(); sliders],
            channels: BTreeMap::new(),
            rotate: 0.0,
            shift: [0.0; 2],
            yaw: 0.0,
            pitch: 0.0,
        }
    }

    /// The same code before its edits: no slider and no channel is moved, no layer is mixed in.
    #[must_use]
    pub fn unedited(&self) -> Self {
        let sliders = vec![Slider::default(); self.sliders.len()];
        let (mixed, channels) = (vec![false; self.mixed.len()], BTreeMap::new());
        Self { sliders, mixed, channels, ..self.clone() }
    }

    /// The code that the walk goes to.
    pub fn next(&self) -> Pin {
        match (self.walk, self.from) {
            (Walk::Pins, from) if !self.pins.is_empty() => self.beside(from, 1),
            (Walk::Random, Pin::Seed(seed)) => {
                Pin::Seed(seed.wrapping_mul(STEP[0]).wrapping_add(STEP[1]) % SEEDS)
            }
            (Walk::Random, Pin::Given) => Pin::Seed(STEP[1]),
            (_, Pin::Seed(seed)) => Pin::Seed(LAST.min(seed + 1)),
            (_, Pin::Given) => Pin::Seed(0),
        }
    }

    /// The code that the walk came from; the same one where it begins.
    pub fn previous(&self) -> Pin {
        match (self.walk, self.from) {
            (Walk::Pins, from) if !self.pins.is_empty() => self.beside(from, self.pins.len() - 1),
            (Walk::Random, Pin::Seed(seed)) => {
                let before = seed.wrapping_sub(STEP[1]).wrapping_mul(inverse(STEP[0]));
                Pin::Seed(before % SEEDS)
            }
            (_, Pin::Seed(seed)) => Pin::Seed(seed.saturating_sub(1)),
            (_, Pin::Given) => Pin::Given,
        }
    }

    /// The pin `steps` after this one, around; the first one after a code that is not a pin.
    fn beside(&self, from: Pin, steps: usize) -> Pin {
        match self.pins.iter().position(|p| *p == from) {
            Some(at) => self.pins[(at + steps) % self.pins.len()],
            None => self.pins[0],
        }
    }

    /// Goes along the walk by a part of the way from one code to the next, through as many codes
    /// as it takes.
    pub fn stroll(&mut self, by: f64) {
        let mut at = tidy(self.at + by);
        while at >= 1.0 {
            self.from = self.next();
            at = tidy(at - 1.0);
        }
        while at < 0.0 {
            let before = self.previous();
            if before == self.from {
                at = 0.0;
                break;
            }
            self.from = before;
            at = tidy(at + 1.0);
        }
        self.at = at;
    }
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))))
}

/// A number without the rounding that many small steps leave: six digits after the point.
pub(super) fn tidy(v: f64) -> f64 {
    let rounded = (v * 1e6).round() / 1e6;
    // Also of -0.
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_go_back_the_way_they_came() {
        for walk in [Walk::Seeds, Walk::Random, Walk::Pins] {
            let mut p = Point::new(Pin::Seed(7), 0, 0);
            p.walk = walk;
            p.pins = vec![Pin::Seed(7), Pin::Seed(3), Pin::Given];
            let begun = p.clone();
            let mut seen = Vec::new();
            for _ in 0..45 {
                p.stroll(0.1);
                seen.push((p.from, p.at));
            }
            assert_eq!(p.at, 0.5, "{walk:?}");
            assert_ne!(p.from, begun.from, "{walk:?}");
            for _ in 0..45 {
                p.stroll(-0.1);
            }
            // Four and a half pins on, and back, around three pins.
            assert_eq!(p, begun, "{walk:?}");
            assert!(seen.iter().all(|(_, at)| (0.0..1.0).contains(at)), "{seen:?}");
        }
    }

    #[test]
    fn a_random_walk_does_not_soon_return() {
        let mut p = Point::new(Pin::Seed(0), 0, 0);
        p.walk = Walk::Random;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let Pin::Seed(seed) = p.from else { panic!("{p:?}") };
            assert!(seed < SEEDS && seen.insert(seed));
            p.from = p.next();
        }
    }

    #[test]
    fn many_small_steps_leave_no_dust() {
        let mut v = 0.0;
        for _ in 0..3 {
            v = tidy(v + 0.1);
        }
        assert_eq!(v, 0.3);
        assert_eq!(tidy(-1e-9).to_string(), "0");
    }
}
