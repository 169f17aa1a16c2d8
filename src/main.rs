//! The `gannet` program: runs the command line and returns its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: gannet_tensor::Reusing = gannet_tensor::Reusing;

fn main() -> ExitCode {
    ExitCode::from(gannet::command_line(std::env::args_os()))
}
