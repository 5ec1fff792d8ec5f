//! Puts a comment and a check run together within GitHub's limits.
//!
//! A document is made of blocks that know how to say the same in fewer words. What has to be shortened in the comment
//! is repeated in full in the check run's text; what does not fit there either is named in both.

use super::words::{count, listed};
use super::{CHECK_LIMIT, COMMENT_LIMIT};

/// Kept free for the note about what was shortened: two lists of at most [`NAMED`] names.
const NOTE_RESERVE: usize = 4_000;
/// How many shortened blocks are named.
const NAMED: usize = 20;
/// Between blocks.
const GAP: &str = "\n\n";

/// A part of a document.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// What it is called where it was shortened; Markdown of at most 80 bytes or so.
    pub name: String,
    /// Ways to write it, the longest first. The last one is a line, used in the check run's summary.
    pub forms: Vec<String>,
}

impl Block {
    /// Bytes that a form takes; none when it is past the last one.
    fn length(&self, form: usize) -> usize {
        let text = self.forms.get(form);
        text.map_or(0, |text| text.len() + GAP.len())
    }
}

/// Everything that is said at once.
#[derive(Debug, Clone)]
pub(super) struct Document<'a> {
    /// The hidden first line.
    pub marker: &'a str,
    /// Headline and what belongs to it; a few hundred bytes.
    pub head: String,
    /// The rest, the most important first.
    pub blocks: Vec<Block>,
    /// The last lines; a few hundred bytes.
    pub foot: String,
    /// Where all of it can be read when it is too long for GitHub; a sentence.
    pub elsewhere: String,
}

/// The texts that come of a document.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub comment: String,
    pub summary: String,
    pub text: Option<String>,
}

impl Document<'_> {
    pub(super) fn texts(&self) -> Texts {
        let frame = self.marker.len() + self.head.len() + self.foot.len() + 4 * GAP.len();
        let in_comment = fit(
            &self.blocks,
            COMMENT_LIMIT.saturating_sub(frame + NOTE_RESERVE),
        );
        let in_text = complete(&self.blocks, &in_comment, CHECK_LIMIT - NOTE_RESERVE);
        let shortened = chosen(&self.blocks, &in_comment, |form| form > 0);
        // What the comment has in full has no place in the text, and counts as full there.
        let lost = chosen(&self.blocks, &in_text, |form| form > 0);

        let mut comment = vec![self.head.clone()];
        comment.extend(written(&self.blocks, &in_comment));
        let mut text: Vec<String> = self
            .blocks
            .iter()
            .zip(&in_text)
            .zip(&in_comment)
            .filter(|(_, in_comment)| **in_comment > 0)
            .filter_map(|((block, form), _)| block.forms.get(*form).cloned())
            .collect();
        let exception = if lost.is_empty() {
            String::new()
        } else {
            format!(
                ", except for some of {}, which did not fit there either. {}",
                names(&lost),
                self.elsewhere
            )
        };
        if !shortened.is_empty() {
            comment.push(format!(
                "> **Shortened for length:** {}. What is missing stands in the text of the check run `layersmith`{exception}",
                names(&shortened),
            ));
        }
        if !lost.is_empty() {
            text.push(format!(
                "> **Shortened for length:** here stands what the comment has no room for{exception}"
            ));
        }
        comment.push(self.foot.clone());
        Texts {
            comment: format!("{}\n{}", self.marker, joined(comment)),
            summary: self.summary(),
            text: (!text.is_empty()).then(|| joined(text)),
        }
    }

    fn summary(&self) -> String {
        let lines: Vec<Block> = self
            .blocks
            .iter()
            .map(|block| Block {
                name: block.name.clone(),
                forms: block.forms.last().cloned().into_iter().collect(),
            })
            .collect();
        let frame = self.head.len() + self.foot.len() + 4 * GAP.len();
        let fitted = fit(&lines, CHECK_LIMIT.saturating_sub(frame + NOTE_RESERVE));
        let omitted = chosen(&lines, &fitted, |form| form > 0);
        let mut parts = vec![self.head.clone()];
        parts.extend(written(&lines, &fitted));
        if !omitted.is_empty() {
            parts.push(format!(
                "> **Left out for length:** {}. {}",
                names(&omitted),
                self.elsewhere
            ));
        }
        parts.push(self.foot.clone());
        joined(parts)
    }
}

/// Which form of each block to use so that all of them fit; a number past the last form leaves the block out.
///
/// Blocks are shortened by one step from the last to the first, then by the next step.
fn fit(blocks: &[Block], limit: usize) -> Vec<usize> {
    let length = |block: &Block, form: usize| block.length(form);
    let mut forms = vec![0; blocks.len()];
    let mut total: usize = blocks.iter().map(|block| length(block, 0)).sum();
    let steps = blocks
        .iter()
        .map(|block| block.forms.len())
        .max()
        .unwrap_or_default();
    for step in 1..=steps {
        for (block, form) in blocks.iter().zip(&mut forms).rev() {
            if total <= limit {
                return forms;
            }
            // The last step is to leave out; blocks with fewer forms wait for it at their shortest one.
            let next = if step == steps {
                block.forms.len()
            } else {
                step.min(block.forms.len().saturating_sub(1))
            };
            total = total - length(block, *form) + length(block, next);
            *form = next;
        }
    }
    forms
}

/// Which form of each block to use in the text that completes a comment; a number past the last form leaves it out.
///
/// Blocks of which the comment has little are written one step longer first; then, in order, whatever has room is
/// written as long as possible. Nothing is written as short as the comment has it.
fn complete(blocks: &[Block], in_comment: &[usize], limit: usize) -> Vec<usize> {
    let length = |block: &Block, form: usize| block.length(form);
    let mut total = 0;
    let mut forms: Vec<usize> = Vec::with_capacity(blocks.len());
    for (block, there) in blocks.iter().zip(in_comment) {
        let longer = there.saturating_sub(1);
        let form = match there {
            0 => 0,
            2.. if total + length(block, longer) <= limit => longer,
            _ => block.forms.len(),
        };
        total += if *there > 0 { length(block, form) } else { 0 };
        forms.push(form);
    }
    for ((block, there), form) in blocks.iter().zip(in_comment).zip(&mut forms) {
        let without = total - if *there > 0 { length(block, *form) } else { 0 };
        let better = (0..(*form).min(*there)).find(|it| without + length(block, *it) <= limit);
        if let Some(better) = better {
            total = without + length(block, better);
            *form = better;
        }
    }
    forms
}

fn chosen<'a>(
    blocks: &'a [Block],
    forms: &[usize],
    keep: impl Fn(usize) -> bool,
) -> Vec<&'a Block> {
    let kept = blocks.iter().zip(forms).filter(|(_, form)| keep(**form));
    kept.map(|(block, _)| block).collect()
}

fn written(blocks: &[Block], forms: &[usize]) -> Vec<String> {
    let texts = blocks.iter().zip(forms);
    texts
        .filter_map(|(block, form)| block.forms.get(*form).cloned())
        .collect()
}

fn names(blocks: &[&Block]) -> String {
    let parts = count(blocks.len(), "part");
    format!(
        "{parts} ({})",
        listed(blocks, NAMED, |block| block.name.clone())
    )
}

/// Parts with a blank line between them, except that consecutive list items stay together.
fn joined(parts: Vec<String>) -> String {
    let mut out = String::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        if !out.is_empty() {
            let last = out.rsplit('\n').next().unwrap_or_default();
            let tight = last.starts_with("- ") && part.starts_with("- ");
            out.push_str(if tight { "\n" } else { GAP });
        }
        out.push_str(&part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lengths: &[usize]) -> Block {
        Block {
            name: "x".into(),
            forms: lengths.iter().map(|length| "y".repeat(*length)).collect(),
        }
    }

    #[test]
    fn later_blocks_are_shortened_first_and_left_out_last() {
        let blocks = [block(&[100, 10]), block(&[100, 10]), block(&[100, 50, 10])];
        assert_eq!(fit(&blocks, 306), [0, 0, 0]);
        assert_eq!(fit(&blocks, 305), [0, 0, 1]);
        assert_eq!(fit(&blocks, 200), [0, 1, 1]);
        assert_eq!(fit(&blocks, 40), [1, 1, 2]);
        assert_eq!(fit(&blocks, 24), [1, 1, 3]);
        assert_eq!(fit(&blocks, 0), [2, 2, 3]);
        assert_eq!(fit(&[], 0), [0; 0]);
    }

    #[test]
    fn the_text_completes_the_comment() {
        let blocks = [block(&[100, 10]), block(&[200, 100, 10]), block(&[20])];
        // All of it, the table of the second and the last one, and too little for anything.
        assert_eq!(complete(&blocks, &[1, 2, 1], 326), [0, 0, 0]);
        assert_eq!(complete(&blocks, &[1, 2, 1], 130), [2, 1, 0]);
        assert_eq!(complete(&blocks, &[1, 2, 1], 10), [2, 3, 1]);
        // What stands in the comment takes no room.
        assert_eq!(complete(&blocks, &[0, 0, 1], 22), [0, 0, 0]);
    }

    #[test]
    fn list_items_stay_together() {
        let parts = ["a", "- b", "- c", "d"].map(str::to_owned).to_vec();
        assert_eq!(joined(parts), "a\n\n- b\n- c\n\nd");
    }
}
