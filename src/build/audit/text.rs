//! Names from packages in sentences for people: whatever they hold, they stay within their code span.

use crate::model::PythonVersion;

/// The most characters of a name that are shown.
const SHOWN: usize = 160;

/// A name as a Markdown code span on one line.
pub(super) fn code(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(SHOWN)
        .map(|c| match c {
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    if name.chars().count() > SHOWN {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// `a`, or `a` and how many more.
pub(super) fn first_of<'a>(mut paths: impl Iterator<Item = &'a str>) -> String {
    let first = paths.next().unwrap_or_default();
    match paths.count() {
        0 => code(first),
        1 => format!("{} (and one more file)", code(first)),
        more => format!("{} (and {more} more files)", code(first)),
    }
}

/// The system that runs a Python version on AWS Lambda.
pub(super) fn system(python: PythonVersion) -> &'static str {
    if python.glibc() >= (2, 34) {
        "Amazon Linux 2023"
    } else {
        "Amazon Linux 2"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_code_span() {
        assert_eq!(code("a`\n**b**"), "`a' **b**`");
        assert_eq!(code(&"x".repeat(200)).chars().count(), SHOWN + 3);
        assert_eq!(
            first_of(["a", "b", "c"].into_iter()),
            "`a` (and 2 more files)"
        );
    }
}
