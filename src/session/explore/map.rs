//! A grid of pictures over two directions, without end.

use super::point::{Point, tidy};
use super::subject::Subject;

/// Tiles from the middle of a slider to its end, at the beginning.
const TILES: f64 = 3.0;
/// Most halvings and doublings of the distance between tiles.
const ZOOM: i32 = 12;

/// A map: the tiles are the points of a lattice, so that panning back finds the same ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The directions to the right and up, as indices of sliders.
    axes: [usize; 2],
    /// The tile in the middle.
    centre: [i64; 2],
    /// Halvings of the distance between tiles.
    zoom: i32,
    /// Number of sliders.
    count: usize,
}

impl Map {
    /// A map over the first two directions.
    pub(super) fn new(count: usize) -> Self {
        Self { axes: [0, 1.min(count.saturating_sub(1))], centre: [0; 2], zoom: 0, count }
    }

    /// Whether there are two directions.
    pub fn possible(&self) -> bool {
        self.count > 1
    }

    /// Puts the chosen slider to the right, unless it is there already, and the tile nearest to
    /// the settings into the middle.
    pub fn open(&mut self, subject: &Subject, now: &Point, chosen: Option<usize>) {
        if let Some(chosen) = chosen.filter(|c| !self.axes.contains(c)) {
            self.axes = [chosen, self.axes[0]];
        }
        for (k, axis) in self.axes.into_iter().enumerate() {
            let amount = now.sliders.get(axis).map_or(0.0, |s| s.amount);
            self.centre[k] = (amount / self.spacing(subject, k)).round() as i64;
        }
    }

    /// The distance between neighbouring tiles, in multiples of the direction.
    pub fn spacing(&self, subject: &Subject, k: usize) -> f64 {
        let reach = subject.axes.get(self.axes[k]).map_or(1.0, |a| a.reach);
        reach / TILES * 2f64.powi(-self.zoom)
    }

    /// Goes so many tiles to the right and up.
    pub fn pan(&mut self, [x, y]: [i64; 2]) {
        for (c, by) in self.centre.iter_mut().zip([x, y]) {
            *c = c.saturating_add(by).clamp(-1_000_000, 1_000_000);
        }
    }

    /// Halves the distance between tiles, or doubles it; the tile in the middle stays, as far as
    /// the wider lattice has it.
    pub fn zoom(&mut self, closer: bool) {
        let next = self.zoom + if closer { 1 } else { -1 };
        if next.abs() > ZOOM {
            return;
        }
        self.zoom = next;
        for c in &mut self.centre {
            *c = if closer { *c * 2 } else { (*c as f64 / 2.0).round() as i64 };
        }
        self.pan([0, 0]);
    }

    /// Takes the next direction to the right (0) or up (1).
    pub fn turn(&mut self, k: usize) {
        if !self.possible() {
            return;
        }
        let other = self.axes[1 - k];
        loop {
            self.axes[k] = (self.axes[k] + 1) % self.count;
            if self.axes[k] != other {
                break;
            }
        }
        self.centre[k] = 0;
    }

    /// The amounts of the two sliders at a tile, counted from the middle.
    pub fn amounts(&self, subject: &Subject, tile: [i64; 2]) -> Vec<(usize, f64)> {
        let amount = |k: usize| tidy((self.centre[k] + tile[k]) as f64 * self.spacing(subject, k));
        (0..2).map(|k| (self.axes[k], amount(k))).collect()
    }

    /// The settings at a tile.
    pub fn point(&self, subject: &Subject, now: &Point, tile: [i64; 2]) -> Point {
        let mut point = now.clone();
        for (i, amount) in self.amounts(subject, tile) {
            if let Some(slider) = point.sliders.get_mut(i) {
                slider.amount = amount;
            }
        }
        point
    }

    /// The tiles of a window of so many columns and rows, from the middle outwards.
    pub fn tiles(columns: usize, rows: usize) -> Vec<[i64; 2]> {
        let range = |n: usize| {
            let from = -(n as i64 / 2);
            from..from + n as i64
        };
        let mut all: Vec<[i64; 2]> =
            range(rows).flat_map(|y| range(columns).map(move |x| [x, y])).collect();
        all.sort_by_key(|[x, y]| (x * x + y * y, *y, *x));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::subject;
    use super::*;

    #[test]
    fn a_map_goes_on_without_end_and_comes_back() {
        let subject = subject("toy");
        let now = Point::new(subject.first(), subject.axes.len(), subject.layers);
        let mut map = Map::new(subject.axes.len());
        map.open(&subject, &now, Some(2));
        let begun = map.clone();
        assert_eq!(map.axes, [2, 0]);
        assert_eq!(map.point(&subject, &now, [0, 0]), now);
        for _ in 0..100 {
            map.pan([1, -1]);
        }
        let far = map.amounts(&subject, [0, 0]);
        assert!(far[0].1 > 50.0 && far[1].1 < -50.0, "{far:?}");
        map.zoom(true);
        assert_eq!(map.amounts(&subject, [0, 0]), far, "the middle stays");
        map.zoom(false);
        map.pan([-100, 100]);
        assert_eq!(map, begun);
        for _ in 0..100 {
            map.zoom(true);
        }
        assert!(map.spacing(&subject, 0) > 0.0);
        map.turn(0);
        map.turn(1);
        assert_eq!(map.axes, [3, 1]);
    }

    #[test]
    fn tiles_come_from_the_middle() {
        let tiles = Map::tiles(3, 2);
        assert_eq!((tiles[0], tiles.len()), ([0, 0], 6));
        let away = |t: &[i64; 2]| t[0] * t[0] + t[1] * t[1];
        assert!(tiles.windows(2).all(|p| away(&p[0]) <= away(&p[1])), "{tiles:?}");
    }
}
