//! `RECORD`: the list of a package's files with their digests and sizes, read from a wheel and written for a layer.
//!
//! Source: PEP 376 and "Recording installed projects" of the packaging specifications: comma-separated values, one
//! line for each file: path, `sha256=` and URL-safe base64 without padding, size in bytes.

use crate::model::Digest;
use base64::Engine as _;
use std::collections::BTreeMap;

/// One file as a wheel's `RECORD` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordedFile {
    pub(crate) digest: Digest,
    pub(crate) size: Option<u64>,
}

/// Reads the lines that give a SHA-256 digest, by path. Lines without one, or with another digest, are left out: the
/// file is hashed instead.
pub(crate) fn read(text: &str) -> BTreeMap<String, RecordedFile> {
    text.lines()
        .filter_map(|line| {
            let [path, digest, size] = fields(line)?;
            let digest = digest_from(&digest)?;
            let size = size.parse().ok();
            Some((path, RecordedFile { digest, size }))
        })
        .collect()
}

/// The line of a file.
pub(crate) fn line(path: &str, file: Option<(Digest, u64)>) -> String {
    let path = quoted(path);
    match file {
        Some((digest, size)) => format!("{path},sha256={},{size}\n", digest.record_base64()),
        // `RECORD` cannot hold its own digest.
        None => format!("{path},,\n"),
    }
}

fn digest_from(text: &str) -> Option<Digest> {
    let encoded = text.strip_prefix("sha256=")?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()?;
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hexadecimal.parse().ok()
}

/// The three fields of a line (RFC 4180); `None` for any other number of them.
fn fields(line: &str) -> Option<[String; 3]> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields.last_mut()?.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => fields.last_mut()?.push(c),
        }
    }
    fields.try_into().ok()
}

fn quoted(path: &str) -> String {
    if path.contains([',', '"']) {
        format!("\"{}\"", path.replace('"', "\"\""))
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_as_they_are_written() {
        let digest = Digest::of(b"x");
        let text = ["a.py", "a,b.py", "say \"hi\".py"]
            .map(|path| line(path, Some((digest, 1))))
            .concat()
            + &line("a-1.dist-info/RECORD", None);
        let read = read(&text);
        let paths: Vec<&str> = read.keys().map(String::as_str).collect();
        assert_eq!(paths, ["a,b.py", "a.py", "say \"hi\".py"]);
        assert!(read.values().all(|file| *file
            == RecordedFile {
                digest,
                size: Some(1)
            }));
    }

    #[test]
    fn other_digests_and_malformed_lines_are_passed_over() {
        let text = "a.py,md5=abc,1\nb.py,sha256=short,1\nc.py\nd.py,sha256,1,2\n,,\n";
        assert!(read(text).is_empty());
        let line = line("a.py", Some((Digest::of(b"x"), 1))).replace(",1\n", ",\r\n");
        assert_eq!(read(&line)["a.py"].size, None);
    }
}
