//! The registry in a directory: the conformance suite, and its files.

use super::{conformance, request};
use crate::model::{Digest, LayerArn, Region, UNZIPPED_LIMIT, Visibility, ZIPPED_LIMIT};
use crate::registry::{DirectoryRegistry, PublishRequest, Registry as _, RegistryError};
use std::path::{Path, PathBuf};

const ACCOUNT: &str = DirectoryRegistry::DEFAULT_ACCOUNT;

fn open(folder: &Path) -> DirectoryRegistry {
    DirectoryRegistry::open(folder.join("registry"), ACCOUNT).unwrap()
}

fn home() -> Region {
    "us-east-1".parse().unwrap()
}

/// Every file under a folder with its size, less the locks.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != ".lock" {
                let path = entry.path().strip_prefix(folder).unwrap().to_owned();
                found.push((path, entry.metadata().unwrap().len()));
            }
        }
    }
    found.sort();
    found
}

async fn refusal(registry: &DirectoryRegistry, request: &PublishRequest) -> String {
    match registry.publish(&home(), request).await {
        Err(error @ RegistryError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(&open(folder.path())).await;
}

#[tokio::test]
async fn an_organization_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let published = registry.publish(&home(), &request("layer", "a")).await;
    let arn = published.unwrap().arn;
    let organization = |id: &str| Visibility::Organization(id.to_owned());
    assert!(registry.share(&arn, &organization("acme")).await.is_err());
    let bad_account = Visibility::Accounts(vec!["12".to_owned()]);
    assert!(registry.share(&arn, &bad_account).await.is_err());
    let acme = organization("o-abc1234567");
    registry.share(&arn, &acme).await.unwrap();
    assert!(registry.is_shared(&arn, &acme).await.unwrap());
    assert!(!registry.is_shared(&arn, &Visibility::Public).await.unwrap());
    let other = organization("o-abc1234568");
    assert!(!registry.is_shared(&arn, &other).await.unwrap());
}

#[tokio::test]
async fn another_process_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let request = request("layer", "a");
    let registry = open(folder.path());
    let published = registry.publish(&home(), &request).await.unwrap();
    registry
        .share(&published.arn, &Visibility::Public)
        .await
        .unwrap();
    let registry = open(folder.path());
    let arn = published.arn.clone();
    assert_eq!(registry.read(&arn).await.unwrap(), Some(published));
    assert!(registry.is_shared(&arn, &Visibility::Public).await.unwrap());
    let again = registry.publish(&home(), &request).await.unwrap();
    assert_eq!(again.arn.version, 2);
}

/// Locks belong to an open file, so two registries in one process get in each other's way as two processes do.
#[test]
fn processes_that_publish_at_once_get_numbers_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let publish = |process: usize| {
        let registry = open(folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let mut numbers = Vec::new();
            for number in 0..15 {
                let request = request("layer", &format!("{process} {number}"));
                let published = registry.publish(&home(), &request).await.unwrap();
                numbers.push(published.arn.version);
            }
            numbers
        })
    };
    let mut numbers = std::thread::scope(|scope| {
        let processes = [0, 1, 2].map(|process| scope.spawn(move || publish(process)));
        processes.map(|process| process.join().unwrap()).concat()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=45).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_zip_is_kept_once_until_its_last_version_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let request = request("layer", "a");
    let regions = Region::commercial();
    let published = regions
        .iter()
        .map(|region| registry.publish(region, &request));
    let published = futures::future::try_join_all(published).await.unwrap();
    let root = folder.path().join("registry");
    let blob = root.join(format!("blobs/{}.zip", request.digest));
    assert_eq!(files(&root.join("blobs")).len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let links = std::fs::metadata(&blob).unwrap().nlink();
        assert_eq!(links, 1 + regions.len() as u64);
    }
    for (number, version) in published.iter().enumerate() {
        assert!(blob.exists(), "deleted after {number} of {}", regions.len());
        registry.delete(&version.arn).await.unwrap();
    }
    assert_eq!(blob.exists(), cfg!(not(unix)));
    let again = registry.publish(&home(), &request).await.unwrap();
    assert_eq!(again.arn.version, 2);
    assert_eq!(registry.read(&again.arn).await.unwrap(), Some(again));
}

#[tokio::test]
async fn what_aws_refuses_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let good = request("layer", "a");
    let bad = |change: &dyn Fn(&mut PublishRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let large = super::file(&vec![0; usize::try_from(ZIPPED_LIMIT).unwrap() + 1]);
    let mut refusals = Vec::new();
    for request in [
        bad(&|r| r.name = "not.a.layer".to_owned()),
        bad(&|r| r.name = String::new()),
        bad(&|r| r.description = "é".repeat(257)),
        bad(&|r| r.license = Some("x".repeat(513))),
        bad(&|r| r.license = Some("MIT\nBSD".to_owned())),
        bad(&|r| r.zip = super::file(b"not a zip")),
        bad(&|r| r.zip = super::file(b"")),
        bad(&|r| r.zip = large.clone()),
        bad(&|r| r.zip = claiming_to_unpack_to(UNZIPPED_LIMIT + 1)),
    ] {
        refusals.push(refusal(&registry, &request).await);
    }
    insta::assert_snapshot!(refusals.join("\n"), @r"
    us-east-1: refused: `not.a.layer` is not a layer name: 1 to 140 letters, digits, `-` and `_`
    us-east-1: refused: `` is not a layer name: 1 to 140 letters, digits, `-` and `_`
    us-east-1: refused: the description is longer than 256 characters
    us-east-1: refused: the licence is not one line of at most 512 characters
    us-east-1: refused: the licence is not one line of at most 512 characters
    us-east-1: refused: the file is not a zip
    us-east-1: refused: the file is not a zip
    us-east-1: refused: the zip has 52428801 bytes, and at most 52428800 are taken
    us-east-1: refused: the zip unpacks to 262144001 bytes, and at most 262144000 are taken
    ");
    let long = refusal(&registry, &bad(&|r| r.name = "a".repeat(141))).await;
    assert!(long.contains("is not a layer name"), "{long}");
    assert_eq!(files(folder.path()), []);

    for request in [
        bad(&|r| r.name = "a".repeat(140)),
        bad(&|r| r.description = "é".repeat(256)),
        bad(&|r| r.license = None),
        bad(&|r| r.zip = claiming_to_unpack_to(UNZIPPED_LIMIT)),
    ] {
        registry.publish(&home(), &request).await.unwrap();
    }
}

/// A zip whose central directory says that its one file has this size.
fn claiming_to_unpack_to(size: u64) -> PathBuf {
    let mut zip = super::zip("a");
    let entry = zip.windows(4).position(|at| at == b"PK\x01\x02").unwrap();
    let size = u32::try_from(size).unwrap().to_le_bytes();
    zip[entry + 24..entry + 28].copy_from_slice(&size);
    super::file(&zip)
}

#[tokio::test]
async fn an_arn_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let arn = |account: &str, layer: &str| LayerArn {
        region: home(),
        account: account.to_owned(),
        layer: layer.to_owned(),
        version: 1,
    };
    for arn in [
        arn(ACCOUNT, ".."),
        arn(ACCOUNT, "a/b"),
        arn("210987654321", "a"),
    ] {
        let refused = registry.read(&arn).await;
        assert!(
            matches!(refused, Err(RegistryError::Refused { .. })),
            "{refused:?}"
        );
        assert!(registry.delete(&arn).await.is_err());
    }
    assert!(
        registry
            .find(&home(), "../x", &Digest::of(b""))
            .await
            .is_err()
    );
    assert!(DirectoryRegistry::open(folder.path().to_owned(), "12").is_err());
}

#[tokio::test]
async fn a_publish_that_was_cut_short_does_not_disturb_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let layer = folder.path().join("registry/us-east-1/layer");
    std::fs::create_dir_all(&layer).unwrap();
    std::fs::write(layer.join("1.zip"), "half").unwrap();
    std::fs::write(layer.join(".new-abc"), "half").unwrap();
    let published = registry
        .publish(&home(), &request("layer", "a"))
        .await
        .unwrap();
    assert_eq!(published.arn.version, 1);
    assert_eq!(
        registry.read(&published.arn).await.unwrap(),
        Some(published)
    );
}

#[tokio::test]
async fn a_zip_that_was_damaged_is_not_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let published = registry
        .publish(&home(), &request("layer", "a"))
        .await
        .unwrap();
    let zip = folder.path().join("registry/us-east-1/layer/1.zip");
    std::fs::remove_file(zip).unwrap();
    let error = registry.read(&published.arn).await.unwrap_err();
    insta::assert_snapshot!(error, @"us-east-1: refused: the zip of version 1 is not as it was published");
}

#[tokio::test]
async fn the_layout_is_the_documented_one() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let request = request("layer", "a");
    let published = registry.publish(&home(), &request).await.unwrap();
    registry
        .share(&published.arn, &Visibility::Public)
        .await
        .unwrap();
    let root = folder.path().join("registry");
    let names: Vec<String> = files(&root)
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            format!("blobs/{}.zip", request.digest),
            "us-east-1/layer/1.json".to_owned(),
            "us-east-1/layer/1.zip".to_owned()
        ]
    );
    let record = std::fs::read_to_string(root.join("us-east-1/layer/1.json")).unwrap();
    let record = record
        .replace(&request.digest.to_string(), "DIGEST")
        .replace(&request.digest.short(), "SHORT")
        .replace(&request.size.to_string(), "SIZE");
    insta::assert_snapshot!(record, @r#"
    {
      "description": "six 1.17.0 | sha256:SHORT",
      "license": "MIT",
      "runtime": "python3.13",
      "architecture": "arm64",
      "digest": "DIGEST",
      "size": SIZE,
      "allowed": [
        "everyone"
      ],
      "deleted": false
    }
    "#);
}
