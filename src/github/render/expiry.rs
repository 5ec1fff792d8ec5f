//! The one issue that lists what goes away and when.
//!
//! Days are named and never counted down to, so the text changes only with what goes away.

use super::COMMENT_LIMIT;
use super::escape::code;
use super::links::Links;
use super::words::{count, targets};
use crate::tables::Leaving;

/// By which the issue is found again.
pub const EXPIRY_MARKER: &str = "<!-- layersmith:expiry:0 -->";

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueText {
    /// One line.
    pub title: String,
    /// Markdown whose first line is [`EXPIRY_MARKER`]; at most [`COMMENT_LIMIT`] bytes.
    pub body: String,
}

const HEAD: &str = "These layer versions are deleted on their expiry date. Functions that were deployed with them go on running, but a deployment that still names one of them fails from then on.";
const FOOT: &str = "<sub>Layersmith keeps this list up to date and closes the issue when nothing goes away any more. Closed as not planned, it stays closed.</sub>";
const TABLE: &str =
    "| Expiry Date | Layer | Version | For | Use instead |\n| --- | --- | --- | --- | --- |\n";
/// Kept free for what says that something was left out.
const NOTE_RESERVE: usize = 400;

/// The issue about what goes away, by date; `folder` is that of the tables.
#[must_use]
pub fn render_expiry(leaving: &[Leaving], repository_url: Option<&str>, folder: &str) -> IssueText {
    let title = match (leaving, leaving.last()) {
        ([one], _) => format!(
            "{} on {}",
            one.extent
                .title(&format!("{} {}", one.layer, one.version), &one.targets),
            one.expires_at.date()
        ),
        ([first, ..], Some(last)) if first.expires_at.date() == last.expires_at.date() => format!(
            "{} go away on {}",
            count(leaving.len(), "layer version"),
            first.expires_at.date()
        ),
        ([first, ..], Some(last)) => format!(
            "{} go away from {} to {}",
            count(leaving.len(), "layer version"),
            first.expires_at.date(),
            last.expires_at.date()
        ),
        _ => "Nothing goes away".to_owned(),
    };
    let tables = Links::new(repository_url).newest(&format!("{folder}/README.md"), "the tables");
    let frame = EXPIRY_MARKER.len() + HEAD.len() + FOOT.len() + TABLE.len() + NOTE_RESERVE;
    let room = COMMENT_LIMIT.saturating_sub(frame + tables.len());
    let rows: Vec<String> = leaving.iter().map(row).collect();
    let shown = fitting(&rows, room);
    let room = room.saturating_sub(rows[..shown].iter().map(String::len).sum());
    let arns: Vec<String> = leaving.iter().map(arn_lines).collect();
    let with_arns = fitting(&arns, room);

    let mut body = format!(
        "{EXPIRY_MARKER}\n{HEAD}\n\n{TABLE}{}",
        rows[..shown].concat()
    );
    if shown < rows.len() {
        body.push_str(&format!(
            "\n**{} more are not listed here for length:** {tables} have them all.\n",
            count(rows.len() - shown, "version")
        ));
    }
    if with_arns > 0 {
        body.push_str(&format!(
            "\n<details><summary>Their ARNs, with the region in the place of REGION</summary>\n\n{}\n</details>\n",
            arns[..with_arns].concat()
        ));
    }
    if with_arns < shown {
        body.push_str(&format!(
            "\nThe ARNs of {} are left out for length: {tables} have them.\n",
            count(shown - with_arns, "version")
        ));
    }
    body.push_str(&format!("\n{FOOT}\n"));
    IssueText { title, body }
}

/// How many texts have room, from the first one on.
fn fitting(texts: &[String], room: usize) -> usize {
    let mut taken = 0;
    texts
        .iter()
        .take_while(|text| {
            taken += text.len();
            taken <= room
        })
        .count()
}

fn row(leaving: &Leaving) -> String {
    let instead = leaving.instead.as_deref().map(code).unwrap_or_default();
    // A pipe would end the cell, even in code.
    let cell = |text: String| text.replace('|', "\\|");
    format!(
        "| {} | {} | {} | {} | {} |\n",
        leaving.expires_at.date(),
        code(leaving.layer.as_str()),
        leaving.extent.of(&cell(code(&leaving.version))),
        targets(&leaving.targets),
        cell(instead),
    )
}

fn arn_lines(leaving: &Leaving) -> String {
    leaving
        .arns
        .iter()
        .map(|(arn, regions)| format!("- {} in {}\n", code(arn), count(*regions, "region")))
        .collect()
}
