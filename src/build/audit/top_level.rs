//! Whether each package that was asked for brings something to import.

use super::text::code;
use super::{Audited, about};
use crate::model::{Finding, Severity, normalize_package_name};

/// Names that people import and then ask for, though the package is called otherwise.
const MEANT: &[(&str, &str)] = &[
    ("beautifulsoup", "beautifulsoup4"),
    ("bs4", "beautifulsoup4"),
    ("crypto", "pycryptodome"),
    ("cv2", "opencv-python-headless"),
    ("dateutil", "python-dateutil"),
    ("docx", "python-docx"),
    ("dotenv", "python-dotenv"),
    ("fitz", "pymupdf"),
    ("git", "gitpython"),
    ("jose", "python-jose"),
    ("jwt", "pyjwt"),
    ("magic", "python-magic"),
    ("mysqldb", "mysqlclient"),
    ("openssl", "pyopenssl"),
    ("pil", "pillow"),
    ("serial", "pyserial"),
    ("skimage", "scikit-image"),
    ("sklearn", "scikit-learn"),
    ("slugify", "python-slugify"),
    ("telegram", "python-telegram-bot"),
    ("yaml", "pyyaml"),
];

/// Packages that bring no module: stubs that hold a name, and packages that only bring others.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for requested in layer.requested {
        let package = normalize_package_name(requested);
        let Some(facts) = layer.packages.get(package.as_str()) else {
            continue;
        };
        if !facts.modules.is_empty() {
            continue;
        }
        let meant = MEANT.iter().find(|(name, _)| *name == package);
        let advice = match meant {
            Some((_, meant)) if layer.packages.contains_key(meant) => {
                format!("Ask for {} itself, which it brought along.", code(meant))
            }
            Some((_, meant)) => format!("You likely want {}.", code(meant)),
            None => "Check the name, unless it is there for the packages that it brings along."
                .to_owned(),
        };
        findings.push(about(
            Severity::Warning,
            &package,
            format!(
                "{} has no module that can be imported. {advice}",
                code(&package)
            ),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::TestLayer;
    use crate::build::elf::WheelFacts;

    #[test]
    fn packages_without_modules_are_told_with_what_was_meant() {
        let mut layer = TestLayer::new("p3.13");
        let with = |modules: &[&str]| WheelFacts {
            modules: modules.iter().map(|module| (*module).to_owned()).collect(),
            ..WheelFacts::default()
        };
        layer.packages.insert("numpy".to_owned(), with(&["numpy"]));
        for stub in ["sklearn", "bs4", "meta-package", "brought-along"] {
            layer.packages.insert(stub.to_owned(), with(&[]));
        }
        layer
            .packages
            .insert("beautifulsoup4".to_owned(), with(&["bs4"]));
        layer.requested = ["numpy", "sklearn", "bs4", "Meta_Package"]
            .map(str::to_owned)
            .to_vec();
        let messages: Vec<String> = layer
            .check(check)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        `sklearn` has no module that can be imported. You likely want `scikit-learn`.
        `bs4` has no module that can be imported. Ask for `beautifulsoup4` itself, which it brought along.
        `meta-package` has no module that can be imported. Check the name, unless it is there for the packages that it brings along.
        ");
    }
}
