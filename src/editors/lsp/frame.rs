//! Messages between headers: `Content-Length: N`, a blank line, N bytes of JSON.

use crate::error::{Error, Kind, Result};
use serde_json::Value as Json;
use std::io::{BufRead, Read, Write};

/// Most bytes of a message. A source of 1 MiB has at most six in JSON for each of its own.
const BYTES: u64 = 8 << 20;
/// Most bytes of the headers of a message.
const HEADERS: u64 = 4 << 10;

/// A message from the editor; `None` for one that is not JSON.
pub(super) type Frame = Option<Json>;

/// The next message; `None` at the end of the input.
///
/// # Errors
/// For headers that give no length within the limit, and when the input ends within a message.
pub(super) fn read(input: &mut impl BufRead) -> Result<Option<Frame>> {
    let Some(length) = length(input)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let got = input.take(length).read_to_end(&mut bytes).map_err(unread)?;
    if (got as u64) < length {
        return Err(wrong(format!("it ends after {got} of {length} bytes")));
    }
    Ok(Some(serde_json::from_slice(&bytes).ok()))
}

/// The length that the headers give; `None` at the end of the input.
fn length(input: &mut impl BufRead) -> Result<Option<u64>> {
    let mut headers = input.take(HEADERS);
    let (mut length, mut first) = (None, true);
    loop {
        let mut line = Vec::new();
        headers.read_until(b'\n', &mut line).map_err(unread)?;
        if line.is_empty() && first {
            return Ok(None);
        }
        if !line.ends_with(b"\n") {
            return Err(wrong(format!("its headers do not end within {HEADERS} bytes")));
        }
        first = false;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header has no colon"))?;
        if name.eq_ignore_ascii_case("content-length") {
            let parsed = value.trim().parse().ok().filter(|n| *n <= BYTES);
            let rule = || wrong(format!("its Content-Length is not a number up to {BYTES}"));
            length = Some(parsed.ok_or_else(rule)?);
        }
    }
    length.map(Some).ok_or_else(|| wrong("its headers have no Content-Length"))
}

/// Writes a message. It is ASCII, so that its length does not depend on the locale.
///
/// # Errors
/// When the output is closed.
pub(super) fn write(output: &mut dyn Write, message: &Json) -> Result<()> {
    let text = message.to_string();
    let frame = format!("Content-Length: {}\r\n\r\n{text}", text.len());
    let written = output.write_all(frame.as_bytes()).and_then(|()| output.flush());
    written.map_err(|e| Error::io("cannot write to the editor", &e))
}

fn wrong(rule: impl Into<String>) -> Error {
    let message = format!("a message of the editor is not a frame of LSP: {}", rule.into());
    Error::new(Kind::Format, message).hint("gannet lsp is started by an editor: grammar/README.md")
}

fn unread(e: std::io::Error) -> Error {
    Error::io("cannot read from the editor", &e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn all(bytes: &[u8]) -> Result<Vec<Frame>> {
        let mut input = bytes;
        std::iter::from_fn(|| read(&mut input).transpose()).collect()
    }

    #[test]
    fn messages_come_back_as_they_were_written() {
        let messages = [json!({"id": 1, "text": "ä😀\n"}), json!([]), json!(null)];
        let mut bytes = Vec::new();
        messages.iter().for_each(|m| write(&mut bytes, m).unwrap());
        let want: Vec<Frame> = messages.into_iter().map(Some).collect();
        assert_eq!(all(&bytes).unwrap(), want);
        let other = b"content-type: x\r\ncontent-length: 2\r\n\r\n{}Content-Length: 1\n\n{";
        assert_eq!(all(other).unwrap(), [Some(json!({})), None]);
        let deep = "[".repeat(100_000);
        let deep = format!("Content-Length: {}\r\n\r\n{deep}", deep.len());
        assert_eq!(all(deep.as_bytes()).unwrap(), [None]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let long = "x".repeat(10_000);
        for (bytes, words) in [
            ("\r\n", "no Content-Length"),
            ("Content-Length: 5\r\n\r\n{}", "after 2 of 5"),
            ("Content-Length: -1\r\n\r\n", "not a number"),
            ("Content-Length: 99999999999\r\n\r\n{}", "not a number"),
            ("Content-Length: 1e3\r\n\r\n", "not a number"),
            ("hello\n\n", "no colon"),
            ("Content-Length: 2", "do not end"),
            (&long, "do not end"),
        ] {
            let e = all(bytes.as_bytes()).unwrap_err();
            assert!(e.message().contains(words), "{bytes:.30}: {e}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = all(&bytes);
            let mut framed = format!("Content-Length: {}\r\n\r\n", bytes.len()).into_bytes();
            framed.extend(&bytes);
            prop_assert_eq!(all(&framed).unwrap().len(), 1);
        }
    }
}
