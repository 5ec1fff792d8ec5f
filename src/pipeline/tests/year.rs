//! A year in a minute: 50 layers × 6 targets × 34 regions, and what is true of them every day; and one of fewer layers, with
//! tables in every format.

use super::world::World;
use crate::model::{
    LayerArn, LayerState, LayerVersion, Policy, Region, TableFormat, Timestamp, Visibility,
};
use crate::pipeline::verify::{Wrong, observe};
use crate::plan::{Action, Reason};
use std::collections::{BTreeMap, BTreeSet};

const MONTH: i64 = 30;
/// How often the tables are compared with a fresh rendering of all of them, besides on each day on which anything changed.
const WEEK: i64 = 7;
/// The region that is added to the policy on this day.
const ADDED: (&str, i64) = ("us-west-2", 120);
/// Two regions that do not answer between these days: over three upgrades.
const DEAD: ([&str; 2], i64, i64) = (["me-south-1", "me-central-1"], 55, 130);
/// On this day one request file goes away, …
const REMOVED: (&str, i64) = ("layer-07", 200);
/// … and on this one the layers are for two accounts only.
const NARROWED: i64 = 250;

/// What is checked every day, and what has to be known for that from the day before.
struct Invariants {
    expiries: BTreeMap<LayerArn, Option<Timestamp>>,
    seen: (u64, u64),
    checked: usize,
}

impl Invariants {
    /// Returns whether anything changed since the last look.
    async fn hold(&mut self, world: &World, day: i64) -> bool {
        let now = world.workshop.now();
        for arn in world.registry.take_deleted() {
            let known = self.expiries.get(&arn).copied().flatten();
            assert!(
                known.is_some_and(|expiry| expiry <= now),
                "day {day}: {arn} was deleted before its time, {known:?}"
            );
        }
        // A day is all it takes; a region that does not answer takes longer.
        let late = world.workshop.store.expired(now).await.unwrap();
        let silent = |row: &LayerVersion| DEAD.0.contains(&row.key.region.as_str());
        assert!(late.iter().all(silent), "day {day}: {late:?}");
        // Nothing was published, shared, deleted or written down since the last look: what held then holds.
        let seen = (world.registry.changes(), world.written);
        if self.seen == seen {
            return false;
        }
        self.seen = seen;
        self.checked += 1;
        let rows = world.workshop.store.layer_versions().await.unwrap();
        let there = world.registry.all(&world.desired.policy.visibility);
        let usable: BTreeMap<&LayerArn, &LayerVersion> = rows
            .iter()
            .filter(|row| matches!(row.state, LayerState::Live | LayerState::Deprecated))
            .filter_map(|row| Some((row.arn.as_ref()?, row)))
            .collect();
        for arn in there.keys() {
            assert!(usable.contains_key(arn), "day {day}: nobody recorded {arn}");
        }
        let mut live = BTreeSet::new();
        for (arn, row) in &usable {
            let found = there.get(*arn).map(|(digest, _)| *digest);
            assert_eq!(found, Some(row.key.digest), "day {day}: {arn}");
            if row.state == LayerState::Live {
                let slot = (&row.key.layer, row.key.target, &row.key.region);
                assert!(live.insert(slot), "day {day}: two are live, {arn} is one");
            }
        }
        let shared = there.iter().filter(|(_, (_, shared))| *shared);
        let shared: BTreeSet<&LayerArn> = shared.map(|(arn, _)| arn).collect();
        let listed = listed(&world.tables);
        let listed: BTreeSet<&LayerArn> = listed.iter().collect();
        let differing = listed.symmetric_difference(&shared).next();
        assert_eq!(
            differing, None,
            "day {day}: listed is what is there for those it should be for"
        );
        self.expiries = rows
            .iter()
            .filter_map(|row| Some((row.arn.clone()?, row.expires_at)))
            .collect();
        true
    }
}

/// Every ARN that a table names.
fn listed(tables: &BTreeMap<String, Vec<u8>>) -> BTreeSet<LayerArn> {
    let csv = tables.iter().filter(|(path, _)| path.ends_with(".csv"));
    csv.flat_map(|(_, content)| {
        let text = std::str::from_utf8(content).unwrap();
        text.lines()
            .skip(1)
            .map(|line| line.rsplit(',').next().unwrap().parse().unwrap())
            .collect::<Vec<LayerArn>>()
    })
    .collect()
}

fn regions(names: &[&str]) -> Vec<Region> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn policy(formats: &[TableFormat]) -> Policy {
    let mut policy = Policy {
        expire_after_days: 75,
        python: ["3.12", "3.13", "3.14"]
            .map(|it| it.parse().unwrap())
            .to_vec(),
        exclude_regions: regions(&[ADDED.0]),
        ..Policy::default()
    };
    policy.tables.formats = formats.to_vec();
    policy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_in_a_minute() {
    // One format says which ARNs there are as well as all.
    a_year(50, &[TableFormat::Csv]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_tables_in_every_format() {
    let formats = [
        TableFormat::Md,
        TableFormat::Csv,
        TableFormat::Json,
        TableFormat::Feed,
    ];
    a_year(8, &formats).await;
}

async fn a_year(layers: usize, formats: &[TableFormat]) {
    let mut world = World::new(policy(formats), Region::commercial());
    for number in 0..layers {
        let keep = if number % 10 == 0 {
            "keep: [\"2\"]\n"
        } else {
            ""
        };
        let name = format!("layer-{number:02}");
        world.request(&name, &format!("packages: [package-{number}]\n{keep}"));
    }
    let mut invariants = Invariants {
        expiries: BTreeMap::new(),
        seen: (0, 0),
        checked: 0,
    };
    let mut backfilled = 0;
    for day in 0..=365 {
        world.set_day(day);
        if day == DEAD.1 {
            world.registry.silence(&regions(&DEAD.0));
        }
        if day == DEAD.2 {
            world.registry.silence(&[]);
        }
        // Each layer has a new release twice a year, each on a day of its own.
        for number in (0..layers).filter(|number| (day + *number as i64 * 7) % 180 == 45) {
            world.release(&format!("layer-{number:02}"));
        }
        let merged = match day {
            day if day == ADDED.1 => {
                world.desired.policy.exclude_regions.clear();
                true
            }
            day if day == REMOVED.1 => {
                let removed = world.desired.layers.remove(&REMOVED.0.parse().unwrap());
                removed.is_some()
            }
            NARROWED => {
                let accounts = ["111111111111", "222222222222"].map(str::to_owned);
                world.desired.policy.visibility = Visibility::Accounts(accounts.to_vec());
                true
            }
            _ => false,
        };
        let plan = if day % MONTH == 0 {
            Some(world.upgrade().await)
        } else if merged || (day == DEAD.2 && world.is_behind().await) {
            Some(world.apply().await)
        } else {
            None
        };
        backfilled += plan.map_or(0, |plan| {
            let publications = plan.entries.iter().filter_map(|entry| match &entry.action {
                Action::Publish(publication) => Some(publication),
                _ => None,
            });
            publications
                .filter(|publication| publication.reason == Reason::Backfill)
                .map(|publication| publication.regions.len())
                .sum()
        });
        world.expire().await;
        let has_changed = invariants.hold(&world, day).await;
        if has_changed || day % WEEK == 0 {
            world.compare_tables().await;
        }
        if [40, 199, 364].contains(&day) {
            let verified = observe(&world.workshop, &world.desired).await.unwrap();
            assert_eq!((verified.findings, verified.unverified), (vec![], vec![]));
        }
    }
    the_end(&mut world, layers, &invariants, backfilled).await;
}

/// Everything happened that should have, and the tables are what the store gives once more.
async fn the_end(world: &mut World, layers: usize, invariants: &Invariants, backfilled: usize) {
    assert!(invariants.checked > 20, "{} days", invariants.checked);
    // One region for every layer and target, and two that were away.
    assert!(backfilled > layers * 6, "{backfilled}");
    let rows = world.workshop.store.layer_versions().await.unwrap();
    let live = rows.iter().filter(|row| row.state == LayerState::Live);
    assert_eq!(live.count(), (layers - 1) * 6 * 34);
    let removed = rows
        .iter()
        .filter(|row| row.key.layer.as_str() == REMOVED.0);
    assert_eq!(removed.count(), 0, "it expired 75 days after its file went");
    let kept: BTreeSet<(&str, &str)> = rows
        .iter()
        .filter(|row| row.state == LayerState::Deprecated && row.expires_at.is_none())
        .map(|row| (row.key.layer.as_str(), row.version.as_str()))
        .collect();
    assert!(!kept.is_empty() && kept.iter().all(|(_, version)| *version == "2.0"));
    let live = rows.iter().filter(|row| row.state == LayerState::Live);
    let versions: BTreeSet<&str> = live.map(|row| row.version.as_str()).collect();
    assert_eq!(versions, BTreeSet::from(["3.0"]), "releases were published");
    world.compare_tables().await;
    assert!(world.rendered_in_part > 20, "{}", world.rendered_in_part);

    // The checks can fail: a version deleted behind the bot's back is seen.
    let gone = rows.iter().find_map(|row| row.arn.clone()).unwrap();
    world.workshop.registry.delete(&gone).await.unwrap();
    let verified = observe(&world.workshop, &world.desired).await.unwrap();
    let wrong: Vec<_> = verified
        .findings
        .iter()
        .map(|it| (&it.arn, &it.wrong))
        .collect();
    assert_eq!(wrong, [(&gone, &Wrong::Missing)]);
}
