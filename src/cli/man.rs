//! `gannet man`: the manual page, from the definition of the command line, the commands of the
//! prompt and the built-in functions.

use super::{Cli, config};
use crate::builtin::Category;
use crate::builtins;
use crate::render::text::one_line;
use crate::ui::commands;
use clap::{Arg, Command, CommandFactory};
use std::fmt::Write as _;

/// The manual page in roff.
pub(super) fn page() -> String {
    let mut all = Cli::command();
    all.build();
    let mut page = Page::default();
    let version = all.get_version().unwrap_or_default();
    page.raw(&format!(".TH GANNET 1 \"\" \"gannet {version}\""));
    page.section("NAME");
    page.line(&format!("gannet - {}", about(&all).trim_end_matches('.')));
    page.section("SYNOPSIS");
    page.raw(".nf");
    page.line(&usage(&mut all));
    page.raw(".fi");
    page.section("DESCRIPTION");
    page.paragraph(all.get_after_help().map(ToString::to_string).as_deref());
    page.section("OPTIONS");
    page.arguments(all.get_arguments());
    page.section("COMMANDS");
    for command in all.get_subcommands_mut().filter(|c| c.get_name() != "help") {
        page.command(command);
    }
    page.section("THE PROMPT");
    for entry in &commands::ALL {
        page.item(entry.usage, entry.about);
    }
    page.section("FUNCTIONS");
    for category in Category::ALL {
        page.heading(category.name());
        for b in builtins::ALL.iter().filter(|b| b.category == category) {
            page.item(b.signature.name, b.summary);
        }
    }
    page.section("FILES");
    for (path, text) in FILES {
        page.item(path, text);
    }
    page.section("ENVIRONMENT");
    for (name, text) in VARIABLES {
        page.item(name, text);
    }
    config::variables().for_each(|(name, text)| page.item(name, text));
    page.out
}

const FILES: [(&str, &str); 3] = [
    ("~/.config/gannet/config", "options that hold whenever they are not given: gannet config"),
    ("~/.config/gannet/init.gnt", "a program that runs at the beginning of every prompt"),
    ("~/.local/state/gannet/", "sessions, history and checkpoints"),
];

const VARIABLES: [(&str, &str); 5] = [
    ("GANNET_CONFIG", "folder of config and init.gnt"),
    ("GANNET_MODELS", "folders of models, a list as PATH is"),
    ("GANNET_STATE", "folder of sessions, history and checkpoints"),
    ("NO_COLOR", "no colours"),
    ("LC_ALL, LC_CTYPE, LANG", "output is ASCII where they name another encoding than UTF-8"),
];

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn usage(command: &mut Command) -> String {
    let usage = command.render_usage().to_string();
    usage.trim_start_matches("Usage:").trim().to_owned()
}

/// Lines of roff.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn raw(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{line}");
    }

    /// A line of text; one that would be a request of roff is not.
    fn line(&mut self, text: &str) {
        let text = escaped(text);
        let guard = if text.starts_with(['.', '\'']) { "\\&" } else { "" };
        self.raw(&format!("{guard}{text}"));
    }

    fn section(&mut self, title: &str) {
        self.raw(&format!(".SH {title}"));
    }

    fn heading(&mut self, title: &str) {
        self.raw(&format!(".SS {}", escaped(title)));
    }

    fn paragraph(&mut self, text: Option<&str>) {
        for line in text.unwrap_or_default().lines().filter(|l| !l.is_empty()) {
            self.raw(".PP");
            self.line(line);
        }
    }

    /// A term and its explanation.
    fn item(&mut self, term: &str, text: &str) {
        self.raw(".TP");
        self.raw(&format!("\\fB{}\\fR", escaped(term)));
        self.line(&one_line(text));
    }

    fn arguments<'a>(&mut self, all: impl Iterator<Item = &'a Arg>) {
        for arg in all.filter(|a| !a.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let default: Vec<String> =
                arg.get_default_values().iter().map(|v| v.to_string_lossy().into()).collect();
            let text = match default.as_slice() {
                // A flag's default says nothing.
                [one] if arg.get_action().takes_values() => format!("{help} [default: {one}]"),
                _ => help,
            };
            self.item(&named(arg), &text);
        }
    }

    fn command(&mut self, command: &mut Command) {
        let usage = usage(command);
        self.heading(&usage);
        self.line(&about(command));
        let own = command.get_arguments().filter(|a| !a.is_global_set() && a.get_id() != "help");
        self.arguments(own);
        self.paragraph(command.get_after_help().map(ToString::to_string).as_deref());
        for inner in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
            self.command(inner);
        }
    }
}

/// `-q, --quiet`, `--out DIR`, `FILE`
fn named(arg: &Arg) -> String {
    let short = arg.get_short().map(|c| format!("-{c}"));
    let long = arg.get_long().map(|l| format!("--{l}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let takes = arg.get_action().takes_values();
    let values = arg.get_value_names().filter(|_| takes).unwrap_or_default().iter();
    let value = values.map(ToString::to_string).collect::<Vec<_>>().join(" ");
    match (flags.is_empty(), value.is_empty()) {
        (true, _) => value,
        (_, true) => flags.join(", "),
        _ => format!("{} {value}", flags.join(", ")),
    }
}

/// Text with the characters that roff reads as its own written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '`' => out.push_str("\\(ga"),
            '\'' => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            c if c.is_ascii() => out.push(c),
            c => out.push_str(&format!("\\[u{:04X}]", c as u32)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_option_command_and_function() {
        let page = page();
        let mut all = Cli::command();
        all.build();
        for command in all.get_subcommands().filter(|c| c.get_name() != "help") {
            let line = format!("gannet {}", command.get_name());
            assert!(page.contains(&escaped(&line)), "{line}");
            let shown = command.get_arguments().filter(|a| !a.is_hide_set());
            for arg in shown.filter_map(Arg::get_long) {
                assert!(page.contains(&escaped(&format!("--{arg}"))), "{line} --{arg}");
            }
        }
        for b in builtins::ALL {
            assert!(page.contains(&format!("\\fB{}\\fR", escaped(b.signature.name))));
        }
        assert!(page.is_ascii());
    }

    #[test]
    fn text_is_no_request() {
        let mut page = Page::default();
        page.line(".so /etc/passwd");
        page.line("'x \\n ä");
        assert_eq!(page.out, "\\&.so /etc/passwd\n\\(aqx \\en \\[u00E4]\n");
    }
}
