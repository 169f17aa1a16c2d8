//! Files for editors: they are those that the program makes, vim colours every token as the lexer
//! reads it, and the language server answers an editor.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

use gannet::editors::grammar::Editor;
use gannet::lang::lex::{self, Token, TokenKind};
use serde_json::{Value as Json, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_files_below_grammar_are_those_that_the_program_makes() {
    for editor in [Editor::Vim, Editor::VsCode] {
        for file in editor.files() {
            let path = root().join("grammar").join(editor.name()).join(file.path);
            let kept = fs::read_to_string(&path).unwrap_or_default();
            let command = format!("gannet grammar {0} --out grammar/{0}", editor.name());
            assert!(kept == file.text, "{} is old: {command}", path.display());
        }
    }
    let package = fs::read_to_string(root().join("grammar/vscode/package.json")).unwrap();
    let package: Json = serde_json::from_str(&package).unwrap();
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
}

/// Programs with every rule of the grammar.
fn programs() -> Vec<(PathBuf, String)> {
    let files =
        |folder: &str| fs::read_dir(root().join(folder)).unwrap().map(|e| e.unwrap().path());
    let all = files("grammar").chain(files("grammar/accept")).chain(files("scripts"));
    let mut all: Vec<PathBuf> = all.filter(|p| p.extension().is_some_and(|e| e == "gnt")).collect();
    all.sort();
    let own = "#%% md Title\nSome *words* and `code`, sample(1)\n#%% code\nx = [sample(seed: s) \
               for s in 1..4 if true]\n  #%%\n\"a\\n\\x\" # TODO ä \"x\"\nWide + W+1 PN+x pc01 1.5e-3\n\
               größe = pc[0] |> show\nx |>\n  invert(init: best_of: 8, method: hybrid)\n\
               hybrid = \"open\n";
    let own_path = std::env::temp_dir().join(format!("gannet-colours-{}.gnt", std::process::id()));
    fs::write(&own_path, own).unwrap();
    all.push(own_path);
    all.into_iter().map(|p| (p.clone(), fs::read_to_string(p).unwrap())).collect()
}

/// The group of every byte of every line of a file, as vim sees it.
fn vim(path: &Path) -> Vec<Vec<String>> {
    let out = std::env::temp_dir().join(format!("gannet-groups-{}", std::process::id()));
    let script = format!(
        "set nocompatible | filetype plugin on | syntax on | edit {} | let out = [] \
         | for l in range(1, line('$')) | let row = [] | for c in range(1, col([l, '$']) - 1) \
         | call add(row, synIDattr(synID(l, c, 1), 'name')) | endfor \
         | call add(out, join(row, ',')) | endfor | call writefile(out, '{}') | qall!",
        path.display(),
        out.display()
    );
    let status = Command::new("vim")
        .args(["-es", "-u", "NONE", "-i", "NONE"])
        .arg("--cmd")
        .arg(format!("set runtimepath^={}", root().join("grammar/vim").display()))
        .arg("-c")
        .arg(script)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{}", path.display());
    let text = fs::read_to_string(&out).unwrap();
    fs::remove_file(out).unwrap();
    text.lines().map(|l| l.split(',').map(str::to_owned).collect()).collect()
}

/// The groups that a token may have; `None` where its words decide.
fn groups(text: &str, tokens: &[Token], i: usize) -> Option<&'static [&'static str]> {
    let word = &text[tokens[i].span.start..tokens[i].span.end];
    let next = tokens.get(i + 1).map_or("", |t| &text[t.span.start..t.span.end]);
    Some(match tokens[i].kind {
        TokenKind::Number => &["gannetNumber"],
        TokenKind::Text => &["gannetText"],
        TokenKind::Keyword => &["gannetStatement", "gannetInside", "gannetTruth"],
        TokenKind::Space(_) => &["gannetSpace"],
        TokenKind::Comment => &["gannetComment"],
        TokenKind::Marker => &["gannetCell"],
        TokenKind::Bad if word.starts_with('"') => &["gannetText"],
        TokenKind::Symbol("|>" | ".." | "+" | "-" | "*" | "/" | "|" | "@" | "=") => {
            &["gannetOperator"]
        }
        TokenKind::Symbol("(" | ")" | "[" | "]" | "," | ";") => &[""],
        TokenKind::Name if gannet::builtins::find(word).is_some() && next == "(" => {
            &["gannetFunction", "gannetPiped"]
        }
        _ => return None,
    })
}

#[test]
fn vim_colours_every_token_as_the_lexer_reads_it() {
    if Command::new("vim").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: there is no vim");
        return;
    }
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in programs() {
        let shown = vim(&path);
        let tokens = lex::tokens(&text);
        for (i, token) in tokens.iter().enumerate() {
            let before = &text[..token.span.start];
            let (line, column) =
                (before.matches('\n').count(), before.rsplit('\n').next().unwrap());
            let Some(found) = shown.get(line).and_then(|row| row.get(column.len())) else {
                continue;
            };
            let word = text[token.span.start..token.span.end].lines().next().unwrap_or_default();
            let fits = match groups(&text, &tokens, i) {
                Some(wanted) => wanted.contains(&found.as_str()),
                None => token.kind != TokenKind::Prose || !found.starts_with("gannetN"),
            };
            seen += 1;
            if !fits {
                wrong.push(format!("{}:{}: {word}: {found}", path.display(), line + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 1500, "{seen}");
}

/// An editor that talks to `gannet lsp`.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    sent: u64,
}

impl Client {
    fn new(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gannet"))
            .args(["--model", "toy", "lsp"])
            .env("GANNET_STATE", folder.join("state"))
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output), sent: 0 }
    }

    fn send(&mut self, message: &Json) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn receive(&mut self) -> Json {
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has ended");
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", n)) => length = n.parse().unwrap(),
                _ => break,
            }
        }
        let mut bytes = vec![0; length];
        self.output.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn notify(&mut self, method: &str, params: Json) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// The result of a request; notifications before it are passed over.
    fn ask(&mut self, method: &str, params: Json) -> Json {
        self.sent += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params}));
        loop {
            let message = self.receive();
            if message["id"] == self.sent {
                return message["result"].clone();
            }
        }
    }

    /// The next mistakes of a document of this version.
    fn mistakes(&mut self, version: u64) -> Vec<Json> {
        loop {
            let message = self.receive();
            let params = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics"
                && params["version"] == version
            {
                return params["diagnostics"].as_array().unwrap().clone();
            }
        }
    }
}

#[test]
fn an_editor_sees_mistakes_while_typing_and_repairs_them() {
    let folder = tempfile::tempdir().unwrap();
    let home = fs::canonicalize(folder.path()).unwrap();
    fs::copy(root().join("models/faces/examples/900001.jpg"), home.join("a b.jpg")).unwrap();
    let uri = format!("file://{}/edit.gnt", home.display());
    let mut client = Client::new(folder.path());
    let root_uri = format!("file://{}", home.display());
    client.ask("initialize", json!({"rootUri": root_uri, "capabilities": {}}));
    client.notify("initialized", json!({}));
    let text = "größe = 2; x = image(\"a b.jpg\")\nr = invrt(x)\n";
    client.notify(
        "textDocument/didOpen",
        json!({"textDocument": {"uri": uri, "languageId": "gannet", "version": 1, "text": text}}),
    );
    // The picture is found in the editor's folder, and the mistake is underlined.
    let mistakes = client.mistakes(1);
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    let range = mistakes[0]["range"].clone();
    let word = json!({"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 9}});
    assert_eq!(range, word);
    assert!(mistakes[0]["message"].as_str().unwrap().contains("invert"), "{mistakes:?}");
    let document = json!({"uri": uri});
    let params = json!({"textDocument": document, "range": range, "context": {"diagnostics": []}});
    let repairs = client.ask("textDocument/codeAction", params);
    assert_eq!(repairs[0]["title"], "replace by invert");
    let edit = &repairs[0]["edit"]["changes"][&uri][0];
    assert_eq!((&edit["newText"], &edit["range"]), (&json!("invert"), &range), "{repairs}");
    // Several changes in a row: the last one is checked.
    for (version, word) in [(2, "inv"), (3, "inver"), (4, "invert")] {
        client.notify(
            "textDocument/didChange",
            json!({"textDocument": {"uri": uri, "version": version},
                "contentChanges": [{"text": text.replace("invrt", word)}]}),
        );
    }
    assert_eq!(client.mistakes(4), [json!(null); 0]);
    let position = json!({"line": 1, "character": 0});
    let params = json!({"textDocument": document, "position": position});
    let hover = client.ask("textDocument/hover", params);
    assert_eq!(hover["contents"]["value"], "r: Inversion[W+]");
    client.notify("textDocument/didClose", json!({"textDocument": document}));
    client.ask("shutdown", Json::Null);
    client.notify("exit", Json::Null);
    assert_eq!(client.child.wait().unwrap().code(), Some(0));
}

#[test]
fn imports_lead_from_the_folder_of_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let home = fs::canonicalize(folder.path()).unwrap();
    fs::create_dir(home.join("sub")).unwrap();
    fs::write(home.join("sub/lib.gnt"), "def older(w) = w + 2*direction(\"age\")\n").unwrap();
    fs::write(home.join("sub/bad.gnt"), "x = 1\ny = nosuch\n").unwrap();
    let mut client = Client::new(folder.path());
    client.ask("initialize", json!({"rootUri": format!("file://{}", home.display())}));
    let mut open = |name: &str, text: &str| {
        let uri = format!("file://{}/sub/{name}", home.display());
        let document = json!({"uri": uri, "languageId": "gannet", "version": 1, "text": text});
        client.notify("textDocument/didOpen", json!({"textDocument": document}));
        (client.mistakes(1), uri)
    };
    let (mistakes, _) = open("b.gnt", "\nimport \"bad.gnt\"\n");
    let message = mistakes[0]["message"].as_str().unwrap();
    assert!(message.contains("bad.gnt:2:5: ") && mistakes[0]["range"]["start"]["line"] == 1);
    let (mistakes, uri) = open("a.gnt", "import \"lib.gnt\"\nx = older(sample())\n");
    assert_eq!(mistakes, [json!(null); 0]);
    let position = json!({"line": 1, "character": 6});
    let params = json!({"textDocument": {"uri": uri}, "position": position});
    let hover = client.ask("textDocument/hover", params);
    assert_eq!(hover["contents"]["value"], "older(w) = w + 2*direction(\"age\")");
}

#[test]
fn what_is_no_frame_ends_the_server_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, code) in
        [("GET / HTTP/1.1\r\n\r\n", 1), ("Content-Length: 999999999\r\n\r\n", 1), ("", 1)]
    {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gannet"))
            .args(["--model", "toy", "lsp"])
            .env("GANNET_STATE", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{bytes}");
        let errors = String::from_utf8(out.stderr).unwrap();
        assert_eq!(errors.contains("is not a frame"), !bytes.is_empty(), "{errors}");
        assert!(out.stdout.is_empty());
    }
}
