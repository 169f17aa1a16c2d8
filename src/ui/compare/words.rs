//! A comparison in words, where the terminal shows no pictures.

use super::model::{Comparison, Part};
use super::view::Pane;
use crate::error::Result;
use crate::eval::State;
use crate::image::Raster;
use crate::render::text::described;
use crate::render::{Block, Picture};
use crate::value::{Value, words};

/// Reads in the pictures of a comparison what they show, where the session wants words. The network
/// is that of the generator of a value, else of the current one.
///
/// # Errors
/// When the network cannot be read or computed.
pub fn read(comparison: &mut Comparison, values: &[(String, Value)], state: &State) -> Result<()> {
    if !state.options.describe {
        return Ok(());
    }
    let named = |value: &&Value| {
        let mut any = false;
        value.each_model(&mut |_| any = true);
        any
    };
    let about = values.iter().map(|(_, value)| value).find(named).unwrap_or(&Value::Nothing);
    let picture = |raster: &Raster| Picture::new(raster.clone(), String::new());
    let all = std::iter::once(&comparison.target);
    let all = all.chain(comparison.candidates.iter().map(|c| &c.picture)).map(picture).collect();
    let mut blocks = [Block::Pictures(all)];
    words::describe(&mut blocks, about, state.model.as_ref(), state.models())?;
    let [Block::Pictures(all)] = blocks else { return Ok(()) };
    let mut words = all.into_iter().map(|p| p.words);
    comparison.words = words.next().unwrap_or_default();
    comparison.candidates.iter_mut().zip(words).for_each(|(c, words)| c.words = words);
    Ok(())
}

impl Comparison {
    /// The target in words.
    pub(super) fn target_words(&self) -> String {
        seen(&self.target, &self.words)
    }

    /// A candidate in words.
    pub(super) fn candidate_words(&self, at: usize) -> String {
        self.candidates.get(at).map_or_else(String::new, |c| seen(&c.picture, &c.words))
    }

    /// The error of a candidate in a part of the picture: its mean and its largest, in parts of the
    /// range of a channel, and where that is.
    pub(super) fn error_words(&self, at: usize, part: Part) -> String {
        let Some(c) = self.candidates.get(at) else { return String::new() };
        let (mut sum, mut most, mut place) = (0_u64, 0, (part.x, part.y));
        let channels = self.target.channels;
        for y in part.y..part.y + part.height {
            let from = (y * self.target.width + part.x) * channels;
            let row = from..from + part.width * channels;
            let pairs = self.target.data[row.clone()].iter().zip(&c.picture.data[row]);
            for (k, (a, b)) in pairs.enumerate() {
                let error = a.abs_diff(*b);
                sum += u64::from(error);
                if error > most {
                    (most, place) = (error, (part.x + k / channels, y));
                }
            }
        }
        if most == 0 {
            return "no difference from the target".to_owned();
        }
        let count = (part.width * part.height * channels).max(1);
        let share = |error: f64| 100.0 * error / 255.0;
        format!(
            "difference from the target: {:.1} % of the range on average, {:.0} % at most, at {},{}",
            share(sum as f64 / count as f64),
            share(f64::from(most)),
            place.0,
            place.1
        )
    }

    /// What a pane shows of a part of the picture, in words; empty where only its mean colour is
    /// known.
    pub(super) fn pane_words(&self, pane: Pane, part: Part) -> String {
        let candidate = |i: usize| self.candidates.get(i).map_or("", |c| &c.words);
        let of_part = |words: &str| match words {
            "" => String::new(),
            words if part == self.whole() => words.to_owned(),
            words => format!("the part at {},{} of: {words}", part.x, part.y),
        };
        match pane {
            Pane::Target => of_part(&self.words),
            Pane::Candidate(i) => of_part(candidate(i)),
            Pane::Error(i, ..) => self.error_words(i, part),
            Pane::Wipe(i, edge) => {
                let name = |words: &str, name: &str| match words {
                    "" => name.to_owned(),
                    words => format!("{name} ({words})"),
                };
                let other = self.candidates.get(i).map_or("", |c| &c.name);
                let at = part.x + part.width * edge as usize / 1000;
                let (left, right) = (name(&self.words, &self.name), name(candidate(i), other));
                format!("left of column {at} {left}, right of it {right}")
            }
        }
    }
}

/// A picture in words; its size and mean colour where nothing was read in it.
fn seen(picture: &Raster, words: &str) -> String {
    described(picture, words).unwrap_or_else(|e| e.message().to_owned())
}
