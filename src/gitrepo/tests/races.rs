//! Others push at the same time.

use super::super::{CatalogRepository, CatalogSettings, Committed, GitError};
use super::sshd::{Sshd, somebody_pushes};
use super::{files, now, open, settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const R: &str = "o/r.git";

#[tokio::test]
async fn a_push_between_fetch_and_push_is_built_on() {
    let server = Sshd::start();
    let catalog = open(&server);
    let repository = server.repository(R);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let committed = catalog
        .commit_folder("arns", "bot", now(), move |snapshot| {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            if call < 2 {
                somebody_pushes(&repository, &[("README.md", &format!("edit {call}"))]);
            }
            let readme = snapshot.get("README.md").unwrap();
            Ok(files(&[("arns/a", &String::from_utf8(readme).unwrap())]))
        })
        .await
        .unwrap();
    assert!(matches!(committed, Committed::Pushed { .. }));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    assert_eq!(server.git(R, &["show", "main:arns/a"]), "edit 1");
    assert_eq!(
        server.git(R, &["log", "--format=%s", "main"]),
        "bot\nby hand\nby hand\nby hand\n"
    );
    server.git(R, &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_branch_that_moves_while_the_server_takes_the_push_is_built_on() {
    let server = Sshd::start();
    // The hook runs after the server has told the branch's commit and before it updates the branch.
    server.hook(
        R,
        "pre-receive",
        r#"[ -e raced ] && exit 0
touch raced
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
tree=$(git rev-parse main^{tree})
commit=$(git -c user.name=S -c user.email=s@example.com commit-tree -p main -m 'in between' "$tree")
git update-ref refs/heads/main "$commit""#,
    );
    let committed = open(&server)
        .commit_folder("arns", "bot", now(), |_| Ok(files(&[("arns/a", "a")])))
        .await
        .unwrap();
    assert!(matches!(committed, Committed::Pushed { .. }));
    assert_eq!(
        server.git(R, &["log", "--format=%s", "main"]),
        "bot\nin between\nby hand\n"
    );
    server.git(R, &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_race_that_is_always_lost_is_given_up() {
    let server = Sshd::start();
    let repository = server.repository(R);
    let error = open(&server)
        .commit_folder("arns", "bot", now(), move |_| {
            somebody_pushes(&repository, &[]);
            Ok(files(&[("arns/a", "a")]))
        })
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Raced { .. }), "{error:?}");
    assert!(error.is_transient());
    insta::assert_snapshot!(error, @"others pushed to `main` first, 8 times in a row");
    assert!(
        !server
            .git(R, &["log", "--format=%s", "main"])
            .contains("bot")
    );
}

#[tokio::test]
async fn committers_with_one_clone_and_with_clones_of_their_own_all_land() {
    let server = Sshd::start();
    let shared = open(&server);
    let same_folder = open(&server);
    let other_folder = CatalogRepository::new(CatalogSettings {
        work_dir: server.folder("another clone"),
        ..settings(&server)
    })
    .unwrap();
    let commit = async |catalog: CatalogRepository, name: &'static str| {
        let folder = format!("arns/{name}");
        let path = format!("{folder}/a");
        catalog
            .commit_folder(&folder, name, now(), move |_| Ok(files(&[(&path, name)])))
            .await
            .unwrap()
    };
    tokio::join!(
        commit(shared.clone(), "one"),
        commit(shared.clone(), "two"),
        commit(same_folder, "three"),
        commit(other_folder, "four"),
    );
    assert_eq!(
        server.git(R, &["ls-tree", "--name-only", "main:arns"]),
        "four\none\nthree\ntwo\n"
    );
    assert_eq!(server.git(R, &["rev-list", "--count", "main"]).trim(), "5");
    server.git(R, &["fsck", "--strict"]);
}
