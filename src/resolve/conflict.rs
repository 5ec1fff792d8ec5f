//! Requirements that cannot be met: the fewest of them that already cannot, and why.

use super::compile::{Compiled, Kind};
use super::error::ResolveError;
use super::explain::{all_named, clean, first_named};
use super::plain::{not_found, only_reason, plain, without_wheel};
use super::requirements;
use super::resolver::{ResolveRequest, Resolver};
use futures::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The most runs of uv that looking for the fewest requirements may take.
const RUNS: usize = 64;
/// The longest it may take.
const SEARCH_TIME: Duration = Duration::from_secs(30);

/// Requirements, by their place in the request, that cannot be met together, and uv's words about it.
#[derive(Debug, Clone)]
struct Conflict {
    members: Vec<usize>,
    stderr: String,
}

/// What uv says of some of the requirements.
enum Answer {
    Fails(String),
    Works,
    /// There was no time to ask, or no answer.
    Unknown,
}

struct Search<'a> {
    resolver: &'a Resolver,
    request: &'a ResolveRequest<'a>,
    lines: &'a [String],
    runs: AtomicUsize,
}

impl Resolver {
    /// Why the requirements of a request cannot be met, told of the fewest of them. `stderr` is what uv said of all.
    pub(crate) async fn explain(
        &self,
        request: &ResolveRequest<'_>,
        lines: &[String],
        stderr: String,
    ) -> ResolveError {
        let named = all_named(&clean(&stderr), request.packages);
        let mut conflict = Conflict {
            members: (0..lines.len()).collect(),
            stderr,
        };
        let search = Search {
            resolver: self,
            request,
            lines,
            runs: AtomicUsize::new(0),
        };
        // When the time is up, the fewest that were found so far are told of.
        let shorten = search.shorten(&mut conflict, named);
        if tokio::time::timeout(SEARCH_TIME, shorten).await.is_err() {
            tracing::debug!("a conflict was not shortened to its end");
        }
        let cleaned = clean(&conflict.stderr);
        match conflict.members[..] {
            [one] => self.explain_one(request, lines, one, &cleaned).await,
            _ => {
                let members: Vec<_> = conflict
                    .members
                    .iter()
                    .map(|&n| request.packages[n].clone())
                    .collect();
                let asked: Vec<String> =
                    conflict.members.iter().map(|&n| lines[n].clone()).collect();
                let together = asked
                    .iter()
                    .map(|line| format!("`{line}`"))
                    .collect::<Vec<_>>()
                    .join(" and ");
                ResolveError::NoSolution {
                    package: first_named(&cleaned, &members)
                        .or_else(|| members.first().map(|member| member.name.clone())),
                    requirements: asked,
                    explanation: format!("{together} cannot go together:\n{}", plain(&cleaned)),
                }
            }
        }
    }

    async fn explain_one(
        &self,
        request: &ResolveRequest<'_>,
        lines: &[String],
        one: usize,
        cleaned: &str,
    ) -> ResolveError {
        let (line, asked) = (&lines[one], &request.packages[one]);
        let no_solution = |explanation: String| ResolveError::NoSolution {
            package: Some(asked.name.clone()),
            requirements: vec![line.clone()],
            explanation,
        };
        if let Some(absent) = not_found(cleaned) {
            return no_solution(if absent == asked.name {
                format!("there is no package `{absent}` on the package index.")
            } else {
                format!("`{line}` needs `{absent}`, which is not on the package index.")
            });
        }
        if let Some((package, release)) = without_wheel(cleaned) {
            let own = package == asked.name;
            let alternatives = self
                .alternatives(request, Some((asked, line)), &package)
                .await;
            return ResolveError::NoWheel {
                release: if own { line.clone() } else { release },
                blamed: (!own).then(|| asked.name.clone()),
                package,
                target: request.target,
                alternatives: Box::new(alternatives),
            };
        }
        match only_reason(cleaned) {
            Some(reason) if reason.starts_with("there is no version of ") => {
                no_solution(format!("no version of `{}` meets `{line}`.", asked.name))
            }
            Some(reason) if !reason.contains(" depends on ") => no_solution(format!(
                "no version of `{}` meets `{line}`: {}.",
                asked.name,
                plain(reason)
            )),
            _ => {
                let restricted = requirements::any_version(line)
                    .map(|_| format!(" that meets `{line}`"))
                    .unwrap_or_default();
                no_solution(format!(
                    "no version of `{}`{restricted} can be used for this target:\n{}",
                    asked.name,
                    plain(cleaned)
                ))
            }
        }
    }
}

impl Search<'_> {
    /// Leaves out requirements as long as the rest cannot be met either. What some cannot do, more cannot do: a
    /// requirement without which the rest can be met belongs to every smaller conflict as well.
    async fn shorten(&self, conflict: &mut Conflict, named: Vec<usize>) {
        if !named.is_empty() && named.len() < conflict.members.len() {
            self.try_only(conflict, named).await;
        }
        if conflict.members.len() == 1 {
            return;
        }
        let each_left_out: Vec<Vec<usize>> = conflict
            .members
            .iter()
            .map(|&member| without(&conflict.members, member))
            .collect();
        let answers = join_all(each_left_out.iter().map(|rest| self.ask(rest))).await;
        let (mut needed, mut spare) = (Vec::new(), Vec::new());
        for (&member, answer) in conflict.members.iter().zip(answers) {
            match answer {
                Answer::Fails(_) => spare.push(member),
                Answer::Works | Answer::Unknown => needed.push(member),
            }
        }
        if spare.is_empty() || (!needed.is_empty() && self.try_only(conflict, needed).await) {
            return;
        }
        for member in spare {
            let rest = without(&conflict.members, member);
            if !rest.is_empty() {
                self.try_only(conflict, rest).await;
            }
        }
    }

    /// Makes some requirements the conflict, if they are one.
    async fn try_only(&self, conflict: &mut Conflict, members: Vec<usize>) -> bool {
        match self.ask(&members).await {
            Answer::Fails(stderr) => {
                *conflict = Conflict { members, stderr };
                true
            }
            Answer::Works | Answer::Unknown => false,
        }
    }

    async fn ask(&self, members: &[usize]) -> Answer {
        if self.runs.fetch_add(1, Ordering::Relaxed) >= RUNS {
            return Answer::Unknown;
        }
        let lines: Vec<&String> = members.iter().map(|&n| &self.lines[n]).collect();
        let input = requirements::joined(&lines);
        let compilation = self
            .request
            .compilation(&input, Kind::Wheels, self.request.target);
        match self.resolver.compile(&compilation).await {
            Ok(Compiled::NoSolution(stderr)) => Answer::Fails(stderr),
            Ok(Compiled::Lock { .. }) => Answer::Works,
            Err(_) => Answer::Unknown,
        }
    }
}

fn without(members: &[usize], left_out: usize) -> Vec<usize> {
    members
        .iter()
        .copied()
        .filter(|&member| member != left_out)
        .collect()
}
