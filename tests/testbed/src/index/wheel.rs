//! Wheels made in code, byte for byte the same each time.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// When a wheel that does not say was uploaded: long before any cooldown.
pub(super) const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// A wheel to be. `Wheel::new("demo-package", "1.2.0")` is an empty `py3-none-any` one.
#[derive(Clone, Debug)]
pub struct Wheel {
    name: String,
    version: String,
    tag: String,
    requires: Vec<String>,
    pub(crate) requires_python: Option<String>,
    extras: Vec<String>,
    license: Option<String>,
    entry_points: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>, u32)>,
    pub(crate) upload_time: String,
    pub(crate) yanked: Option<String>,
}

impl Wheel {
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            tag: "py3-none-any".to_owned(),
            requires: Vec::new(),
            requires_python: None,
            extras: Vec::new(),
            license: None,
            entry_points: Vec::new(),
            files: Vec::new(),
            upload_time: LONG_AGO.to_owned(),
            yanked: None,
        }
    }

    /// A package `name/__init__.py` with this source (dots in the name are folders).
    #[must_use]
    pub fn module(self, name: &str, source: &str) -> Self {
        let path = format!("{}/__init__.py", name.replace('.', "/"));
        self.file(&path, source)
    }

    /// Any file of the wheel, by its path inside; paths a sane installer refuses are written as given.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into(), 0o644));
        self
    }

    /// A file with the executable bit.
    #[must_use]
    pub fn executable(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into(), 0o755));
        self
    }

    /// A symbolic link, which no wheel may have.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.files.push((path.to_owned(), target.into(), 0o120_777));
        self
    }

    /// A file below `{name}-{version}.data/`: `data_file("scripts", "tool", …)`.
    #[must_use]
    pub fn data_file(self, scheme: &str, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let inside = format!("{}.data/{scheme}/{path}", self.stem());
        self.file(&inside, content)
    }

    /// `Requires-Dist`: a PEP 508 requirement.
    #[must_use]
    pub fn requires(mut self, requirement: &str) -> Self {
        self.requires.push(requirement.to_owned());
        self
    }

    /// `Requires-Python`.
    #[must_use]
    pub fn requires_python(mut self, range: &str) -> Self {
        self.requires_python = Some(range.to_owned());
        self
    }

    /// `Provides-Extra`.
    #[must_use]
    pub fn extra(mut self, name: &str) -> Self {
        self.extras.push(name.to_owned());
        self
    }

    /// `License-Expression`.
    #[must_use]
    pub fn license(mut self, expression: &str) -> Self {
        self.license = Some(expression.to_owned());
        self
    }

    /// The compatibility tag: `cp313-cp313-manylinux_2_28_x86_64`.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.tag);
        self
    }

    /// A console script: `entry_point("tool", "demo_package:main")`.
    #[must_use]
    pub fn entry_point(mut self, script: &str, target: &str) -> Self {
        self.entry_points
            .push((script.to_owned(), target.to_owned()));
        self
    }

    /// When the index says it was uploaded, RFC 3339.
    #[must_use]
    pub fn upload_time(mut self, time: &str) -> Self {
        time.clone_into(&mut self.upload_time);
        self
    }

    /// Withdrawn, with this reason.
    #[must_use]
    pub fn yanked(mut self, reason: &str) -> Self {
        self.yanked = Some(reason.to_owned());
        self
    }

    /// The name as index pages spell it: `demo-package`.
    pub fn normalized_name(&self) -> String {
        normalized(&self.name)
    }

    /// `demo_package-1.2.0-py3-none-any.whl`.
    pub fn filename(&self) -> String {
        format!("{}-{}.whl", self.stem(), self.tag)
    }

    fn stem(&self) -> String {
        format!(
            "{}-{}",
            normalized(&self.name).replace('-', "_"),
            self.version
        )
    }

    /// The `METADATA` file.
    pub fn metadata(&self) -> String {
        let mut text = format!(
            "Metadata-Version: 2.4\nName: {}\nVersion: {}\nSummary: Made for tests\n",
            self.name, self.version
        );
        let mut field = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\n"));
        self.license
            .iter()
            .for_each(|license| field("License-Expression", license));
        self.requires_python
            .iter()
            .for_each(|range| field("Requires-Python", range));
        self.extras
            .iter()
            .for_each(|extra| field("Provides-Extra", extra));
        self.requires
            .iter()
            .for_each(|requirement| field("Requires-Dist", requirement));
        text
    }

    /// The wheel itself. The same wheel always has the same bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let dist_info = format!("{}.dist-info", self.stem());
        let mut files = self.files.clone();
        let mut described = |name: &str, text: String| {
            files.push((format!("{dist_info}/{name}"), text.into_bytes(), 0o644))
        };
        described("METADATA", self.metadata());
        let pure = self.tag.ends_with("-none-any");
        let tags: String = expanded(&self.tag)
            .iter()
            .map(|tag| format!("Tag: {tag}\n"))
            .collect();
        described(
            "WHEEL",
            format!(
                "Wheel-Version: 1.0\nGenerator: layersmith-testbed\nRoot-Is-Purelib: {pure}\n{tags}"
            ),
        );
        if !self.entry_points.is_empty() {
            let scripts: String = self
                .entry_points
                .iter()
                .map(|(script, target)| format!("{script} = {target}\n"))
                .collect();
            described("entry_points.txt", format!("[console_scripts]\n{scripts}"));
        }
        let mut record: String = files
            .iter()
            .map(|(path, content, _)| {
                format!("{path},sha256={},{}\n", record_hash(content), content.len())
            })
            .collect();
        record.push_str(&format!("{dist_info}/RECORD,,\n"));
        files.push((format!("{dist_info}/RECORD"), record.into_bytes(), 0o644));

        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content, mode) in files {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .last_modified_time(DateTime::default())
                .unix_permissions(mode & 0o777);
            if mode & 0o170_000 == 0o120_000 {
                let target = String::from_utf8_lossy(&content).into_owned();
                archive
                    .add_symlink(path, target, options)
                    .expect("an archive in memory takes links");
            } else {
                archive
                    .start_file(path, options)
                    .expect("an archive in memory takes files");
                archive.write_all(&content).expect("memory takes bytes");
            }
        }
        archive
            .finish()
            .expect("an archive in memory is finished")
            .into_inner()
    }
}

/// PEP 503: lower case, runs of `-`, `_` and `.` as one hyphen.
pub(crate) fn normalized(name: &str) -> String {
    let parts: Vec<String> = name
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect();
    parts.join("-")
}

/// A tag set such as `py2.py3-none-any`, one by one.
fn expanded(tag: &str) -> Vec<String> {
    let parts: Vec<Vec<&str>> = tag
        .splitn(3, '-')
        .map(|part| part.split('.').collect())
        .collect();
    let [pythons, abis, platforms] = parts.as_slice() else {
        return vec![tag.to_owned()];
    };
    let mut tags = Vec::new();
    for python in pythons {
        for abi in abis {
            tags.extend(
                platforms
                    .iter()
                    .map(|platform| format!("{python}-{abi}-{platform}")),
            );
        }
    }
    tags
}

fn record_hash(content: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(super::sha256(content))
}
