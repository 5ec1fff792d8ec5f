//! Markdown as GitHub's pages show it, as far as a terminal can: tables in columns, folded parts folded, links by name.

/// Characters shown of a cell with a sentence in it; a single word, such as an ARN, is shown whole.
const CELL_LIMIT: usize = 56;

/// A text with its Markdown laid out for reading.
pub(super) fn as_shown(markdown: &str) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut table: Vec<Vec<String>> = Vec::new();
    let mut fenced = false;
    let mut folded: usize = 0;
    for line in markdown.lines() {
        let was_folded = folded > 0;
        folded += line.matches("<details>").count();
        if !was_folded && folded > 0 {
            let summary = between(line, "<summary>", "</summary>").unwrap_or_default();
            shown.push(format!("▸ {}", inline(summary)));
        }
        folded = folded.saturating_sub(line.matches("</details>").count());
        if was_folded || folded > 0 {
            continue;
        }
        if !fenced && line.starts_with('|') {
            table.push(cells(line));
            continue;
        }
        shown.append(&mut columns(&std::mem::take(&mut table)));
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            shown.push(format!("    {line}"));
        } else if line == "---" {
            shown.push("─────".to_owned());
        } else {
            shown.push(inline(line));
        }
    }
    shown.append(&mut columns(&table));
    // What was folded or fenced leaves its empty lines behind.
    shown.dedup_by(|line, before| line.trim().is_empty() && before.trim().is_empty());
    shown.join("\n")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?
        .1
        .split_once(end)
        .map(|(inside, _)| inside)
}

/// Links by their text, and no tags.
fn inline(line: &str) -> String {
    let mut rest = line;
    let mut text = String::new();
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        let parts = link
            .split_once("](")
            .and_then(|(name, after)| Some((name, after.split_once(')')?.1)));
        match parts {
            Some((name, after)) if !name.contains('[') => {
                text.push_str(name);
                rest = after;
            }
            _ => {
                text.push('[');
                rest = link;
            }
        }
    }
    text.push_str(rest);
    text.replace("<sub>", "").replace("</sub>", "")
}

fn cells(row: &str) -> Vec<String> {
    let inside = row.trim().trim_start_matches('|');
    let inside = inside.strip_suffix('|').unwrap_or(inside);
    inside
        .replace("\\|", "\u{0}")
        .split('|')
        .map(|cell| {
            let cell = inline(cell.trim()).replace('\u{0}', "|");
            if cell.chars().count() <= CELL_LIMIT || !cell.contains(' ') {
                return cell;
            }
            cell.chars()
                .take(CELL_LIMIT - 1)
                .chain(['…'])
                .collect::<String>()
        })
        .collect()
}

fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let is_rule = |row: &[String]| row.iter().all(|cell| cell.starts_with("--"));
    let rows: Vec<&Vec<String>> = rows.iter().filter(|row| !is_rule(row)).collect();
    let count = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            let widths = rows.iter().map(|row| width(&cell(row, column)));
            widths.max().unwrap_or_default()
        })
        .collect();
    let lines = rows.iter().map(|row| {
        let padded = widths.iter().enumerate().map(|(column, wide)| {
            let text = cell(row, column);
            let space = " ".repeat(wide - width(&text));
            format!("{text}{space}")
        });
        let line: Vec<String> = padded.collect();
        format!("  {}", line.join("   ")).trim_end().to_owned()
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.len() > 1 {
        let wide = widths.iter().sum::<usize>() + 3 * count.saturating_sub(1);
        lines.insert(1, format!("  {}", "─".repeat(wide)));
    }
    lines
}

/// The columns a terminal needs for a text; of wide characters, those the bot uses.
fn width(text: &str) -> usize {
    let wide = text.chars().filter(|c| matches!(c, '✅' | '❌')).count();
    text.chars().count() + wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stand_in_columns_and_links_by_their_names() {
        let shown =
            as_shown("| A | B |\n|---|---|\n| [`x`](y.md) | a \\| b |\n| longer | 1 |\nafter");
        assert_eq!(
            shown,
            "  A        B\n  ──────────────\n  `x`      a | b\n  longer   1\nafter"
        );
    }

    #[test]
    fn folded_parts_are_folded_also_when_they_are_nested() {
        let text = "a\n\n<details><summary>Inside</summary>\n\n| x |\n<details><summary>Deeper</summary>\n</details>\n</details>\n\nb";
        assert_eq!(as_shown(text), "a\n\n▸ Inside\n\nb");
    }

    #[test]
    fn fences_are_indented_and_brackets_that_are_no_links_stay() {
        assert_eq!(as_shown("```text\n| [a](b)\n```"), "    | [a](b)");
        assert_eq!(
            as_shown("x[1] [a](b) layersmith[bot]"),
            "x[1] a layersmith[bot]"
        );
    }
}
