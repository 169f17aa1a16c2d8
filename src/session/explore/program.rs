//! A point as a program of the language.
//!
//! A picture of an exploration is what its program shows, so an exported script gives the same
//! bytes by construction.

use super::point::{Noise, Pin, Point};
use super::subject::{Subject, Term};
use crate::lang::ast::{ExprKind, StmtKind};
use crate::lang::parse;
use crate::lang::span::Source;
use crate::session::script::quoted;
use crate::space::Space;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

/// The beginning of programs that give way to a picture that is waited for.
pub const ASIDE: &str = "# aside\n";

/// The words for a term: its name, or the expression that it was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// The names of the exploration's own session.
    Names,
    /// The expressions of the program that called `explore`.
    Written,
}

impl Subject {
    fn word<'a>(&self, term: &'a Term, words: Words) -> &'a str {
        match words {
            Words::Names => &term.name,
            Words::Written => &term.written,
        }
    }

    /// The explored code as one expression.
    pub fn expression(&self, p: &Point, words: Words) -> String {
        let code = self.mixed(p, words);
        if p.channels.is_empty() { code } else { self.restyled(&code, p) }
    }

    /// A code in S with the channels moved.
    fn restyled(&self, code: &str, p: &Point) -> String {
        let mut text =
            if self.space == Space::S { code.to_owned() } else { format!("to(S, {code})") };
        for ((layer, channel), amount) in &p.channels {
            let sign = if *amount < 0.0 { '-' } else { '+' };
            let size = amount.abs();
            let times = if size == 1.0 { String::new() } else { format!("{size}*") };
            let layer = quoted(self.network.get(*layer).map_or("", |l| l.name.as_str()));
            // Writing to a text cannot fail.
            let _ = write!(text, " {sign} {times}channel({layer}, {channel})");
        }
        text
    }

    /// The code with its sliders, of both codes of style mixing.
    fn mixed(&self, p: &Point, words: Words) -> String {
        let moved = self.moved(p, words);
        let of = |row: usize| self.row(p, row);
        let rows = p.mixed.len();
        let mut text = moved.of(&self.source(p, of(0), words));
        let mut at = 0;
        while at < rows {
            let end = (at..rows).find(|r| of(*r) != of(at)).unwrap_or(rows);
            if of(at) != of(0) {
                let other = moved.of(&self.source(p, of(at), words));
                text = format!("mix({text}, {other}, layers: {at}..{end})");
            }
            at = end;
        }
        text
    }

    /// What makes a row of the code.
    fn row(&self, p: &Point, row: usize) -> Row {
        let cut = p.psi != 1.0 && p.cutoff.is_none_or(|c| row < c);
        Row { second: p.mixed.get(row).copied().unwrap_or(false), psi: self.psi && cut }
    }

    /// The code that a row comes from, not moved yet.
    fn source(&self, p: &Point, row: Row, words: Words) -> String {
        let psi = if row.psi { p.psi } else { 1.0 };
        if row.second {
            return self.pin(p, Pin::Seed(p.second), psi, words);
        }
        let from = self.pin(p, p.from, psi, words);
        if p.at == 0.0 {
            return from;
        }
        // Codes of Z keep their length on a great circle.
        let way = if self.space == Space::Z { "slerp" } else { "lerp" };
        format!("{way}({from}, {}, {})", self.pin(p, p.next(), psi, words), p.at)
    }

    fn pin(&self, p: &Point, pin: Pin, psi: f64, words: Words) -> String {
        match (pin, &self.given) {
            (Pin::Seed(seed), _) => self.sample(p, seed, psi),
            (Pin::Given, Some(given)) if psi == 1.0 || self.classes > 0 => {
                one(self.word(given, words))
            }
            (Pin::Given, Some(given)) => {
                let mean = match self.space {
                    Space::W => "mean_w()".to_owned(),
                    space => format!("to({space}, mean_w())"),
                };
                format!("lerp({mean}, {}, {psi})", self.word(given, words))
            }
            (Pin::Given, None) => self.sample(p, 0, psi),
        }
    }

    fn sample(&self, p: &Point, seed: u64, psi: f64) -> String {
        let mut text = format!("sample(seed: {seed}");
        // Writing to a text cannot fail.
        if psi != 1.0 {
            let _ = write!(text, ", psi: {psi}");
        }
        if !self.usual {
            let _ = write!(text, ", space: {}", self.space);
        }
        if self.classes > 0 {
            let _ = write!(text, ", class: {}", p.class);
        }
        text + ")"
    }

    /// The step that the sliders make together.
    fn moved(&self, p: &Point, words: Words) -> Moved {
        let held: Vec<usize> = (0..p.sliders.len()).filter(|i| p.sliders[*i].hold).collect();
        let mut terms = Vec::new();
        for (i, slider) in p.sliders.iter().enumerate().filter(|(_, s)| s.amount != 0.0) {
            let mut text = one(self.word(&self.axes[i].term, words));
            if !slider.hold && !held.is_empty() {
                let all: Vec<&str> =
                    held.iter().map(|h| self.word(&self.axes[*h].term, words)).collect();
                text = match all[..] {
                    [only] => format!("({text} | {})", one(only)),
                    _ => format!("({text} | [{}])", all.join(", ")),
                };
            }
            if let Some(layers) = &slider.layers {
                text = format!("({text} @ {}..{})", layers.start, layers.end);
            }
            let size = slider.amount.abs();
            let scaled = if size == 1.0 { text } else { format!("{size}*{text}") };
            terms.push((slider.amount < 0.0, scaled));
        }
        Moved { terms, joint: self.joint }
    }

    /// The arguments of `render` besides the code, each after a comma.
    fn arguments(&self, p: &Point) -> String {
        let mut text = String::new();
        if self.noise {
            match p.noise {
                Noise::Const => {}
                Noise::None => text += ", noise: none",
                Noise::Random(seed) => text += &format!(", noise: random, seed: {seed}"),
            }
        }
        let mut number = |there: bool, name: &str, v: f64| {
            if there && v != 0.0 {
                text += &format!(", {name}: {v}");
            }
        };
        number(self.transform, "rotate", p.rotate);
        number(self.camera, "yaw", p.yaw);
        number(self.camera, "pitch", p.pitch);
        if self.transform && p.shift != [0.0; 2] {
            let _ = write!(text, ", shift: [{}, {}]", p.shift[0], p.shift[1]);
        }
        text
    }

    /// The picture of a point as one expression.
    pub fn picture(&self, p: &Point, words: Words) -> String {
        format!("render({}{})", self.expression(p, words), self.arguments(p))
    }

    /// The program that shows the point, in the exploration's session.
    pub fn program(&self, p: &Point) -> String {
        let name = &self.result;
        let code = self.expression(p, Words::Names);
        format!("{name} = {code}\nshow render({name}{})\n", self.arguments(p))
    }

    /// A program that prints how alike the people in the pictures of two points are.
    pub fn likeness(&self, a: &Point, b: &Point) -> String {
        let [a, b] = [a, b].map(|p| self.picture(p, Words::Names));
        format!("{ASIDE}print(identity({a}, {b}))\n")
    }

    /// A program that prints how far a point is from another one, in distances of that one from the
    /// mean; `None` for codes without a mean.
    pub fn drift(&self, a: &Point, b: &Point) -> Option<String> {
        if !self.psi || self.layers == 0 {
            return None;
        }
        // Both in one space, whatever the edits made of the code.
        let styled = self.space == Space::S || [a, b].iter().any(|p| !p.channels.is_empty());
        let space = if styled { Space::S } else { Space::WPlus };
        let [a, b] = [a, b].map(|p| self.expression(p, Words::Names));
        let [a, b, mean] = [a, b, "mean_w()".to_owned()].map(|code| format!("to({space}, {code})"));
        Some(format!("{ASIDE}print(norm({a} - {b}) / norm({b} - {mean}))\n"))
    }

    /// A program that shows another picture than the one now: a tile, or a state to compare with.
    pub fn aside(&self, p: &Point) -> String {
        format!("{ASIDE}{}", self.program(p))
    }

    /// A program that shows feature maps of a layer as one picture of so many columns.
    pub fn maps(&self, p: &Point, layer: usize, channels: &Range<usize>, columns: usize) -> String {
        let name = quoted(self.network.get(layer).map_or("", |l| l.name.as_str()));
        let (code, arguments) = (self.expression(p, Words::Names), self.arguments(p));
        let (from, to) = (channels.start, channels.end);
        let maps = format!("render({code}{arguments}, layer: {name}, channels: {from}..{to})");
        format!("{ASIDE}show grid({maps}, columns: {columns})\n")
    }

    /// A program that gives the code in S.
    pub fn styles(&self, p: &Point) -> String {
        let code = self.expression(p, Words::Names);
        let whole = self.space == Space::S || !p.channels.is_empty();
        let code = if whole { code } else { format!("to(S, {code})") };
        format!("{ASIDE}{} = {code}\n", self.result)
    }

    /// A program after which the spread of the channels of S is known.
    pub fn spread(&self) -> Option<String> {
        let layer = self.network.iter().find(|l| l.styles > 0)?;
        Some(format!("{ASIDE}channel({}, 0)\n", quoted(&layer.name)))
    }

    /// The whole script after its first lines: the terms that it uses, the bookmarks, the point.
    pub fn script(&self, p: &Point, marks: &[Point]) -> String {
        let mut text = String::new();
        let used: BTreeSet<usize> = marks.iter().chain([p]).flat_map(used).collect();
        let given = self.given.iter().filter(|_| marks.iter().chain([p]).any(starts_given));
        for term in given.chain(used.into_iter().map(|i| &self.axes[i].term)) {
            if term.name != term.written {
                let _ = writeln!(text, "{} = {}", term.name, term.written);
            }
        }
        for (k, mark) in marks.iter().enumerate() {
            let picture = self.picture(mark, Words::Names);
            let _ = writeln!(text, "# bookmark {}\n# show {picture}", k + 1);
        }
        text + &self.program(p)
    }
}

/// The sliders that a point's program names.
fn used(p: &Point) -> impl Iterator<Item = usize> {
    let moved = p.sliders.iter().any(|s| s.amount != 0.0);
    let each = p.sliders.iter().enumerate();
    each.filter(move |(_, s)| s.amount != 0.0 || (s.hold && moved)).map(|(i, _)| i)
}

fn starts_given(p: &Point) -> bool {
    p.from == Pin::Given || (p.at != 0.0 && p.next() == Pin::Given)
}

/// What makes a row of a code.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    /// Whether it comes from the second code.
    second: bool,
    /// Whether it is truncated.
    psi: bool,
}

/// The sliders that are moved: a sign and a term each.
struct Moved {
    terms: Vec<(bool, String)>,
    joint: bool,
}

impl Moved {
    /// A code, moved. The steps are summed before they move it: the space of the code, which a
    /// step of some layers changes, then decides for all of them alike.
    fn of(&self, code: &str) -> String {
        let sign = |minus: bool| if minus { '-' } else { '+' };
        match &self.terms[..] {
            [] => code.to_owned(),
            [(minus, only)] => format!("{code} {} {only}", sign(*minus)),
            [(minus, first), rest @ ..] if self.joint => {
                let first = format!("{}{first}", if *minus { "-" } else { "" });
                let rest: String =
                    rest.iter().map(|(minus, t)| format!(" {} {t}", sign(*minus))).collect();
                format!("{code} + ({first}{rest})")
            }
            all => {
                let all: String =
                    all.iter().map(|(minus, t)| format!(" {} {t}", sign(*minus))).collect();
                format!("{code}{all}")
            }
        }
    }
}

/// An expression that can be beside any operator.
fn one(text: &str) -> String {
    let whole = |e: &ExprKind| {
        matches!(
            e,
            ExprKind::Name(_) | ExprKind::Call(_) | ExprKind::Index { .. } | ExprKind::List(_)
        )
    };
    let parsed = Source::new("term", text).map(|source| parse::parse(&source).0);
    let alone = parsed.is_ok_and(|program| match &program.statements[..] {
        [one] => matches!(&one.kind, StmtKind::Expr(e) if whole(&e.kind)),
        _ => false,
    });
    if alone { text.to_owned() } else { format!("({text})") }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
