//! The state of a server, and what it does for each message.

use super::answers::{self, Mistake};
use super::document::{Document, path};
use super::frame::{self, Frame};
use crate::error::{Error, Result};
use crate::eval::State;
use crate::lang::layout;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Most documents that may be open.
const DOCUMENTS: usize = 256;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const NOT_INITIALIZED: i64 = -32002;

/// The life of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    New,
    Running,
    ShutDown,
}

/// A refused request: its code and the reason.
type Refusal = (i64, String);

pub(super) struct Server<'a> {
    state: State,
    output: &'a mut (dyn Write + Send),
    life: Life,
    documents: BTreeMap<String, Document>,
    /// Documents that changed since their last check.
    unchecked: BTreeSet<String>,
    /// The mistakes of the last check.
    mistakes: BTreeMap<String, Vec<Mistake>>,
}

impl<'a> Server<'a> {
    pub(super) fn new(state: State, output: &'a mut (dyn Write + Send)) -> Self {
        Self {
            state,
            output,
            life: Life::New,
            documents: BTreeMap::new(),
            unchecked: BTreeSet::new(),
            mistakes: BTreeMap::new(),
        }
    }

    /// Answers messages to the end, and gives the exit code.
    pub(super) fn run(mut self, frames: &Receiver<Result<Frame>>) -> Result<u8> {
        loop {
            let next = match frames.try_recv() {
                Ok(frame) => frame,
                Err(TryRecvError::Empty) if !self.unchecked.is_empty() => {
                    self.check_one()?;
                    continue;
                }
                // The input has ended without `exit`.
                Err(TryRecvError::Disconnected) => return Ok(1),
                Err(TryRecvError::Empty) => match frames.recv() {
                    Ok(frame) => frame,
                    Err(_) => return Ok(1),
                },
            };
            match next? {
                None => self.refuse(&Json::Null, (PARSE_ERROR, "this is not JSON".into()))?,
                Some(message) => {
                    if let Some(code) = self.message(&message)? {
                        return Ok(code);
                    }
                }
            }
        }
    }

    /// Handles a message; gives the exit code for `exit`.
    fn message(&mut self, message: &Json) -> Result<Option<u8>> {
        let Some(method) = message["method"].as_str() else {
            // An answer to a request that was never made, or no message at all.
            if message.get("id").is_none() || message.get("result").is_none() {
                let reason = (INVALID_REQUEST, "this is no message: it has no method".into());
                self.refuse(&Json::Null, reason)?;
            }
            return Ok(None);
        };
        let params = &message["params"];
        let Some(id) = message.get("id") else {
            if method == "exit" {
                return Ok(Some(u8::from(self.life != Life::ShutDown)));
            }
            self.notified(method, params);
            return Ok(None);
        };
        match self.request(method, params) {
            Ok(result) => self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result}))?,
            Err(refusal) => self.refuse(id, refusal)?,
        }
        Ok(None)
    }

    fn request(&mut self, method: &str, params: &Json) -> Result<Json, Refusal> {
        match (self.life, method) {
            (Life::New, "initialize") => {
                self.life = Life::Running;
                enter(params);
                Ok(capabilities())
            }
            (Life::New, _) => Err((NOT_INITIALIZED, "`initialize` comes first".into())),
            (Life::ShutDown, _) => Err((INVALID_REQUEST, "after `shutdown` comes `exit`".into())),
            (Life::Running, "initialize") => Err((INVALID_REQUEST, "it is initialized".into())),
            (Life::Running, "shutdown") => {
                self.life = Life::ShutDown;
                Ok(Json::Null)
            }
            (Life::Running, _) => self.about_document(method, params),
        }
    }

    fn about_document(&mut self, method: &str, params: &Json) -> Result<Json, Refusal> {
        let known = ["hover", "completion", "formatting", "codeAction"];
        let Some(what) = method.strip_prefix("textDocument/").filter(|m| known.contains(m)) else {
            return Err((METHOD_NOT_FOUND, format!("gannet does not know `{method}`")));
        };
        let uri = params["textDocument"]["uri"].as_str().unwrap_or_default();
        let document = self.documents.get(uri);
        let document = document.ok_or((INVALID_PARAMS, format!("`{uri}` is not open")))?;
        let at = document.byte(&params["position"]);
        Ok(match what {
            "hover" => answers::hover(&self.state, document, at),
            "completion" => answers::completion(&self.state, document, at),
            "formatting" => formatting(document),
            _ => {
                // The ranges of mistakes are those of the text that was checked.
                let checked = !self.unchecked.contains(uri);
                let mistakes = self.mistakes.get(uri).filter(|_| checked);
                let mistakes = mistakes.map(Vec::as_slice).unwrap_or_default();
                answers::repairs(uri, document, mistakes, &params["range"])
            }
        })
    }

    /// Handles a notification. What cannot be understood is ignored, as the protocol asks.
    fn notified(&mut self, method: &str, params: &Json) {
        let document = &params["textDocument"];
        let Some(uri) = document["uri"].as_str().filter(|_| self.life == Life::Running) else {
            return;
        };
        let text = match method {
            "textDocument/didOpen" => document["text"].as_str(),
            // Changes carry the whole text: the server asks for that.
            "textDocument/didChange" => params["contentChanges"]
                .as_array()
                .and_then(|all| all.last())
                .and_then(|change| change["text"].as_str()),
            "textDocument/didClose" => {
                self.documents.remove(uri);
                // The next check takes its mistakes away.
                self.unchecked.insert(uri.to_owned());
                return;
            }
            _ => return,
        };
        let Some(text) = text else { return };
        if self.documents.len() < DOCUMENTS || self.documents.contains_key(uri) {
            let document = Document::new(uri, document["version"].clone(), text);
            self.documents.insert(uri.to_owned(), document);
            self.unchecked.insert(uri.to_owned());
        }
    }

    /// Checks a document that changed, and reports its mistakes.
    fn check_one(&mut self) -> Result<()> {
        let Some(uri) = self.unchecked.pop_first() else { return Ok(()) };
        let found = self.documents.get(&uri).map(|d| (answers::mistakes(&self.state, d), d));
        let (version, shown) = match &found {
            Some((mistakes, document)) => {
                let shown = mistakes.iter().map(|m| answers::diagnostic(&uri, document, m));
                (document.version.clone(), shown.collect())
            }
            None => (Json::Null, Vec::new()),
        };
        match found {
            Some((mistakes, _)) => self.mistakes.insert(uri.clone(), mistakes),
            None => self.mistakes.remove(&uri),
        };
        let mut params = json!({"uri": uri, "diagnostics": shown});
        if version.is_i64() {
            params["version"] = version;
        }
        let method = "textDocument/publishDiagnostics";
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    fn refuse(&mut self, id: &Json, (code, message): Refusal) -> Result<()> {
        let error = json!({"code": code, "message": message});
        self.send(&json!({"jsonrpc": "2.0", "id": id, "error": error}))
    }

    fn send(&mut self, message: &Json) -> Result<()> {
        frame::write(self.output, message)
    }
}

/// Enters the editor's folder, which the paths of programs are relative to. It stays where it is
/// when there is none.
fn enter(params: &Json) {
    let folder = params["workspaceFolders"][0]["uri"].as_str().or(params["rootUri"].as_str());
    if let Some(folder) = folder.and_then(path) {
        let _ = std::env::set_current_dir(folder);
    }
}

fn capabilities() -> Json {
    json!({
        "capabilities": {
            // 1: a change carries the whole text.
            "textDocumentSync": {"openClose": true, "change": 1},
            "hoverProvider": true,
            "completionProvider": {"triggerCharacters": ["(", "\"", ":", ">", "/"]},
            "documentFormattingProvider": true,
            "codeActionProvider": {"codeActionKinds": ["quickfix"]},
        },
        "serverInfo": {"name": "gannet", "version": env!("CARGO_PKG_VERSION")},
    })
}

/// The edit that lays a document out; `null` for one that the parser refuses, whose mistakes the
/// editor shows already.
fn formatting(document: &Document) -> Json {
    let laid_out = document.source.as_ref().map_err(Error::clone).and_then(layout::format);
    match laid_out {
        Ok(text) if text == document.text() => json!([]),
        Ok(text) => {
            let end = document.position(document.text().len());
            let range = json!({"start": {"line": 0, "character": 0}, "end": end});
            json!([{"range": range, "newText": text}])
        }
        Err(_) => Json::Null,
    }
}
