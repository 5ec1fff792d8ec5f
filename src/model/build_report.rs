//! What people are told of a built layer besides its size: bytecode, what was left out, what weighs most, what the
//! audit found, and whether its packages could be imported.

use super::Bytecode;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a layer was built and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildReport {
    /// Which bytecode it carries.
    pub bytecode: BytecodeReport,
    /// What was left out, by kind; kinds that left nothing out are absent.
    pub slimmed: Vec<Slimmed>,
    /// What its packages weigh, heaviest (unzipped) first.
    pub weights: Vec<Weight>,
    /// What the audit found, the gravest first.
    pub findings: Vec<Finding>,
    /// What importing its packages came to.
    pub import_test: ImportTest,
}

impl BuildReport {
    /// The audit's errors. With one of them the layer is not published.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    }

    /// Whether publishing is forbidden: the audit found an error, or a package cannot be imported.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.errors().next().is_some() || matches!(self.import_test, ImportTest::Failed { .. })
    }

    /// The package (normalised name) that the first error is about.
    #[must_use]
    pub fn package_to_blame(&self) -> Option<&str> {
        self.errors().find_map(|finding| finding.package.as_deref())
    }
}

/// Which bytecode a layer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BytecodeReport {
    /// For which modules.
    pub included: Bytecode,
    /// Why it is not what the request asked for, as a sentence; absent when it is.
    pub reason: Option<String>,
    /// The interpreter that compiled it, such as `CPython 3.13.0`; absent without bytecode.
    pub compiler: Option<String>,
    /// Whether there is none because the machine that built it had no interpreter of the target's version: with one, it
    /// would come out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_interpreter: bool,
    /// Whether some or all of it is missing because an interpreter crashed, ran out of memory or took too long, which may
    /// pass.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_pass: bool,
    /// Compiled modules in the layer.
    pub files: u64,
    /// Their bytes, unzipped.
    pub unzipped: u64,
    /// Their bytes in the zip.
    pub zipped: u64,
}

impl Default for BytecodeReport {
    fn default() -> Self {
        Self {
            included: Bytecode::None,
            reason: None,
            compiler: None,
            lacks_interpreter: false,
            may_pass: false,
            files: 0,
            unzipped: 0,
            zipped: 0,
        }
    }
}

/// A kind of files that a layer can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlimKind {
    /// The packages' own tests.
    Tests,
    /// C and Cython headers.
    Headers,
    /// Type stubs (`*.pyi`).
    Stubs,
    /// Documentation files.
    Docs,
    /// Debug and symbol sections of shared objects.
    Debug,
}

impl SlimKind {
    /// All of them, in the order they are told in.
    pub const ALL: [Self; 5] = [
        Self::Tests,
        Self::Headers,
        Self::Stubs,
        Self::Docs,
        Self::Debug,
    ];

    /// The word for it in request files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Headers => "headers",
            Self::Stubs => "stubs",
            Self::Docs => "docs",
            Self::Debug => "debug",
        }
    }
}

impl fmt::Display for SlimKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// It is of a kind that layers can do without.
    Slim(SlimKind),
    /// The request's `exclude` names it.
    Excluded,
    /// The Lambda runtime brings it, and the request says `exclude_runtime`.
    Runtime,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slim(SlimKind::Tests) => "tests",
            Self::Slim(SlimKind::Headers) => "headers",
            Self::Slim(SlimKind::Stubs) => "type stubs",
            Self::Slim(SlimKind::Docs) => "documentation",
            Self::Slim(SlimKind::Debug) => "debug sections",
            Self::Excluded => "files excluded by the request",
            Self::Runtime => "packages of the Lambda runtime",
        })
    }
}

/// What was left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slimmed {
    /// Why.
    pub why: LeftOut,
    /// How many files; of debug sections, how many files became smaller.
    pub files: u64,
    /// Bytes spared, unzipped.
    pub unzipped: u64,
    /// Bytes spared in the zip.
    pub zipped: u64,
}

impl Slimmed {
    /// Nothing yet.
    #[must_use]
    pub fn none(why: LeftOut) -> Self {
        Self {
            why,
            files: 0,
            unzipped: 0,
            zipped: 0,
        }
    }

    /// Both together, for the reason of the first.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            why: self.why,
            files: self.files.saturating_add(other.files),
            unzipped: self.unzipped.saturating_add(other.unzipped),
            zipped: self.zipped.saturating_add(other.zipped),
        }
    }
}

/// What one package weighs in a layer, its bytecode with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Normalised name (PEP 503).
    pub package: String,
    /// Bytes unzipped.
    pub unzipped: u64,
    /// Bytes in the zip.
    pub zipped: u64,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot work: the layer is not published.
    Error,
    /// It may not work, or not for long.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something the audit found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// The package it is about (normalised name), where it is about one.
    pub package: Option<String>,
    /// What is the matter and what can be done, in plain sentences with Markdown's code spans.
    pub message: String,
}

/// What importing the packages of a layer came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportTest {
    /// Nobody tried.
    #[default]
    NotRun,
    /// Every module was imported.
    Passed {
        /// The modules, in the order they were imported.
        modules: Vec<String>,
    },
    /// One could not be imported.
    Failed {
        /// Which.
        module: String,
        /// The last lines of Python's traceback.
        trace: String,
    },
    /// It could not be tried here.
    Skipped {
        /// Why, as a sentence.
        reason: String,
    },
}
