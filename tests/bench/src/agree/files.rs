//! The files of a layer and of an installation, each reduced to what is compared.

use super::rules::{Difference, Kind};
use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use zip::ZipArchive;

/// A file, by what is compared of it. Digests are SHA-256 as `RECORD` writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) digest: String,
    pub(super) size: usize,
    /// Bytes in the zip, where it is in one.
    pub(super) compressed_size: Option<u64>,
    pub(super) is_executable: bool,
    /// Of what follows the first line, when that names an interpreter.
    pub(super) after_first_line: Option<String>,
}

/// Files by their path below `python/`.
pub(super) type Files = BTreeMap<String, Entry>;

impl Entry {
    fn of(bytes: &[u8], mode: u32) -> Self {
        let is_script = bytes.starts_with(b"#!");
        let rest = bytes.iter().position(|byte| *byte == b'\n');
        Self {
            digest: encoded(bytes),
            size: bytes.len(),
            compressed_size: None,
            is_executable: mode & 0o111 != 0,
            after_first_line: is_script.then(|| encoded(rest.map_or(&[][..], |end| &bytes[end..]))),
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// The files of a layer's zip.
pub(super) fn in_zip(zip: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    each_in_zip(zip, |path, mode, compressed_size, bytes| {
        let entry = Entry {
            compressed_size: Some(compressed_size),
            ..Entry::of(bytes, mode)
        };
        files.insert(path.to_owned(), entry);
    })?;
    Ok(files)
}

fn each_in_zip(zip: &Path, mut take: impl FnMut(&str, u32, u64, &[u8])) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(zip)?))?;
    let mut bytes = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let path = name
            .strip_prefix("python/")
            .with_context(|| format!("{name} is not below python/"))?
            .to_owned();
        bytes.clear();
        entry.read_to_end(&mut bytes)?;
        let mode = entry.unix_mode().unwrap_or_default();
        take(&path, mode, entry.compressed_size(), &bytes);
    }
    Ok(())
}

/// The files below a folder.
pub(super) fn in_folder(root: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let mode = entry.metadata()?.permissions().mode();
            files.insert(name, Entry::of(&std::fs::read(&path)?, mode));
        }
    }
    Ok(files)
}

/// The names of scripts that an installer makes (entry points specification, `console_scripts` and `gui_scripts`).
pub(super) fn entry_points(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path().join("entry_points.txt");
        if let Ok(text) = std::fs::read_to_string(path) {
            names.extend(script_names(&text));
        }
    }
    Ok(names)
}

fn script_names(text: &str) -> Vec<String> {
    let mut makes_scripts = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']').trim();
            makes_scripts = matches!(section, "console_scripts" | "gui_scripts");
        } else if makes_scripts && let Some((name, _)) = line.split_once('=') {
            names.push(name.trim().to_owned());
        }
    }
    names
}

/// Every file of a layer is listed by exactly one `RECORD`, with its digest and size, and nothing else is.
pub(super) fn check_records(zip: &Path, files: &Files) -> anyhow::Result<Vec<Difference>> {
    let mut wrong = Vec::new();
    let mut listed = BTreeSet::new();
    each_in_zip(zip, |path, _, _, bytes| {
        if !path.ends_with(".dist-info/RECORD") {
            return;
        }
        for line in String::from_utf8_lossy(bytes).lines() {
            let (name, digest, size) = record_line(line);
            let is_itself = name == path;
            let is_right = files.get(&name).is_some_and(|file| {
                is_itself
                    || digest == format!("sha256={}", file.digest) && size == file.size.to_string()
            });
            if !is_right || !listed.insert(name.clone()) {
                wrong.push(Difference::unexplained(&name, Kind::Record));
            }
        }
    })?;
    let unlisted = files.keys().filter(|path| !listed.contains(*path));
    wrong.extend(unlisted.map(|path| Difference::unexplained(path, Kind::Record)));
    Ok(wrong)
}

/// Path, digest and size of a line of `RECORD`, which is CSV (PEP 376); only the path may need quotes.
fn record_line(line: &str) -> (String, &str, &str) {
    let mut fields = line.rsplitn(3, ',');
    let size = fields.next().unwrap_or_default();
    let digest = fields.next().unwrap_or_default();
    let path = fields.next().unwrap_or_default();
    let unquoted = path
        .strip_prefix('"')
        .and_then(|path| path.strip_suffix('"'))
        .map_or_else(|| path.to_owned(), |path| path.replace("\"\"", "\""));
    (unquoted, digest, size)
}

/// What can be imported from the top: modules, packages, and packages inside of namespaces (PEP 420).
pub(super) fn top_level_modules(files: &Files, python: &str) -> BTreeSet<String> {
    let packages: BTreeSet<&str> = files
        .keys()
        .filter_map(|path| path.strip_suffix("/__init__.py"))
        .collect();
    let mut modules = BTreeSet::new();
    for path in files.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [file] => modules.extend(module_name(file, python)),
            [package, "__init__.py"] if is_identifier(package) => {
                modules.insert(package.to_owned());
            }
            [space, package, "__init__.py"]
                if !packages.contains(space) && is_identifier(space) && is_identifier(package) =>
            {
                modules.insert(format!("{space}.{package}"));
            }
            _ => {}
        }
    }
    modules
}

/// The module that a file is, for this Python: source, or an extension with no tag or a tag that fits (PEP 3149).
fn module_name(file: &str, python: &str) -> Option<String> {
    let (name, ending) = file.split_once('.')?;
    let cpython = format!("cpython-{}-", python.replace('.', ""));
    let fits = ending == "py"
        || ending == "so"
        || ending == "abi3.so"
        || ending.starts_with(&cpython) && ending.ends_with(".so");
    (fits && is_identifier(name)).then(|| name.to_owned())
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_from_the_right() {
        assert_eq!(
            record_line("a/b.py,sha256=x,3"),
            ("a/b.py".to_owned(), "sha256=x", "3")
        );
        assert_eq!(record_line("\"a,\"\"b\",,"), ("a,\"b".to_owned(), "", ""));
    }

    #[test]
    fn scripts_are_those_of_two_sections() {
        let text = "[console_scripts]\na = b:c\n\n[other]\nd = e\n[gui_scripts]\nf=g:h\n";
        assert_eq!(script_names(text), ["a", "f"]);
    }

    #[test]
    fn top_level_modules_are_found() {
        let paths = [
            "six.py",
            "_x.cpython-311-x86_64-linux-gnu.so",
            "_y.cpython-312-x86_64-linux-gnu.so",
            "_z.abi3.so",
            "a/__init__.py",
            "a/b/__init__.py",
            "google/auth/__init__.py",
            "google/auth/x/__init__.py",
            "a-1.dist-info/METADATA",
            "bin/tool",
        ];
        let entry = Entry::of(b"", 0o644);
        let files = paths.map(|path| (path.to_owned(), entry.clone()));
        let modules = top_level_modules(&Files::from(files), "3.11");
        let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
        assert_eq!(modules, ["_x", "_z", "a", "google.auth", "six"]);
    }

    #[test]
    fn a_script_is_compared_without_its_first_line() {
        let one = Entry::of(b"#!/usr/bin/python\nx\n", 0o755);
        let two = Entry::of(b"#!/usr/bin/env python3\nx\n", 0o755);
        assert_ne!(one.digest, two.digest);
        assert_eq!(one.after_first_line, two.after_first_line);
        assert!(one.is_executable);
    }
}
