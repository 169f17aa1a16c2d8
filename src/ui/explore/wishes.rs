//! The pictures that a screen wants, the most wanted first.

use super::{Explorer, Shows};
use crate::image::Raster;
use crate::session::explore::{Map, Point};
use crate::ui::full::Image;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Time without input after which numbers are computed.
const REST: Duration = Duration::from_millis(250);
/// Pictures whose hashes are kept.
const KEPT: usize = 512;

/// Pictures of answers, hashed once.
#[derive(Default)]
pub(super) struct Pictures {
    all: BTreeMap<String, Arc<Image>>,
    /// The picture that is shown until a newer one is done.
    pub(super) last: Option<Arc<Image>>,
}

impl Pictures {
    pub(super) fn of(
        &mut self,
        key: &str,
        image: impl FnOnce() -> Option<Arc<Image>>,
    ) -> Option<Arc<Image>> {
        if let Some(found) = self.all.get(key) {
            return Some(found.clone());
        }
        let image = image()?;
        if self.all.len() >= KEPT {
            self.all.clear();
        }
        self.all.insert(key.to_owned(), image.clone());
        Some(image)
    }
}

impl Explorer {
    /// The settings whose picture is the large one.
    fn large(&self) -> Point {
        match self.shows {
            Shows::Before if !self.layers.open => self.model.now().unedited(),
            _ => self.model.now().clone(),
        }
    }

    /// The programs whose answers are wanted.
    pub(super) fn wishes(&self) -> Vec<String> {
        let subject = &self.model.subject;
        if self.map {
            let tiles = Map::tiles(self.window.0, self.window.1);
            return tiles.into_iter().map(|tile| self.tile_program(tile)).collect();
        }
        if self.layers.open {
            return self.layers_wishes();
        }
        let mut wishes = vec![subject.program(&self.large())];
        if self.shows == Shows::Split {
            wishes.push(subject.aside(&self.model.now().unedited()));
        }
        if self.touched.elapsed() >= REST && !self.playing {
            wishes.extend(self.numbers().into_iter().flatten());
        }
        wishes
    }

    /// The programs of the numbers: likeness and drift.
    fn numbers(&self) -> [Option<String>; 2] {
        let (now, subject) = (self.model.now(), &self.model.subject);
        let before = now.unedited();
        if *now == before {
            return [None, None];
        }
        [subject.identity.then(|| subject.likeness(now, &before)), subject.drift(now, &before)]
    }

    /// The numbers that are known, in words.
    pub(super) fn measured(&self) -> String {
        let names = ["identity", "drift"];
        let number = |(name, program): (&str, Option<String>)| {
            let line = self.renderer.answer(&program?)?.lines.first()?.clone();
            Some(format!("{name} {:.2}", line.parse::<f64>().ok()?))
        };
        let all: Vec<String> = names.into_iter().zip(self.numbers()).filter_map(number).collect();
        all.join(" · ")
    }

    /// The error of the settings now.
    pub(super) fn trouble(&self) -> Option<String> {
        let answer = self.renderer.answer(&self.model.subject.program(&self.large()))?;
        answer.error.as_ref().map(|e| e.message().to_owned())
    }

    fn picture(&mut self, program: &str) -> Option<Arc<Image>> {
        let answer = self.renderer.answer(program)?;
        let image = || {
            let raster = Raster::clone(answer.picture.as_ref()?);
            Some(Image::with_words(raster, answer.words.clone()))
        };
        self.pictures.of(program, image)
    }

    /// The program of a tile, counted from the middle.
    fn tile_program(&self, tile: [i64; 2]) -> String {
        let subject = &self.model.subject;
        let point = self.model.map.point(subject, self.model.now(), tile);
        // The one in the middle is the one that is waited for.
        if tile == [0, 0] { subject.program(&point) } else { subject.aside(&point) }
    }

    /// The picture of a tile, once there is one.
    pub(super) fn tile(&mut self, tile: [i64; 2]) -> Option<Arc<Image>> {
        let subject = &self.model.subject;
        let point = self.model.map.point(subject, self.model.now(), tile);
        let (own, aside) = (subject.program(&point), subject.aside(&point));
        self.picture(&own).or_else(|| self.picture(&aside))
    }

    /// The large picture: the newest that is done.
    pub(super) fn shown(&mut self) -> Option<Arc<Image>> {
        let program = self.model.subject.program(&self.large());
        let image = self.picture(&program);
        let image = match self.shows {
            Shows::Split if !self.layers.open => image.and_then(|now| self.halves(&program, &now)),
            _ => image,
        };
        if let Some(image) = image {
            self.pictures.last = Some(image);
        }
        self.pictures.last.clone()
    }

    /// Before the edits on the left half, now on the right.
    fn halves(&mut self, program: &str, now: &Arc<Image>) -> Option<Arc<Image>> {
        let aside = self.model.subject.aside(&self.model.now().unedited());
        let before = self.picture(&aside)?;
        let key = format!("{program}{aside}");
        let both = || {
            let words = match (before.words(), now.words()) {
                ("", "") => String::new(),
                (before, now) => format!("before: {before}; now: {now}"),
            };
            Some(Image::with_words(halves(before.raster(), now.raster()), words))
        };
        self.pictures.of(&key, both)
    }
}

/// The left half of one picture beside the right half of another of its size, with a line between.
fn halves(before: &Raster, now: &Raster) -> Raster {
    let mut both = now.clone();
    if (before.width, before.height, before.channels) != (now.width, now.height, now.channels) {
        return both;
    }
    let (row, half) = (now.width * now.channels, now.width / 2 * now.channels);
    let rows = both.data.chunks_exact_mut(row).zip(before.data.chunks_exact(row));
    for (new, old) in rows {
        new[..half].copy_from_slice(&old[..half]);
        new[half..half + now.channels].fill(255);
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_has_the_left_of_one_and_the_right_of_the_other() {
        let [a, b] = [[10u8, 20, 30], [90, 80, 70]].map(|c| Raster::filled(6, 2, &c).unwrap());
        let both = halves(&a, &b);
        assert_eq!(both.pixel(2, 1), a.pixel(0, 0));
        assert_eq!(both.pixel(3, 1), [255; 3]);
        assert_eq!(both.pixel(4, 0), b.pixel(0, 0));
        let other = Raster::filled(5, 2, &[1, 2, 3]).unwrap();
        assert_eq!(halves(&other, &b), b);
    }
}
