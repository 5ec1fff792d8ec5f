//! How long AWS keeps the runtime of a layer.

use super::Audited;
use crate::model::{Finding, Severity};

/// Days before the end of a runtime from which on it is told: AWS writes to its customers that long before.
const NOTICE_DAYS: u32 = 180;

/// A runtime that has ended, or is about to.
pub(super) fn check(layer: &Audited<'_>) -> Vec<Finding> {
    let python = layer.target.python;
    let dates = python.runtime_dates();
    let (today, soon) = (layer.now.date(), layer.now.plus_days(NOTICE_DAYS).date());
    if soon.as_str() < dates.deprecated {
        return Vec::new();
    }
    let ends = if today.as_str() < dates.deprecated {
        format!("AWS ends `{}` on {}", python.runtime(), dates.deprecated)
    } else {
        format!("AWS ended `{}` on {}", python.runtime(), dates.deprecated)
    };
    let step = |date: Option<&str>, what: &str| {
        date.map(|date| format!("; functions can be {what} until {date}"))
            .unwrap_or_default()
    };
    let message = format!(
        "{ends}{}{}. Ask for a newer Python.",
        step(dates.creation_blocked, "created"),
        step(dates.update_blocked, "updated"),
    );
    vec![Finding {
        severity: Severity::Warning,
        package: None,
        message,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::audit::test_layer::TestLayer;

    fn message(target: &str, now: &str) -> Option<String> {
        let mut layer = TestLayer::new(target);
        layer.now = format!("{now}T12:00:00Z").parse().unwrap();
        layer.check(check).pop().map(|finding| finding.message)
    }

    #[test]
    fn the_end_of_a_runtime_is_told_half_a_year_before() {
        assert_eq!(message("p3.13", "2026-11-22"), None);
        assert_eq!(message("p3.11", "2026-12-31"), None);
        insta::assert_snapshot!(message("p3.11", "2027-01-01").unwrap(), @"AWS ends `python3.11` on 2027-06-30. Ask for a newer Python.");
        insta::assert_snapshot!(message("p3.10", "2026-11-22").unwrap(), @"AWS ended `python3.10` on 2026-10-31; functions can be created until 2026-11-30; functions can be updated until 2027-01-15. Ask for a newer Python.");
    }
}
