//! Which names of zip entries may be unpacked.

/// The longest path that is taken: what Linux allows for one (`PATH_MAX`, 4096, with its NUL), less `/opt/python/`.
const PATH_LIMIT: usize = 4_083;
/// The longest name of one file or folder on Linux (`NAME_MAX`).
const NAME_LIMIT: usize = 255;

/// Checks the name of an entry, as stored, and gives it as text; the name of a folder keeps its `/` at the end.
///
/// A name is a relative path of plain parts with `/` between. What an unpacker might read otherwise is refused:
/// absolute paths, `..`, `.`, empty parts, backslashes, drive letters, control characters, and bytes that are not
/// ASCII without the flag that says they are UTF-8 (APPNOTE.TXT 4.4.4, bit 11; PEP 427 wants UTF-8).
///
/// # Errors
/// What is wrong, as a sentence without its subject.
pub(crate) fn check(raw: &[u8], marked_utf8: bool) -> Result<&str, String> {
    let name = std::str::from_utf8(raw)
        .ok()
        .filter(|name| marked_utf8 || name.is_ascii())
        .ok_or_else(|| {
            format!(
                "it holds a name that is not UTF-8: `{}`",
                String::from_utf8_lossy(raw).escape_debug()
            )
        })?;
    let refuse = |what: &str| {
        Err(format!(
            "it holds the name `{}`, {what}",
            name.chars().take(200).collect::<String>().escape_debug()
        ))
    };
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.is_empty() {
        return refuse("which is empty");
    }
    if path.starts_with('/') {
        return refuse("an absolute path");
    }
    if name.contains('\\') {
        return refuse("which has a backslash");
    }
    if name.chars().any(char::is_control) {
        return refuse("which has a control character");
    }
    let mut letters = path.chars();
    if letters.next().is_some_and(|c| c.is_ascii_alphabetic()) && letters.next() == Some(':') {
        return refuse("which starts with a drive letter");
    }
    if path.split('/').any(|part| part == "..") {
        return refuse("which leads out of its folder");
    }
    if path.split('/').any(|part| part.is_empty() || part == ".") {
        return refuse("which is not a plain path");
    }
    if path.len() > PATH_LIMIT || path.split('/').any(|part| part.len() > NAME_LIMIT) {
        return refuse("which is too long");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_are_taken() {
        for good in [
            "a.py",
            "a/b/c.py",
            "a/",
            "a..b/..c",
            "a b/ç.py",
            "...",
            "C/:",
        ] {
            assert_eq!(check(good.as_bytes(), true), Ok(good));
        }
    }

    #[test]
    fn what_could_be_read_otherwise_is_refused() {
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "//a",
            "../a",
            "a/../../b",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a\\b",
            "C:a",
            "c:/a",
            "a\0b",
            "a\nb",
            "a\u{7f}",
        ] {
            assert!(check(bad.as_bytes(), true).is_err(), "{bad:?} was taken");
        }
        assert!(check("a/".repeat(2_100).as_bytes(), true).is_err());
        assert!(check("a".repeat(256).as_bytes(), true).is_err());
    }

    #[test]
    fn names_say_which_characters_they_are_in() {
        assert!(check("ç".as_bytes(), false).is_err());
        assert!(check(b"\xff\xfe", true).is_err());
    }
}
