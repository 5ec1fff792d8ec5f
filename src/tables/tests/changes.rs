//! What is rendered after a change is what rendering everything gives: random catalogs and random changes.

use super::super::*;
use super::*;
use std::cell::Cell;

const LAYERS: [&str; 9] = [
    "a", "a-b", "a_b", "a-_b", "b0", "numpy", "pandas", "pandas-x", "zz",
];
const TARGETS: [&str; 3] = ["p3.12", "p3.13", "p3.13-arm64"];
const REGIONS: [&str; 4] = ["eu-west-1", "me-south-1", "us-east-1", "us-west-2"];
const DAY: i64 = 86_400;

/// Numbers without a pattern, the same every time (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// The tables as files, and which of them were looked at.
struct Files {
    files: BTreeMap<String, Vec<u8>>,
    read: Cell<usize>,
}

impl TableFiles for Files {
    fn read(&self, path: &str) -> anyhow::Result<Option<FileContent<'_>>> {
        self.read.set(self.read.get() + 1);
        let content = self.files.get(path);
        Ok(content.map(|content| Box::new(content) as FileContent<'_>))
    }

    fn each(&mut self, pieces: usize, work: &FileWork<'_>) -> anyhow::Result<()> {
        (0..pieces).try_for_each(|piece| work(self, piece))
    }

    fn write(&mut self, path: &str, content: Option<&str>) -> anyhow::Result<()> {
        match content {
            Some(content) => drop(self.files.insert(path.to_owned(), content.into())),
            None => drop(self.files.remove(path)),
        }
        Ok(())
    }
}

/// A catalog that changes, and what changed.
struct Changing {
    catalog: Catalog,
    random: Random,
    number: u64,
    scope: Scope,
}

impl Changing {
    fn new(seed: u64, formats: Vec<TableFormat>) -> Self {
        let mut catalog = Catalog::new();
        catalog.versions.clear();
        catalog.builds.clear();
        catalog.policy.tables.formats = formats;
        Self {
            catalog,
            random: Random(seed),
            number: 0,
            scope: Scope::default(),
        }
    }

    fn slot(&mut self) -> (LayerName, Target, Region) {
        let random = &mut self.random;
        (
            parse(random.of(&LAYERS)),
            parse(random.of(&TARGETS)),
            parse(random.of(&REGIONS)),
        )
    }

    fn later(&mut self, days: usize) -> Timestamp {
        let seconds = self.random.below(days * 86_400);
        Timestamp::from_unix(self.catalog.today.unix() + i64::try_from(seconds).unwrap())
    }

    /// Publishes where something may be published already.
    fn publish(&mut self) {
        let (layer, target, region) = self.slot();
        let expires_at = self.later(80);
        let text = self.random.of(&["1.0", "1.1", "2.0rc1"]);
        self.number += 1;
        let (layer_text, region_text) = (layer.to_string(), region.to_string());
        let target_text = target.to_string();
        let mut new = version(&layer_text, &target_text, &region_text, text, self.number);
        new.live_at = Some(self.catalog.today);
        for old in &mut self.catalog.versions {
            let key = &old.key;
            let is_same = (&key.layer, key.target, &key.region) == (&layer, target, &region);
            if is_same && old.state == LayerState::Live {
                old.state = LayerState::Deprecated;
                old.expires_at = Some(expires_at);
            }
        }
        let mut made = build(&new, &[("numpy", text, Some("MIT"))]);
        made.built_at = self.catalog.today;
        self.catalog.versions.push(new);
        self.catalog.builds.push(made);
        self.scope.slots.insert((layer, target, region));
    }

    /// Takes a version away, as an expiry or a change of who may use it does.
    fn remove(&mut self) {
        if self.catalog.versions.is_empty() {
            return;
        }
        let at = self.random.below(self.catalog.versions.len());
        let key = self.catalog.versions.swap_remove(at).key;
        self.scope.slots.insert((key.layer, key.target, key.region));
    }

    fn retire(&mut self) {
        let (layer, target, _) = self.slot();
        let expires_at = self.later(60);
        for version in &mut self.catalog.versions {
            let key = &version.key;
            if (&key.layer, key.target) == (&layer, target) && version.state == LayerState::Live {
                version.state = LayerState::Deprecated;
                version.expires_at = Some(expires_at);
                let slot = (layer.clone(), target, key.region.clone());
                self.scope.slots.insert(slot);
            }
        }
    }

    fn ask_otherwise(&mut self) {
        let name = self.random.of(&LAYERS);
        let description = self.random.of(&["", "Old", "New | or `not`", "[x](y)"]);
        let layer: LayerName = parse(name);
        self.catalog.held.remove(&layer);
        match self.random.below(3) {
            0 => drop(self.catalog.layers.remove(&layer)),
            1 => {
                self.catalog.layers.remove(&layer);
                self.catalog.held.insert(layer.clone());
            }
            _ => {
                let request = request(name, Some(description), &["numpy>=2"]);
                self.catalog.layers.insert(layer.clone(), request);
            }
        }
        self.scope.layers.insert(layer);
    }

    fn pass_time(&mut self) {
        let days = self.random.below(20);
        let before = self.catalog.today;
        let days = i64::try_from(days).unwrap() * DAY + 3 * 3600;
        self.catalog.today = Timestamp::from_unix(before.unix() + days);
        let ending = self.ending();
        self.scope.add_warned(&ending, before, self.catalog.today);
    }

    fn ending(&self) -> Vec<LayerVersion> {
        let until = warned_until(self.catalog.today);
        let versions = self.catalog.versions.iter();
        versions
            .filter(|version| version.expires_at.is_some_and(|end| end <= until))
            .cloned()
            .collect()
    }

    fn change(&mut self) {
        match self.random.below(10) {
            0..5 => self.publish(),
            5 => self.remove(),
            6 => self.retire(),
            7 => self.ask_otherwise(),
            _ => self.pass_time(),
        }
    }

    fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        render(&self.input(&self.catalog.versions, &self.catalog.builds))
    }

    fn input<'a>(
        &'a self,
        versions: &'a [LayerVersion],
        builds: &'a [BuildRecord],
    ) -> TablesInput<'a> {
        TablesInput {
            policy: &self.catalog.policy,
            layers: &self.catalog.layers,
            held: &self.catalog.held,
            versions,
            builds,
            repository_page: self.catalog.repository_page,
            today: self.catalog.today,
        }
    }

    /// Brings the files up to date with what the scope alone needs.
    fn rerender(&self, files: &mut Files, account: &str) -> bool {
        let layers = self.scope.all_layers();
        let ending = self.ending();
        let mut whole = named_on_overview(&ending);
        whole.extend(layers.iter().cloned());
        let versions = self.catalog.versions.iter();
        let versions: Vec<LayerVersion> = versions
            .filter(|version| whole.contains(&version.key.layer) || ending.contains(version))
            .cloned()
            .collect();
        let builds = self.catalog.builds.iter();
        let builds: Vec<BuildRecord> = builds
            .filter(|build| layers.contains(&build.layer))
            .cloned()
            .collect();
        let input = ChangesInput {
            tables: self.input(&versions, &builds),
            scope: &self.scope,
            account,
        };
        render_changes(&input, files).unwrap()
    }
}

fn compare(files: &Files, expected: &BTreeMap<String, Vec<u8>>, when: &str) {
    let paths = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&files.files), paths(expected), "{when}");
    for (path, content) in expected {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&files.files[path]), text(content), "{when}: {path}");
    }
}

/// Changes catalogs and returns how often the files told enough, and how often not.
fn change_catalogs(formats: &[TableFormat], page: Option<&'static str>) -> (usize, usize) {
    let (mut known, mut unknown) = (0, 0);
    for seed in 1..=40 {
        let mut changing = Changing::new(seed * 0x9e37_79b9, formats.to_vec());
        changing.catalog.repository_page = page;
        let mut files = Files {
            files: changing.everything(),
            read: Cell::new(0),
        };
        for round in 0..12 {
            let account = account_of(&changing.catalog.versions).to_owned();
            changing.scope = Scope::default();
            for _ in 0..1 + round % 4 {
                changing.change();
            }
            let expected = changing.everything();
            if changing.rerender(&mut files, &account) {
                known += 1;
                compare(&files, &expected, &format!("seed {seed}, round {round}"));
            } else {
                unknown += 1;
                files.files = expected;
            }
        }
    }
    (known, unknown)
}

#[test]
fn what_changed_is_rendered_as_everything_is() {
    use TableFormat::{Csv, Feed, Json, Md};
    for formats in [
        &[Md, Csv, Json, Feed][..],
        &[Csv, Json],
        &[Md],
        &[Feed, Csv],
    ] {
        let (known, unknown) = change_catalogs(formats, None);
        // Each catalog begins with nothing, which tells nothing.
        assert!(known > 4 * unknown, "{formats:?}: {known} and {unknown}");
    }
    let page = Some("https://github.com/octo/catalog");
    assert!(change_catalogs(&[Md, Json, Feed], page).0 > 0);
}

#[test]
fn what_goes_away_is_counted_where_the_overview_names_no_more() {
    let mut changing = Changing::new(11, vec![TableFormat::Md]);
    for number in 0..150 {
        let name = format!("layer-{number:03}");
        for text in ["1.0", "1.1"] {
            let mut old = deprecated(version(&name, "p3.13", "us-east-1", text, number));
            let days = u32::try_from(number % 25).unwrap();
            old.expires_at = Some(changing.catalog.today.plus_days(days));
            changing.catalog.versions.push(old);
        }
        let new = version(&name, "p3.13", "us-east-1", "2.0", number + 1000);
        changing.catalog.versions.push(new);
    }
    let mut files = Files {
        files: changing.everything(),
        read: Cell::new(0),
    };
    assert!(named_on_overview(&changing.ending()).len() < 100);
    changing.scope = Scope::default();
    changing.publish();
    assert!(changing.rerender(&mut files, ACCOUNT));
    compare(&files, &changing.everything(), "after one publication");
}

#[test]
fn tables_that_list_only_the_latest_versions_do_not_tell() {
    assert_eq!(change_catalogs(&[TableFormat::Json], None).0, 0);
}

#[test]
fn only_the_files_that_change_are_read() {
    let mut changing = Changing::new(7, Policy::default().tables.formats);
    for _ in 0..200 {
        changing.publish();
    }
    let mut files = Files {
        files: changing.everything(),
        read: Cell::new(0),
    };
    changing.scope = Scope::default();
    changing.publish();
    assert!(changing.rerender(&mut files, ACCOUNT));
    compare(&files, &changing.everything(), "after one publication");
    // The overview, the feed of all layers, and three tables.
    assert_eq!(files.read.get(), 5);
}

#[test]
fn an_overview_that_is_none_does_not_tell() {
    let mut changing = Changing::new(3, vec![TableFormat::Md]);
    changing.publish();
    for text in [
        "",
        "# Layers and their ARNs\n",
        "\n## Regions\n\n## Layers\n",
    ] {
        let mut files = Files {
            files: changing.everything(),
            read: Cell::new(0),
        };
        let overview = "layers/arns/README.md".to_owned();
        files.files.insert(overview, text.into());
        assert!(!changing.rerender(&mut files, ACCOUNT), "{text:?}");
    }
}
