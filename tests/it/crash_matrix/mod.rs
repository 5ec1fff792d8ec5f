//! The crash matrix: an apply of 3 layers × 2 targets × 34 regions is killed at every call it makes and every write to its
//! store, before and after each takes effect, and started again. However it went, the end is the one of a run that
//! nothing disturbed: each zip live once in each region, tables, comment and check right, nothing left open.
//!
//! The run is the real one: `serve`, set off by the signed webhooks of a merge, with git over SSH, against moto. A spread of
//! the points is tried here; `make crash-matrix` tries all (`LAYERSMITH_TEST_CRASH_POINTS=all`; or `each`, every call and write
//! once, before and after in turn; or a number of points; or `2/3`, the second of three parts of all: with an odd number of
//! parts each has points before and after). The light double of AWS Lambda, which is held to the same conformance calls as
//! moto, answers faster (`LAYERSMITH_TEST_CRASH_CLOUD=light`). How many are tried side by side is for the machine to say
//! (`LAYERSMITH_TEST_CRASH_LANES`), and lines are tried by themselves with `LAYERSMITH_TEST_CRASH_LINES=aws,journal`.

mod ending;
mod stage;

use layersmith_testbed::power_cut::{Line, Moment, Point};
use stage::{Case, Cloud, Stage, Undisturbed};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Points tried unless more are asked for, most of them where most calls are made.
const SPREAD: [(Line, usize); 5] = [
    (Line::Aws, 14),
    (Line::Journal, 12),
    (Line::Github, 6),
    (Line::Git, 4),
    (Line::Index, 4),
];
/// Points tried side by side. Much of a case's time is waited: a region is asked fifteen times a second, whatever answers. moto
/// answers about as fast as that.
const LANES: usize = 6;
const LANES_OF_MOTO: usize = 4;
/// Every so many points the process is killed once more, while it recovers.
const TWICE: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wherever_an_apply_is_killed_it_ends_as_if_nothing_had_happened() {
    let wanted = std::env::var("LAYERSMITH_TEST_CRASH_POINTS").unwrap_or_default();
    let named = std::env::var("LAYERSMITH_TEST_CRASH_CLOUD").unwrap_or_default();
    let (cloud, lanes) = match named.as_str() {
        "" | "moto" => (Cloud::moto().await, LANES_OF_MOTO),
        "light" => (Cloud::light().await, LANES),
        other => panic!("`moto` or `light`, not {other:?}"),
    };
    let lanes = std::env::var("LAYERSMITH_TEST_CRASH_LANES").map_or(lanes, |lanes| number(&lanes));
    let stage = Stage::start(cloud).await;
    let undisturbed = Arc::new(stage.undisturbed().await);
    let all = points(&undisturbed.calls);
    let chosen = match wanted.as_str() {
        "" => spread(&undisturbed.calls, &SPREAD),
        "all" => all.clone(),
        "each" => once_each(&all),
        some => {
            let (first, step) = match some.split_once('/') {
                Some((part, parts)) => (number(part) - 1, number(parts)),
                // At least so many. Before and after take turns: an odd step takes both.
                None => (0, (all.len() / number(some)).saturating_sub(1) | 1),
            };
            all.iter().copied().skip(first).step_by(step).collect()
        }
    };
    let lines = std::env::var("LAYERSMITH_TEST_CRASH_LINES").unwrap_or_default();
    let is_on_them = |point: &Point| {
        let line = format!("{:?}", point.line);
        lines.is_empty() || lines.split(',').any(|one| line.eq_ignore_ascii_case(one))
    };
    let chosen: Vec<Point> = chosen.into_iter().filter(is_on_them).collect();
    assert!(!chosen.is_empty(), "there are no points on {lines:?}");
    say(&format!(
        "{} points: {:?}; tried: {}",
        all.len(),
        undisturbed.calls,
        chosen.len()
    ));
    let mut stages = Vec::new();
    for _ in 1..lanes {
        stages.push(stage.another().await);
    }
    stages.push(stage);
    let failures = try_all(stages, chosen, undisturbed).await;
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn number(text: &str) -> usize {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.expect("`all`, `each`, how many points, or `1/3`; and how many lanes")
}

/// Every point there is, by line, number and moment.
fn points(calls: &BTreeMap<Line, usize>) -> Vec<Point> {
    let of_line = |(line, calls): (&Line, &usize)| {
        let line = *line;
        (1..=*calls).flat_map(move |number| {
            [Moment::Before, Moment::After].map(|moment| Point {
                line,
                number,
                moment,
            })
        })
    };
    calls.iter().flat_map(of_line).collect()
}

/// Of every call and write one point: before it takes effect, or after, in turn.
fn once_each(all: &[Point]) -> Vec<Point> {
    let is_first = |point: &Point| (point.number % 2 == 1) == (point.moment == Moment::Before);
    all.iter().copied().filter(is_first).collect()
}

/// So many points of each line, from its first call to its last, before and after in turn.
fn spread(calls: &BTreeMap<Line, usize>, wanted: &[(Line, usize)]) -> Vec<Point> {
    let mut points = Vec::new();
    for (line, count) in wanted {
        let calls = calls.get(line).copied().unwrap_or_default();
        let count = (*count).min(2 * calls);
        for n in 0..count {
            points.push(Point {
                line: *line,
                number: 1 + n * (calls - 1) / (count - 1).max(1),
                moment: [Moment::Before, Moment::After][n % 2],
            });
        }
    }
    points
}

/// Tries points on several stages side by side; what went wrong, one text for each point.
async fn try_all(
    stages: Vec<Stage>,
    points: Vec<Point>,
    undisturbed: Arc<Undisturbed>,
) -> Vec<String> {
    let (points, next) = (Arc::new(points), Arc::new(AtomicUsize::new(0)));
    let lanes = stages.into_iter().map(|stage| {
        let (points, next) = (Arc::clone(&points), Arc::clone(&next));
        let undisturbed = Arc::clone(&undisturbed);
        tokio::spawn(async move {
            let mut failures = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                let Some(point) = points.get(n).copied() else {
                    return failures;
                };
                let again = (n % TWICE == TWICE - 1).then(|| Point {
                    number: point.number.div_ceil(2),
                    ..point
                });
                let case = Case {
                    number: n + 1,
                    cuts: [Some(point), again].into_iter().flatten().collect(),
                };
                let started = std::time::Instant::now();
                let wrong = stage.try_case(&case, &undisturbed).await;
                say(&format!(
                    "{}/{} {point:?}: {} s{}",
                    n + 1,
                    points.len(),
                    started.elapsed().as_secs(),
                    if wrong.is_some() { ", WRONG" } else { "" }
                ));
                failures.extend(wrong.map(|wrong| format!("{:?}: {wrong}", case.cuts)));
            }
        })
    });
    let mut failures = Vec::new();
    for lane in lanes.collect::<Vec<_>>() {
        failures.extend(lane.await.unwrap());
    }
    failures
}

/// Copies a folder with everything in it.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[expect(clippy::print_stdout, reason = "the whole matrix takes long")]
fn say(text: &str) {
    println!("{text}");
}
