//! The `gannet` program: runs the command line and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(gannet::command_line(std::env::args_os()))
}
