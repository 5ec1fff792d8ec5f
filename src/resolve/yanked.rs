//! Releases in a lock that their authors withdrew (PEP 592): uv takes one only when nothing else fits, and says so.

use super::explain::without_escapes;
use crate::model::{Lock, normalize_package_name};

/// The longest reason kept, in characters.
const REASON_LIMIT: usize = 300;

/// Notes the reasons in the lock.
pub(crate) fn note(lock: &mut Lock, stderr: &str) {
    for line in without_escapes(stderr).lines() {
        let Some((name, version, reason)) = read(line) else {
            continue;
        };
        let name = normalize_package_name(name);
        if let Some(package) = lock
            .packages
            .iter_mut()
            .find(|package| package.name == name && package.version == version)
        {
            package.yanked = Some(reason.chars().take(REASON_LIMIT).collect());
        }
    }
}

/// Takes apart ``warning: `NAME==VERSION` is yanked (reason: "REASON")``, where the part in parentheses may be missing.
fn read(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.trim_start().strip_prefix("warning: `")?;
    let (release, rest) = rest.split_once("` is yanked")?;
    let (name, version) = release.split_once("==")?;
    let reason = rest
        .trim_start()
        .strip_prefix("(reason: \"")
        .map_or("", |reason| {
            let reason = reason.trim_end();
            reason.strip_suffix("\")").unwrap_or(reason)
        });
    Some((name, version, reason))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_reason_is_read_with_whatever_is_in_it() {
        let cases = [
            (
                "warning: `a==1.0` is yanked (reason: \"it says \"no\") and\")",
                Some(("a", "1.0", "it says \"no\") and")),
            ),
            ("warning: `a==1.0` is yanked", Some(("a", "1.0", ""))),
            (
                "warning: `a==1.0` is yanked (reason: \"cut",
                Some(("a", "1.0", "cut")),
            ),
            ("warning: `a` is yanked", None),
            ("`a==1.0` is yanked", None),
        ];
        for (line, expected) in cases {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
