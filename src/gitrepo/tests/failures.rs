//! Servers that refuse, lie or say nothing; and what the person who runs the bot reads then.

use super::super::{CatalogRepository, CatalogSettings, Committed, GitError};
use super::sshd::{Access, Sshd};
use super::{files, now, settings};
use secrecy::SecretString;
use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

const R: &str = "o/r.git";

async fn commit(settings: CatalogSettings) -> Result<Committed, GitError> {
    CatalogRepository::new(settings)?
        .commit_folder("arns", "bot", now(), |_| Ok(files(&[("arns/a", "a")])))
        .await
}

/// The error as a person reads it, without what differs from run to run.
fn reads(error: &GitError, server: &Sshd) -> String {
    let fingerprint = "SHA256:…";
    let text = error
        .to_string()
        .replace(&server.port().to_string(), "PORT");
    let text = text
        .replace(&super::sshd::user(), "USER")
        .replace(&server.host_key(), "KEY");
    let words = text.split(' ').map(|word| {
        if word.starts_with("SHA256:") {
            let end =
                word.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+/:".contains(c));
            format!("{fingerprint}{end}")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_hook_that_rejects_is_heard() {
    let server = Sshd::start();
    server.hook(R, "pre-receive", "echo 'GH006: Protected branch update failed.' >&2; printf 'Changes must be \\033[31mreviewed.' >&2; exit 1");
    let error = commit(settings(&server)).await.unwrap_err();
    assert!(matches!(error, GitError::Rejected { .. }), "{error:?}");
    assert!(!error.is_transient());
    insta::assert_snapshot!(error, @"the push was rejected: GH006: Protected branch update failed.; Changes must be reviewed. (pre-receive hook declined)");
    assert_eq!(server.git(R, &["rev-list", "--count", "main"]).trim(), "1");
}

#[tokio::test]
async fn a_key_that_may_only_read_is_told_from_a_key_that_is_refused() {
    let server = Sshd::start();
    let with_key = |access| CatalogSettings {
        deploy_key: Some(SecretString::from(server.key(access))),
        ..settings(&server)
    };
    let read_only = commit(with_key(Access::Read)).await.unwrap_err();
    assert!(matches!(read_only, GitError::Auth(_)), "{read_only:?}");
    insta::assert_snapshot!(reads(&read_only, &server), @"[127.0.0.1]:PORT lets this deploy key read but not write: ERROR: The key you are authenticating with has been marked as read only.");
    let catalog = CatalogRepository::new(with_key(Access::Read)).unwrap();
    assert!(catalog.head().await.is_ok());

    let refused = commit(with_key(Access::None)).await.unwrap_err();
    assert!(matches!(refused, GitError::Auth(_)), "{refused:?}");
    insta::assert_snapshot!(reads(&refused, &server), @"[127.0.0.1]:PORT refused the deploy key for user `USER`: add its public half to the repository's deploy keys, with write access");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_said_so_and_not_shown() {
    let server = Sshd::start();
    let key = |text: &str| Some(SecretString::from(text));
    let locked = server.key(Access::WriteWithPassphrase);
    for (deploy_key, passphrase) in [
        (key("hunter2 is not a key"), None),
        (key(&locked), None),
        (key(&locked), key("hunter2")),
        (key(""), None),
    ] {
        let error = commit(CatalogSettings {
            deploy_key,
            passphrase,
            ..settings(&server)
        })
        .await
        .unwrap_err();
        assert!(matches!(error, GitError::Auth(_)), "{error:?}");
        let (shown, debugged) = (error.to_string(), format!("{error:?}"));
        assert!(
            !shown.contains("hunter2")
                && !debugged.contains("hunter2")
                && !debugged.contains("PRIVATE")
        );
        insta::allow_duplicates! { insta::assert_snapshot!(shown, @"the deploy key (LAYERSMITH_DEPLOY_KEY) cannot be used: it is not a private key in OpenSSH or PEM format, or its passphrase is missing or wrong") }
    }
    let error = commit(CatalogSettings {
        deploy_key: None,
        ..settings(&server)
    })
    .await
    .unwrap_err();
    insta::assert_snapshot!(reads(&error, &server), @"[127.0.0.1]:PORT asks for a key, and none is set (LAYERSMITH_DEPLOY_KEY)");
}

#[tokio::test]
async fn an_unknown_changed_or_revoked_host_key_ends_the_conversation() {
    let server = Sshd::start();
    let host = format!("[127.0.0.1]:{}", server.port());
    let other = std::fs::read_to_string(server.folder("Write.pub")).unwrap();
    let other_type = std::fs::read_to_string(server.folder("Read.pub")).unwrap();
    let with = |lines: Option<String>| CatalogSettings {
        known_hosts: lines,
        ..settings(&server)
    };
    let read = async |lines: Option<String>| {
        let error = commit(with(lines)).await.unwrap_err();
        assert!(matches!(error, GitError::HostKey(_)), "{error:?}");
        assert!(!error.is_transient());
        reads(&error, &server)
    };
    insta::assert_snapshot!(read(None).await, @"no host key is pinned for [127.0.0.1]:PORT, which showed ssh-ed25519 SHA256:…. Compare the fingerprint with the one its operator publishes; only if they agree, add this line to LAYERSMITH_KNOWN_HOSTS: [127.0.0.1]:PORT KEY");
    insta::assert_snapshot!(read(Some(format!("{host} {other}"))).await, @"the host key of [127.0.0.1]:PORT has changed: ssh-ed25519 SHA256:… is pinned, but it showed ssh-ed25519 SHA256:…. Somebody may be listening in. Compare the fingerprint with the one its operator publishes; only if they agree, add this line to LAYERSMITH_KNOWN_HOSTS: [127.0.0.1]:PORT KEY");
    insta::assert_snapshot!(read(Some(format!("{host} {other_type}"))).await, @"[127.0.0.1]:PORT showed ssh-ed25519 SHA256:…, but only its ecdsa-sha2-nistp256 key is pinned. Compare the fingerprint with the one its operator publishes; only if they agree, add this line to LAYERSMITH_KNOWN_HOSTS: [127.0.0.1]:PORT KEY");
    insta::assert_snapshot!(read(Some(format!("{}@revoked * {}", server.known_hosts(), server.host_key()))).await, @"the host key that [127.0.0.1]:PORT showed is marked @revoked: ssh-ed25519 SHA256:…");
    let unreadable = CatalogRepository::new(with(Some("# fine\n\nexample.com ssh-rsa".to_owned())));
    insta::assert_snapshot!(unreadable.unwrap_err(), @"line 3 of the known hosts (LAYERSMITH_KNOWN_HOSTS) has not three words: write it as `host ssh-ed25519 AAAA…`, as ssh-keyscan prints it");
}

#[tokio::test]
async fn the_message_tells_the_line_that_pins_the_key() {
    let server = Sshd::start();
    let error = commit(CatalogSettings {
        known_hosts: None,
        ..settings(&server)
    })
    .await
    .unwrap_err()
    .to_string();
    let (_, line) = error.rsplit_once("LAYERSMITH_KNOWN_HOSTS: ").unwrap();
    commit(CatalogSettings {
        known_hosts: Some(line.to_owned()),
        ..settings(&server)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let server = Sshd::start();
    let url = server.url("o/none.git");
    let error = commit(CatalogSettings {
        url,
        ..settings(&server)
    })
    .await
    .unwrap_err();
    assert!(matches!(error, GitError::NotFound(_)), "{error:?}");
    insta::assert_snapshot!(reads(&error, &server), @"[127.0.0.1]:PORT does not give the repository to this deploy key: ERROR: Repository not found.");

    let branch = Some("nowhere".to_owned());
    let error = commit(CatalogSettings {
        branch,
        ..settings(&server)
    })
    .await
    .unwrap_err();
    assert!(matches!(error, GitError::NotFound(_)), "{error:?}");
    insta::assert_snapshot!(error, @"the repository has no branch `nowhere`");

    let catalog = CatalogRepository::new(settings(&server)).unwrap();
    let unknown = "0123456789012345678901234567890123456789";
    for commit in [unknown, "main", "", "0123"] {
        let error = catalog
            .read_files(Some(commit), |_| true)
            .await
            .unwrap_err();
        assert!(
            matches!(error, GitError::NotFound(_)),
            "{commit}: {error:?}"
        );
    }
    server.create("o/empty.git");
    let url = server.url("o/empty.git");
    let empty = CatalogRepository::new(CatalogSettings {
        url,
        ..settings(&server)
    })
    .unwrap();
    insta::assert_snapshot!(empty.head().await.unwrap_err(), @"the repository has no commit yet");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let server = Sshd::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "ssh://git@127.0.0.1:{}/o/r.git",
        silent.local_addr().unwrap().port()
    );
    let catalog = CatalogRepository::new(CatalogSettings {
        url,
        timeout: Duration::from_millis(500),
        ..settings(&server)
    })
    .unwrap();
    let started = Instant::now();
    // The second one waits for the first one's thread, which must have ended by then.
    for _ in 0..2 {
        let error = catalog.head().await.unwrap_err();
        assert!(matches!(error, GitError::Unreachable(_)), "{error:?}");
        assert!(error.is_transient());
        assert!(
            error
                .to_string()
                .ends_with("did not answer within 0.5 seconds"),
            "{error}"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_stops_answering_during_the_push_is_given_up_in_time() {
    let server = Sshd::start();
    server.hook(R, "pre-receive", "sleep 20");
    let timeout = Duration::from_secs(2);
    let started = Instant::now();
    let error = commit(CatalogSettings {
        timeout,
        ..settings(&server)
    })
    .await
    .unwrap_err();
    assert!(matches!(error, GitError::Unreachable(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_port_that_is_closed_or_speaks_no_ssh_is_unreachable() {
    let server = Sshd::start();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let closed = format!("ssh://git@127.0.0.1:{port}/o/r.git");
    let chatty = TcpListener::bind("127.0.0.1:0").unwrap();
    let chatty_url = format!(
        "ssh://git@127.0.0.1:{}/o/r.git",
        chatty.local_addr().unwrap().port()
    );
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = chatty.accept() {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        }
    });
    for url in [closed, chatty_url] {
        let error = commit(CatalogSettings {
            url,
            ..settings(&server)
        })
        .await
        .unwrap_err();
        assert!(matches!(error, GitError::Unreachable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_rendering_that_fails_or_leaves_its_folder_pushes_nothing() {
    let server = Sshd::start();
    let catalog = CatalogRepository::new(settings(&server)).unwrap();
    let failing = catalog
        .commit_folder("arns", "bot", now(), |_| anyhow::bail!("the store is gone"))
        .await;
    insta::assert_snapshot!(failing.unwrap_err(), @"rendering files for the catalog repository: the store is gone");
    for path in [
        "README.md",
        "arns/../README.md",
        "arns/",
        "arns//a",
        "arns/.git/config",
        "/arns/a",
    ] {
        let error = catalog
            .commit_folder("arns", "bot", now(), move |_| Ok(files(&[(path, "x")])))
            .await;
        assert!(
            matches!(error, Err(GitError::Other(_))),
            "{path}: {error:?}"
        );
    }
    for folder in ["", "/", "..", "a/../b", ".git"] {
        let error = catalog
            .commit_folder(folder, "bot", now(), |_| Ok(files(&[])))
            .await;
        assert!(
            matches!(error, Err(GitError::Other(_))),
            "{folder}: {error:?}"
        );
    }
    assert_eq!(server.git(R, &["rev-list", "--count", "main"]).trim(), "1");
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_left_alone() {
    let server = Sshd::start();
    server.push_as_somebody(R, &[("arns", "a file")]);
    let error = commit(settings(&server)).await.unwrap_err();
    insta::assert_snapshot!(error, @"`arns` is a file in the repository, but a folder is needed");
}

#[tokio::test]
async fn a_clone_that_another_process_keeps_is_waited_for_and_then_given_up() {
    let server = Sshd::start();
    let work_dir = server.folder("clone");
    std::fs::create_dir(&work_dir).unwrap();
    let lock = std::fs::File::create(work_dir.join("catalog.lock")).unwrap();
    lock.lock().unwrap();
    let timeout = Duration::from_millis(500);
    let busy = commit(CatalogSettings {
        timeout,
        ..settings(&server)
    })
    .await
    .unwrap_err();
    assert!(busy.is_transient());
    assert!(
        busy.to_string()
            .ends_with("catalog.lock was in use by another process all the time"),
        "{busy}"
    );

    let waiting = tokio::spawn(commit(settings(&server)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    lock.unlock().unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_the_conversation() {
    let server = Sshd::start();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let catalog = CatalogRepository::new(CatalogSettings {
        url: format!("ssh://git@127.0.0.1:{port}/o/r.git"),
        ..settings(&server)
    })
    .unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(300), catalog.head()).await;
    assert!(given_up.is_err());
    // Its turn ends with its thread, long before the thirty seconds of the settings.
    let turn = tokio::time::timeout(Duration::from_secs(5), catalog.0.turn.lock()).await;
    assert!(turn.is_ok());
}
