//! uv's words, made fit to be shown: no colours, no paths of this machine, no credentials.

use crate::model::Requirement;

/// The longest explanation kept, in characters: enough for a conflict over a dozen packages, short enough for a comment.
const EXPLANATION_LIMIT: usize = 4_000;

/// Removes what a person on a pull request must not or need not see from a text uv wrote.
pub(crate) fn clean(text: &str) -> String {
    let text = without_escapes(text);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line
            .trim()
            .trim_start_matches(['×', '│', '├', '╰', '─', '▶', ' '])
            .trim_start_matches("error: ")
            .trim_start_matches("cause: ")
            .trim_start_matches("Caused by: ");
        // The first line only says that what follows is the explanation.
        if line.is_empty()
            || line.starts_with("No solution found when resolving dependencies")
            || line.starts_with("warning: ")
        {
            continue;
        }
        lines.push(
            line.split(' ')
                .map(clean_word)
                .collect::<Vec<_>>()
                .join(" "),
        );
    }
    let text = lines
        .join("\n")
        .replace(" (i.e., with `--no-build`)", "")
        .replace("hint: ", "Hint: ");
    if text.chars().count() <= EXPLANATION_LIMIT {
        return text;
    }
    let cut: String = text.chars().take(EXPLANATION_LIMIT).collect();
    format!("{cut}…")
}

/// The first package of a request that a text names.
pub(crate) fn first_named(text: &str, packages: &[Requirement]) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut names = text
        .split(|c: char| !is_name(c))
        .map(|word| crate::model::normalize_package_name(word.trim_matches(['.', '-', '_'])));
    names.find(|word| packages.iter().any(|package| package.name == *word))
}

/// The places in a request of every package that a text names.
pub(crate) fn all_named(text: &str, packages: &[Requirement]) -> Vec<usize> {
    (0..packages.len())
        .filter(|&n| first_named(text, &packages[n..=n]).is_some())
        .collect()
}

/// Drops terminal control sequences (ECMA-48) and other control characters.
pub(crate) fn without_escapes(text: &str) -> String {
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
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

/// Takes the credentials out of a URL and the folders out of a path; other words stay as they are.
fn clean_word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        if scheme.ends_with("file") {
            let name = rest.rsplit('/').next().unwrap_or_default();
            return format!("{}{name}", scheme.trim_end_matches("file"));
        }
        let authority = rest.find(['/', '?', '#', '`']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        // A query may carry a signature or a token.
        let path = path.find('?').map_or(path, |query| &path[..query]);
        return format!("{scheme}://{host}{path}");
    }
    let start = word.find(|c: char| !matches!(c, '`' | '\'' | '"' | '(' | '[' | '<'));
    let Some(start) = start else {
        return word.to_owned();
    };
    let (opening, body) = word.split_at(start);
    if body.starts_with('/') && body[1..].contains('/') {
        let name = body.rsplit('/').next().unwrap_or_default();
        return format!("{opening}{name}");
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;

    #[test]
    fn a_conflict_reads_as_sentences() {
        let text = "\u{1b}[31merror\u{1b}[0m: No solution found when resolving dependencies\n  cause: Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, we can conclude that you require urllib3>=1.21.1,<3.\n         And because you require urllib3<1.0, we can conclude that your requirements are unsatisfiable.\n";
        let cleaned = clean(text);
        insta::assert_snapshot!(cleaned, @"
        Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, we can conclude that you require urllib3>=1.21.1,<3.
        And because you require urllib3<1.0, we can conclude that your requirements are unsatisfiable.
        ");
    }

    #[test]
    fn boxes_of_older_versions_are_taken_away() {
        let text = "  × No solution found when resolving dependencies:\n  ╰─▶ Because a was not found in the package registry and you require a, we can\n      conclude that your requirements are unsatisfiable.";
        insta::assert_snapshot!(clean(text), @"
        Because a was not found in the package registry and you require a, we can
        conclude that your requirements are unsatisfiable.
        ");
    }

    #[test]
    fn credentials_and_paths_do_not_get_through() {
        let text = "error: Failed to fetch: `https://user:s3cret@packages.example.com/simple/six/?token=abc`\n  cause: cannot read `/home/bot/cache/uv/tmp/pylock.toml`\n cause: file:///home/bot/x.whl";
        let cleaned = clean(text);
        for secret in ["s3cret", "user", "abc", "/home", "bot"] {
            assert!(!cleaned.contains(secret), "{secret} in {cleaned}");
        }
        insta::assert_snapshot!(cleaned, @"
        Failed to fetch: `https://packages.example.com/simple/six/
        cannot read `pylock.toml`
        x.whl
        ");
    }

    #[test]
    fn the_blame_goes_to_the_first_package_that_was_asked_for() {
        let packages: Vec<Requirement> = ["urllib3", "requests"]
            .iter()
            .map(|name| Requirement {
                text: (*name).to_owned(),
                name: (*name).to_owned(),
                location: Location::START,
            })
            .collect();
        let text = "Because idna<2 and Requests==2.31.0 depends on urllib3>=1";
        assert_eq!(first_named(text, &packages).as_deref(), Some("requests"));
        assert_eq!(first_named("nothing here", &packages), None);
    }
}
