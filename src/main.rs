//! The `gannet` program: exit code and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(gannet::cli::main(std::env::args_os()))
}
