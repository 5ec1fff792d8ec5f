//! What can be imported from the files of a wheel, by their names alone.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Modules told of one namespace package; of one with more, its own name is told.
const NAMESPACE_LIMIT: usize = 32;
/// Folders within each other that are looked into; nobody imports from deeper.
const DEPTH_LIMIT: usize = 32;
/// Folders that installers make from the schemes of PEP 427 and from data files; packages only if they say so themselves.
const DATA_FOLDERS: &[&str] = &["bin", "etc", "include", "lib", "share"];
/// Folders that some wheels carry along from their repository; packages only if they say so themselves.
const REPOSITORY_FOLDERS: &[&str] = &[
    "benchmarks",
    "doc",
    "docs",
    "example",
    "examples",
    "scripts",
    "test",
    "tests",
    "tools",
];

/// The part of an extension module's file name that says for which interpreters it is (PEP 3149, PEP 384).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AbiTag {
    /// One interpreter's: `cpython-313-x86_64-linux-gnu`.
    Interpreter(String),
    /// The ABI that stays the same from one minor version to the next: `abi3`.
    Stable,
}

/// A shared object that Python imports as a module, told by the tag in its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ExtensionModule {
    /// Relative to the layer's `python/`.
    pub(crate) path: String,
    /// For which interpreters.
    pub(crate) abi: AbiTag,
}

impl ExtensionModule {
    /// Reads a path; `None` when its name does not end like that of a tagged extension module.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        let (_, tag) = name.strip_suffix(".so")?.split_once('.')?;
        let abi = if tag == "abi3" {
            AbiTag::Stable
        } else if tag.starts_with("cpython-") || tag.starts_with("pypy") {
            AbiTag::Interpreter(tag.to_owned())
        } else {
            return None;
        };
        Some(Self {
            path: path.to_owned(),
            abi,
        })
    }

    /// The path without tag and ending: the same for every variant of one module.
    pub(crate) fn module_path(&self) -> &str {
        let name_start = self.path.rfind('/').map_or(0, |slash| slash + 1);
        let name_end = self.path[name_start..]
            .find('.')
            .map_or(self.path.len(), |dot| name_start + dot);
        &self.path[..name_end]
    }
}

/// The modules that can be imported when some files are on Python's path, sorted: `x` for `x.py`, an extension module
/// `x.….so` or a package `x/__init__.py`; for folders without one (namespace packages, PEP 420) the modules in
/// them, such as `google.cloud.storage`.
pub(crate) fn importable<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut root = Folder::default();
    for path in paths {
        if path.split('/').count() <= DEPTH_LIMIT {
            root.add(path);
        }
    }
    let mut modules: BTreeSet<String> =
        root.modules.iter().map(|name| (*name).to_owned()).collect();
    for (name, folder) in &root.folders {
        let is_no_package = DATA_FOLDERS.contains(name) || REPOSITORY_FOLDERS.contains(name);
        if (is_no_package && !folder.is_package()) || !is_identifier(name) {
            continue;
        }
        let mut inside = BTreeSet::new();
        folder.collect(name, &mut inside);
        if inside.len() > NAMESPACE_LIMIT {
            modules.insert((*name).to_owned());
        } else {
            modules.extend(inside);
        }
    }
    modules.into_iter().collect()
}

/// A folder with what Python finds in it.
#[derive(Default)]
struct Folder<'a> {
    modules: BTreeSet<&'a str>,
    folders: BTreeMap<&'a str, Self>,
}

impl<'a> Folder<'a> {
    fn add(&mut self, path: &'a str) {
        let Some((name, rest)) = path.split_once('/') else {
            self.modules.extend(module_of(path));
            return;
        };
        // What is in a folder that cannot be named in an import is no module.
        if is_identifier(name) {
            self.folders.entry(name).or_default().add(rest);
        }
    }

    fn is_package(&self) -> bool {
        self.modules.contains("__init__")
    }

    /// Adds the name of this package, or else the modules in it.
    fn collect(&self, name: &str, found: &mut BTreeSet<String>) {
        if self.is_package() {
            found.insert(name.to_owned());
            return;
        }
        found.extend(self.modules.iter().map(|module| format!("{name}.{module}")));
        for (inner, folder) in &self.folders {
            if found.len() > NAMESPACE_LIMIT {
                return;
            }
            folder.collect(&format!("{name}.{inner}"), found);
        }
    }
}

/// The module that a file is, by its name.
fn module_of(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".py").or_else(|| {
        let stem = file.strip_suffix(".so")?;
        match ExtensionModule::of(file) {
            Some(_) => stem.split('.').next(),
            // Other shared objects are called so: what a module loads, and no module.
            None if stem.starts_with("lib") => None,
            None => Some(stem),
        }
    })?;
    is_identifier(name).then_some(name)
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importable_names_follow_from_file_names() {
        let modules = importable([
            "six.py",
            "_yaml.cpython-313-x86_64-linux-gnu.so",
            "_cffi_backend.abi3.so",
            "plain.so",
            "libplain.so",
            "libtagged.abi3.so",
            "docs/conf.py",
            "examples/demo.py",
            "scripts/x.py",
            "tools/__init__.py",
            "tools/y.py",
            "google/libgoogle.so",
            "numpy/__init__.py",
            "numpy/core/x.py",
            "numpy.libs/libopenblas-1.so",
            "numpy-2.dist-info/METADATA",
            "stubs-only/__init__.pyi",
            "typed/__init__.pyi",
            "bin/tool.py",
            "share/man/x.py",
            "google/cloud/storage/__init__.py",
            "google/cloud/storage/client.py",
            "google/api.py",
            "data/table.csv",
            "a-b.py",
            "1st.py",
        ]);
        assert_eq!(
            modules,
            [
                "_cffi_backend",
                "_yaml",
                "google.api",
                "google.cloud.storage",
                "libtagged",
                "numpy",
                "plain",
                "six",
                "tools"
            ]
        );
    }

    #[test]
    fn a_namespace_of_very_many_modules_is_told_by_its_own_name() {
        let paths: Vec<String> = (0..100)
            .map(|index| format!("many/part{index}/x.py"))
            .collect();
        assert_eq!(importable(paths.iter().map(String::as_str)), ["many"]);
    }

    #[test]
    fn extension_modules_are_told_by_their_tag() {
        let tag = |path: &str| ExtensionModule::of(path).map(|module| module.abi);
        assert_eq!(
            tag("a/b.cpython-313-x86_64-linux-gnu.so"),
            Some(AbiTag::Interpreter(
                "cpython-313-x86_64-linux-gnu".to_owned()
            ))
        );
        assert_eq!(tag("a/b.abi3.so"), Some(AbiTag::Stable));
        assert_eq!(tag("a/libb.so"), None);
        assert_eq!(tag("a.libs/libgfortran-040039e1.so.5.0.0"), None);
        let module = ExtensionModule::of("a.b/c.abi3.so").unwrap();
        assert_eq!(module.module_path(), "a.b/c");
    }
}
