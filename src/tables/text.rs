//! Text that others wrote, made harmless in Markdown, HTML and CSV, and sizes as people read them.

/// Text for one line of Markdown or a cell of its tables (GitHub Flavored Markdown, section 4.10 for the pipes).
///
/// Nothing in it takes effect: no emphasis, links, HTML or table borders, and line ends become spaces. An underscore
/// inside a word has no effect, so it is left as it is.
pub(super) fn markdown(text: &str) -> String {
    let characters: Vec<char> = one_line(text).chars().collect();
    let in_word = |at: Option<usize>| {
        at.and_then(|at| characters.get(at))
            .is_some_and(|c| c.is_alphanumeric())
    };
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in characters.iter().enumerate() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '_' if in_word(at.checked_sub(1)) && in_word(Some(at + 1)) => escaped.push('_'),
            // A colon makes links of addresses.
            ':' if characters[at..].starts_with(&[':', '/', '/']) => escaped.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '@' | '$' => {
                escaped.push('\\');
                escaped.push(*c);
            }
            _ => escaped.push(*c),
        }
    }
    escaped
}

/// Text in code font.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    if longest == 0 {
        return if text.is_empty() {
            text
        } else {
            format!("`{text}`")
        };
    }
    // CommonMark, section 6.1: a longer fence, and a space that is not shown.
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

/// Text in code font in a cell of a table, which a pipe would end even there.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Text in HTML, in an element or a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A record of a CSV file (RFC 4180), with its CRLF.
///
/// A field that a spreadsheet would run as a formula gets an apostrophe in front. No name or version that Layersmith
/// accepts starts like one, so that no real value is changed.
pub(super) fn csv_record(fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| csv_field(field)).collect();
    format!("{}\r\n", fields.join(","))
}

fn csv_field(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", field.replace('"', "\"\""))
    } else {
        format!("{guard}{field}")
    }
}

/// Bytes in MiB, the unit of AWS' limits: `26.8 MiB`.
pub(super) fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    // Rounded up, so that nothing that is there is shown as 0.0, and nothing over a limit as within it.
    let tenths = bytes.saturating_mul(10).div_ceil(MIB);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// A table of Markdown; cells are given ready.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = table_row(header);
    table.push_str(&table_row(&vec!["---"; header.len()]));
    for row in rows {
        table.push_str(&table_row(
            &row.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
    }
    table
}

/// A row of a table, with its line end.
pub(super) fn table_row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The cells of a row of a table; `None` for any other line. No cell has ` | ` in it: pipes are escaped.
pub(super) fn table_cells(line: &str) -> Option<Vec<&str>> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(cells.split(" | ").collect())
}

/// Text on one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_effect_in_markdown() {
        assert_eq!(
            markdown(
                "a|b\n<img src=x> [l](u) `c` *e* scikit_learn _x_ https://e.example &amp; @octocat"
            ),
            "a\\|b &lt;img src=x&gt; \\[l\\](u) \\`c\\` \\*e\\* scikit_learn \\_x\\_ https&#58;//e.example &amp;amp; \\@octocat"
        );
        assert_eq!(code("a|b"), "`a|b`");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
        assert_eq!(code("a``b\nc"), "``` a``b c ```");
        assert_eq!(code(""), "");
        assert_eq!(html("<a href=\"'&"), "&lt;a href=&quot;&#39;&amp;");
    }

    #[test]
    fn csv_fields_are_quoted_and_no_formulas() {
        assert_eq!(
            csv_record(&["a,b", "say \"x\"", "=1+1", "-1,2", "", "two\nlines"]),
            "\"a,b\",\"say \"\"x\"\"\",'=1+1,\"'-1,2\",,\"two\nlines\"\r\n"
        );
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(mebibytes(0), "0.0 MiB");
        assert_eq!(mebibytes(1), "0.1 MiB");
        assert_eq!(mebibytes(50 * 1024 * 1024), "50.0 MiB");
        assert_eq!(mebibytes(50 * 1024 * 1024 + 1), "50.1 MiB");
    }
}
