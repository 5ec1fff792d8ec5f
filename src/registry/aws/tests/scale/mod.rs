//! Thousands of versions published in simulated time: the planner says what, the pace says how fast, and a model of AWS
//! Lambda's control plane takes 15 calls a second in each region. `make simulate` prints what `ARCHITECTURE.md` says of it.

mod bill;
mod catalog;
mod control_plane;
mod time;

use crate::model::Region;
use bill::{HISTORY_LIMIT, STORAGE_LIMIT, bill, events};
use catalog::{Catalog, ZIP, live};
use control_plane::{CALLS_PER_SECOND, CALLS_PER_VERSION, CHAIN, ControlPlane, Process};
use futures::{StreamExt as _, stream};
use std::cell::RefCell;
use std::io::Write as _;
use std::time::{Duration, Instant};
use time::Time;

/// Seconds that a build without any cache takes, as README's table has them, from `requests` to `scikit-learn`.
const BUILDS: [f64; 6] = [0.95, 1.7, 3.6, 1.4, 3.9, 15.5];
const REGIONS: usize = 34;

/// Where and how a run is carried out.
struct Setup {
    name: &'static str,
    /// Builds under way at once.
    builders: usize,
    processes: usize,
    /// Layers × targets that one process publishes at once.
    at_once: usize,
    /// Bytes a second that leave one process.
    line: f64,
}

/// One machine on a line of 1 Gbit/s, and functions with 70 MB a second each. Assumed: AWS names no figure for functions.
const SETUPS: [Setup; 4] = [
    Setup {
        name: "one machine, 1 Gbit/s",
        builders: 8,
        processes: 1,
        at_once: 8,
        line: 125e6,
    },
    Setup {
        name: "AWS, 4 publish at once",
        builders: 40,
        processes: 4,
        at_once: 1,
        line: 70e6,
    },
    Setup {
        name: "AWS, 8 publish at once",
        builders: 40,
        processes: 8,
        at_once: 1,
        line: 70e6,
    },
    Setup {
        name: "AWS, 40 publish at once",
        builders: 40,
        processes: 40,
        at_once: 1,
        line: 70e6,
    },
];

/// What a simulated run came to.
struct Ran {
    items: usize,
    versions: usize,
    failed: usize,
    building: Duration,
    publishing: Duration,
    calls: usize,
    throttled: usize,
    /// Summed over all functions.
    building_seconds: f64,
    publishing_seconds: f64,
}

fn run(catalog: &Catalog, setup: &Setup) -> Ran {
    let plan = catalog.plan(&[]);
    let publications: Vec<_> = plan.publications().map(|(_, it)| it).collect();
    let versions = publications.iter().map(|it| it.regions.len()).sum();
    let (time, plane) = (Time::default(), ControlPlane::default());
    let regions = Region::commercial();
    let processes: Vec<Process<'_>> = (0..setup.processes)
        .map(|number| Process::new(&time, &plane, &regions, setup.line, number as u64))
        .collect();
    let build = |number: usize| Duration::from_secs_f64(BUILDS[number % BUILDS.len()]);
    let building = time.pass(async {
        let builds = (0..publications.len()).map(|number| time.sleep(build(number)));
        stream::iter(builds)
            .buffer_unordered(setup.builders)
            .count()
            .await;
        time.now()
    });
    let places = setup.processes * setup.at_once;
    let free: RefCell<Vec<usize>> =
        RefCell::new((0..places).map(|it| it % setup.processes).collect());
    time.pass(async {
        let work = publications.iter().map(|publication| async {
            let process = free.borrow_mut().pop().unwrap();
            let zip = publication.build.artifact.size as f64;
            processes[process].publish(&publication.regions, zip).await;
            free.borrow_mut().push(process);
        });
        stream::iter(work).buffer_unordered(places).count().await;
    });
    let (calls, throttled) = (plane.calls.get(), plane.throttled.get());
    let builds = (0..publications.len()).map(|it| build(it).as_secs_f64());
    Ran {
        items: publications.len(),
        versions,
        failed: processes.iter().map(|process| process.failed.get()).sum(),
        building,
        publishing: time.now() - building,
        calls,
        throttled,
        building_seconds: builds.sum(),
        publishing_seconds: processes.iter().map(|process| process.busy.get()).sum(),
    }
}

/// What each limit would take by itself, in seconds: a formula, to compare the simulation with.
fn limits(ran: &Ran, setup: &Setup) -> [(&'static str, f64); 3] {
    let items = ran.items as f64;
    let bytes = ran.versions as f64 * ZIP as f64 * 4.0 / 3.0;
    let line = setup.line * setup.processes as f64;
    let places = (setup.processes * setup.at_once) as f64;
    [
        (
            "15 calls/s a region",
            items * CALLS_PER_VERSION as f64 / CALLS_PER_SECOND,
        ),
        ("upload", bytes / line),
        ("waiting for answers", items * CHAIN.as_secs_f64() / places),
    ]
}

fn binding(ran: &Ran, setup: &Setup) -> (&'static str, f64) {
    let limits = limits(ran, setup).into_iter();
    limits.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

#[test]
fn a_small_catalog_takes_what_the_limit_that_binds_allows() {
    let catalog = Catalog::of(4);
    for setup in &SETUPS {
        let ran = run(&catalog, setup);
        let (name, limit) = (setup.name, binding(&ran, setup).1);
        assert_eq!(
            (ran.items, ran.versions, ran.failed),
            (24, 24 * REGIONS, 0),
            "{name}"
        );
        let took = ran.publishing.as_secs_f64();
        // Never faster than the limit but for the second's calls that a region takes at once; not much slower.
        assert!(
            took >= limit - 1.0,
            "{name}: {took} s, {limit} s by the limit"
        );
        assert!(
            took <= 3.0 * limit + 20.0,
            "{name}: {took} s, {limit} s by the limit"
        );
        let needed = ran.versions * CALLS_PER_VERSION;
        assert_eq!(ran.calls - ran.throttled, needed, "{name}");
        // One pace keeps within the limit; many functions, each with a pace of its own, find it out.
        if setup.processes == 1 {
            assert_eq!(ran.throttled, 0, "{name}");
        }
        if setup.processes == 40 {
            assert!(ran.throttled > 0, "{name}");
        }
    }
    // The same again is the same.
    let again = |setup| run(&catalog, setup).publishing;
    assert_eq!(again(&SETUPS[2]), again(&SETUPS[2]));
    assert!(events(360) < HISTORY_LIMIT && events(500) < HISTORY_LIMIT);
}

#[test]
fn what_was_published_is_not_planned_again() {
    let catalog = Catalog::of(4);
    let plan = catalog.plan(&[]);
    let versions: Vec<_> = plan.publications().flat_map(|(_, it)| live(it)).collect();
    assert_eq!(versions.len(), 4 * 6 * REGIONS);
    assert!(catalog.plan(&versions).is_empty());
}

#[test]
#[ignore = "minutes long, and what it says is for people: `make simulate`"]
fn simulate() {
    let mut out = std::io::stdout();
    for layers in [60, 588] {
        let catalog = Catalog::of(layers);
        let plan = catalog.plan(&[]);
        let versions: Vec<_> = plan.publications().flat_map(|(_, it)| live(it)).collect();
        let began = Instant::now();
        assert!(catalog.plan(&versions).is_empty());
        let planned = began.elapsed();
        let (items, count) = (plan.entries.len(), versions.len());
        writeln!(out, "\n{layers} layers × 6 targets × {REGIONS} regions: {count} versions, {items} zips. Planning with all of it live: {planned:.2?} (unoptimised).").unwrap();
        writeln!(out, "| setup | building | publishing | by the formula | which limit | calls | throttled | failed |\n|---|---|---|---|---|---|---|---|").unwrap();
        let mut last = None;
        for setup in &SETUPS {
            let ran = run(&catalog, setup);
            let (limit, seconds) = binding(&ran, setup);
            writeln!(
                out,
                "| {} | {:.0} s | {:.0} s | {seconds:.0} s | {limit} | {} | {} | {} |",
                setup.name,
                ran.building.as_secs_f64(),
                ran.publishing.as_secs_f64(),
                ran.calls,
                ran.throttled,
                ran.failed
            )
            .unwrap();
            let all = limits(&ran, setup).map(|(name, seconds)| format!("{name} {seconds:.0} s"));
            writeln!(out, "  limits: {}", all.join(", ")).unwrap();
            // As many as the state machines have publish at once.
            if setup.processes == 8 {
                last = Some(ran);
            }
        }
        let ran = last.unwrap();
        let mut sum = 0.0;
        for part in bill(&ran) {
            writeln!(
                out,
                "  {:<26} {:>28}  ${:.2}",
                part.what, part.amount, part.dollars
            )
            .unwrap();
            sum += part.dollars;
        }
        writeln!(out, "  together ${sum:.2}").unwrap();
        let kept = items as f64 * ZIP as f64;
        writeln!(
            out,
            "  history: {} events of {HISTORY_LIMIT}; layers in each region: {:.1} GB of {:.0} GB",
            events(items),
            kept / 1e9,
            STORAGE_LIMIT / 1e9
        )
        .unwrap();
    }
}
