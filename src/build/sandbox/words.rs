//! What programs inside say, made fit to be shown: the last lines, no control characters, no folders of this machine.

use std::path::Path;

/// The longest text kept, in characters.
const TEXT_LIMIT: usize = 4_000;
/// The longest line kept, in characters.
const LINE_LIMIT: usize = 400;
/// Where AWS Lambda has its Python: what stands in for the place of this machine's.
const LAMBDA_PYTHON: &str = "/var/lang";

/// The last `count` lines that hold something. Each of `prefixes`, where interpreters are installed, reads as on Lambda.
pub(crate) fn last_lines(text: &str, prefixes: &[&Path], count: usize) -> String {
    let mut text = without_controls(text);
    for prefix in prefixes {
        let prefix = prefix.to_string_lossy();
        // Below `/usr` nothing is this machine's alone.
        if prefix.len() > 1 && !prefix.starts_with("/usr") {
            text = text.replace(&*prefix, LAMBDA_PYTHON);
        }
    }
    let lines: Vec<String> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(|line| cut(line, LINE_LIMIT))
        .collect();
    let mut kept = Vec::new();
    let mut length = 0;
    for line in lines.iter().rev().take(count) {
        length += line.chars().count() + 1;
        if length > TEXT_LIMIT {
            break;
        }
        kept.push(line.as_str());
    }
    kept.reverse();
    kept.join("\n")
}

fn cut(line: &str, limit: usize) -> String {
    if line.chars().count() <= limit {
        return line.to_owned();
    }
    let cut: String = line.chars().take(limit - 1).collect();
    format!("{cut}…")
}

/// Drops terminal control sequences (ECMA-48), other control characters, and those that reorder what is shown (UAX #9).
fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => {
                if characters.next() == Some('[') {
                    // Parameters, then one final byte from `@` to `~`.
                    characters.find(|c| ('@'..='~').contains(c));
                }
            }
            '\n' => clean.push(c),
            '\t' => clean.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_cleaned() {
        let text = "first\n\nFile \"/home/bot/python/lib/python3.13/json.py\"\n\u{1b}[31mError\u{1b}[0m:\u{7} a\u{202e}b\r\n";
        insta::assert_snapshot!(last_lines(text, &[Path::new("/home/bot/python")], 2), @r#"
        File "/var/lang/lib/python3.13/json.py"
        Error: ab
        "#);
    }

    #[test]
    fn length_is_bounded() {
        let line = "x".repeat(10_000);
        assert_eq!(last_lines(&line, &[], 5).chars().count(), LINE_LIMIT);
        let many = "words words words\n".repeat(10_000);
        let kept = last_lines(&many, &[], 5_000);
        assert!(kept.chars().count() <= TEXT_LIMIT && kept.lines().count() > 200);
    }
}
