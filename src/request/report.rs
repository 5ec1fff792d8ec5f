//! Collects what is wrong with one file, and words it safely: what a stranger wrote is quoted into comments and logs.

use crate::model::{Level, Location, Problem};

/// The most problems reported for one file; a file with more is not mended line by line.
const PROBLEM_LIMIT: usize = 100;
/// The most characters of somebody's text that a message repeats.
const SHOWN_LIMIT: usize = 60;
/// The most characters of a parser's message that ours repeats.
const LINE_LIMIT: usize = 160;
/// Texts longer than this are not compared with suggestions: no name we know is nearly as long.
const COMPARED_LIMIT: usize = 64;

/// The problems of one file, in the order they were found.
#[derive(Debug)]
pub(super) struct Report<'a> {
    path: &'a str,
    problems: Vec<Problem>,
    omitted: usize,
}

impl<'a> Report<'a> {
    /// A report about the file at a repository path.
    pub(super) fn new(path: &'a str) -> Self {
        Self {
            path,
            problems: Vec::new(),
            omitted: 0,
        }
    }

    /// Notes an error; its hint says what to write instead.
    pub(super) fn error(
        &mut self,
        at: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Problem::error(self.path, at, message).with_hint(hint));
    }

    /// Notes something worth a look.
    pub(super) fn warning(
        &mut self,
        at: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Problem::warning(self.path, at, message).with_hint(hint));
    }

    fn add(&mut self, problem: Problem) {
        // Errors always get in: whether there is one decides whether the file counts.
        let first_error = problem.level == Level::Error && !self.has_errors();
        if self.problems.len() < PROBLEM_LIMIT || first_error {
            self.problems.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// Whether something keeps the file from being used.
    pub(super) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.level == Level::Error)
    }

    /// The value unless there are errors, and the problems from the top of the file to its end.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> (Option<T>, Vec<Problem>) {
        let value = value.filter(|_| !self.has_errors());
        self.problems.sort();
        self.problems.dedup();
        if self.omitted > 0
            && let Some(last) = self.problems.last()
        {
            let note = Problem::error(
                self.path,
                last.location,
                format!("{} more problems of this file are not listed", self.omitted),
            );
            self.problems
                .push(note.with_hint("mend the ones above first"));
        }
        (value, self.problems)
    }
}

/// Whether a character is safe to repeat: neither a control character nor one that reorders or hides text.
pub(super) fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Somebody's text for use inside backticks: one line, nothing invisible, no backtick, not long.
pub(super) fn shown(text: &str) -> String {
    shortened(text, SHOWN_LIMIT)
}

/// The first line of a parser's message for use inside backticks; parsers repeat what they were given.
pub(super) fn shown_line(words: &str) -> String {
    shortened(words.lines().next().unwrap_or_default(), LINE_LIMIT)
}

fn shortened(text: &str, limit: usize) -> String {
    let mut short: String = text
        .chars()
        .take(limit)
        .map(|c| match c {
            '`' => '\'',
            c if is_plain(c) => c,
            _ => '\u{fffd}',
        })
        .collect();
    if text.chars().nth(limit).is_some() {
        short.push('…');
    }
    short
}

/// The candidate that was probably meant: at most a third of its characters differ.
///
/// Among equally close ones the candidate with the longer common beginning wins: people rarely mistype the first letters.
pub(super) fn nearest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if text.len() > COMPARED_LIMIT {
        return None;
    }
    let text = text.trim().to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&text, &other);
            let likeness = strsim::jaro_winkler(&text, &other);
            (candidate, distance, likeness)
        })
        .filter(|(candidate, distance, _)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by(|(_, a, like_a), (_, b, like_b)| a.cmp(b).then(like_b.total_cmp(like_a)))
        .map(|(candidate, _, _)| candidate)
}

/// "did you mean `packages`?", or else the whole choice.
pub(super) fn suggestion(text: &str, candidates: &[&str]) -> String {
    match nearest(text, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("use {}", one_of(candidates)),
    }
}

/// "`a`, `b` or `c`".
pub(super) fn one_of(candidates: &[&str]) -> String {
    let quoted: Vec<String> = candidates
        .iter()
        .map(|candidate| format!("`{candidate}`"))
        .collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
