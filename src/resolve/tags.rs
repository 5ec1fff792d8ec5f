//! Which wheels run on a target, and which of them suits it best.

use super::wheel_filename::WheelFilename;
use crate::model::{Architecture, Target};
use std::collections::BTreeMap;

/// The oldest glibc that wheels of an architecture are made for: manylinux1 (glibc 2.5) on 64-bit x86, manylinux2014
/// (glibc 2.17), the first with 64-bit ARM, elsewhere (PEP 513, PEP 599, PEP 600).
fn oldest_glibc_minor(architecture: Architecture) -> u8 {
    match architecture {
        Architecture::X86_64 => 5,
        Architecture::Arm64 => 17,
    }
}

/// The name a glibc version had before PEP 600.
fn legacy_manylinux(minor: u8) -> Option<&'static str> {
    match minor {
        17 => Some("manylinux2014"),
        12 => Some("manylinux2010"),
        5 => Some("manylinux1"),
        _ => None,
    }
}

/// Every tag a target accepts, best first.
///
/// The order is that of PEP 425 as installers follow it: the interpreter's own ABI, then its stable ABI, then no
/// ABI; then the stable ABIs of older minors; then `py3…` on the platform; then `any`. Within each, the newest
/// glibc first (PEP 600). `linux_x86_64` says nothing about the C library and is not accepted.
#[derive(Debug, Clone)]
pub struct SupportedTags {
    ranks: BTreeMap<(String, String, String), usize>,
}

impl SupportedTags {
    /// The tags of a target.
    #[must_use]
    pub fn of(target: Target) -> Self {
        Self::on(target, &platforms(target))
    }

    /// The same and `linux_x86_64` as the last platform: for wheels that were built here. Which versions of the C library
    /// they need is seen in them.
    #[must_use]
    pub fn with_built(target: Target) -> Self {
        let mut platforms = platforms(target);
        platforms.push(format!("linux_{}", target.architecture.machine()));
        Self::on(target, &platforms)
    }

    fn on(target: Target, platforms: &[String]) -> Self {
        let minor = target.python.minor();
        let own = format!("cp3{minor}");
        let mut tags: Vec<(String, String, String)> = Vec::new();
        let mut add = |python: &str, abi: &str, platforms: &[String]| {
            for platform in platforms {
                tags.push((python.to_owned(), abi.to_owned(), platform.clone()));
            }
        };
        add(&own, &own, platforms);
        add(&own, "abi3", platforms);
        add(&own, "none", platforms);
        // The stable ABI began with 3.2 (PEP 384).
        for older in (2..minor).rev() {
            add(&format!("cp3{older}"), "abi3", platforms);
        }
        let generic: Vec<String> = [format!("py3{minor}"), "py3".to_owned()]
            .into_iter()
            .chain((0..minor).rev().map(|older| format!("py3{older}")))
            .collect();
        for python in &generic {
            add(python, "none", platforms);
        }
        let any = ["any".to_owned()];
        add(&own, "none", &any);
        for python in &generic {
            add(python, "none", &any);
        }
        let ranks = tags
            .into_iter()
            .enumerate()
            .map(|(rank, tag)| (tag, rank))
            .collect();
        Self { ranks }
    }

    /// How well a wheel suits the target: 0 is best; `None` when it does not run there.
    #[must_use]
    pub fn rank(&self, wheel: &WheelFilename) -> Option<usize> {
        let mut best = None;
        for python in &wheel.python {
            for abi in &wheel.abi {
                for platform in &wheel.platform {
                    let tag = (python.clone(), abi.clone(), platform.clone());
                    let rank = self.ranks.get(&tag).copied();
                    best = match (best, rank) {
                        (Some(best), Some(rank)) => Some(usize::min(best, rank)),
                        (best, rank) => best.or(rank),
                    };
                }
            }
        }
        best
    }

    /// The best of some wheels: by rank, then the highest build tag, then by name so that the choice is stable.
    pub fn best<'a, T>(
        &self,
        wheels: impl IntoIterator<Item = (&'a WheelFilename, T)>,
    ) -> Option<T> {
        wheels
            .into_iter()
            .filter_map(|(name, wheel)| Some((self.rank(name)?, name, wheel)))
            .min_by(|(rank, name, _), (other_rank, other_name, _)| {
                rank.cmp(other_rank)
                    .then_with(|| other_name.build.cmp(&name.build))
                    .then_with(|| name.to_string().cmp(&other_name.to_string()))
            })
            .map(|(_, _, wheel)| wheel)
    }
}

fn platforms(target: Target) -> Vec<String> {
    let machine = target.architecture.machine();
    let (major, newest) = target.python.glibc();
    (oldest_glibc_minor(target.architecture)..=newest)
        .rev()
        .flat_map(|minor| {
            let current = format!("manylinux_{major}_{minor}_{machine}");
            let legacy = legacy_manylinux(minor).map(|name| format!("{name}_{machine}"));
            [Some(current), legacy]
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(tags: &str) -> WheelFilename {
        format!("a-1-{tags}.whl").parse().unwrap()
    }

    fn ranked(target: &str, wheels: &[&str]) -> Vec<String> {
        let tags = SupportedTags::of(target.parse().unwrap());
        let mut ranked: Vec<(usize, String)> = wheels
            .iter()
            .filter_map(|text| Some((tags.rank(&wheel(text))?, (*text).to_owned())))
            .collect();
        ranked.sort();
        ranked.into_iter().map(|(_, text)| text).collect()
    }

    /// Each list is in the order that the reference implementation of PEP 425 gives.
    #[test]
    fn wheels_are_ranked_as_pep_425_says() {
        let best_first = [
            "cp313-cp313-manylinux_2_34_x86_64",
            "cp313-cp313-manylinux_2_28_x86_64",
            "cp313-cp313-manylinux_2_17_x86_64",
            "cp313-cp313-manylinux2014_x86_64",
            "cp313-cp313-manylinux2010_x86_64",
            "cp313-cp313-manylinux_2_5_x86_64",
            "cp313-cp313-manylinux1_x86_64",
            "cp313-abi3-manylinux_2_28_x86_64",
            "cp313-none-manylinux_2_28_x86_64",
            "cp312-abi3-manylinux_2_34_x86_64",
            "cp37-abi3-manylinux_2_34_x86_64",
            "cp32-abi3-manylinux_2_34_x86_64",
            "py313-none-manylinux_2_17_x86_64",
            "py3-none-manylinux_2_17_x86_64",
            "py312-none-manylinux_2_17_x86_64",
            "cp313-none-any",
            "py313-none-any",
            "py3-none-any",
            "py38-none-any",
            "py30-none-any",
        ];
        let mut shuffled = best_first;
        shuffled.reverse();
        assert_eq!(ranked("p3.13", &shuffled), best_first);
    }

    #[test]
    fn wheels_for_something_else_are_not_taken() {
        let wrong = [
            "cp313-cp313-manylinux_2_35_x86_64",
            "cp313-cp313-manylinux_2_17_aarch64",
            "cp313-cp313-musllinux_1_2_x86_64",
            "cp313-cp313-linux_x86_64",
            "cp313-cp313-win_amd64",
            "cp313-cp313t-manylinux_2_17_x86_64",
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp314-abi3-manylinux_2_17_x86_64",
            "cp31-abi3-manylinux_2_17_x86_64",
            "pp310-pypy310_pp73-manylinux_2_17_x86_64",
            "py2-none-any",
            "py314-none-any",
        ];
        assert_eq!(ranked("p3.13", &wrong), Vec::<String>::new());
    }

    #[test]
    fn what_was_built_here_need_not_say_its_c_library() {
        let built = SupportedTags::with_built("p3.13".parse().unwrap());
        let suits = |tags: &str| built.rank(&wheel(tags)).is_some();
        assert!(suits("cp313-cp313-linux_x86_64") && suits("py3-none-any"));
        assert!(suits("cp313-cp313-manylinux_2_34_x86_64"));
        for wrong in [
            "cp313-cp313-linux_aarch64",
            "cp312-cp312-linux_x86_64",
            "cp313-cp313-manylinux_2_35_x86_64",
        ] {
            assert!(!suits(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_c_library_of_the_target_bounds_what_is_taken() {
        let wheels = [
            "cp311-cp311-manylinux_2_28_aarch64",
            "cp311-cp311-manylinux_2_26_aarch64",
            "cp311-cp311-manylinux_2_17_aarch64",
            "cp311-cp311-manylinux2014_aarch64",
            "cp311-cp311-manylinux_2_5_aarch64",
        ];
        assert_eq!(ranked("p3.11-arm64", &wheels), wheels[1..4]);
    }

    #[test]
    fn compressed_tags_count_by_their_best() {
        let tags = SupportedTags::of("p3.13".parse().unwrap());
        let many = wheel("cp37.cp313-abi3-manylinux_2_5_x86_64.manylinux_2_28_x86_64");
        let one = wheel("cp313-abi3-manylinux_2_28_x86_64");
        assert_eq!(tags.rank(&many), tags.rank(&one));
    }

    #[test]
    fn a_build_tag_breaks_a_tie_and_only_a_tie() {
        let tags = SupportedTags::of("p3.13".parse().unwrap());
        let wheels: Vec<WheelFilename> = [
            "a-1-py3-none-any.whl",
            "a-1-2-py3-none-any.whl",
            "a-1-10-py3-none-any.whl",
            "a-1-99-py30-none-any.whl",
        ]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
        let best = tags.best(wheels.iter().map(|name| (name, name.to_string())));
        assert_eq!(best.as_deref(), Some("a-1-10-py3-none-any.whl"));
    }
}
