//! The `gannet` program: only its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(gannet::command_line(std::env::args_os()))
}
