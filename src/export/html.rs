//! A report as one HTML file that needs nothing else: pictures inside, code in colours, a slider
//! over strips, a wipe over target and reconstruction.

use super::MARK;
use super::page::{Output, Page, Part, Shot};
use crate::lang::lex::{TokenKind, tokens};
use crate::render::text::printable;
use crate::render::{Cell, Table};
use crate::store::base64;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use std::fmt::Write;

/// Pictures in a row from which on a slider leads through them.
const STRIP: usize = 3;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page as HTML.
pub fn html(page: &Page) -> String {
    let title = escaped(&page.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"{MARK}\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    for part in &page.parts {
        match part {
            Part::Words(words) => {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "<section class=\"words\">\n{}</section>", markdown(words));
            }
            Part::Code { number, source, remark, outputs } => {
                let _ = write!(
                    out,
                    "<section class=\"cell\" id=\"cell-{number}\">\n<a class=\"number\" \
                     href=\"#cell-{number}\">[{number}]</a>\n\
                     <pre class=\"code\"><code>{}</code></pre>\n",
                    code(source)
                );
                if !remark.is_empty() {
                    let _ = writeln!(out, "<p class=\"remark\">{}</p>", escaped(remark));
                }
                outputs.iter().for_each(|o| output(&mut out, o));
                out.push_str("</section>\n");
            }
        }
    }
    let _ = write!(
        out,
        "</main>\n<footer>{}</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(&page.origin)
    );
    out
}

fn output(out: &mut String, output: &Output) {
    match output {
        Output::Lines(lines) => {
            let _ = writeln!(out, "<pre class=\"text\">{}</pre>", joined(lines));
        }
        Output::Table(all) => table(out, all),
        Output::Error(lines) => {
            let _ = writeln!(out, "<pre class=\"error\">{}</pre>", joined(lines));
        }
        Output::Pictures(shots) => pictures(out, shots),
    }
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|l| escaped(l)).collect::<Vec<_>>().join("\n")
}

/// A table as HTML, without a page around it.
pub(super) fn table_alone(all: &Table) -> String {
    let mut out = String::new();
    table(&mut out, all);
    out
}

/// Writes a table; the page's script sorts it by the column whose header is clicked.
fn table(out: &mut String, all: &Table) {
    let head = |name: &String| format!("<th>{}</th>", escaped(name));
    let heads: String = all.columns.iter().map(head).collect();
    let _ = writeln!(out, "<table>\n<thead><tr>{heads}</tr></thead><tbody>");
    for row in &all.rows {
        let cell = |c: &Cell| {
            let class = if matches!(c, Cell::Number(..)) { " class=\"number\"" } else { "" };
            format!("<td{class}>{}</td>", escaped(&c.shown()))
        };
        let _ = writeln!(out, "<tr>{}</tr>", row.iter().map(cell).collect::<String>());
    }
    out.push_str("</tbody></table>\n");
}

fn pictures(out: &mut String, shots: &[Shot]) {
    let wipe = shots.iter().position(|s| s.caption == "target");
    let pair = wipe.and_then(|t| Some((t, &shots[t], shots.get(t + 1)?)));
    let pair = pair.filter(|(_, a, b)| a.size == b.size);
    let strip =
        pair.is_none() && shots.len() >= STRIP && shots.iter().all(|s| s.size == shots[0].size);
    let _ = writeln!(out, "<div class=\"pictures{}\">", if strip { " strip" } else { "" });
    for shot in shots {
        let caption = if shot.caption.is_empty() {
            String::new()
        } else {
            format!("<figcaption>{}</figcaption>", escaped(&shot.caption))
        };
        let _ = writeln!(out, "<figure>{}{caption}</figure>", img(shot));
    }
    out.push_str("</div>\n");
    if let Some((at, before, after)) = pair {
        // The script puts copies of the two pictures into it, so that they are in the file once.
        let _ = writeln!(
            out,
            "<div class=\"wipe\" data-first=\"{at}\"><input type=\"range\" min=\"0\" max=\"100\" \
             value=\"50\" aria-label=\"{} and {}\"></div>",
            escaped(&before.caption),
            escaped(&after.caption)
        );
    }
}

fn img(shot: &Shot) -> String {
    format!(
        "<img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\">",
        escaped(&shot.words),
        shot.size.0,
        shot.size.1,
        base64::encode(&shot.png)
    )
}

/// A program with its tokens in spans.
fn code(source: &str) -> String {
    let (mut out, mut at) = (String::new(), 0);
    for token in tokens(source) {
        let text = &source[token.span.start..token.span.end];
        out.push_str(&escaped_lines(&source[at..token.span.start]));
        let class = match token.kind {
            TokenKind::Number => "number",
            TokenKind::Text => "string",
            TokenKind::Keyword => "keyword",
            TokenKind::Space(_) => "space",
            TokenKind::Comment | TokenKind::Marker | TokenKind::Prose => "comment",
            TokenKind::Bad => "bad",
            TokenKind::Name if source[token.span.end..].starts_with('(') => "call",
            TokenKind::Name | TokenKind::Symbol(_) => "",
        };
        let text = escaped_lines(text);
        if class.is_empty() {
            out.push_str(&text);
        } else {
            let _ = write!(out, "<span class=\"{class}\">{text}</span>");
        }
        at = token.span.end;
    }
    out.push_str(&escaped_lines(&source[at..]));
    out
}

/// Text as HTML; control characters are written out.
fn escaped(text: &str) -> String {
    marked(&printable(text))
}

/// As [`escaped`], with the newlines of the text.
fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Markdown as HTML. HTML in it is text. Links lead to the web, to mail, or within the page.
/// Pictures are links, because a report loads nothing.
fn markdown(words: &str) -> String {
    let mut links = Vec::new();
    let events = Parser::new_ext(words, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let safe = events.map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            let kept =
                ["https://", "http://", "mailto:", "#"].iter().any(|s| dest_url.starts_with(s));
            links.push(kept);
            let opened =
                if kept { format!("<a href=\"{}\">", marked(&dest_url)) } else { String::new() };
            Event::InlineHtml(opened.into())
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            let closed = if links.pop() == Some(true) { "</a>" } else { "" };
            Event::InlineHtml(closed.into())
        }
        other => other,
    });
    let mut out = String::new();
    html::push_html(&mut out, safe);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(caption: &str) -> Shot {
        Shot {
            png: b"png".to_vec(),
            size: (4, 2),
            caption: caption.into(),
            words: "a <cat>".into(),
        }
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let page = Page {
            notebook: true,
            title: "<script>alert(1)</script>".into(),
            origin: "a & b".into(),
            parts: vec![
                Part::Words(
                    "# Hi\n<img src=x onerror=alert(1)> [x](javascript:alert(1)) [y](https://y.z)"
                        .into(),
                ),
                Part::Code {
                    number: 1,
                    source: "x = \"</code><script>\" # <b>".into(),
                    remark: "<i>".into(),
                    outputs: vec![
                        Output::Lines(vec!["\u{1b}[2J <u>".into()]),
                        Output::Error(vec!["</pre>".into()]),
                        Output::Pictures(vec![shot("\"><s>")]),
                    ],
                },
            ],
            ..Page::default()
        };
        let text = html(&page);
        for bad in [
            "<script>alert",
            "<img src=x",
            "href=\"javascript",
            "</code><script>",
            "<b>",
            "<i>",
            "<u>",
            "<s>",
            "\u{1b}",
        ] {
            assert!(!text.contains(bad), "{bad}: {text}");
        }
        for good in [
            "<h1>Hi</h1>",
            "href=\"https://y.z\"",
            "alt=\"a &lt;cat&gt;\"",
            "data:image/png;base64,cG5n",
        ] {
            assert!(text.contains(good), "{good}: {text}");
        }
        // One file: nothing is loaded from elsewhere.
        assert!(!text.contains("src=\"http") && !text.contains("<link"), "{text}");
    }

    #[test]
    fn a_target_gets_a_wipe_and_a_strip_a_slider() {
        let mut out = String::new();
        pictures(&mut out, &[shot("target"), shot("inverted"), shot("error ×4")]);
        assert_eq!(out.matches("class=\"wipe\"").count(), 1, "{out}");
        let mut out = String::new();
        pictures(&mut out, &[shot("-1"), shot("0"), shot("1")]);
        assert!(out.contains("pictures strip") && !out.contains("wipe"), "{out}");
    }

    #[test]
    fn a_table_is_a_table_and_aligned_lines_are_text() {
        let rows = [("a", 1.0), ("<b>", -10.0)];
        let row = |(name, v): (&str, f64)| vec![Cell::Text(name.into()), Cell::Number(v, 2)];
        let rows = rows.map(row).to_vec();
        let all = Table { columns: vec!["name".into(), "value".into()], rows };
        let mut out = String::new();
        output(&mut out, &Output::Table(all.clone()));
        assert_eq!((out.matches("<tr>").count(), out.matches("<th>").count()), (3, 2), "{out}");
        assert!(out.contains("<td class=\"number\">-10.00</td>"), "{out}");
        assert!(out.contains("<td>&lt;b&gt;</td>"), "{out}");
        let mut text = String::new();
        output(&mut text, &Output::Lines(all.lines()));
        assert!(text.starts_with("<pre") && !text.contains("<table"), "{text}");
    }

    #[test]
    fn code_keeps_every_character() {
        let source = "w = sample(seed: 3)\n\n  show w + 2*\"smile\" # é\n";
        let text = code(source);
        let mut plain = String::new();
        let mut inside = false;
        for c in text.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => plain.push(c),
                _ => {}
            }
        }
        assert_eq!(plain.replace("&quot;", "\""), source);
        assert!(text.contains("<span class=\"call\">sample</span>"), "{text}");
    }
}
