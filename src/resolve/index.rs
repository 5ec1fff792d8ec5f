//! The package index as uv is told of it: its address, and for how long its pages count as fresh.
//!
//! Targets of one layer ask for the same pages within seconds. Where the index itself does not say how long a page may be
//! kept, uv asks again in every run; told by us, it asks once (uv's reference, `[[index]]`, `cache-control`).

use std::ffi::OsString;
use std::time::Duration;
use url::Url;

/// Variables that name indexes; left out when the request names its own. `UV_INDEX_…` also holds the user names and
/// passwords of named indexes.
const VARIABLES: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX"];
/// Of those the ones that name the one index that everything is looked for in, with pip's, which uv does not look at.
const DEFAULTS: [&str; 3] = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"];

/// The index a run of uv uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Index<'a> {
    /// The one with this URL and no other.
    Only(&'a str),
    /// What the environment names, else uv's own default.
    Environment,
    /// What the configuration file names that comes with the run.
    Configured,
}

impl<'a> Index<'a> {
    /// The one with a URL, where there is a URL.
    pub(crate) fn for_url(url: Option<&'a str>) -> Self {
        url.map_or(Self::Environment, Self::Only)
    }
}

/// Whether a variable names an index, or credentials for one.
pub(crate) fn is_variable(name: &str) -> bool {
    VARIABLES.contains(&name) || name.starts_with("UV_INDEX_")
}

/// Where the one index comes from, as far as it can be told without asking uv.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Its URL, which holds nothing secret.
    Known(Url),
    /// Nothing names an index: it is uv's own default.
    Default,
    /// Several, or with credentials, or out of a configuration file: the environment has to say it.
    Other,
}

/// Which of these the environment and a request's own index come to.
pub(crate) fn source(environment: &[(OsString, OsString)], index_url: Option<&str>) -> Source {
    let set = |name: &str| environment.iter().find(|(other, _)| other == name);
    if set("UV_CONFIG_FILE").is_some() {
        return Source::Other;
    }
    if let Some(url) = index_url {
        return without_secrets(url).map_or(Source::Other, Source::Known);
    }
    let more = environment.iter().any(|(name, _)| {
        name.to_str()
            .is_some_and(|name| is_variable(name) && !DEFAULTS.contains(&name))
    });
    match DEFAULTS.iter().find_map(|name| set(name)) {
        _ if more => Source::Other,
        None => Source::Default,
        Some((_, url)) => url
            .to_str()
            .and_then(without_secrets)
            .map_or(Source::Other, Source::Known),
    }
}

/// A URL fit to be written into a file: over HTTP, without credentials and without a query, which may hold a token.
pub(crate) fn without_secrets(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

/// A configuration file for uv. A URL has no character that a basic string of TOML would need escaped.
pub(crate) fn configuration(url: &Url, age: Duration) -> String {
    let age = age.as_secs();
    format!(
        "[[index]]\nurl = \"{url}\"\ndefault = true\ncache-control = {{ api = \"max-age={age}\", files = \"max-age={age}\" }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn one_index_without_secrets_is_known() {
        let known = |url: &str| Source::Known(Url::parse(url).unwrap());
        let url = "https://packages.example.com/simple";
        let cases = [
            (vec![], Some(url), known(url)),
            (
                vec![("UV_INDEX", "https://b.example.com")],
                Some(url),
                known(url),
            ),
            (vec![], None, Source::Default),
            (vec![("UV_DEFAULT_INDEX", url)], None, known(url)),
            (vec![("PIP_INDEX_URL", url)], None, known(url)),
            (
                vec![("UV_DEFAULT_INDEX", url), ("UV_INDEX", url)],
                None,
                Source::Other,
            ),
            (vec![("UV_INDEX_OURS_PASSWORD", "x")], None, Source::Other),
            (
                vec![("UV_CONFIG_FILE", "/etc/uv.toml")],
                Some(url),
                Source::Other,
            ),
            (
                vec![],
                Some("https://user:word@packages.example.com/"),
                Source::Other,
            ),
            (
                vec![],
                Some("https://packages.example.com/?token=x"),
                Source::Other,
            ),
            (
                vec![("UV_DEFAULT_INDEX", "ours=https://a.example.com")],
                None,
                Source::Other,
            ),
        ];
        for (variables, index_url, expected) in cases {
            assert_eq!(
                source(&environment(&variables), index_url),
                expected,
                "{variables:?} {index_url:?}"
            );
        }
    }

    #[test]
    fn nothing_in_a_url_ends_the_string_it_is_written_in() {
        let url = without_secrets("https://packages.example.com/a\"b\\c\n[x]").unwrap();
        let text = configuration(&url, Duration::from_secs(120));
        let read: toml::Table = toml::from_str(&text).unwrap();
        let index = read["index"][0].as_table().unwrap();
        assert_eq!(index["url"].as_str(), Some(url.as_str()));
        assert_eq!(index["cache-control"]["api"].as_str(), Some("max-age=120"));
    }
}
