//! Changing some files of a folder.

use super::super::{Committed, FolderEdit};
use super::sshd::Sshd;
use super::{files, now, open};

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
