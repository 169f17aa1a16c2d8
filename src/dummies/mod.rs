//! A dummy of each kind that `src/README.md` says how to add, used as a user uses a real one.
//!
//! `tests/house.rs` counts the files that know a dummy. These tests show that its own file and one
//! entry suffice for loading, rendering, inverting, help, checks and the command line.

mod files;
mod inversion;
mod language;

use crate::builtin::Output;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::eval::{Options, State};
use crate::generator::Generator;
use crate::generator::toy::Toy;
use crate::lang::span::Source;
use crate::render::Block;
use crate::value::{Models, Value};
use crate::weights::Array;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

type Arrays = BTreeMap<String, Array>;

/// What a program shows and prints.
#[derive(Default)]
struct Kept {
    values: Vec<Value>,
    lines: Vec<String>,
}

impl Output for Kept {
    fn display(&mut self, blocks: &[Block], value: &Value) -> Result<()> {
        self.lines.extend(blocks.iter().flat_map(Block::lines));
        self.values.push(value.clone());
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.lines.push(line.to_owned());
        Ok(())
    }
}

/// Runs a program with a generator.
fn run(generator: &str, code: &str) -> Result<Kept> {
    let mut kept = Kept::default();
    let mut state = State::new(Models::cpu(), generator, Options::default())?;
    let source = Source::new("test", code).unwrap();
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut kept)?;
    Ok(kept)
}

/// The error of a program on the toy.
fn error(code: &str) -> Error {
    run("toy", code).err().unwrap_or_else(|| panic!("this ran: {code}"))
}

/// The numbers of the picture that a program shows first.
fn picture(generator: &str, code: &str) -> Vec<f32> {
    match &run(generator, code).unwrap().values[0] {
        Value::Image(image) => numbers(&image.data),
        other => panic!("{code} shows {}", other.ty()),
    }
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn array(t: &Tensor) -> Array {
    Array::f32(t.dims(), numbers(t)).unwrap()
}

/// The tensors of the generator called `toy`, by NVIDIA's names.
fn toy() -> Arrays {
    let toy = Toy::default().build(&Device::Cpu).unwrap();
    assert_eq!(toy.spec().name, "toy");
    toy.tensors().unwrap().iter().map(|(name, t)| (name.clone(), array(t))).collect()
}

/// Runs the command line in a child process; its standard output, behind a line of the test
/// harness, and its standard error.
fn gannet(folder: &Path, args: &[&str]) -> (String, String) {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dummies::command_line", "--ignored", "--nocapture", "--test-threads=1"])
        .current_dir(folder)
        .env("GANNET_ARGUMENTS", args.join("\n"))
        .env("GANNET_STATE", folder.join("state"))
        .env("GANNET_CACHE", "off")
        .output()
        .unwrap();
    let [text, errors] = [out.stdout, out.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(out.status.success(), "{args:?}: {text}{errors}");
    (text, errors)
}

/// The child process of [`gannet`]: the ordinary program does not have the dummies.
#[test]
#[ignore = "runs as a child process of other tests"]
fn command_line() {
    let Ok(arguments) = std::env::var("GANNET_ARGUMENTS") else { return };
    let arguments = ["gannet"].into_iter().chain(arguments.split('\n')).map(Into::into);
    std::process::exit(crate::cli::main(arguments).into());
}
