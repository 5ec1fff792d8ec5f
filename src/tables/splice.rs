//! Replacing the lines of some layers in a table of one target and region, without reading the others.
//!
//! Every table has a line for each version, sorted by layer, so that the lines of a layer are found by halving. The
//! result is what rendering the whole table would give, because a line says nothing of other layers.

use super::api::{ApiLayer, json_line};
use super::region_files::{csv_head, csv_line, markdown_line};
use super::rows::Row;
use crate::model::{LayerName, TableFormat};
use std::collections::BTreeMap;
use std::ops::Range;

/// A table after some lines were replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spliced {
    /// The new table.
    pub(super) text: String,
    /// Whether there is a line in it.
    pub(super) has_lines: bool,
    /// How many of the lines that were replaced are of a latest version, in formats that tell.
    pub(super) were_latest: usize,
}

/// How a format is written.
struct Form {
    format: TableFormat,
    /// Between two lines.
    separator: &'static str,
    /// After the last one.
    tail: &'static str,
}

impl Form {
    /// `None` for what is no table.
    fn of(format: TableFormat) -> Option<Self> {
        let (separator, tail) = match format {
            TableFormat::Md => ("\n", "\n"),
            TableFormat::Csv => ("\r\n", "\r\n"),
            TableFormat::Json => (",\n", "\n]\n"),
            TableFormat::Feed => return None,
        };
        Some(Self {
            format,
            separator,
            tail,
        })
    }

    /// The lines, without what is around them.
    fn body<'a>(&self, text: &'a str) -> Option<&'a str> {
        let lines = match self.format {
            TableFormat::Md => {
                let (head, lines) = text.split_once("\n| --- ")?;
                debug_assert!(head.starts_with("# "), "{head}");
                lines.split_once('\n')?.1
            }
            TableFormat::Csv => text.strip_prefix(&csv_head())?,
            TableFormat::Json if text == EMPTY_LIST => "",
            TableFormat::Json => text.strip_prefix("[\n")?,
            TableFormat::Feed => return None,
        };
        if lines.is_empty() {
            return Some(lines);
        }
        lines.strip_suffix(self.tail)
    }

    /// The layer of a line.
    fn layer<'a>(&self, line: &'a str) -> Option<&'a str> {
        match self.format {
            TableFormat::Md => {
                let (_, link) = line.split_once("](../layers/")?;
                Some(link.split_once(".md)")?.0)
            }
            TableFormat::Csv => Some(line.split_once(',')?.0),
            TableFormat::Json => {
                let (name, _) = line.strip_prefix("  {\"package\": \"")?.split_once('"')?;
                Some(name)
            }
            TableFormat::Feed => None,
        }
    }

    /// Whether a line is of a latest version.
    fn is_latest(&self, line: &str) -> bool {
        let line = line.trim_end();
        let status = match self.format {
            TableFormat::Md => line.rsplit(" | ").nth(2),
            TableFormat::Csv => line.rsplit(',').nth(2),
            TableFormat::Json | TableFormat::Feed => None,
        };
        status == Some("latest")
    }

    /// The line of a row, without its end; not every row has one in every format.
    fn line(&self, row: &Row<'_>) -> Option<String> {
        let line = match self.format {
            TableFormat::Md => markdown_line(row),
            TableFormat::Csv => csv_line(row),
            TableFormat::Json if row.latest => json_line(&ApiLayer::of(row)),
            TableFormat::Json | TableFormat::Feed => return None,
        };
        Some(line.trim_end().to_owned())
    }

    /// Where the first line starts that is not before something; `None` when a line is of no layer.
    fn first(&self, body: &str, is_before: impl Fn(&str) -> bool) -> Option<usize> {
        let (mut low, mut high) = (0, body.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let is_end = |byte: &u8| *byte == b'\n';
            let bytes = body.as_bytes();
            let start = bytes[..middle].iter().rposition(is_end);
            let start = start.map_or(0, |end| end + 1);
            let end = bytes[middle..].iter().position(is_end);
            let end = end.map_or(body.len(), |length| middle + length + 1);
            if is_before(self.layer(&body[start..end])?) {
                low = end;
            } else {
                high = start;
            }
        }
        Some(low)
    }

    /// Where the lines of a layer are, or would be.
    fn lines_of(&self, body: &str, layer: &str) -> Option<Range<usize>> {
        let start = self.first(body, |other| other < layer)?;
        let end = self.first(body, |other| other <= layer)?;
        Some(start..end)
    }
}

/// JSON without a line.
const EMPTY_LIST: &str = "[]\n";

/// The table with the rows of these layers in place of the lines that they have; each layer's rows in their order.
/// Without a text there was no table. `head` is what stands above the lines of Markdown. `None` when the text is no such
/// table.
pub(super) fn splice(
    format: TableFormat,
    text: Option<&str>,
    head: &str,
    layers: &BTreeMap<&LayerName, Vec<&Row<'_>>>,
) -> Option<Spliced> {
    let form = Form::of(format)?;
    let body = text.map_or(Some(""), |text| form.body(text))?;
    let csv_head = csv_head();
    let head = match format {
        TableFormat::Md => head,
        TableFormat::Csv => csv_head.as_str(),
        TableFormat::Json | TableFormat::Feed => "[\n",
    };
    let mut spliced = Spliced {
        text: String::with_capacity(body.len() + head.len() + 512 * layers.len()),
        has_lines: false,
        were_latest: 0,
    };
    spliced.text.push_str(head);
    let put = |spliced: &mut Spliced, lines: &str| {
        let lines = lines.strip_suffix(form.separator).unwrap_or(lines);
        if !lines.is_empty() {
            if spliced.has_lines {
                spliced.text.push_str(form.separator);
            }
            spliced.text.push_str(lines);
            spliced.has_lines = true;
        }
    };
    let mut done = 0;
    for (layer, rows) in layers {
        let Range { start, end } = form.lines_of(&body[done..], layer.as_str())?;
        let before = &body[done..done + start];
        let replaced = body[done + start..done + end].lines();
        spliced.were_latest += replaced.filter(|line| form.is_latest(line)).count();
        put(&mut spliced, before);
        for row in rows {
            if let Some(line) = form.line(row) {
                put(&mut spliced, &line);
            }
        }
        done += end;
    }
    put(&mut spliced, &body[done..]);
    if spliced.has_lines {
        spliced.text.push_str(form.tail);
    } else if format == TableFormat::Json {
        EMPTY_LIST.clone_into(&mut spliced.text);
    }
    Some(spliced)
}
