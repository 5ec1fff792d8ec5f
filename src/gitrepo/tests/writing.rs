//! Reading, committing and pushing when all is well.

use super::super::address::Address;
use super::super::{CatalogRepository, CatalogSettings, Committed};
use super::sshd::{Access, Sshd, git, user};
use super::{files, now, open, settings};
use secrecy::SecretString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const R: &str = "o/r.git";

#[tokio::test]
async fn one_commit_writes_the_folder_and_touches_nothing_else() {
    let server = Sshd::start();
    server.push_as_somebody(
        R,
        &[
            ("layers/arns/old/gone.md", "stale"),
            ("layers/arns/same.md", "same\n"),
        ],
    );
    let before = server.git(R, &["rev-parse", "main"]);
    let catalog = open(&server);

    let committed = catalog
        .commit_folder(
            "layers/arns",
            "Publish pandas 2.2.3\n\nLayersmith-Run: 7\n",
            now(),
            |snapshot| {
                assert_eq!(snapshot.get("README.md").unwrap(), b"# Layers\n");
                assert_eq!(snapshot.get("layers"), None);
                assert_eq!(snapshot.get("nowhere"), None);
                Ok(files(&[
                    ("layers/arns/p3.13/us-east-1.md", "| table |\n"),
                    ("layers/arns/same.md", "same\n"),
                ]))
            },
        )
        .await
        .unwrap();

    let head = server.git(R, &["rev-parse", "main"]);
    let Committed::Pushed { commit, paths, .. } = committed else {
        panic!("nothing was pushed")
    };
    assert_eq!(commit, head.trim());
    assert_eq!(
        paths,
        ["layers/arns/old/gone.md", "layers/arns/p3.13/us-east-1.md"]
    );
    insta::assert_snapshot!(server.git(R, &["log", "-1", "--format=%an <%ae> %at | %cn <%ce> %ct%n%B", "main"]), @"
    layersmith[bot] <bot@example.com> 1795341600 | layersmith[bot] <bot@example.com> 1795341600
    Publish pandas 2.2.3

    Layersmith-Run: 7
    ");
    insta::assert_snapshot!(server.git(R, &["ls-tree", "-r", "--format=%(objectmode) %(path)", "main"]), @"
    100644 README.md
    100644 layers/arns/p3.13/us-east-1.md
    100644 layers/arns/same.md
    100644 layers/pandas.yaml
    ");
    assert_eq!(server.git(R, &["rev-parse", "main~1"]), before);
    server.git(R, &["fsck", "--strict", "--full"]);
    assert_eq!(catalog.head().await.unwrap(), commit);
}

#[tokio::test]
async fn nothing_to_change_makes_no_commit() {
    let server = Sshd::start();
    let catalog = open(&server);
    let commit = async || {
        catalog
            .commit_folder("layers/arns", "m", now(), |_| {
                Ok(files(&[("layers/arns/a.md", "a")]))
            })
            .await
            .unwrap()
    };
    let Committed::Pushed {
        commit: first,
        tree,
        ..
    } = commit().await
    else {
        panic!("nothing was pushed")
    };
    assert_eq!(commit().await, Committed::Unchanged { head: first, tree });
    assert_eq!(server.git(R, &["rev-list", "--count", "main"]).trim(), "2");
}

#[tokio::test]
async fn a_folder_that_loses_its_last_file_is_gone() {
    let server = Sshd::start();
    server.push_as_somebody(R, &[("only/here/a.md", "a")]);
    let catalog = open(&server);
    catalog
        .commit_folder("only/here", "m", now(), |_| Ok(files(&[])))
        .await
        .unwrap();
    assert_eq!(
        server.git(R, &["ls-tree", "--name-only", "main"]),
        "README.md\nlayers\n"
    );
    server.git(R, &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_file_becomes_a_folder_and_an_executable_becomes_plain() {
    let server = Sshd::start();
    server.push_as_somebody(R, &[("arns/a", "file"), ("arns/run", "x")]);
    let catalog = open(&server);
    let work = server.folder("work");
    fs::create_dir(&work).unwrap();
    git(
        &work,
        &[
            "clone",
            "--quiet",
            &server.repository(R).display().to_string(),
            ".",
        ],
    );
    git(&work, &["update-index", "--chmod=+x", "arns/run"]);
    git(&work, &["commit", "--quiet", "-m", "x"]);
    git(&work, &["push", "--quiet"]);
    let committed = catalog
        .commit_folder("arns", "m", now(), |_| {
            Ok(files(&[("arns/a/b", "b"), ("arns/run", "x")]))
        })
        .await
        .unwrap();
    let Committed::Pushed { paths, .. } = committed else {
        panic!("nothing was pushed")
    };
    assert_eq!(paths, ["arns/a", "arns/a/b", "arns/run"]);
    let tree = server.git(
        R,
        &[
            "ls-tree",
            "-r",
            "--format=%(objectmode) %(path)",
            "main",
            "arns",
        ],
    );
    assert_eq!(tree, "100644 arns/a/b\n100644 arns/run\n");
    server.git(R, &["fsck", "--strict"]);
}

#[tokio::test]
async fn an_empty_repository_gets_its_first_commit() {
    let server = Sshd::start();
    server.create("o/empty.git");
    let url = server.url("o/empty.git");
    let catalog = CatalogRepository::new(CatalogSettings {
        url,
        ..settings(&server)
    })
    .unwrap();
    assert!(catalog.head().await.is_err());
    let committed = catalog
        .commit_folder("arns", "first", now(), |snapshot| {
            assert_eq!(snapshot.head(), None);
            Ok(files(&[("arns/a", "a")]))
        })
        .await
        .unwrap();
    assert!(matches!(committed, Committed::Pushed { .. }));
    assert_eq!(
        server.git("o/empty.git", &["log", "--format=%s", "main"]),
        "first\n"
    );
    assert_eq!(
        catalog.head().await.unwrap(),
        server.git("o/empty.git", &["rev-parse", "main"]).trim()
    );
}

#[tokio::test]
async fn the_clone_stays_shallow_and_small() {
    let server = Sshd::start();
    let catalog = open(&server);
    for round in 0..4 {
        server.push_as_somebody(R, &[("README.md", &format!("round {round}\n"))]);
        catalog
            .commit_folder("arns", "m", now(), move |snapshot| {
                assert_eq!(
                    snapshot.get("README.md").unwrap(),
                    format!("round {round}\n").as_bytes()
                );
                Ok(files(&[("arns/a", &round.to_string())]))
            })
            .await
            .unwrap();
    }
    assert_eq!(server.git(R, &["rev-list", "--count", "main"]).trim(), "9");
    server.git(R, &["fsck", "--strict", "--full"]);
    let clone = server.folder("clone/catalog.git");
    assert_eq!(
        git(&clone, &["rev-parse", "--is-shallow-repository"]).trim(),
        "true"
    );
    let fetched = git(&clone, &["rev-list", "--count", "refs/layersmith/fetched"]);
    assert_eq!(fetched.trim(), "1", "the history was fetched");
}

#[tokio::test]
async fn files_are_read_at_the_head_and_at_an_older_commit() {
    let server = Sshd::start();
    let first = server.git(R, &["rev-parse", "main"]).trim().to_owned();
    server.push_as_somebody(
        R,
        &[
            ("layers/pandas.yaml", "packages: [pandas, numpy]\n"),
            ("other", "x"),
        ],
    );
    let second = server.git(R, &["rev-parse", "main"]).trim().to_owned();
    server.push_as_somebody(R, &[("layers/pandas.yaml", "third\n")]);
    let catalog = open(&server);
    let requests = |path: &str| path.starts_with("layers/") && path.ends_with(".yaml");

    let (head, found) = catalog.read_files(None, requests).await.unwrap();
    assert_eq!(head, server.git(R, &["rev-parse", "main"]).trim());
    assert_eq!(found, files(&[("layers/pandas.yaml", "third\n")]));
    for (commit, text) in [
        (second, "packages: [pandas, numpy]\n"),
        (first, "packages: [pandas]\n"),
    ] {
        let (at, found) = catalog.read_files(Some(&commit), requests).await.unwrap();
        assert_eq!(
            (at, found),
            (commit, files(&[("layers/pandas.yaml", text)]))
        );
    }
}

#[tokio::test]
async fn a_named_branch_is_written_and_others_are_left_alone() {
    let server = Sshd::start();
    server.git(R, &["branch", "tables", "main"]);
    let branch = Some("tables".to_owned());
    let catalog = CatalogRepository::new(CatalogSettings {
        branch,
        ..settings(&server)
    })
    .unwrap();
    catalog
        .commit_folder("arns", "m", now(), |_| Ok(files(&[("arns/a", "a")])))
        .await
        .unwrap();
    assert_eq!(
        server.git(R, &["rev-list", "--count", "tables"]).trim(),
        "2"
    );
    assert_eq!(server.git(R, &["rev-list", "--count", "main"]).trim(), "1");
}

#[tokio::test]
async fn a_damaged_or_foreign_clone_is_made_anew() {
    let server = Sshd::start();
    let catalog = open(&server);
    let clone = server.folder("clone/catalog.git");
    let write = async |text: &'static str| {
        let done = catalog
            .commit_folder("arns", "m", now(), move |_| Ok(files(&[("arns/a", text)])))
            .await;
        assert!(
            matches!(done, Ok(Committed::Pushed { .. })),
            "{text}: {done:?}"
        );
        server.git(R, &["fsck", "--strict"]);
    };
    write("first").await;
    for object in walk(&clone.join("objects")) {
        fs::remove_file(&object).unwrap();
        fs::write(object, "garbage").unwrap();
    }
    write("every object was garbage").await;
    fs::write(clone.join("HEAD"), "garbage").unwrap();
    write("HEAD was garbage").await;
    fs::write(
        clone.join("layersmith-origin"),
        "ssh://git@example.com/another.git",
    )
    .unwrap();
    write("it was a clone of another repository").await;
    fs::remove_dir_all(&clone).unwrap();
    fs::write(&clone, "a file").unwrap();
    write("it was a file").await;
}

#[tokio::test]
async fn a_key_with_its_passphrase_and_a_key_with_windows_line_ends_open_the_door() {
    let server = Sshd::start();
    let key = |text: String| Some(SecretString::from(text));
    let with_passphrase = CatalogSettings {
        deploy_key: key(server.key(Access::WriteWithPassphrase)),
        passphrase: key("open sesame".to_owned()),
        ..settings(&server)
    };
    let windows = CatalogSettings {
        deploy_key: key(server.key(Access::Write).trim_end().replace('\n', "\r\n")),
        ..settings(&server)
    };
    for settings in [with_passphrase, windows] {
        CatalogRepository::new(settings)
            .unwrap()
            .head()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_address_as_scp_writes_it_works_too() {
    let server = Sshd::start();
    let url = format!("{}@127.0.0.1:o/r.git", user());
    let mut catalog = CatalogRepository::new(CatalogSettings {
        url,
        ..settings(&server)
    })
    .unwrap();
    // This way of writing has no place for a port, and port 22 is not the test's.
    match &mut Arc::get_mut(&mut catalog.0).unwrap().server.address {
        Address::Ssh(address) => address.port = server.port(),
        Address::Local(path) => panic!("read as the folder {path:?}"),
    }
    assert_eq!(
        catalog.head().await.unwrap(),
        server.git(R, &["rev-parse", "main"]).trim()
    );
}

#[tokio::test]
async fn a_folder_works_too() {
    let server = Sshd::start();
    let folder = server.repository(R).display().to_string();
    for (url, text) in [(format!("file://{folder}"), "url"), (folder, "path")] {
        let catalog = CatalogRepository::new(CatalogSettings {
            url,
            deploy_key: None,
            known_hosts: None,
            ..settings(&server)
        })
        .unwrap();
        let committed = catalog
            .commit_folder("arns", "m", now(), move |_| Ok(files(&[("arns/a", text)])))
            .await
            .unwrap();
        let Committed::Pushed { commit, .. } = committed else {
            panic!("nothing was pushed")
        };
        assert_eq!(catalog.head().await.unwrap(), commit);
    }
    server.git(R, &["fsck", "--strict"]);
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
