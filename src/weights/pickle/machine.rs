//! The stack machine: opcodes, stack, memo and their budgets. The results of calls are made in
//! `build`.

use super::value::{Global, Heap, Node, Value};
use super::{Work, build};
use crate::error::{Error, Result};
use crate::weights::source::{Cursor, quoted};
use std::collections::HashMap;
use std::fmt::Display;

/// Texts longer than this are left in the file: they are never names.
const SHORT: u64 = 1024;

/// The machine while it reads one pickle.
pub(super) struct Machine<'m, 'w> {
    cursor: &'m mut Cursor,
    pub(super) heap: &'m mut Heap,
    pub(super) work: &'m mut Work<'w>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    /// Offset of the opcode at work.
    pub(super) at: u64,
    /// Bytes of this opcode that stay in the file.
    left: u64,
}

/// Reads one pickle at the cursor and leaves the cursor behind it.
pub(super) fn run(cursor: &mut Cursor, heap: &mut Heap, work: &mut Work<'_>) -> Result<Value> {
    let (stack, marks, memo, at) = (Vec::new(), Vec::new(), HashMap::new(), cursor.at());
    let mut machine = Machine { cursor, heap, work, stack, marks, memo, at, left: 0 };
    let root = machine.run()?;
    let Machine { cursor, heap, work, .. } = machine;
    let checked = heap.audit(&root, work.limits.pickle_depth, work.limits.pickle_ops);
    checked.map_err(|(at, rule)| cursor.source().fail(at, rule))?;
    Ok(root)
}

impl Machine<'_, '_> {
    fn run(&mut self) -> Result<Value> {
        loop {
            self.at = self.cursor.at();
            let op = self.cursor.byte()?;
            self.work.charge(1, self.cursor.source(), self.at)?;
            if op == b'.' {
                return self.pop();
            }
            if !(self.scalar(op)?
                || self.text(op)?
                || self.collect(op)?
                || self.remember(op)?
                || self.call(op)?)
            {
                return Err(self.fail(format_args!(
                    "opcode 0x{op:02x} is not one of those that model files use"
                )));
            }
            let held = self.cursor.at() - self.at - std::mem::take(&mut self.left);
            self.work.hold(held, self.cursor.source(), self.at)?;
        }
    }

    /// The error of a broken rule at this opcode.
    pub(super) fn fail(&self, rule: impl Display) -> Error {
        self.cursor.source().fail(self.at, rule)
    }

    /// The name of what is read.
    pub(super) fn file(&self) -> &str {
        self.cursor.source().name()
    }

    /// Adds a container made by this opcode.
    pub(super) fn add(&mut self, node: Node) -> Value {
        self.heap.add(node, self.at)
    }

    /// Takes work beyond the opcode itself.
    pub(super) fn charge(&mut self, n: usize) -> Result<()> {
        self.work.charge(n as u64, self.cursor.source(), self.at)
    }

    fn push(&mut self, value: Value) -> Result<bool> {
        if self.stack.len() >= self.work.limits.pickle_stack {
            return Err(self.fail(format_args!(
                "the stack holds at most {} values",
                self.work.limits.pickle_stack
            )));
        }
        self.stack.push(value);
        Ok(true)
    }

    fn push_node(&mut self, node: Node) -> Result<bool> {
        let value = self.add(node);
        self.push(value)
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value> {
        let value = if self.stack.len() > self.floor() { self.stack.pop() } else { None };
        value.ok_or_else(|| self.fail("the stack is empty"))
    }

    fn top(&self) -> Result<&Value> {
        self.stack[self.floor()..].last().ok_or_else(|| self.fail("the stack is empty"))
    }

    /// The last `n` values.
    fn pop_n(&mut self, n: usize) -> Result<Vec<Value>> {
        match self.stack.len().checked_sub(n) {
            Some(from) if from >= self.floor() => Ok(self.stack.split_off(from)),
            _ => Err(self.fail("the stack is empty")),
        }
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(|| self.fail("there is no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn mark(&mut self) -> Result<bool> {
        if self.marks.len() >= self.work.limits.pickle_stack {
            return Err(
                self.fail(format_args!("at most {} marks are open", self.work.limits.pickle_stack))
            );
        }
        self.marks.push(self.stack.len());
        Ok(true)
    }

    fn u8(&mut self) -> Result<u64> {
        self.cursor.byte().map(u64::from)
    }

    fn u32(&mut self) -> Result<u64> {
        Ok(u64::from(u32::from_le_bytes(self.cursor.array()?)))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.cursor.array()?))
    }

    /// Protocol and frame headers, and values without parts.
    fn scalar(&mut self, op: u8) -> Result<bool> {
        let value = match op {
            0x80 => return self.protocol(),
            // A frame only says how much may be read at once.
            0x95 => return self.u64().map(|_| true),
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.cursor.array()?).into()),
            b'K' => Value::Int(self.u8()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.cursor.array()?).into()),
            0x8a => self.long()?,
            b'G' => Value::Float(f64::from_be_bytes(self.cursor.array()?)),
            _ => return Ok(false),
        };
        self.push(value)
    }

    fn protocol(&mut self) -> Result<bool> {
        match self.cursor.byte()? {
            2..=5 => Ok(true),
            v => Err(self.fail(format_args!("pickle protocols 2 to 5 are read, this is {v}"))),
        }
    }

    /// LONG1: a little-endian two's complement number of up to 16 bytes.
    fn long(&mut self) -> Result<Value> {
        let len = self.u8()? as usize;
        if len > 16 {
            return Err(self.fail(format_args!("numbers have at most 16 bytes, not {len}")));
        }
        let mut bytes = [0; 16];
        for b in &mut bytes[..len] {
            *b = self.cursor.byte()?;
        }
        let negative = len > 0 && bytes[len - 1] >= 0x80;
        bytes[len..].fill(if negative { 0xff } else { 0 });
        Ok(Value::Int(i128::from_le_bytes(bytes)))
    }

    /// Text and bytes.
    fn text(&mut self, op: u8) -> Result<bool> {
        let (len, text) = match op {
            0x8c => (self.u8()?, true),
            b'X' => (self.u32()?, true),
            0x8d => (self.u64()?, true),
            b'U' => (self.u8()?, false),
            b'T' => (self.u32()?, false),
            b'C' => (self.u8()?, false),
            b'B' => (self.u32()?, false),
            0x8e | 0x96 => (self.u64()?, false),
            _ => return Ok(false),
        };
        let part = self.cursor.part(len)?;
        // Python 2 wrote names as byte strings; short ones of printable ASCII are taken for what
        // they are.
        let old = matches!(op, b'U' | b'T') && len <= 256;
        if (!text && !old) || len > SHORT {
            self.left = len;
            return self.push_node(Node::Bytes(part));
        }
        let bytes = part.read(0, len)?;
        let ascii = bytes.iter().all(|b| matches!(b, b' '..=b'~'));
        match String::from_utf8(bytes) {
            Ok(s) if text || ascii => self.push(Value::Text(s.into())),
            Err(_) if text => Err(self.fail("text is UTF-8")),
            _ => self.push_node(Node::Bytes(part)),
        }
    }

    /// Containers.
    fn collect(&mut self, op: u8) -> Result<bool> {
        match op {
            b'(' => self.mark(),
            b')' => self.push_node(Node::Tuple(Vec::new())),
            b']' => self.push_node(Node::List(Vec::new())),
            b'}' => self.push_node(Node::Dict(Vec::new())),
            0x8f => self.push_node(Node::Set(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_n(usize::from(op - 0x84))?;
                self.push_node(Node::Tuple(items))
            }
            b't' | b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push_node(match op {
                    b't' => Node::Tuple(items),
                    b'l' => Node::List(items),
                    _ => Node::Set(items),
                })
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push_node(Node::Dict(Vec::new()))?;
                self.set(items)
            }
            b'a' => self.pop().and_then(|v| self.append(vec![v])),
            b'e' | 0x90 => self.pop_mark().and_then(|v| self.append(v)),
            b's' => self.pop_n(2).and_then(|v| self.set(v)),
            b'u' => self.pop_mark().and_then(|v| self.set(v)),
            _ => Ok(false),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<bool> {
        let target = self.top()?.clone();
        match self.heap.node_mut(&target) {
            Some(Node::List(v) | Node::Set(v)) => v.extend(items),
            _ => return Err(self.fail("values are appended to lists and sets only")),
        }
        Ok(true)
    }

    fn set(&mut self, items: Vec<Value>) -> Result<bool> {
        if !items.len().is_multiple_of(2) {
            return Err(self.fail("a key has no value"));
        }
        let target = self.top()?.clone();
        let Some(Node::Dict(pairs)) = self.heap.node_mut(&target) else {
            return Err(self.fail("keys are set in dictionaries only"));
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Ok(true)
    }

    /// The memo, and what moves values without building any.
    fn remember(&mut self, op: u8) -> Result<bool> {
        match op {
            0x94 => self.put(self.memo.len() as u64),
            b'q' => self.u8().and_then(|i| self.put(i)),
            b'r' => self.u32().and_then(|i| self.put(i)),
            b'p' => self.decimal().and_then(|i| self.put(i)),
            b'h' => self.u8().and_then(|i| self.get(i)),
            b'j' => self.u32().and_then(|i| self.get(i)),
            b'g' => self.decimal().and_then(|i| self.get(i)),
            b'2' => {
                let top = self.top()?.clone();
                self.push(top)
            }
            // Python drops an open mark when nothing is above it.
            b'0' if self.marks.last() == Some(&self.stack.len()) => Ok(self.marks.pop().is_some()),
            b'0' => self.pop().map(|_| true),
            b'1' => self.pop_mark().map(|_| true),
            _ => Ok(false),
        }
    }

    fn put(&mut self, index: u64) -> Result<bool> {
        let value = self.top()?.clone();
        let most = self.work.limits.pickle_memo;
        if self.memo.len() >= most && !self.memo.contains_key(&index) {
            return Err(self.fail(format_args!("the memo holds at most {most} values")));
        }
        self.memo.insert(index, value);
        Ok(true)
    }

    fn get(&mut self, index: u64) -> Result<bool> {
        match self.memo.get(&index).cloned() {
            Some(value) => self.push(value),
            None => Err(self.fail(format_args!("nothing is remembered as {index}"))),
        }
    }

    /// A line of text of at most 256 bytes.
    fn line(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        loop {
            match self.cursor.byte()? {
                b'\n' => break,
                _ if bytes.len() == 256 => return Err(self.fail("a line has at most 256 bytes")),
                b => bytes.push(b),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.fail("a line is UTF-8"))
    }

    fn decimal(&mut self) -> Result<u64> {
        let line = self.line()?;
        line.parse().map_err(|_| self.fail(format_args!("{} is not an index", quoted(&line))))
    }

    /// Names, and what applies them.
    fn call(&mut self, op: u8) -> Result<bool> {
        match op {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)
            }
            0x93 => match &self.pop_n(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.global(module, name),
                _ => Err(self.fail("a global's module and name are text")),
            },
            0x81 if matches!(self.stack.iter().nth_back(1), Some(Value::Class(_))) => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.object(&class, &args)
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let function = self.pop()?;
                self.reduce(&function, &args)
            }
            0x92 => {
                let [class, args, kwargs] = &self.pop_n(3)?[..] else { return Ok(false) };
                if !self.heap.pairs(kwargs).is_empty() {
                    return Err(self.fail("constructors do not accept named arguments"));
                }
                self.reduce(class, args)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?.clone();
                build::state(self, &target, &state).map(|()| true)
            }
            b'Q' => {
                let id = self.pop()?;
                let value = build::persistent_id(self, &id)?;
                self.push(value)
            }
            _ => Ok(false),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<bool> {
        match Global::find(module, name) {
            Some(g) => self.push(Value::Global(g)),
            None => {
                // The name is copied at each use, however often it is memoised and recalled.
                let full = format!("{module}.{name}");
                self.work.hold(full.len() as u64, self.cursor.source(), self.at)?;
                self.push(Value::Class(full.into()))
            }
        }
    }

    /// An object of a class that is not known.
    fn object(&mut self, class: &Value, args: &Value) -> Result<bool> {
        let (Value::Class(class), Some(Node::Tuple(args))) = (class, self.heap.node(args)) else {
            return Err(self.fail("arguments are a tuple"));
        };
        let args = args.clone();
        let value = build::object(self, class, &args)?;
        self.push(value)
    }

    fn reduce(&mut self, function: &Value, args: &Value) -> Result<bool> {
        let global = match function {
            Value::Global(global) => global,
            Value::Class(name) => return Err(build::unknown(self, name)),
            _ => return Err(self.fail("only known names are called")),
        };
        let Some(Node::Tuple(args)) = self.heap.node(args) else {
            return Err(self.fail("arguments are a tuple"));
        };
        let args = args.clone();
        self.charge(args.len())?;
        let value = build::call(self, *global, &args)?;
        self.push(value)
    }
}
