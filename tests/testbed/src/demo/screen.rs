//! What the terminal shows: headings, claims, quotations; bold and dim only where somebody sees them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const BOLD: &str = "1";
const DIM: &str = "2";

/// Tells the story, and keeps the book on which of its claims held.
pub struct Narrator {
    styled: bool,
    claims: usize,
    shortfalls: Vec<String>,
    /// What each step took, in a word or two.
    steps: Vec<(String, Instant)>,
}

impl Default for Narrator {
    fn default() -> Self {
        Self::new()
    }
}

impl Narrator {
    /// Writes to standard output, styled on a terminal unless `NO_COLOR` is set.
    pub fn new() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            styled: io::stdout().is_terminal() && !no_color,
            claims: 0,
            shortfalls: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// A text as it is.
    pub fn plain(&self, text: &str) {
        let mut out = io::stdout().lock();
        // When nobody reads any more, the story still goes on to its exit code.
        writeln!(out, "{text}").ok();
        out.flush().ok();
    }

    /// A text of less weight.
    pub fn dim(&self, text: &str) {
        self.plain(&self.style(DIM, text));
    }

    /// Begins a step; `name` is what the timing calls it.
    pub fn step(&mut self, name: &str, title: &str) {
        self.steps.push((name.to_owned(), Instant::now()));
        let heading = format!("{}. {title}", self.steps.len());
        self.plain(&format!("\n{}", self.style(BOLD, &heading)));
    }

    /// A remark within a step.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            self.plain(format!("   {line}").trim_end());
        }
    }

    /// A text of somebody else, with a line at its left; of a long one the first `limit` lines.
    pub fn quote(&self, text: &str, limit: usize) {
        for line in shortened(text.trim_end(), limit).lines() {
            self.plain(format!("   │ {line}").trim_end());
        }
    }

    /// A claim, and whether it held: `Err` says what was found instead.
    pub fn claim(&mut self, what: &str, held: Result<(), String>) {
        self.claims += 1;
        match held {
            Ok(()) => self.plain(&format!("   ✓ {what}")),
            Err(found) => {
                self.plain(&format!(
                    "   {}",
                    self.style(BOLD, &format!("✗ {what}: {found}"))
                ));
                self.shortfalls.push(format!("{what}: {found}"));
            }
        }
    }

    /// How many claims were made.
    pub fn claims(&self) -> usize {
        self.claims
    }

    /// Those that did not hold, with what was found instead.
    pub fn shortfalls(&self) -> &[String] {
        &self.shortfalls
    }

    /// What every step took: `start 0.8 s, plan 2.1 s: 2.9 s in all`.
    pub fn timing(&self) -> String {
        let ends = self.steps.iter().skip(1).map(|(_, start)| *start);
        let parts: Vec<String> = self
            .steps
            .iter()
            .zip(ends.chain([Instant::now()]))
            .map(|((name, start), end)| format!("{name} {}", seconds(end - *start)))
            .collect();
        let all = self
            .steps
            .first()
            .map_or(Duration::ZERO, |(_, start)| start.elapsed());
        format!("Time: {} in all ({})", seconds(all), parts.join(", "))
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.styled {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A complaint, to standard error.
pub fn complain(text: &str) {
    // When standard error is gone, the exit code remains.
    writeln!(io::stderr(), "{text}").ok();
}

/// `Ok` when they are equal, otherwise what was found.
pub(super) fn equal<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found:?} instead of {expected:?}"))
    }
}

/// `Ok` when it is so, otherwise what was found.
pub(super) fn ensure(so: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(found()) }
}

/// The first `limit` lines of a text and how many there are more.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let hidden = lines.len().saturating_sub(limit);
    // One line more takes no more room than saying that it is left out.
    if hidden <= 1 {
        return lines.join("\n");
    }
    format!("{}\n… {hidden} more lines", lines[..limit].join("\n"))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_says_by_how_much() {
        assert_eq!(shortened("a\nb\nc", 3), "a\nb\nc");
        assert_eq!(shortened("a\nb\nc", 2), "a\nb\nc");
        assert_eq!(shortened("a\nb\nc\nd", 2), "a\nb\n… 2 more lines");
    }

    #[test]
    fn a_claim_that_does_not_hold_is_kept() {
        let mut narrator = Narrator {
            styled: false,
            ..Narrator::new()
        };
        narrator.claim("one", equal(&1, &1));
        narrator.claim("two", equal(&1, &2));
        assert_eq!(narrator.claims(), 2);
        assert_eq!(narrator.shortfalls(), ["two: 1 instead of 2"]);
    }
}
