//! Links into the catalog repository.

use super::escape::code;
use super::words::short_sha;

/// The repository's page on GitHub, where it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links<'a>(Option<&'a str>);

impl<'a> Links<'a> {
    /// An address that could break out of a link is treated as not known.
    pub(super) fn new(repository_url: Option<&'a str>) -> Self {
        let harmless = |url: &&str| {
            (url.starts_with("https://") || url.starts_with("http://"))
                && url
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._~:/%[]".contains(c))
        };
        Self(
            repository_url
                .map(|url| url.trim_end_matches('/'))
                .filter(harmless),
        )
    }

    /// A commit by its short id.
    pub(super) fn commit(self, sha: &str) -> String {
        let label = code(&short_sha(sha));
        match self.0 {
            Some(url) if is_sha(sha) => format!("[{label}]({url}/commit/{sha})"),
            _ => label,
        }
    }

    /// A file at a commit, at a line if one is given.
    pub(super) fn file(self, sha: &str, path: &str, line: Option<u32>, label: &str) -> String {
        let label = code(label);
        match self.0 {
            Some(url) if is_sha(sha) => {
                let anchor = line.map_or_else(String::new, |line| format!("#L{line}"));
                format!("[{label}]({url}/blob/{sha}/{}{anchor})", encoded(path))
            }
            _ => label,
        }
    }

    /// A file as it is on the default branch by now; `label` is plain text.
    pub(super) fn newest(self, path: &str, label: &str) -> String {
        match self.0 {
            Some(url) => format!("[{label}]({url}/blob/HEAD/{})", encoded(path)),
            None => label.to_owned(),
        }
    }
}

fn is_sha(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A path percent-encoded but for its slashes (RFC 3986, unreserved characters).
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_only_of_harmless_parts() {
        let links = Links::new(Some("https://github.com/octo/catalog/"));
        assert_eq!(
            links.file("abc123", "layers/a) [x](y).yaml", Some(3), "a`b"),
            "[``a`b``](https://github.com/octo/catalog/blob/abc123/layers/a%29%20%5Bx%5D%28y%29.yaml#L3)"
        );
        assert_eq!(links.commit("not a sha"), "`not a sha`");
        assert_eq!(
            Links::new(Some("https://x/)[y](z")).commit("abc123"),
            "`abc123`"
        );
        assert_eq!(
            Links::new(None).commit("0123456789abcdef"),
            "`0123456789ab`"
        );
    }
}
