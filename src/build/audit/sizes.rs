//! Layers that are near AWS Lambda's limits, and what weighs most in them.

use super::text::code;
use crate::model::{Finding, Severity, UNZIPPED_LIMIT, Weight, ZIPPED_LIMIT};

/// The share of a limit, in percent, from which on it is told.
const NEAR_PERCENT: u64 = 80;
/// How many of the heaviest packages are named.
const NAMED: usize = 3;

/// Warnings when a layer takes 80 % of a limit or more, and no more than the limit: what passes it is not published and
/// told elsewhere. Sizes are in bytes.
#[must_use]
pub(crate) fn size_findings(zipped: u64, unzipped: u64, weights: &[Weight]) -> Vec<Finding> {
    let zipped = Limit {
        kind: "zipped",
        rule: "AWS Lambda takes 50 MiB in a direct upload",
        size: zipped,
        limit: ZIPPED_LIMIT,
        weight_of: |weight| weight.zipped,
    };
    let unzipped = Limit {
        kind: "unzipped",
        rule: "AWS Lambda allows a function and all its layers 250 MiB together",
        size: unzipped,
        limit: UNZIPPED_LIMIT,
        weight_of: |weight| weight.unzipped,
    };
    let limits = [zipped, unzipped].into_iter();
    limits
        .filter(|limit| limit.size <= limit.limit && limit.size >= limit.limit / 100 * NEAR_PERCENT)
        .map(|limit| Finding {
            severity: Severity::Warning,
            package: None,
            message: format!(
                "{} it takes {:.1} MiB; {}. What weighs most: {}.",
                limit.kind,
                mebibytes(limit.size),
                limit.rule,
                heaviest(weights, limit.weight_of)
            ),
        })
        .collect()
}

/// One of the limits, and how a layer stands to it.
struct Limit {
    kind: &'static str,
    rule: &'static str,
    size: u64,
    limit: u64,
    weight_of: fn(&Weight) -> u64,
}

/// The heaviest packages, heaviest first, equal ones by name.
fn heaviest(weights: &[Weight], weight_of: fn(&Weight) -> u64) -> String {
    let mut weights: Vec<&Weight> = weights.iter().collect();
    weights.sort_by(|a, b| {
        weight_of(b)
            .cmp(&weight_of(a))
            .then_with(|| a.package.cmp(&b.package))
    });
    let named: Vec<String> = weights
        .iter()
        .take(NAMED)
        .map(|weight| {
            format!(
                "{} ({:.1} MiB)",
                code(&weight.package),
                mebibytes(weight_of(weight))
            )
        })
        .collect();
    named.join(", ")
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn layers_near_a_limit_are_told_with_what_weighs_most() {
        let weight = |package: &str, zipped: u64, unzipped: u64| Weight {
            package: package.to_owned(),
            unzipped: unzipped * MIB,
            zipped: zipped * MIB,
        };
        let weights = [
            weight("b", 5, 120),
            weight("a", 5, 90),
            weight("c", 30, 1),
            weight("d", 1, 1),
        ];
        assert_eq!(size_findings(39 * MIB, 199 * MIB, &weights), []);
        assert_eq!(size_findings(51 * MIB, 251 * MIB, &weights), []);
        let messages: Vec<String> = size_findings(41 * MIB, 212 * MIB, &weights)
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        insta::assert_snapshot!(messages.join("\n"), @"
        zipped it takes 41.0 MiB; AWS Lambda takes 50 MiB in a direct upload. What weighs most: `c` (30.0 MiB), `a` (5.0 MiB), `b` (5.0 MiB).
        unzipped it takes 212.0 MiB; AWS Lambda allows a function and all its layers 250 MiB together. What weighs most: `b` (120.0 MiB), `a` (90.0 MiB), `c` (1.0 MiB).
        ");
    }
}
