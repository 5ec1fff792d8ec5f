//! Compiled modules brought into one form, so that their bytes do not depend on what else a process compiled.
//!
//! CPython's `marshal` marks an object for being referred to later when its reference count is above one. That count
//! includes whoever else holds the object, such as the modules compiled before. Here the marks that nothing refers to
//! are dropped, the others numbered anew, and the elements of sets put in order. The code that is loaded is equal.
//!
//! The format is that of `Python/marshal.c` in CPython 3.10 to 3.14 (versions 4 and 5).

use crate::model::PythonVersion;
use std::ops::Range;

/// The bit that marks an object for being referred to.
const FLAG_REF: u8 = 0x80;
/// How deep objects may be nested, as in CPython (`MAX_MARSHAL_STACK_DEPTH`).
const DEPTH_LIMIT: usize = 2000;
/// The most bytes that the elements of one set may come to when written out in full to be compared.
const COMPARED_LIMIT: usize = 1 << 20;
/// No number, or not known yet.
const NONE: u32 = u32::MAX;

/// What is wrong with a stream, in a few words.
pub(super) type Malformed = &'static str;

/// An object, or one of the bare numbers between the parts of a code object. Objects are listed before their parts.
#[derive(Clone, Copy)]
struct Node {
    /// Where its own bytes are, without its parts.
    start: u32,
    end: u32,
    /// The place in the list that follows its last part; [`NONE`] while parts are missing.
    next: u32,
    /// Its own number when it is marked; the number it refers to when it is a reference; else [`NONE`].
    reference: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Set,
    Reference,
    BareNumber,
}

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
    Parsed::new(stream, python)?.write()
}

struct Parsed<'a> {
    stream: &'a [u8],
    nodes: Vec<Node>,
    /// By number: the marked object's place in the list, and whether anything refers to it.
    marked: Vec<(u32, bool)>,
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
                    parsed.push(start, reader.at, NONE, Kind::BareNumber);
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
            b's' | b't' | b'u' | b'a' | b'A' => {
                let length = reader.number()?;
                reader.skip(length.into())?;
            }
            b'z' | b'Z' => {
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
                let number = reader.number()?;
                let (target, is_used) = self
                    .marked
                    .get_mut(number as usize)
                    .ok_or("it refers to what is not there")?;
                if self.nodes[*target as usize].next == NONE {
                    return Err("an object holds itself");
                }
                *is_used = true;
                self.push(start, reader.at, number, Kind::Reference);
                return Ok(None);
            }
            _ => return Err("it holds an object of an unknown kind"),
        }
        let mut reference = NONE;
        if byte & FLAG_REF != 0 {
            reference = place(self.marked.len());
            self.marked.push((place(self.nodes.len()), false));
        }
        let node = self.nodes.len();
        self.push(start, reader.at, reference, kind);
        Ok(parts.map(|parts| {
            self.nodes[node].next = NONE;
            Open {
                node,
                parts,
                number_before,
            }
        }))
    }

    fn push(&mut self, start: usize, end: usize, reference: u32, kind: Kind) {
        self.nodes.push(Node {
            start: place(start),
            end: place(end),
            next: place(self.nodes.len() + 1),
            reference,
            kind,
        });
    }

    fn write(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(self.stream.len());
        // Numbers are given in the order in which marked objects are written.
        let mut numbers = vec![NONE; self.marked.len()];
        let mut given = 0;
        let mut waiting: Vec<Range<u32>> = Vec::new();
        let all = 0..place(self.nodes.len());
        waiting.push(all);
        while let Some(mut range) = waiting.pop() {
            if range.is_empty() {
                continue;
            }
            let node = self.nodes[range.start as usize];
            if node.kind == Kind::BareNumber {
                out.extend_from_slice(self.own_bytes(node));
                range.start += 1;
                waiting.push(range);
                continue;
            }
            let mut flag = 0;
            if node.reference != NONE {
                let number = &mut numbers[node.reference as usize];
                let (target, is_used) = self.marked[node.reference as usize];
                if *number != NONE {
                    out.push(b'r');
                    out.extend_from_slice(&number.to_le_bytes());
                    range.start = node.next;
                    waiting.push(range);
                    continue;
                }
                if node.kind == Kind::Reference {
                    // What it refers to would have come earlier, had a set not been put in order.
                    range.start += 1;
                    waiting.push(range);
                    waiting.push(target..self.nodes[target as usize].next);
                    continue;
                }
                if is_used {
                    (*number, flag) = (given, FLAG_REF);
                    given += 1;
                }
            }
            self.write_own(node, flag, &mut out);
            if node.kind == Kind::Set {
                let elements = self.sorted(range.start)?;
                range.start = node.next;
                waiting.push(range);
                waiting.extend(elements.into_iter().rev());
            } else {
                range.start += 1;
                waiting.push(range);
            }
        }
        Ok(out)
    }

    fn own_bytes(&self, node: Node) -> &'a [u8] {
        &self.stream[node.start as usize..node.end as usize]
    }

    fn write_own(&self, node: Node, flag: u8, out: &mut Vec<u8>) {
        let own = self.own_bytes(node);
        let (first, rest) = own.split_first().unwrap_or((&0, &[]));
        let kind = match (first & !FLAG_REF, rest) {
            // A string of one character of Latin-1 is one object for the whole process, which some module may have
            // used as a name: it is always said to be interned, as all names are.
            (b'u', [2, 0, 0, 0, 0xC2 | 0xC3, _]) => b't',
            (kind, _) => kind,
        };
        out.push(kind | flag);
        out.extend_from_slice(rest);
    }

    /// The elements of a set in the order of their bytes when nothing is referred to.
    fn sorted(&self, set: u32) -> Result<Vec<Range<u32>>, Malformed> {
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
        Ok(elements.into_iter().map(|(_, range)| range).collect())
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
            if node.kind == Kind::Reference {
                let (target, _) = self.marked[node.reference as usize];
                waiting.push(target..self.nodes[target as usize].next);
            } else {
                self.write_own(node, 0, &mut out);
            }
            if out.len() > limit || waiting.len() > COMPARED_LIMIT {
                return Err("a set in it is too large");
            }
        }
        Ok(out)
    }
}

/// A place in a stream that is known to have one in 32 bits.
fn place(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length);
        let bytes = end
            .and_then(|end| self.stream.get(self.at..end))
            .ok_or("it ends too early")?;
        self.at += length;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> Result<(), Malformed> {
        let length = usize::try_from(length).map_err(|_| "it ends too early")?;
        self.take(length).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| "it ends too early")
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(stream: &[u8]) -> Result<Vec<u8>, Malformed> {
        normalize(stream, "3.13".parse().unwrap())
    }

    #[test]
    fn only_what_is_referred_to_is_marked() {
        // ("ab", 1, "c d", "ab"), with everything marked.
        assert_eq!(
            normalized(b"\xa9\x04\xda\x02ab\xe9\x01\0\0\0\xfa\x03c dr\x01\0\0\0").unwrap(),
            b")\x04\xda\x02abi\x01\0\0\0z\x03c dr\0\0\0\0"
        );
    }

    #[test]
    fn sets_are_put_in_order_and_what_they_hold_stays_findable() {
        // (frozenset({"b", "a"}), "b") in both orders; "b" is one object.
        let expected = b")\x02>\x02\0\0\0Z\x01a\xda\x01br\0\0\0\0";
        for stream in [
            &b")\x02>\x02\0\0\0\xda\x01bZ\x01ar\0\0\0\0"[..],
            b"\xa9\x02\xbe\x02\0\0\0\xda\x01a\xda\x01br\x03\0\0\0",
        ] {
            assert_eq!(normalized(stream).unwrap(), expected);
        }
        // (frozenset({"b", ("b",)}), None): the tuple comes first, and with it the one "b".
        assert_eq!(
            normalized(b")\x02>\x02\0\0\0\xfa\x01b)\x01r\0\0\0\0N").unwrap(),
            b")\x02>\x02\0\0\0)\x01\xfa\x01br\0\0\0\0N"
        );
    }

    #[test]
    fn no_stream_makes_it_panic() {
        for bad in [
            &b""[..],
            b"r\0\0\0\0",
            b"\xa9\x01r\0\0\0\0",
            b"(\xff\xff\xff\xff",
            b"l\0\0\0\x80",
            b"u\xff\xff\xff\xffx",
            b"c\0\0\0\0",
            b":NNN",
            b"NN",
            b"?",
        ] {
            assert!(normalized(bad).is_err(), "{bad:?}");
        }
        assert!(normalized(&b")\x01".repeat(DEPTH_LIMIT + 1)).is_err());
        let deep = [b")\x01".repeat(DEPTH_LIMIT), b"N".to_vec()].concat();
        assert_eq!(normalized(&deep).unwrap(), deep);
        let slice = normalize(b"\xbaNNN", "3.14".parse().unwrap());
        assert_eq!(slice.unwrap(), b":NNN");
    }
}
