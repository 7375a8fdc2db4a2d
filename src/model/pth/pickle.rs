//! Python's pickles, as the objects that they name: nothing is run, and classes are names.
//!
//! Objects lie in one list and know each other by their places in it, so what a pickle repeats is not copied, and
//! what contains itself is no danger to whoever reads this. Memory: some 70 bytes for each byte of the pickle.

use std::collections::HashMap;
use std::io::BufRead;

/// The place of an object.
pub(super) type Id = u32;

/// An object, as far as models need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Nothing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes, and integers of more than 64 bits.
    Other,
    Tuple(Vec<Id>),
    /// A list or a set.
    List(Vec<Id>),
    /// Keys and values, in the order of the file.
    Dict(Vec<(Id, Id)>),
    /// A class or function, with its module.
    Class(String),
    /// What the file keeps outside of the pickle.
    Persistent(Id),
    Object(Box<Object>),
}

/// What a class or function made of its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub(super) class: Id,
    pub(super) arguments: Id,
    /// Its attributes.
    pub(super) state: Option<Id>,
}

/// The objects of one pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    pub(super) root: Id,
}

/// The longest name of a class, with its module.
const MOST_NAME: usize = 256;
/// What a reader says that counts what it has left.
const ENDS: &str = "its pickle ends in the middle";

impl Pickle {
    /// Reads one pickle of at most `most` bytes, and nothing behind it.
    pub(super) fn read(from: &mut dyn BufRead, most: u64) -> Result<Pickle, String> {
        let mut machine = Machine {
            input: Input { from, left: most, most },
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copies: most,
        };
        loop {
            let code = machine.input.byte()?;
            if code == b'.' {
                let root = machine.pop()?;
                return Ok(Pickle { nodes: machine.nodes, root });
            }
            machine.step(code)?;
        }
    }

    pub(super) fn get(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values of a dictionary.
    pub(super) fn pairs(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Node::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of a text in a dictionary, the last if it is there twice.
    pub(super) fn value(&self, dictionary: Id, key: &str) -> Option<Id> {
        let pairs = self.pairs(dictionary)?.iter().rev();
        pairs.clone().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// The class, or function, with its module; that of a legacy module is in what the file keeps outside.
    pub(super) fn class(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Class(name) => Some(name),
            Node::Persistent(inner) => match self.items(*inner)? {
                [kind, class, ..] if self.text(*kind) == Some("module") => match self.get(*class) {
                    Node::Class(name) => Some(name),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

/// Bytes, counted.
struct Input<'a> {
    from: &'a mut dyn BufRead,
    left: u64,
    most: u64,
}

impl Input<'_> {
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            format!("its pickle has more than {} bytes; save the state_dict alone", self.most)
        })?;
        let mut bytes = Vec::new();
        let mut part = std::io::Read::take(&mut *self.from, count);
        std::io::Read::read_to_end(&mut part, &mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(ENDS.into()) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.left = self.left.checked_sub(N as u64).ok_or_else(|| {
            format!("its pickle has more than {} bytes; save the state_dict alone", self.most)
        })?;
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => ENDS.to_string(),
            _ => e.to_string(),
        })?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    /// A length of `N` bytes.
    fn length<const N: usize>(&mut self) -> Result<u64, String> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        Ok(u64::from_le_bytes(wide))
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return text(line),
                byte => line.push(byte),
            }
        }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let line = self.line()?;
        line.trim_end_matches('L').parse().map_err(|_| "a number in its pickle is none".into())
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "a name in its pickle is no UTF-8".into())
}

/// A class, by a name that is not too long: a pickle can have two of its words joined again and again.
fn class(module: &str, name: &str) -> Result<Node, String> {
    if module.len() + 1 + name.len() > MOST_NAME {
        Err(format!("a class in its pickle has a name of more than {MOST_NAME} bytes"))
    } else {
        Ok(Node::Class(format!("{module}.{name}")))
    }
}

/// An integer in as many bytes as it needs; one beyond 64 bits matters to no model.
fn long(bytes: &[u8]) -> Node {
    let Some(last) = bytes.last() else { return Node::Int(0) };
    let mut wide = if last & 0x80 == 0 { [0; 8] } else { [0xff; 8] };
    match bytes.len() {
        0..=8 => {
            wide[..bytes.len()].copy_from_slice(bytes);
            Node::Int(i64::from_le_bytes(wide))
        }
        _ => Node::Other,
    }
}

/// The stack machine that pickles are written for.
struct Machine<'a> {
    input: Input<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Where on the stack the open marks are.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Items that may still be copied from lists into what is made of them: a pickle has fewer items than bytes.
    copies: u64,
}

impl Machine<'_> {
    fn push(&mut self, node: Node) -> Result<(), String> {
        let id = Id::try_from(self.nodes.len()).map_err(|_| "its pickle is too long")?;
        self.nodes.push(node);
        self.stack.push(id);
        Ok(())
    }

    /// Where what lies on the innermost mark begins.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.stack.len() > self.floor() {
            self.stack.pop().ok_or_else(damaged)
        } else {
            Err(damaged())
        }
    }

    fn top(&self) -> Result<Id, String> {
        if self.stack.len() > self.floor() {
            self.stack.last().copied().ok_or_else(damaged)
        } else {
            Err(damaged())
        }
    }

    /// What lies on the innermost mark, and the mark.
    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let from = self.marks.pop().ok_or_else(damaged)?;
        Ok(self.stack.split_off(from))
    }

    fn last(&mut self, count: usize) -> Result<Vec<Id>, String> {
        match self.stack.len().checked_sub(count) {
            Some(from) if from >= self.floor() => Ok(self.stack.split_off(from)),
            _ => Err(damaged()),
        }
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            0x80 => {
                let version = self.input.byte()?;
                if version > 5 {
                    return Err(format!("its pickle is of protocol {version}, expected at most 5"));
                }
            }
            // A frame says only how much follows.
            0x95 => drop(self.input.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => drop(self.marked()?),
            b'2' => self.stack.push(self.top()?),
            b'q' | b'r' | b'p' | 0x94 => self.remember(code)?,
            b'h' | b'j' | b'g' => self.recall(code)?,
            b'a' | b'e' | 0x90 => self.append(code)?,
            b's' | b'u' => self.insert(code)?,
            b'R' | 0x81 | 0x92 | b'b' | b'Q' | b'P' | b'c' | 0x93 => self.object(code)?,
            _ => {
                let node = self.literal(code)?;
                self.push(node)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), String> {
        let key = match code {
            b'q' => self.input.byte()?.into(),
            b'r' => u32::from_le_bytes(self.input.array()?),
            b'p' => self.input.number()?,
            _ => self.memo.len() as u32,
        };
        self.memo.insert(key, self.top()?);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), String> {
        let key = match code {
            b'h' => self.input.byte()?.into(),
            b'j' => u32::from_le_bytes(self.input.array()?),
            _ => self.input.number()?,
        };
        self.stack.push(*self.memo.get(&key).ok_or_else(damaged)?);
        Ok(())
    }

    fn append(&mut self, code: u8) -> Result<(), String> {
        let items = if code == b'a' { vec![self.pop()?] } else { self.marked()? };
        let to = self.top()?;
        match &mut self.nodes[to as usize] {
            Node::List(list) => list.extend(items),
            // A list of a class of its own.
            Node::Object(_) => {}
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn insert(&mut self, code: u8) -> Result<(), String> {
        let items = if code == b's' { self.last(2)? } else { self.marked()? };
        let to = self.top()?;
        let pairs = items.as_chunks::<2>();
        match (&mut self.nodes[to as usize], pairs.1) {
            (Node::Dict(list), []) => list.extend(pairs.0.iter().map(|[k, v]| (*k, *v))),
            (Node::Object(_), []) => {}
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn object(&mut self, code: u8) -> Result<(), String> {
        match code {
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.push(class(&module, &name)?)
            }
            0x93 => {
                let parts = self.last(2)?;
                let said = |id: Id| match &self.nodes[id as usize] {
                    Node::Text(text) => Ok(text.as_str()),
                    _ => Err(damaged()),
                };
                let named = class(said(parts[0])?, said(parts[1])?)?;
                self.push(named)
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }
            b'P' => {
                let line = self.input.line()?;
                self.push(Node::Text(line))?;
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }
            b'b' => {
                let (state, of) = (self.pop()?, self.top()?);
                if let Node::Object(object) = &mut self.nodes[of as usize] {
                    object.state = Some(state);
                }
                Ok(())
            }
            _ => {
                if code == 0x92 {
                    // Arguments by name, of classes that no model has.
                    self.pop()?;
                }
                let (arguments, class) = (self.pop()?, self.pop()?);
                let made = self.made(class, arguments)?;
                self.push(made)
            }
        }
    }

    /// What a class makes of its arguments: dictionaries and sets are known, of others it is only said.
    fn made(&mut self, class: Id, arguments: Id) -> Result<Node, String> {
        let nodes = &self.nodes;
        let items = |id: Id| match &nodes[id as usize] {
            Node::Tuple(items) | Node::List(items) => items.as_slice(),
            _ => &[],
        };
        let first = items(arguments).first().map_or(&[][..], |first| items(*first));
        let mut copied = || -> Result<(), String> {
            let left = self.copies.checked_sub(first.len() as u64);
            self.copies = left.ok_or("its pickle repeats itself too often")?;
            Ok(())
        };
        let name = match &nodes[class as usize] {
            Node::Class(name) => name.as_str(),
            _ => "",
        };
        Ok(match name {
            "collections.OrderedDict" => {
                copied()?;
                let pair = |id: &Id| match items(*id) {
                    &[key, value] => Some((key, value)),
                    _ => None,
                };
                Node::Dict(first.iter().filter_map(pair).collect())
            }
            "__builtin__.set" | "builtins.set" | "__builtin__.frozenset" | "builtins.frozenset" => {
                copied()?;
                Node::List(first.to_vec())
            }
            _ => Node::Object(Box::new(Object { class, arguments, state: None })),
        })
    }

    /// What an opcode says by itself, or makes of the stack.
    fn literal(&mut self, code: u8) -> Result<Node, String> {
        let input = &mut self.input;
        Ok(match code {
            b'N' => Node::Nothing,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'J' => Node::Int(i32::from_le_bytes(input.array()?).into()),
            b'K' => Node::Int(input.byte()?.into()),
            b'M' => Node::Int(u16::from_le_bytes(input.array()?).into()),
            b'I' => match input.line()?.as_str() {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                line => Node::Int(line.parse().map_err(|_| damaged())?),
            },
            b'L' => input.number().map_or(Node::Other, Node::Int),
            b'F' => Node::Float(input.number()?),
            b'G' => Node::Float(f64::from_be_bytes(input.array()?)),
            0x8a | 0x8b => {
                let length =
                    if code == 0x8a { input.length::<1>()? } else { input.length::<4>()? };
                long(&input.bytes(length)?)
            }
            b'X' | 0x8c | 0x8d | b'T' | b'U' => {
                let length = match code {
                    b'X' | b'T' => input.length::<4>()?,
                    0x8d => input.length::<8>()?,
                    _ => input.length::<1>()?,
                };
                let bytes = input.bytes(length)?;
                match code {
                    // Bytes of Python 2, which may be no text.
                    b'T' | b'U' => String::from_utf8(bytes).map_or(Node::Other, Node::Text),
                    _ => Node::Text(text(bytes)?),
                }
            }
            b'V' => Node::Text(input.line()?),
            b'S' => Node::Text(input.line()?.trim_matches(['\'', '"']).into()),
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = match code {
                    b'B' => input.length::<4>()?,
                    b'C' => input.length::<1>()?,
                    _ => input.length::<8>()?,
                };
                input.bytes(length)?;
                Node::Other
            }
            b')' => Node::Tuple(Vec::new()),
            b']' | 0x8f => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b't' => Node::Tuple(self.marked()?),
            0x85..=0x87 => Node::Tuple(self.last(usize::from(code) - 0x84)?),
            b'l' | 0x91 => Node::List(self.marked()?),
            b'd' => {
                let items = self.marked()?;
                Node::Dict(items.as_chunks::<2>().0.iter().map(|[k, v]| (*k, *v)).collect())
            }
            _ => return Err(format!("its pickle holds 0x{code:02x}, which no model needs")),
        })
    }
}

fn damaged() -> String {
    "its pickle is damaged".into()
}
