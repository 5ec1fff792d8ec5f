//! Compiled modules brought into one form, so that their bytes do not depend on what else a process compiled.
//!
//! CPython's `marshal` marks an object for being referred to later when its reference count is above one, and that count
//! includes whoever else holds the object. The compiler makes equal sets one object or several, depending on which names
//! the process knew before. Here equal texts and equal sets become one object each, elements of sets are put in order,
//! only what is referred to is marked, and the marks are numbered anew. The code that is loaded is equal.
//!
//! The format is that of `Python/marshal.c` in CPython 3.10 to 3.14 (versions 4 and 5).

use super::reader::{Malformed, Reader};
use crate::model::PythonVersion;
use std::collections::HashMap;
use std::ops::Range;

/// The bit that marks an object for being referred to.
const FLAG_REF: u8 = 0x80;
/// How deep objects may be nested, as in CPython (`MAX_MARSHAL_STACK_DEPTH`).
const DEPTH_LIMIT: usize = 2000;
/// The most bytes that the elements of one set may come to when written out in full to be compared.
const COMPARED_LIMIT: usize = 1 << 20;
/// The same of all sets together.
const UNITED_LIMIT: usize = 8 << 20;
const TOO_LARGE: Malformed = "its sets are too large";
/// No number, or not known yet.
const NONE: u32 = u32::MAX;

/// An object, or one of the bare numbers between the parts of a code object. Objects are listed before their parts.
#[derive(Clone, Copy)]
struct Node {
    /// Where its own bytes are, without its parts.
    start: u32,
    end: u32,
    /// The place in the list that follows its last part; [`NONE`] while parts are missing.
    next: u32,
    /// The place of the first object that is the same, be it this one; [`NONE`] when nothing can refer to it.
    same: u32,
    kind: Kind,
    /// Whether it is a text that is to be interned when it is loaded.
    is_interned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Text,
    Set,
    Reference,
    BareNumber,
}

/// An element of a set: its bytes when nothing is referred to, and where it is in the list.
type Element = (Vec<u8>, Range<u32>);

/// A container whose parts are being read.
struct Open {
    node: usize,
    parts: u32,
    /// A bare number comes when so many parts are left.
    number_before: u32,
}

/// The stream in its one form.
///
/// # Errors
/// When it is not what this version of CPython writes.
pub(super) fn normalize(stream: &[u8], python: PythonVersion) -> Result<Vec<u8>, Malformed> {
    let mut parsed = Parsed::new(stream, python)?;
    parsed.unite()?;
    let is_met_again = parsed.write(&vec![false; parsed.nodes.len()], &mut Vec::new())?;
    let mut out = Vec::with_capacity(stream.len());
    parsed.write(&is_met_again, &mut out)?;
    Ok(out)
}

struct Parsed<'a> {
    stream: &'a [u8],
    nodes: Vec<Node>,
    /// The places of marked objects, in the order of their numbers.
    marked: Vec<u32>,
}

impl<'a> Parsed<'a> {
    fn new(stream: &'a [u8], python: PythonVersion) -> Result<Self, Malformed> {
        if u32::try_from(stream.len()).is_err() {
            return Err("it is too large");
        }
        let mut parsed = Self {
            stream,
            nodes: Vec::new(),
            marked: Vec::new(),
        };
        let mut reader = Reader { stream, at: 0 };
        let mut open: Vec<Open> = Vec::new();
        loop {
            if let Some(started) = parsed.read_object(&mut reader, python)? {
                open.push(started);
                if open.len() > DEPTH_LIMIT {
                    return Err("its objects are nested too deeply");
                }
            }
            // Whatever is complete by now is closed, then the next part is read.
            loop {
                let Some(container) = open.last_mut() else {
                    return if reader.at == stream.len() {
                        Ok(parsed)
                    } else {
                        Err("something follows its end")
                    };
                };
                if container.parts == 0 {
                    parsed.nodes[container.node].next = place(parsed.nodes.len());
                    open.pop();
                    continue;
                }
                if container.parts == container.number_before {
                    let start = reader.at;
                    reader.take(4)?;
                    parsed.push(start, reader.at, Kind::BareNumber);
                }
                container.parts -= 1;
                break;
            }
        }
    }

    /// Reads an object without its parts; gives what is to be read of them, if it has any.
    fn read_object(
        &mut self,
        reader: &mut Reader<'_>,
        python: PythonVersion,
    ) -> Result<Option<Open>, Malformed> {
        let start = reader.at;
        let node = self.nodes.len();
        let [byte] = reader.array()?;
        let mut kind = Kind::Object;
        let mut parts = None;
        let mut number_before = NONE;
        match byte & !FLAG_REF {
            b'N' | b'F' | b'T' | b'S' | b'.' => {}
            b'i' => reader.skip(4)?,
            b'g' => reader.skip(8)?,
            b'y' => reader.skip(16)?,
            b'l' => {
                let digits = i32::from_le_bytes(reader.array()?).unsigned_abs();
                reader.skip(u64::from(digits) * 2)?;
            }
            b's' => {
                let length = reader.number()?;
                reader.skip(length.into())?;
            }
            b't' | b'u' | b'a' | b'A' => {
                kind = Kind::Text;
                let length = reader.number()?;
                reader.skip(length.into())?;
            }
            b'z' | b'Z' => {
                kind = Kind::Text;
                let [length] = reader.array()?;
                reader.skip(length.into())?;
            }
            b')' => parts = Some(u32::from(reader.array::<1>()?[0])),
            b'(' => parts = Some(reader.number()?),
            b'<' | b'>' => {
                kind = Kind::Set;
                parts = Some(reader.number()?);
            }
            b':' if python.minor() >= 14 => parts = Some(3),
            b'c' if python.minor() == 10 => {
                // Six numbers; code to name; the first line's number; the table of lines.
                reader.skip(6 * 4)?;
                (parts, number_before) = (Some(9), 1);
            }
            b'c' => {
                // Five numbers; code to qualified name; the first line's number; the tables of lines and exceptions.
                reader.skip(5 * 4)?;
                (parts, number_before) = (Some(10), 2);
            }
            b'r' => {
                let number = reader.number()? as usize;
                let target = *self.marked.get(number).ok_or("it refers to nothing")?;
                if self.nodes[target as usize].next == NONE {
                    return Err("an object holds itself");
                }
                self.push(start, reader.at, Kind::Reference);
                self.nodes[node].same = target;
                return Ok(None);
            }
            _ => return Err("it holds an object of an unknown kind"),
        }
        self.push(start, reader.at, kind);
        if byte & FLAG_REF != 0 {
            self.nodes[node].same = place(node);
            self.marked.push(place(node));
        }
        Ok(parts.map(|parts| {
            self.nodes[node].next = NONE;
            Open {
                node,
                parts,
                number_before,
            }
        }))
    }

    fn push(&mut self, start: usize, end: usize, kind: Kind) {
        self.nodes.push(Node {
            start: place(start),
            end: place(end),
            next: place(self.nodes.len() + 1),
            same: NONE,
            kind,
            is_interned: false,
        });
    }

    /// Finds texts and sets that are equal, and lets references name the first of each.
    fn unite(&mut self) -> Result<(), Malformed> {
        let (mut texts, mut sets) = (HashMap::new(), HashMap::new());
        let mut room = UNITED_LIMIT;
        for at in 0..self.nodes.len() {
            let (node, here) = (self.nodes[at], place(at));
            self.nodes[at].same = match node.kind {
                Kind::Text => {
                    let text = self.text(node);
                    let first = *texts.entry(text).or_insert(here);
                    // Of Latin-1 each character is one text for the whole process, which some module may have used
                    // as a name: it is always said to be interned, as names are.
                    let is_latin = matches!(text, [0xC2 | 0xC3, _]);
                    let kind = self.stream[node.start as usize] & !FLAG_REF;
                    self.nodes[first as usize].is_interned |=
                        is_latin || matches!(kind, b't' | b'A' | b'Z');
                    first
                }
                Kind::Set => {
                    let elements = self.sorted(here)?.into_iter();
                    let key: Vec<Vec<u8>> = elements.map(|(bytes, _)| bytes).collect();
                    let size: usize = key.iter().map(Vec::len).sum();
                    room = room.checked_sub(size).ok_or(TOO_LARGE)?;
                    *sets.entry(key).or_insert(here)
                }
                Kind::Reference => self.nodes[node.same as usize].same,
                Kind::Object | Kind::BareNumber => node.same,
            };
        }
        Ok(())
    }

    /// Writes everything, with marks on what is known to be met again; tells what is.
    fn write(&self, is_met_again: &[bool], out: &mut Vec<u8>) -> Result<Vec<bool>, Malformed> {
        // Numbers are given in the order in which marked objects are written.
        let mut numbers = vec![NONE; self.nodes.len()];
        let mut given = 0;
        let mut met_again = vec![false; self.nodes.len()];
        let mut is_met = vec![false; self.nodes.len()];
        let all = 0..place(self.nodes.len());
        let mut waiting: Vec<Range<u32>> = vec![all];
        while let Some(mut range) = waiting.pop() {
            if range.is_empty() {
                continue;
            }
            let at = range.start;
            let node = self.nodes[at as usize];
            range.start = node.next;
            if node.kind == Kind::BareNumber {
                out.extend_from_slice(self.own_bytes(node));
                waiting.push(range);
                continue;
            }
            let mut flag = 0;
            if node.same != NONE {
                let same = node.same as usize;
                if is_met[same] {
                    met_again[same] = true;
                    out.push(b'r');
                    out.extend_from_slice(&numbers[same].to_le_bytes());
                    waiting.push(range);
                    continue;
                }
                if node.kind == Kind::Reference {
                    // What it refers to would have come earlier, had a set not been put in order.
                    waiting.push(range);
                    waiting.push(node.same..self.nodes[same].next);
                    continue;
                }
                is_met[same] = true;
                if is_met_again[same] {
                    (numbers[same], flag) = (given, FLAG_REF);
                    given += 1;
                }
            }
            self.write_own(node, flag, out);
            if node.kind == Kind::Set {
                waiting.push(range);
                let elements = self.sorted(at)?.into_iter().rev();
                waiting.extend(elements.map(|(_, range)| range));
            } else {
                range.start = at + 1;
                waiting.push(range);
            }
        }
        Ok(met_again)
    }

    fn own_bytes(&self, node: Node) -> &'a [u8] {
        &self.stream[node.start as usize..node.end as usize]
    }

    /// The characters of a text, without kind and length.
    fn text(&self, node: Node) -> &'a [u8] {
        let own = self.own_bytes(node);
        let is_short = matches!(own.first().map(|byte| byte & !FLAG_REF), Some(b'z' | b'Z'));
        &own[if is_short { 2 } else { 5 }..]
    }

    fn write_own(&self, node: Node, flag: u8, out: &mut Vec<u8>) {
        let (first, rest) = self.own_bytes(node).split_first().unwrap_or((&0, &[]));
        let kind = first & !FLAG_REF;
        let kind = match (node.kind, kind) {
            (Kind::Text, kind) => {
                let is_interned = self.nodes[node.same as usize].is_interned;
                match (kind, is_interned) {
                    (b'z' | b'Z', true) => b'Z',
                    (b'z' | b'Z', false) => b'z',
                    (b'a' | b'A', true) => b'A',
                    (b'a' | b'A', false) => b'a',
                    (_, true) => b't',
                    (_, false) => b'u',
                }
            }
            (_, kind) => kind,
        };
        out.push(kind | flag);
        out.extend_from_slice(rest);
    }

    /// The elements of a set in the order of their bytes.
    fn sorted(&self, set: u32) -> Result<Vec<Element>, Malformed> {
        let end = self.nodes[set as usize].next;
        let mut elements = Vec::new();
        let mut room = COMPARED_LIMIT;
        let mut at = set + 1;
        while at < end {
            let next = self.nodes[at as usize].next;
            let bytes = self.in_full(at..next, room)?;
            room -= bytes.len();
            elements.push((bytes, at..next));
            at = next;
        }
        elements.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(elements)
    }

    fn in_full(&self, range: Range<u32>, limit: usize) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        let mut waiting = vec![range];
        while let Some(mut range) = waiting.pop() {
            if range.is_empty() {
                continue;
            }
            let node = self.nodes[range.start as usize];
            range.start += 1;
            waiting.push(range);
            match node.kind {
                Kind::Reference => waiting.push(node.same..self.nodes[node.same as usize].next),
                Kind::Text => {
                    let text = self.text(node);
                    // Whether it is interned makes no difference.
                    out.push(b'u');
                    out.extend_from_slice(&place(text.len()).to_le_bytes());
                    out.extend_from_slice(text);
                }
                Kind::Object | Kind::Set | Kind::BareNumber => {
                    let (first, rest) = self.own_bytes(node).split_first().unwrap_or((&0, &[]));
                    out.push(first & !FLAG_REF);
                    out.extend_from_slice(rest);
                }
            }
            if out.len() > limit || waiting.len() > COMPARED_LIMIT {
                return Err(TOO_LARGE);
            }
        }
        Ok(out)
    }
}

/// A place in a stream that is known to have one in 32 bits.
fn place(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}
