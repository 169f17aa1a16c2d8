//! Whole sessions of the server, in memory.

use super::serve;
use crate::eval::{Options, State};
use crate::value::Models;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::io::Cursor;
use std::sync::OnceLock;

const URI: &str = "untitled:a.gnt";

fn state() -> State {
    static STATE: OnceLock<State> = OnceLock::new();
    let new = || State::new(Models::cpu(), "toy", Options::default()).unwrap();
    STATE.get_or_init(new).clone()
}

/// The exit code of a session, and all messages of the server.
fn session(messages: &[Json]) -> (u8, Vec<Json>) {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    messages.iter().for_each(|m| super::frame::write(&mut input, m).unwrap());
    let code = serve(Cursor::new(input), &mut output, state()).unwrap();
    let (mut rest, mut all) = (output.as_slice(), Vec::new());
    while let Some(frame) = super::frame::read(&mut rest).unwrap() {
        all.push(frame.expect("JSON"));
    }
    (code, all)
}

fn opened(text: &str) -> Vec<Json> {
    vec![
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"capabilities": {}}}),
        json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}),
        json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params":
            {"textDocument": {"uri": URI, "languageId": "gannet", "version": 1, "text": text}}}),
    ]
}

/// The result of a request about a text at the mark `¦` in it.
fn asked(method: &str, marked: &str) -> Json {
    let at = marked.find('¦').unwrap_or(marked.len());
    let (before, text) = (&marked[..at], marked.replace('¦', ""));
    let line = before.matches('\n').count();
    let character = before.rsplit('\n').next().unwrap().encode_utf16().count();
    let position = json!({"line": line, "character": character});
    let mut messages = opened(&text);
    messages.push(json!({"jsonrpc": "2.0", "id": 1, "method": format!("textDocument/{method}"),
        "params": {"textDocument": {"uri": URI}, "position": position,
            "range": {"start": position, "end": position}}}));
    let (_, all) = session(&messages);
    let answer = all.into_iter().find(|m| m["id"] == 1).expect("an answer");
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}

fn labels(marked: &str) -> Vec<String> {
    let found = asked("completion", marked);
    let items = found.as_array().unwrap().iter();
    items.map(|i| i["textEdit"]["newText"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_session_begins_and_ends_as_the_protocol_says() {
    let request =
        |id: u64, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}});
    let exit = json!({"jsonrpc": "2.0", "method": "exit"});
    let early = [request(7, "textDocument/hover"), exit.clone()];
    let (code, all) = session(&early);
    assert_eq!((code, &all[0]["id"], &all[0]["error"]["code"]), (1, &json!(7), &json!(-32002)));
    let whole = [
        request(1, "initialize"),
        request(2, "initialize"),
        request(3, "workspace/symbol"),
        request(4, "shutdown"),
        request(5, "textDocument/hover"),
        exit,
    ];
    let (code, all) = session(&whole);
    assert_eq!(code, 0);
    let codes: Vec<Json> = all.iter().map(|m| m["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!(-32600), json!(-32601), json!(null), json!(-32600)]);
    assert_eq!(all[0]["result"]["capabilities"]["hoverProvider"], true);
    // Without `exit` the input has just ended.
    assert_eq!(session(&whole[..1]).0, 1);
}

#[test]
fn help_is_about_the_word_at_the_cursor() {
    for (marked, words) in [
        ("w = inv¦ert(sample())", "invert(picture"),
        ("w = invert(sample(), sp¦ace: W)", "space?: Space\nZ, W, W+"),
        ("w = invert(sample(), space: W¦+)", "a w for each layer"),
        ("w = sample()\nx = ¦w + w", "w: Latent[W]"),
        ("w¦ = sample()\nw = to(W+, w)", "w: Latent[W]"),
        ("w = sample()\nw¦ = to(W+, w)", "w: Latent[W+]"),
        ("def twice(a) = 2*a\nx = twi¦ce(3)", "twice(a) = 2*a"),
        ("d = direction(\"smi¦le\")", "a direction of the generator"),
        ("sh¦ow 1", "shows values side by side"),
        ("x = ((\nw = sample()\ny = w¦", "w: Latent[W]"),
    ] {
        let found = asked("hover", marked);
        let text = found["contents"]["value"].as_str().unwrap_or_default();
        assert!(text.contains(words), "{marked}: {found}");
        assert!(!text.contains("on the prompt"), "{text}");
    }
    for nothing in ["x = 1¦2", "# inv¦ert", "#%% md\ninv¦ert", "nosuch¦thing(1)", "\n\n¦", ""]
    {
        assert_eq!(asked("hover", nothing), Json::Null, "{nothing}");
    }
}

#[test]
fn completions_fit_the_place() {
    let has = |marked: &str, wanted: &str| {
        let found = labels(marked);
        assert!(found.iter().any(|l| l == wanted), "{marked}: {found:?}");
    };
    has("w = inv¦", "invert(");
    has("w = inv¦(x)", "invert");
    has("w = sample()\nx = invert(w,\n  sp¦", "space: ");
    has("w = sample()\nx = invert(w, space: ¦)", "W+");
    has("d = direction(\"smi¦", "smile\"");
    has("d = direction(\"smi¦\")", "smile");
    has("strength = 2\nshow 1 + stre¦", "strength");
    has("strength = 2\ny = ((\nshow 1 + stre¦", "strength");
    has("def twice(a) = 2*a\nx = tw¦", "twice(");
    // Later names are not known yet, and a line of a program is no command of the prompt.
    assert!(!labels("x = stre¦\nstrength = 2").contains(&"strength".into()));
    for nothing in [":un¦", "# inv¦", "#%% md\nInv¦"] {
        assert_eq!(labels(nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn a_document_is_laid_out_and_repaired() {
    let edits = asked("formatting", "w=sample( )\n\n\n\nshow  w");
    assert_eq!(edits[0]["newText"], "w = sample()\n\nshow w\n");
    assert_eq!(edits[0]["range"]["end"], json!({"line": 4, "character": 7}));
    assert_eq!(asked("formatting", "w = sample()\n"), json!([]));
    assert_eq!(asked("formatting", "w = ((\n"), Json::Null);
}

#[test]
fn hostile_messages_are_answered_or_ignored() {
    let strange = [
        json!(null),
        json!([]),
        json!({"id": 3}),
        json!({"id": [1], "method": 5}),
        json!({"method": "textDocument/didOpen"}),
        json!({"method": "textDocument/didChange", "params": {"textDocument": {"uri": URI},
            "contentChanges": [{"text": 5}]}}),
        json!({"method": "textDocument/didClose", "params": {"textDocument": {"uri": "nowhere"}}}),
        json!({"id": 9, "result": null}),
        json!({"id": 10, "method": "textDocument/hover", "params": [[[]]]}),
        json!({"id": 11, "method": "textDocument/hover", "params": {"textDocument": {"uri": URI}}}),
    ];
    let mut messages = opened("w = sample()");
    messages.extend(strange);
    let (_, all) = session(&messages);
    let ids: Vec<&Json> = all.iter().filter_map(|m| m.get("id")).collect();
    assert_eq!(
        ids,
        [&json!(0), &Json::Null, &Json::Null, &Json::Null, &Json::Null, &json!(10), &json!(11)]
    );
    let many = |n: usize| {
        json!({"method": "textDocument/didOpen", "params":
            {"textDocument": {"uri": format!("u{n}"), "text": "x = 1"}}})
    };
    let mut messages = opened("");
    messages.extend((0..400).map(many));
    assert_eq!(session(&messages).0, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_text_and_place_is_borne(
        text in "[a-z(\\[\"|:>#%\\n\\r =+W0-9😀é]{0,60}",
        (line, character) in (0u64..6, 0u64..40),
    ) {
        let position = json!({"line": line, "character": character});
        let mut messages = opened(&text);
        let methods = ["hover", "completion", "formatting", "codeAction"];
        messages.extend(methods.iter().enumerate().map(|(i, method)| {
            json!({"id": i + 1, "method": format!("textDocument/{method}"), "params":
                {"textDocument": {"uri": URI}, "position": position,
                    "range": {"start": position, "end": position}}})
        }));
        let (_, all) = session(&messages);
        let answered = all.iter().filter(|m| m.get("id").is_some() && m.get("error").is_none());
        prop_assert_eq!(answered.count(), 1 + methods.len());
    }
}
