//! The tables in a catalog repository: whatever happened in between, they are what the store gives.

use super::world::World;
use crate::gitrepo::{CatalogRepository, CatalogSettings, Committed, Identity};
use crate::model::{Policy, Region, TableFormat};
use crate::pipeline::{Extent, commit_tables};
use std::path::Path;
use std::time::Duration;

fn catalog(folder: &Path, clone: &str) -> CatalogRepository {
    let repository = folder.join("catalog.git");
    if !repository.exists() {
        git2::Repository::init_bare(&repository).unwrap();
    }
    CatalogRepository::new(CatalogSettings {
        url: repository.to_str().unwrap().to_owned(),
        branch: Some("main".to_owned()),
        deploy_key: None,
        passphrase: None,
        known_hosts: None,
        identity: Identity {
            name: "bot".to_owned(),
            email: "bot@example.com".to_owned(),
        },
        work_dir: folder.join(clone),
        timeout: Duration::from_secs(60),
    })
    .unwrap()
}

/// Commits what changed, and then everything, which has to find nothing to do. The paths of the first commit.
async fn commit(world: &World, catalog: &CatalogRepository) -> Vec<String> {
    let commit = async |extent| {
        let (workshop, desired) = (&world.workshop, &world.desired);
        let committed = commit_tables(workshop, catalog, desired, "tables", extent);
        committed.await.unwrap()
    };
    let paths = match commit(Extent::Changes).await {
        Committed::Pushed { paths, .. } => paths,
        Committed::Unchanged { .. } => Vec::new(),
    };
    let again = commit(Extent::Everything).await;
    assert!(matches!(again, Committed::Unchanged { .. }), "{again:?}");
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_are_what_the_store_gives() {
    let regions: Vec<Region> = ["eu-west-1", "us-east-1"]
        .map(|region| region.parse().unwrap())
        .to_vec();
    let mut policy = Policy {
        python: vec!["3.13".parse().unwrap()],
        expire_after_days: 75,
        ..Policy::default()
    };
    policy.tables.formats = vec![TableFormat::Md, TableFormat::Csv];
    let folder = tempfile::tempdir().unwrap();
    let catalog_of_the_bot = catalog(folder.path(), "bot");
    let mut world = World::new(policy, regions);
    world.keeps_tables = false;
    for name in ["one", "two", "three"] {
        world.request(name, "packages: [package]\n");
    }
    world.apply().await;
    let all = commit(&world, &catalog_of_the_bot).await;
    assert!(all.len() > 10, "{all:?}");
    assert_eq!(commit(&world, &catalog_of_the_bot).await, [""; 0]);

    // What was published shows where it belongs; a request that says another thing, too.
    world.set_day(1);
    world.release("two");
    world.upgrade().await;
    world.request("three", "packages: [package]\ndescription: Words\n");
    let changed = commit(&world, &catalog_of_the_bot).await;
    assert!(changed.contains(&"layers/arns/layers/two.md".to_owned()));
    assert!(changed.contains(&"layers/arns/layers/three.md".to_owned()));
    assert!(!changed.contains(&"layers/arns/layers/one.md".to_owned()));

    // What somebody edited is restored, whatever the store says of changes.
    let somebody = catalog(folder.path(), "somebody");
    let head = somebody.read_files(None, |_| true).await.unwrap().1;
    let edit = move |_: &crate::gitrepo::Snapshot<'_>| {
        let mut files = head.clone();
        files.insert("layers/arns/README.md".to_owned(), b"edited".to_vec());
        Ok(files)
    };
    let now = world.workshop.now();
    let edited = somebody.commit_folder("layers/arns", "edited", now, edit);
    edited.await.unwrap();
    assert_eq!(
        commit(&world, &catalog_of_the_bot).await,
        ["layers/arns/README.md"]
    );

    // A day on which versions begin to be warned of, another policy, and a layer that goes.
    world.set_day(70);
    assert!(!commit(&world, &catalog_of_the_bot).await.is_empty());
    world.desired.policy.tables.formats = vec![TableFormat::Csv];
    assert!(!commit(&world, &catalog_of_the_bot).await.is_empty());
    world.desired.layers.remove(&"one".parse().unwrap());
    world.apply().await;
    assert!(!commit(&world, &catalog_of_the_bot).await.is_empty());
}
