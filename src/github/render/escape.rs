//! Text from people, packages and tools made harmless in GitHub Flavored Markdown.
//!
//! GitHub looks for mentions (`@user`), references (`#123`, commits) and links in the rendered text, where an entity
//! or a backslash is gone already; only code is left alone. So anything that is not a plain word is set as code.

/// Characters of a plain word besides letters and digits: none of them means anything inside a line of Markdown.
const PLAIN_PUNCTUATION: &str = ".,;:!?'\"()-/%=+–—…→×≥≤";

/// One line without control characters; white space is one space, characters that hide or reorder text show as `�`.
pub(super) fn line(text: &str) -> String {
    let shown: String = text.chars().map(visible).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Several lines, each without control characters, without blank lines at either end.
pub(super) fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let shown: Vec<String> = text
        .split('\n')
        .map(|line| {
            let line: String = line.chars().map(visible).collect();
            line.trim_end().to_owned()
        })
        .collect();
    shown.join("\n").trim_matches('\n').to_owned()
}

/// The first `limit` characters, and how many are missing, should there be more.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let total = text.chars().count();
    if total <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit).collect();
    format!("{kept}… ({} more characters)", total - limit)
}

/// A code span that shows the text on one line, in a table cell as well.
pub(super) fn code(text: &str) -> String {
    let text = line(text);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    // A table is cut at `|` before code spans are looked for.
    if text.contains('|') {
        return html_code(&text);
    }
    let fence = "`".repeat(longest_run_of_backticks(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same for places where Markdown is not read, such as `<summary>`.
pub(super) fn html_code(text: &str) -> String {
    let mut html = String::from("<code>");
    for c in line(text).chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '+') {
            html.push(c);
        } else {
            html.push_str(&format!("&#{};", u32::from(c)));
        }
    }
    html.push_str("</code>");
    html
}

/// A sentence on one line: what stands between backticks and every word that is not plain becomes code.
///
/// The result is safe inside a line or a table cell; it is not meant to begin a line.
pub(super) fn prose(text: &str) -> String {
    let text = line(text);
    let parts: Vec<&str> = text.split('`').collect();
    // With an odd number of backticks the last one opens nothing.
    let unpaired = parts.len().is_multiple_of(2).then(|| parts.len() - 1);
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        if Some(index) == unpaired {
            words(&mut out, &format!("`{part}"));
        } else if index % 2 == 1 {
            push(&mut out, &code(part));
        } else {
            words(&mut out, part);
        }
    }
    out
}

/// A fenced block that the text cannot close.
pub(super) fn fenced(text: &str) -> String {
    let text = lines(text);
    let fence = "`".repeat(longest_run_of_backticks(&text).max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

/// Adds a piece of a sentence, each run of words that are not plain as one code span.
fn words(out: &mut String, text: &str) {
    let words: Vec<&str> = text.split(' ').collect();
    let groups: Vec<String> = words
        .chunk_by(|a, b| is_plain(a) == is_plain(b))
        .map(|group| {
            let group_text = group.join(" ");
            if group.iter().all(|word| is_plain(word)) {
                group_text
            } else {
                code(&group_text)
            }
        })
        .collect();
    push(out, &groups.join(" "));
}

/// Adds text; two code spans that touch would be read as one.
fn push(out: &mut String, text: &str) {
    if out.ends_with('`') && text.starts_with('`') {
        out.push(' ');
    }
    out.push_str(text);
}

fn is_plain(word: &str) -> bool {
    let harmless = |c: char| c.is_alphanumeric() || PLAIN_PUNCTUATION.contains(c);
    let lower = word.to_ascii_lowercase();
    word.chars().all(harmless)
        && !word.contains("://")
        && !lower.contains("www.")
        && !lower.contains("gh-")
        && word.matches(':').count() < 2
        && !is_commit_like(&lower)
}

fn is_commit_like(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    word.len() >= 7
        && word.bytes().all(|b| b.is_ascii_hexdigit())
        && word.bytes().any(|b| b.is_ascii_digit())
}

fn visible(c: char) -> char {
    match c {
        // Zero-width characters, marks and overrides of the writing direction, byte order mark, tags.
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    }
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_spans_cannot_be_closed_from_inside() {
        assert_eq!(code("pandas"), "`pandas`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``` x"), "```` ``` x ````");
        assert_eq!(code("a\n# b\u{1b}[31m"), "`a # b [31m`");
        assert_eq!(code("  "), "(empty)");
        assert_eq!(code("a\\|b`"), "<code>a&#92;&#124;b&#96;</code>");
    }

    #[test]
    fn prose_keeps_plain_words_and_sets_the_rest_as_code() {
        for (text, expected) in [
            (
                "unknown key `pakages`: did you mean `packages`?",
                "unknown key `pakages`: did you mean `packages`?",
            ),
            ("ask @octocat about #123", "ask `@octocat` about `#123`"),
            ("needs >=3.13 <4 to work", "needs `>=3.13 <4` to work"),
            ("<script>x</script>", "`<script>x</script>`"),
            ("[click](javascript:x)", "`[click](javascript:x)`"),
            (
                "see https://evil.example or www.evil.example",
                "see `https://evil.example` or `www.evil.example`",
            ),
            ("as in GH-12 and deadbee1", "as in `GH-12` and `deadbee1`"),
            ("a :tada: b", "a `:tada:` b"),
            ("open ` then @x", "open `` ` `` then `@x`"),
            ("`a``b`", "`a` `b`"),
            ("`@x`@y", "`@x` `@y`"),
            ("**x** `a|b`", "`**x**` <code>a&#124;b</code>"),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(prose(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_any_inside() {
        assert_eq!(fenced("a\r\nb\n"), "```text\na\nb\n```");
        assert_eq!(fenced("```\n@x\n````"), "`````text\n```\n@x\n````\n`````");
    }

    #[test]
    fn what_is_hidden_shows() {
        assert_eq!(line("a\u{202e}b\u{200b}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(cut("abcdef", 4), "abcd… (2 more characters)");
    }
}
