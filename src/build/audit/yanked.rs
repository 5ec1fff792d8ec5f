//! Releases that their authors took back (PEP 592).

use super::text::code;
use super::{Audited, about};
use crate::model::{Finding, Severity};

/// Yanked releases, which are resolved only when a request pins them.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let yanked = layer.yanked.iter();
    yanked
        .map(|(package, reason)| {
            let why = match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
                Some(reason) => format!("saying {}", code(reason)),
                None => "without saying why".to_owned(),
            };
            let message = format!(
                "The authors of {} took this release back, {why}. Ask for another version.",
                code(package)
            );
            about(Severity::Warning, package, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::TestLayer;

    #[test]
    fn yanked_releases_are_told_with_the_reason() {
        let mut layer = TestLayer::new("p3.13");
        layer
            .yanked
            .insert("a".to_owned(), Some("Broken `wheel`".to_owned()));
        layer.yanked.insert("b".to_owned(), Some(" ".to_owned()));
        let findings = layer.check(check);
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Warning)
        );
        let messages: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        The authors of `a` took this release back, saying `Broken 'wheel'`. Ask for another version.
        The authors of `b` took this release back, without saying why. Ask for another version.
        ");
    }
}
