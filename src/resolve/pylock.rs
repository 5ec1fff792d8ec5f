//! The standard lock file that uv writes, read into a [`Lock`].

use super::error::ResolveError;
use super::resolver::BuiltWheel;
use super::source::SourceDistribution;
use super::tags::SupportedTags;
use super::wheel_filename::WheelFilename;
use crate::model::{Digest, Lock, LockedPackage, Target, WheelFile, normalize_package_name};
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

/// The part of PEP 751's `pylock.toml` that matters here. Markers are not looked at: uv writes what it found for
/// one environment, the target's. Unknown keys are tolerated, as the PEP asks of minor revisions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pylock {
    lock_version: String,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    wheels: Vec<PackageFile>,
    sdist: Option<PackageFile>,
}

/// A wheel or a source distribution.
#[derive(Debug, Deserialize)]
struct PackageFile {
    name: Option<String>,
    url: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads a lock file and picks the wheel of each package that suits the target best.
///
/// # Errors
/// [`ResolveError::NoWheel`] and [`ResolveError::Unusable`] for a package that cannot be used,
/// [`ResolveError::Unexpected`] for a file that is not such a lock.
pub(crate) fn read(
    text: &str,
    target: Target,
    built: &[BuiltWheel<'_>],
) -> Result<Lock, ResolveError> {
    let pylock = parse(text)?;
    let tags = Tags {
        index: SupportedTags::of(target),
        built: SupportedTags::with_built(target),
    };
    let mut packages = pylock
        .packages
        .into_iter()
        .map(|package| lock_package(package, &tags, target, built))
        .collect::<Result<Vec<_>, _>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = packages
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name)
    {
        return Err(ResolveError::Unexpected(format!(
            "uv's lock file has {} twice",
            pair[0].name
        )));
    }
    Ok(Lock { packages })
}

/// Reads the source distribution of the one package in a lock file.
///
/// # Errors
/// [`ResolveError::Unusable`] when there is none that can be verified, [`ResolveError::Unexpected`] for a file that is not
/// such a lock.
pub(crate) fn read_source(text: &str, package: &str) -> Result<SourceDistribution, ResolveError> {
    let unusable = |reason: String| ResolveError::Unusable {
        package: package.to_owned(),
        reason,
    };
    let found = parse(text)?
        .packages
        .into_iter()
        .find(|found| normalize_package_name(&found.name) == package);
    let (version, file) = found
        .and_then(|found| found.version.zip(found.sdist))
        .ok_or_else(|| unusable("it has no source distribution".to_owned()))?;
    let filename = file_name(&file).map_err(unusable)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
    if !filename.chars().all(is_plain) || filename.starts_with('.') {
        return Err(unusable(format!(
            "`{filename}` is not the file name of a source distribution"
        )));
    }
    let (url, sha256) = origin(&filename, &file).map_err(unusable)?;
    Ok(SourceDistribution {
        name: package.to_owned(),
        version,
        filename,
        url: url.to_string(),
        sha256,
        size: file.size,
    })
}

fn parse(text: &str) -> Result<Pylock, ResolveError> {
    let pylock: Pylock = toml::from_str(text).map_err(|error| {
        ResolveError::Unexpected(format!(
            "uv's lock file cannot be read: {}",
            error.message()
        ))
    })?;
    // PEP 751: another major version may mean anything.
    if pylock.lock_version.split('.').next() != Some("1") {
        return Err(ResolveError::Unexpected(format!(
            "uv's lock file has version {}, and 1 is understood",
            pylock.lock_version
        )));
    }
    Ok(pylock)
}

/// What a target takes of the index, and what of the wheels that were built here.
struct Tags {
    index: SupportedTags,
    built: SupportedTags,
}

fn lock_package(
    package: Package,
    tags: &Tags,
    target: Target,
    built: &[BuiltWheel<'_>],
) -> Result<LockedPackage, ResolveError> {
    let name = normalize_package_name(&package.name);
    let unusable = |reason: String| ResolveError::Unusable {
        package: name.clone(),
        reason,
    };
    let version = package
        .version
        .ok_or_else(|| unusable("it does not come from a package index".to_owned()))?;
    let mut candidates = Vec::new();
    for wheel in package.wheels {
        let filename = wheel_filename(&wheel).map_err(unusable)?;
        let built = built_here(&filename, &wheel, built);
        if built.is_some() || tags.index.rank(&filename).is_some() {
            candidates.push((filename, wheel, built));
        }
    }
    let best = tags.built.best(
        candidates
            .iter()
            .map(|(name, wheel, built)| (name, (name, wheel, built))),
    );
    let Some((filename, wheel, built)) = best else {
        return Err(ResolveError::NoWheel {
            release: format!("{name}=={version}"),
            package: name,
            blamed: None,
            target,
            alternatives: Box::default(),
        });
    };
    if filename.name != name || filename.version.to_string() != version {
        return Err(unusable(format!(
            "its wheel `{filename}` belongs to something else than {name} {version}"
        )));
    }
    let wheel = match built {
        Some(built) => built_file(built),
        None => wheel_file(filename, wheel).map_err(unusable)?,
    };
    Ok(LockedPackage {
        name,
        version,
        wheel,
        yanked: None,
    })
}

/// The wheel built by us that a file of the lock is; a file of this machine is no other.
fn built_here<'a>(
    filename: &WheelFilename,
    wheel: &PackageFile,
    built: &'a [BuiltWheel<'a>],
) -> Option<&'a BuiltWheel<'a>> {
    let url = wheel.url.as_deref()?;
    let mut built = built.iter();
    url.starts_with("file:")
        .then(|| built.find(|built| built.filename == filename.to_string()))?
}

fn wheel_filename(wheel: &PackageFile) -> Result<WheelFilename, String> {
    file_name(wheel)?
        .parse()
        .map_err(|error: crate::model::InvalidValue| error.to_string())
}

fn file_name(file: &PackageFile) -> Result<String, String> {
    match (&file.name, &file.url) {
        (Some(name), _) => Ok(name.clone()),
        // A wheel built by us is a file beside the lock.
        (None, Some(url)) => match Url::parse(url) {
            Ok(url) if url.scheme() == "file" => last_segment(&url),
            _ => last_segment(&parse_url(url)?),
        },
        (None, None) => Err("one of its files has neither a name nor a URL".to_owned()),
    }
}

/// A wheel built by us is named by what it was built from: where its file lies is this machine's affair.
fn built_file(built: &BuiltWheel<'_>) -> WheelFile {
    WheelFile {
        filename: built.filename.to_owned(),
        url: built.source.url_of_built(built.filename),
        sha256: built.sha256,
        size: Some(built.size),
    }
}

fn wheel_file(filename: &WheelFilename, wheel: &PackageFile) -> Result<WheelFile, String> {
    let filename = filename.to_string();
    let (url, sha256) = origin(&filename, wheel)?;
    Ok(WheelFile {
        filename,
        url: url.to_string(),
        sha256,
        size: wheel.size,
    })
}

/// Where a file is fetched from, and what it must hash to.
fn origin(filename: &str, file: &PackageFile) -> Result<(Url, Digest), String> {
    let url = file
        .url
        .as_deref()
        .ok_or_else(|| format!("`{filename}` is a file on the resolving machine, not a URL"))?;
    let url = parse_url(url)?;
    let sha256 = file
        .hashes
        .get("sha256")
        .ok_or_else(|| format!("the index gives no SHA-256 digest for `{filename}`"))?;
    let sha256 = sha256
        .parse()
        .map_err(|_| format!("the index gives a malformed SHA-256 digest for `{filename}`"))?;
    Ok((url, sha256))
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "one of its files has a malformed URL".to_owned())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("one of its files has a URL that is neither http nor https".to_owned())
    }
}

fn last_segment(url: &Url) -> Result<String, String> {
    let segment = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .unwrap_or_default();
    percent_decode(segment)
        .ok_or_else(|| "one of its files has a URL without a readable file name".to_owned())
}

/// Undoes percent-encoding (RFC 3986, 2.1); `None` when it is malformed or not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";

    fn lock(packages: &str) -> Result<Lock, ResolveError> {
        let text = format!("lock-version = \"1.0\"\ncreated-by = \"uv\"\n{packages}");
        read(&text, "p3.13".parse().unwrap(), &[])
    }

    fn package(name: &str, version: &str, wheels: &[&str]) -> String {
        let wheels: Vec<String> = wheels
            .iter()
            .map(|wheel| {
                format!("{{ url = \"https://files.example.com/{wheel}\", size = 7, hashes = {{ sha256 = \"{HASH}\" }} }}")
            })
            .collect();
        format!(
            "[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\nwheels = [{}]\n",
            wheels.join(", ")
        )
    }

    #[test]
    fn the_best_wheel_of_each_package_is_locked() {
        let lock = lock(
            &(package(
                "Zope.Interface",
                "1.0",
                &["zope_interface-1.0-py3-none-any.whl"],
            ) + &package(
                "six",
                "1!1.0+cpu",
                &[
                    "six-1%211.0%2Bcpu-py3-none-any.whl",
                    "six-1%211.0%2Bcpu-cp313-cp313-manylinux_2_28_x86_64.whl",
                ],
            )),
        )
        .unwrap();
        let names: Vec<&str> = lock
            .packages
            .iter()
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(names, ["six", "zope-interface"]);
        assert_eq!(
            lock.packages[0].wheel.filename,
            "six-1!1.0+cpu-cp313-cp313-manylinux_2_28_x86_64.whl"
        );
        assert_eq!(lock.packages[0].wheel.sha256.to_string(), HASH);
        assert_eq!(lock.packages[0].wheel.size, Some(7));
    }

    #[test]
    fn a_package_without_a_wheel_for_the_target_is_named() {
        let error = lock(&package("six", "1.0", &["six-1.0-py2-none-any.whl"])).unwrap_err();
        assert!(matches!(error, ResolveError::NoWheel { .. }));
        assert_eq!(error.package(), Some("six"));
        assert_eq!(error.to_string(), "six==1.0 has no wheel for p3.13");
    }

    #[test]
    fn what_cannot_be_verified_is_refused() {
        let name = "six-1.0-py3-none-any.whl";
        let wheel = |fields: &str| {
            format!("[[packages]]\nname = \"six\"\nversion = \"1.0\"\nwheels = [{{ {fields} }}]\n")
        };
        let cases = [
            wheel(&format!(
                "url = \"https://e.com/{name}\", hashes = {{ md5 = \"aa\" }}"
            )),
            wheel(&format!(
                "url = \"https://e.com/{name}\", hashes = {{ sha256 = \"aa\" }}"
            )),
            wheel(&format!(
                "url = \"file:///tmp/{name}\", hashes = {{ sha256 = \"{HASH}\" }}"
            )),
            wheel(&format!(
                "name = \"{name}\", path = \"../{name}\", hashes = {{ sha256 = \"{HASH}\" }}"
            )),
            wheel(&format!(
                "url = \"https://e.com/a%2F{name}\", hashes = {{ sha256 = \"{HASH}\" }}"
            )),
            package("six", "1.0", &["seven-1.0-py3-none-any.whl"]),
            package("six", "1.0", &["six-1.1-py3-none-any.whl"]),
            "[[packages]]\nname = \"six\"\narchive = { url = \"https://e.com/six.zip\" }\n"
                .to_owned(),
        ];
        for case in cases {
            let error = lock(&case).unwrap_err();
            assert!(
                matches!(error, ResolveError::Unusable { .. }),
                "{error}: {case}"
            );
            assert_eq!(error.package(), Some("six"));
        }
    }

    #[test]
    fn what_is_no_lock_is_unexpected() {
        for text in ["", "lock-version = \"2.0\"", "lock-version = 1", "{"] {
            let error = read(text, "p3.13".parse().unwrap(), &[]).unwrap_err();
            assert!(matches!(error, ResolveError::Unexpected(_)), "{error}");
        }
        let twice = package("six", "1.0", &["six-1.0-py3-none-any.whl"]).repeat(2);
        assert!(matches!(lock(&twice), Err(ResolveError::Unexpected(_))));
    }
}
