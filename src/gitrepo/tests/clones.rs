//! What a pack holds that is sent.

use super::super::local_clone::LOOSE_LIMIT;
use super::sshd::Sshd;
use super::{files, now, open};
use std::fs;
use std::path::PathBuf;

const R: &str = "o/r.git";

#[tokio::test]
async fn small_files_are_pushed_as_differences_and_large_ones_as_they_are() {
    let server = Sshd::start();
    server.push_as_somebody(R, &[]);
    // The pack stays on the server as it was sent.
    server.git(R, &["config", "receive.unpackLimit", "1"]);
    let numbered = |lines: u32, last: &str| {
        let line = |n: u32| format!("{:08x}\n", n.wrapping_mul(2_654_435_761));
        (0..lines).map(line).chain([last.to_owned()]).collect()
    };
    let [small, alike, large, as_large]: [String; 4] = [
        numbered(1_000, "a"),
        numbered(1_000, "b"),
        numbered(30_000, "a"),
        numbered(30_000, "b"),
    ];
    open(&server)
        .commit_folder("layers/arns", "m", now(), move |_| {
            Ok(files(&[
                ("layers/arns/p3.12/one.json", &large),
                ("layers/arns/p3.12/two.json", &small),
                ("layers/arns/p3.13/one.json", &as_large),
                ("layers/arns/p3.13/two.json", &alike),
            ]))
        })
        .await
        .unwrap();

    let folder = server.git(R, &["rev-parse", "--absolute-git-dir"]);
    let packs = fs::read_dir(PathBuf::from(folder.trim()).join("objects/pack")).unwrap();
    let packs = packs.map(|entry| entry.unwrap().path());
    let indexes = packs.filter(|path| path.extension().is_some_and(|end| end == "idx"));
    let listed: String = indexes
        .map(|index| server.git(R, &["verify-pack", "-v", index.to_str().unwrap()]))
        .collect();
    // Name, kind, size, size in the pack, offset; of a difference also its depth and what it is one from.
    let blobs = listed.lines().map(|line| line.split_whitespace().collect());
    let blobs = blobs.filter(|columns: &Vec<&str>| columns.get(1) == Some(&"blob"));
    let (whole, differences): (Vec<_>, Vec<_>) = blobs.partition(|columns| columns.len() == 5);
    let large = |columns: &&Vec<&str>| columns[2] == "270001";
    assert_eq!(whole.iter().filter(large).count(), 2, "{listed}");
    assert_eq!(differences.len(), 1, "{listed}");
}

#[tokio::test]
async fn a_clone_that_has_grown_too_large_is_made_anew() {
    let server = Sshd::start();
    let catalog = open(&server);
    let write = async |text: &'static str| {
        let written =
            catalog.commit_folder("arns", "m", now(), move |_| Ok(files(&[("arns/a", text)])));
        written.await.unwrap();
    };
    write("first").await;
    // What a killed process leaves; it takes no room on the disk.
    let folder = server.folder("clone/catalog.git/objects/00");
    fs::create_dir_all(&folder).unwrap();
    let left = folder.join("tmp_obj_left");
    let file = fs::File::create(&left).unwrap();
    file.set_len(LOOSE_LIMIT / 2).unwrap();
    write("second").await;
    assert!(left.exists(), "there is room for more");
    file.set_len(LOOSE_LIMIT + 1).unwrap();
    write("third").await;
    assert!(!left.exists());
    assert_eq!(server.git(R, &["show", "main:arns/a"]), "third");
}
