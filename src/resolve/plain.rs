//! uv's explanations, after `clean`, in the words of somebody who asked for a layer.

use crate::model::normalize_package_name;

/// uv's phrases and what they mean to people. Longer ones come first; each stands for itself, so a text that has none of
/// them, or is worded otherwise by another version of uv, stays as it is.
const PHRASES: [(&str, &str); 8] = [
    (
        ", we can conclude that your requirements are unsatisfiable",
        ", there are no versions that fit",
    ),
    (
        "we can conclude that your requirements are unsatisfiable",
        "there are no versions that fit",
    ),
    ("we can conclude that you require ", "the layer needs "),
    ("we can conclude that ", ""),
    (
        "your requirements are unsatisfiable",
        "there are no versions that fit",
    ),
    (
        " was not found in the package registry",
        " was not found on the package index",
    ),
    ("you require ", "the layer asks for "),
    ("your requirements", "the requirements"),
];

/// Rewrites what is safe to rewrite, and leaves out what this program has a better answer to.
pub(crate) fn plain(cleaned: &str) -> String {
    let kept: Vec<&str> = cleaned
        .lines()
        .filter(|line| !line.starts_with("Hint: Wheels are required for "))
        .collect();
    PHRASES
        .iter()
        .fold(kept.join("\n"), |text, (phrase, meaning)| {
            text.replace(phrase, meaning)
        })
}

/// What stands between `Because` and `you require` where that is all there is to say.
pub(crate) fn only_reason(cleaned: &str) -> Option<&str> {
    let mut lines = cleaned.lines().filter(|line| !line.starts_with("Hint: "));
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let (reason, _) = line
        .strip_prefix("Because ")?
        .split_once(" and you require ")?;
    Some(reason)
}

/// The package that has no wheel for the target, and its versions as uv names them: `six<2`, or only `six` for all.
pub(crate) fn without_wheel(cleaned: &str) -> Option<(String, String)> {
    // uv 0.5 to 0.13: "has no usable wheels", "have no wheels with a matching Python ABI tag (e.g., …)".
    const WORDS: [&str; 4] = [
        " has no usable wheels",
        " have no usable wheels",
        " has no wheels with a matching ",
        " have no wheels with a matching ",
    ];
    let at = WORDS.iter().filter_map(|words| cleaned.find(words)).min()?;
    let release = cleaned[..at].rsplit([' ', '\n']).next()?;
    let end = release
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(release.len());
    let name = normalize_package_name(&release[..end]);
    (!name.is_empty()).then(|| (name, release.to_owned()))
}

/// The package that the index does not have.
pub(crate) fn not_found(cleaned: &str) -> Option<String> {
    let at = cleaned.find(" was not found in the package registry")?;
    let name = cleaned[..at].rsplit([' ', '\n']).next()?;
    Some(normalize_package_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jargon_becomes_plain_words() {
        let cleaned = "Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, we can conclude that you require urllib3>=1.21.1,<3.\nAnd because you require urllib3<1, we can conclude that your requirements are unsatisfiable.\nHint: Wheels are required for `a` because building from source is disabled for all packages";
        insta::assert_snapshot!(plain(cleaned), @"
        Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and the layer asks for requests==2.31.0, the layer needs urllib3>=1.21.1,<3.
        And because the layer asks for urllib3<1, there are no versions that fit.
        ");
        assert_eq!(plain("something new"), "something new");
    }

    #[test]
    fn who_has_no_wheel_is_read_from_the_words() {
        let cases = [
            (
                "Because all versions of flashtext have no usable wheels and you require flashtext",
                Some(("flashtext", "flashtext")),
            ),
            (
                "Because pandas<=1.5.3 has no usable wheels and only",
                Some(("pandas", "pandas<=1.5.3")),
            ),
            (
                "Because a depends on b.c>=2,<3\nAnd because b.c>=2,<3 has no wheels with a matching platform tag",
                Some(("b-c", "b.c>=2,<3")),
            ),
            ("Because only a==1 is available", None),
            (" has no usable wheels", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(name, release)| (name.to_owned(), release.to_owned()));
            assert_eq!(without_wheel(text), expected, "{text}");
        }
    }

    #[test]
    fn a_single_reason_is_found() {
        assert_eq!(
            only_reason(
                "Because only a<=2 is available and you require a>9, we can conclude that your requirements are unsatisfiable."
            ),
            Some("only a<=2 is available")
        );
        assert_eq!(only_reason("Because a and b\nAnd because c"), None);
        assert_eq!(
            not_found("Because b was not found in the package registry and you require b"),
            Some("b".to_owned())
        );
    }
}
