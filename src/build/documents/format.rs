//! How JSON is laid out: a line for each key of the document and for each member of the lists below it, so that people
//! can read it, and programs can compare two of them line by line, without the cost of indenting thousands of values.

use serde::Serialize;
use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Writes a document, with a line end.
pub(super) fn write_lines<W: Write>(value: &impl Serialize, mut out: W) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Lines { depth: 0 });
    value.serialize(&mut serializer)?;
    out.write_all(b"\n")
}

struct Lines {
    /// Objects and lists that are open.
    depth: usize,
}

impl Lines {
    fn begin<W: ?Sized + Write>(&self, out: &mut W, at: usize, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b"," })?;
        if self.depth <= at {
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn end<W: ?Sized + Write>(&mut self, out: &mut W, at: usize, mark: &[u8]) -> io::Result<()> {
        if self.depth <= at {
            out.write_all(b"\n")?;
        }
        self.depth -= 1;
        out.write_all(mark)
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, 2, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin(out, 2, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, 1, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.begin(out, 1, first)
    }
}
