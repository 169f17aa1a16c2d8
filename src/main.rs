//! The `gannet` program: runs the command line and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gannet::tensor::own_threads_only();
    ExitCode::from(gannet::cli::main(std::env::args_os()))
}
