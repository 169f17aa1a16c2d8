//! The order in which the layers of a file run: each must read what the one before it gives.
//!
//! Files list layers by name, and names such as `block1`, `deconv_out`, `preprocess` are not in the
//! order of use. The search tries the layers in natural order and takes the first order that uses
//! all of them.

use super::names::{self, Kind, Part};

/// Steps of the search at most.
const TRIES: usize = 20_000;

/// Role of a layer in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A fully connected layer.
    Linear,
    /// A transposed convolution.
    Transposed,
    /// A convolution.
    Conv,
    /// Batch normalisation.
    Norm,
}

/// A layer in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Its module.
    pub module: String,
    /// Role of the layer.
    pub role: Role,
    /// Height and width of its kernel; 1×1 for a layer without.
    pub kernel: [usize; 2],
    /// Input and output channels.
    pub channels: [usize; 2],
    /// The map that a vector becomes before it.
    pub reshape: Option<[usize; 3]>,
}

/// Assumption about which convolutions are transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All but the first are transposed.
    Transposed,
    /// All but the first are plain.
    Plain,
    /// Those with an even kernel are transposed.
    Mixed,
}

/// State of the data between two layers.
#[derive(Clone, Copy)]
enum State {
    Start,
    Flat(usize),
    Map(usize),
}

/// The layers in the order in which they run; `None` when no order uses all of them and ends in a
/// picture.
pub(super) fn chain(parts: &[Part], reading: Reading) -> Option<Vec<Link>> {
    let series = parts.iter().map(|p| names::series(&p.module)).collect();
    let mut search = Search { parts, series, reading, used: vec![false; parts.len()], tries: 0 };
    let mut links = Vec::new();
    search.go(State::Start, &mut links).then_some(links)
}

/// Makes the link of a layer from its role, channels, sizes and kernel.
type MakeLink<'a> = &'a dyn Fn(Role, [usize; 2], [usize; 2], Option<[usize; 3]>) -> Link;

struct Search<'a> {
    parts: &'a [Part],
    /// The numbered series that each layer belongs to.
    series: Vec<String>,
    reading: Reading,
    used: Vec<bool>,
    tries: usize,
}

impl Search<'_> {
    /// Extends the chain to its end; leaves it unchanged when that is impossible.
    fn go(&mut self, state: State, links: &mut Vec<Link>) -> bool {
        if links.len() == self.parts.len() {
            return ends(state, links);
        }
        let after_norm = links.last().is_some_and(|l| l.role == Role::Norm);
        for at in 0..self.parts.len() {
            self.tries += 1;
            if self.tries > TRIES {
                return false;
            }
            if self.used[at] || (after_norm && matches!(self.parts[at].kind, Kind::Norm(_))) {
                continue;
            }
            // Layers of one series run in their order: backwards, a discriminator would fit.
            if (0..at).any(|k| !self.used[k] && self.series[k] == self.series[at]) {
                continue;
            }
            for (link, next) in self.roles(&self.parts[at], state) {
                self.used[at] = true;
                links.push(link);
                if self.go(next, links) {
                    return true;
                }
                links.pop();
                self.used[at] = false;
            }
        }
        false
    }

    /// Possible roles of a layer after a state.
    fn roles(&self, part: &Part, state: State) -> Vec<(Link, State)> {
        let link = |role, kernel, channels, reshape| Link {
            module: part.module.clone(),
            role,
            kernel,
            channels,
            reshape,
        };
        match (part.kind, state) {
            (Kind::Linear([o, i]), State::Start) => {
                vec![(link(Role::Linear, [1, 1], [i, o], None), State::Flat(o))]
            }
            (Kind::Linear([o, i]), State::Flat(n)) if i == n => {
                vec![(link(Role::Linear, [1, 1], [i, o], None), State::Flat(o))]
            }
            (Kind::Conv([a, b, h, w]), State::Start) => {
                vec![(link(Role::Transposed, [h, w], [a, b], None), State::Map(b))]
            }
            (Kind::Norm(c), State::Flat(n)) if c == n => {
                vec![(link(Role::Norm, [1, 1], [n, n], None), state)]
            }
            (Kind::Norm(c), State::Flat(n)) => {
                let reshape = square(n, c);
                let made = |r| (link(Role::Norm, [1, 1], [c, c], Some(r)), State::Map(c));
                reshape.map(made).into_iter().collect()
            }
            (Kind::Norm(c), State::Map(n)) if c == n => {
                vec![(link(Role::Norm, [1, 1], [n, n], None), state)]
            }
            (Kind::Conv(sizes), state) => self.convolutions(sizes, state, &link),
            _ => Vec::new(),
        }
    }

    fn convolutions(
        &self,
        [a, b, h, w]: [usize; 4],
        state: State,
        link: MakeLink<'_>,
    ) -> Vec<(Link, State)> {
        if h != w {
            return Vec::new();
        }
        let even = h % 2 == 0;
        let mut out = Vec::new();
        for (role, i, o) in [(Role::Transposed, a, b), (Role::Conv, b, a)] {
            let allowed = match (self.reading, role) {
                (Reading::Transposed, Role::Transposed) => true,
                (Reading::Plain, Role::Conv) => !even,
                (Reading::Mixed, Role::Transposed) => even,
                (Reading::Mixed, _) => !even,
                _ => false,
            };
            let reshape = match state {
                State::Flat(n) => square(n, i),
                _ => None,
            };
            // A map of so few channels is a picture, and what reads it is another network.
            let reads = matches!(state, State::Map(c) if c == i && c > 4) || reshape.is_some();
            if allowed && reads {
                out.push((link(role, [h, w], [i, o], reshape), State::Map(o)));
            }
        }
        out
    }
}

/// A square map of `channels` that `n` values make.
fn square(n: usize, channels: usize) -> Option<[usize; 3]> {
    let plane = n.checked_div(channels).filter(|p| p * channels == n)?;
    let side = plane.isqrt();
    (side * side == plane && side > 0).then_some([channels, side, side])
}

/// The picture that a vector becomes where there are only fully connected layers: one channel where
/// that gives a square, else three or four.
pub(super) fn flat_picture(n: usize) -> Option<[usize; 3]> {
    [1, 3, 4].into_iter().find_map(|channels| square(n, channels)).filter(|[_, h, _]| *h >= 4)
}

/// Whether a chain ends in a picture.
fn ends(state: State, links: &[Link]) -> bool {
    let weighted = links.iter().filter(|l| l.role != Role::Norm).count();
    match state {
        State::Start => false,
        State::Map(c) => (1..=4).contains(&c) && weighted >= 2,
        State::Flat(n) => {
            let grows = links.first().is_some_and(|first| first.channels[0] < n);
            weighted >= 2 && grows && flat_picture(n).is_some()
        }
    }
}
