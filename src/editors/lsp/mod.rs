//! A language server (LSP 3.17): mistakes, help, completion, layout and repairs for programs and
//! notebooks.
//!
//! A thread reads messages, another one answers them in order. A document is checked when no
//! message waits, so that a fast typist does not queue checks.

mod answers;
mod document;
mod frame;
mod server;

use crate::error::{Error, Result};
use crate::eval::State;
use frame::Frame;
use server::Server;
use std::io::{BufRead, Write};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Stack of the thread that checks. The checker recurses, and its depth limit assumes this size.
const STACK: usize = 64 << 20;
/// Messages that are read ahead.
const AHEAD: usize = 64;

/// Serves an editor until it says `exit` or closes the input. Documents are checked in the session
/// `state`. Returns the exit code: 0 after `shutdown` and `exit`, else 1.
///
/// # Errors
/// For a frame that cannot be read, after which the next one cannot be found, and when the output
/// is closed.
pub fn serve(
    mut input: impl BufRead + Send + 'static,
    output: &mut (dyn Write + Send),
    state: State,
) -> Result<u8> {
    let (send, frames) = sync_channel::<Result<Frame>>(AHEAD);
    // It ends with the input, or when the server is gone.
    let read = move || {
        while let Some(frame) = frame::read(&mut input).transpose() {
            let last = frame.is_err();
            if send.send(frame).is_err() || last {
                return;
            }
        }
    };
    let failed = |e| Error::io("cannot start a thread", &e);
    thread::Builder::new().name("reader".into()).spawn(read).map_err(failed)?;
    thread::scope(|scope| {
        let serve = move || Server::new(state, output).run(&frames);
        let builder = thread::Builder::new().name("server".into()).stack_size(STACK);
        let server = builder.spawn_scoped(scope, serve).map_err(failed)?;
        server.join().unwrap_or_else(|_| Err(Error::runtime("the language server failed")))
    })
}

#[cfg(test)]
mod tests;
