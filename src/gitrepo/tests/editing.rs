//! Changing some files of a folder.

use super::super::{Committed, FolderEdit};
use super::sshd::{Sshd, git};
use super::{files, now, open};
use std::fs;
use std::path::{Path, PathBuf};

const R: &str = "o/r.git";

#[tokio::test]
async fn some_files_of_a_folder_change_where_it_is_what_they_were_made_for() {
    let server = Sshd::start();
    let catalog = open(&server);
    let all = [
        ("arns/a/1", "one"),
        ("arns/a/2", "two"),
        ("arns/b/1", "three"),
        ("arns/c", "four"),
    ];
    let committed = catalog
        .commit_folder("arns", "first", now(), move |_| Ok(files(&all)))
        .await;
    let Ok(Committed::Pushed {
        tree: Some(tree), ..
    }) = committed
    else {
        panic!("{committed:?}")
    };
    let change = async |base: &str, is_known: bool| {
        let edit = move |folder: &mut FolderEdit<'_>| {
            assert_eq!(folder.get("arns/a/2")?.unwrap().as_ref(), b"two");
            assert!(folder.get("arns/nothing")?.is_none());
            folder.put("arns/a/2", Some(b"2"))?;
            folder.put("arns/c", Some(b"four"))?;
            folder.put("arns/b/1", None)?;
            folder.side_by_side(1, &|folder, piece| {
                assert_eq!(folder.get("arns/a/1")?.unwrap().as_ref(), b"one");
                folder.put(&format!("arns/new/{}", piece + 1), Some(b"new"))
            })?;
            assert!(folder.put("README.md", None).is_err(), "it is elsewhere");
            Ok(is_known)
        };
        let changed = catalog.change_folder("arns", base, "second", now(), edit);
        changed.await.unwrap()
    };
    assert_eq!(change(&tree, false).await, None);
    assert_eq!(change(&"0".repeat(40), true).await, None);
    let Some(Committed::Pushed {
        paths,
        tree: Some(after),
        ..
    }) = change(&tree, true).await
    else {
        panic!("nothing was pushed")
    };
    assert_eq!(paths, ["arns/a/2", "arns/b/1", "arns/new/1"]);
    assert_eq!(server.git(R, &["rev-parse", "main:arns"]).trim(), after);
    assert_eq!(
        server.git(R, &["ls-tree", "-r", "--name-only", "main:arns"]),
        "a/1\na/2\nc\nnew/1\n"
    );
    server.git(R, &["fsck", "--strict", "--full"]);
    let same = catalog.change_folder("arns", &after, "third", now(), |_| Ok(true));
    assert!(matches!(
        same.await,
        Ok(Some(Committed::Unchanged { tree: Some(tree), .. })) if tree == after
    ));
}

#[tokio::test]
async fn a_large_file_is_stored_as_it_is_until_another_takes_its_place() {
    let server = Sshd::start();
    let catalog = open(&server);
    let text = |version: u32| -> String {
        (0..4_000)
            .map(|line| format!("package-{line},{version}.{line},latest\n"))
            .collect()
    };
    let first = files(&[("arns/large", text(0).as_str()), ("arns/small", "small")]);
    let committed = catalog.commit_folder("arns", "0", now(), move |_| Ok(first.clone()));
    let Ok(Committed::Pushed {
        tree: Some(mut tree),
        ..
    }) = committed.await
    else {
        panic!("nothing was pushed")
    };
    let object = || {
        let id = server.git(R, &["rev-parse", "main:arns/large"]);
        let (folder, name) = id.trim().split_at(2);
        server.folder(&format!("clone/catalog.git/objects/{folder}/{name}"))
    };
    let size = |path: &Path| usize::try_from(fs::metadata(path).unwrap().len()).unwrap();
    let mut replaced = Vec::new();
    for version in 1..=5 {
        // A byte in the middle is another one; half of it is missing.
        if version >= 4 {
            let path = object();
            let mut bytes = fs::read(&path).unwrap();
            bytes[40_000] ^= u8::from(version == 4);
            bytes.truncate(if version == 5 { 50_000 } else { bytes.len() });
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        let edit = move |folder: &mut FolderEdit<'_>| {
            let before = folder.get("arns/large")?.unwrap().as_ref().to_vec();
            assert_eq!(String::from_utf8(before)?, text(version - 1));
            folder.put("arns/large", Some(text(version).as_bytes()))?;
            Ok(true)
        };
        let changed = catalog.change_folder("arns", &tree, "next", now(), edit);
        let Ok(Some(Committed::Pushed {
            paths,
            tree: Some(after),
            ..
        })) = changed.await
        else {
            panic!("{version}: nothing was pushed")
        };
        assert_eq!(paths, ["arns/large"]);
        assert_eq!(
            server.git(R, &["show", "main:arns/large"]),
            text(version),
            "{version}"
        );
        server.git(R, &["fsck", "--strict", "--full"]);
        assert!(size(&object()) > text(version).len(), "{version}");
        for path in replaced.iter().filter(|path: &&PathBuf| path.exists()) {
            assert!(size(path) < text(version).len() / 2, "{version}");
        }
        replaced.push(object());
        tree = after;
    }
    // What is left of the first clone's objects went with it.
    assert_eq!(replaced.iter().filter(|path| path.exists()).count(), 1);
    let clone = server.folder("clone/catalog.git");
    git(&clone, &["fsck", "--strict", "--full"]);
}
