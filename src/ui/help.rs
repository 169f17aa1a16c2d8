//! `:help`, `?` and `?name`, and the help in editors, from the constants of the built-in functions.

use super::commands;
use super::docs::parameter;
use super::glossary;
use crate::builtin::{Builtin, Category};
use crate::builtins;
use crate::render::text::{indented, one_line, width, wrap};
use crate::safe::Safe;

/// Width of the help, in columns: it fits every usual terminal.
const COLUMNS: usize = 79;

/// First steps, the commands, and the rules of cells and sessions.
pub(super) fn overview() -> Vec<String> {
    let mut lines = first_steps();
    lines.extend([String::new(), "At the prompt".to_owned()]);
    for e in &commands::ALL {
        lines.extend(entry(e.usage, e.about, 20));
    }
    lines.push(String::new());
    for text in [
        "Each statement is a cell with a number. Its result is written to the session's journal \
         before it is shown, so nothing that you have seen is lost when the connection or the \
         machine fails.",
        "Ctrl-C stops the running cell and keeps the best result so far; a second Ctrl-C drops \
         it. At the prompt it clears the line. Up and down recall earlier lines, Ctrl-R searches \
         them, Tab completes.",
        "gannet --resume, or :resume, shows a session as it was and runs nothing. Codes, \
         directions, inversions and small pictures come back from the journal, bit for bit, when \
         they are used. A value that is too large for the journal (256 KiB a cell) is computed \
         again when it is used, or at once with :rerun; it is then compared with the recorded \
         value. A saved file is not written again unless it is missing.",
        "? lists all functions, ?name explains one, ?name 1 puts its first example on the prompt.",
    ] {
        lines.extend(wrap(&one_line(text), COLUMNS));
    }
    lines
}

/// The way from a picture to a script that repeats what was done: lines to type, and what they do.
const FIRST: [(&str, &str); 7] = [
    ("x = render(sample(seed: 4))", "a picture of the generator; image(\"me.jpg\") reads yours"),
    ("r = invert(x)", "the code whose picture is nearest to it"),
    ("show r, r + 2*smile", "an edit; explore(r) has sliders for all directions"),
    ("compare(x, r)", "side by side, with numbers; :view x, r is larger"),
    ("save(r, \"r.safetensors\")", "the code; a name that ends in .png saves its picture"),
    (":save me.gnt", "all this as a script and notebook: gannet run, gannet open"),
    (":quit", "then gannet export latest -o me.html writes a report"),
];

/// [`FIRST`] as lines.
fn first_steps() -> Vec<String> {
    let longest = FIRST.iter().map(|(line, _)| width(line)).max().unwrap_or(0);
    let mut lines = vec!["First steps".to_owned()];
    lines.extend(FIRST.iter().flat_map(|(line, about)| entry(line, about, longest + 4)));
    lines
}

/// First steps, and all functions by category.
pub(super) fn list() -> Vec<String> {
    let longest = builtins::ALL.iter().map(|b| width(b.signature.name)).max().unwrap_or(0);
    let mut lines = first_steps();
    lines.push(String::new());
    for category in Category::ALL {
        lines.push(category.name().to_owned());
        for b in builtins::ALL.iter().filter(|b| b.category == category) {
            lines.extend(entry(b.signature.name, b.summary, longest + 4));
        }
    }
    lines.push("?name explains a function or a word; :help explains the prompt".to_owned());
    lines
}

/// `name   about`, wrapped below its own column.
fn entry(name: &str, about: &str, column: usize) -> Vec<String> {
    let mut lines = indented(about, column, COLUMNS);
    if width(name) + 2 >= column {
        lines.insert(0, format!("  {name}"));
    } else if let Some(first) = lines.first_mut() {
        let pad = column.saturating_sub(width(name) + 2);
        *first = format!("  {name}{}{}", " ".repeat(pad), first.trim_start());
    }
    lines
}

/// Everything about a function, a command, a word of the field or a direction among `directions`;
/// similar names for an unknown one.
pub(super) fn about(name: &str, directions: &[String]) -> Vec<String> {
    match builtins::find(name) {
        Some(b) => function(b),
        None => command(name)
            .or_else(|| glossary::about(name, directions))
            .unwrap_or_else(|| unknown(name, directions)),
    }
}

/// The help about a built-in function, a word of the field or a direction among `directions`, for
/// editors, which have no prompt to put an example on.
pub fn explained(name: &str, directions: &[String]) -> Option<Vec<String>> {
    let found = builtins::find(name).map(function).or_else(|| glossary::about(name, directions));
    found.map(|lines| lines.into_iter().filter(|l| !l.starts_with('?')).collect())
}

/// A command, with or without its colon.
fn command(name: &str) -> Option<Vec<String>> {
    let name = name.strip_prefix(':').unwrap_or(name);
    let found = commands::ALL.iter().find(|e| e.name.strip_prefix(':') == Some(name))?;
    let mut lines = entry(found.usage, found.about, 20.max(width(found.usage) + 4));
    if name == "set" {
        lines.extend(commands::KEYS.iter().flat_map(|(key, about)| entry(key, about, 14)));
    }
    Some(lines)
}

fn function(b: &Builtin) -> Vec<String> {
    let name = b.signature.name;
    let mut lines = wrap(&format!("{} · {}", b.signature.name, one_line(b.summary)), COLUMNS);
    lines.extend(signature(b));
    lines.push(String::new());
    for p in b.signature.params {
        lines.extend(wrap(&format!("  {}", parameter(p)), COLUMNS));
        let doc = match p.bounds {
            Some(bounds) => format!("{}; {bounds}", p.doc),
            None => p.doc.to_owned(),
        };
        lines.extend(indented(&doc, 6, COLUMNS));
    }
    if !b.details.is_empty() {
        lines.push(String::new());
        lines.extend(wrap(&one_line(b.details), COLUMNS));
    }
    lines.push(String::new());
    for (i, e) in b.examples.iter().enumerate() {
        lines.extend(wrap(&format!("  {}  {}", i + 1, e.code), COLUMNS));
        lines.extend(indented(e.note, 5, COLUMNS));
    }
    if !b.examples.is_empty() {
        lines.push(format!("?{name} 1 puts the first on the prompt: Enter runs it"));
    }
    let related =
        builtins::ALL.iter().filter(|o| o.category == b.category && o.signature.name != name);
    let related: Vec<&str> = related.map(|o| o.signature.name).collect();
    if !related.is_empty() {
        lines.extend(wrap(&format!("related: {}", related.join(" ")), COLUMNS));
    }
    lines
}

/// `name(a, b: W) → T`, each parameter in its short form.
fn signature(b: &Builtin) -> Vec<String> {
    let short = |p: &crate::builtin::Param| {
        let dots = if p.variadic { "…" } else { "" };
        match p.default {
            None => format!("{}{dots}", p.name),
            Some("-") => format!("{}?", p.name),
            Some(d) => format!("{}: {d}", p.name),
        }
    };
    let all: Vec<String> = b.signature.params.iter().map(short).collect();
    wrap(&format!("  {}({}) → {}", b.signature.name, all.join(", "), b.signature.returns), COLUMNS)
}

fn unknown(name: &str, directions: &[String]) -> Vec<String> {
    let near = |b: &&&Builtin| {
        let known = b.signature.name;
        strsim::damerau_levenshtein(known, name) <= 3.min(name.chars().count() / 2)
            || (name.len() >= 3 && (known.contains(name) || one_line(b.summary).contains(name)))
    };
    let mut words: Vec<&str> = glossary::names().collect();
    words.extend(directions.iter().map(String::as_str));
    let mut found: Vec<&str> =
        builtins::ALL.iter().filter(near).map(|b| b.signature.name).collect();
    found.extend(crate::lang::suggest::near(name, words));
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|n| seen.insert(*n));
    let near: Vec<String> = found.iter().take(6).map(|n| format!("?{n}")).collect();
    let mut line = format!("nothing is called {}", Safe(name));
    match near.is_empty() {
        true => line.push_str("; ? lists everything"),
        false => line.push_str(&format!("; perhaps {}", near.join(", "))),
    }
    wrap(&line, COLUMNS)
}

/// The code of an example, counted from 1.
pub(super) fn example(name: &str, n: usize, directions: &[String]) -> Option<String> {
    let k = n.checked_sub(1)?;
    match builtins::find(name) {
        Some(b) => b.examples.get(k).map(|e| e.code.to_owned()),
        None if k == 0 => glossary::example(name, directions),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_explained_in_eighty_columns() {
        for b in builtins::ALL {
            let lines = about(b.signature.name, &[]);
            assert!(lines.iter().all(|l| width(l) <= COLUMNS), "{lines:#?}");
            for p in b.signature.params {
                let head = wrap(&format!("  {}", parameter(p)), COLUMNS);
                let first = one_line(p.doc).split(' ').next().unwrap().to_owned();
                let documented = lines.windows(head.len() + 1).any(|w| {
                    w[..head.len()] == head && w[head.len()].trim_start().starts_with(&first)
                });
                assert!(documented, "{} of {}", p.name, b.signature.name);
            }
            for (i, e) in b.examples.iter().enumerate() {
                assert_eq!(example(b.signature.name, i + 1, &[]).as_deref(), Some(e.code));
            }
        }
        assert!(overview().iter().chain(&list()).all(|l| width(l) <= COLUMNS));
        assert!(
            builtins::ALL
                .iter()
                .all(|b| list().iter().any(|l| l.starts_with(&format!("  {} ", b.signature.name))))
        );
    }

    #[test]
    fn the_help_of_invert_explains_every_method_and_term() {
        use crate::invert::{METHODS, TERMS};
        let words: Vec<String> = about("invert", &[]).iter().map(|l| l.trim().to_owned()).collect();
        let text = words.join(" ");
        for m in METHODS {
            assert!(text.contains(&format!("`{}`: {}", m.name, m.summary)), "{}: {text}", m.name);
            assert!(text.contains(&format!("{}: {}", m.name, m.paper)), "{}: {text}", m.name);
            m.params.iter().for_each(|p| assert!(text.contains(p.doc), "{}: {text}", p.name));
        }
        TERMS.iter().for_each(|t| assert!(text.contains(t.param.doc), "{}: {text}", t.name));
    }

    #[test]
    fn commands_words_and_directions_are_explained() {
        let directions = ["smile".to_owned()];
        let text = |name: &str| about(name, &directions).join(" ");
        assert!(text("undo").contains(":undo") && text(":set").contains("symbols"));
        for name in ["smile", "psi", "offset", "W+", "w+", "truncation", "seed", "lr"] {
            assert!(!text(name).contains("nothing is called"), "{}", text(name));
        }
        assert!(example("smile", 1, &directions).unwrap().contains("direction(\"smile\")"));
        assert!(text("smil").contains("?smile"), "{}", text("smil"));
        assert!(text("nothing-of-this").contains("nothing is called"));
    }

    #[test]
    fn the_first_steps_can_be_typed_as_they_are() {
        use crate::eval::{Options, State};
        use crate::lang::span::Source;
        let state = State::new(crate::value::Models::cpu(), "faces", Options::default()).unwrap();
        let mut program = String::new();
        for (line, _) in FIRST {
            if line.starts_with(':') {
                commands::parse(line).unwrap();
            } else {
                program.push_str(&format!("{line}\n"));
            }
        }
        let source = Source::new("first steps", program.as_str()).unwrap();
        state.check(&source, &std::collections::BTreeMap::new()).unwrap();
        // The help begins with them.
        for lines in [overview(), list()] {
            assert_eq!(lines[0], "First steps");
        }
    }

    #[test]
    fn what_a_newcomer_asks_for_is_explained() {
        for name in [
            "photo", "face", "faces", "embedded", "report", "export", "html", "jupyter",
            "notebook", "script", "models", "png",
        ] {
            let text = about(name, &[]).join(" ");
            assert!(!text.contains("nothing is called"), "{name}: {text}");
        }
    }

    #[test]
    fn a_slip_is_understood() {
        assert!(about("inver", &[])[0].contains("?invert"), "{:?}", about("inver", &[]));
        assert_eq!(about("xyzzy", &[]), ["nothing is called xyzzy; ? lists everything"]);
        assert!(about("\u{1b}[2J", &[])[0].contains("\\u{1b}"));
        assert_eq!(example("invert", 0, &[]), None);
    }
}
