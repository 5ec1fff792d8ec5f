//! Real git over a real SSH server, on the double's own repositories.

use std::path::Path;
use std::process::{Command, Output};

use layersmith_testbed::ssh::GitServer;
use tempfile::TempDir;

use crate::support::{Bench, REQUEST_FILE, Receiver};

fn git(folder: &Path, ssh: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(["-c", "user.name=bot", "-c", "user.email=bot@example.com"])
        .args(arguments);
    command
        .env("GIT_SSH_COMMAND", ssh)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command.output().unwrap()
}

fn done(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_push_over_ssh_lands_in_the_double_and_is_noticed() {
    let bench = Bench::start().await;
    let hook = Receiver::start().await;
    bench.double.set_hook_url(&hook.url);
    let server = GitServer::start(bench.double.repositories_root()).await;
    bench
        .double
        .set_ssh(&server.base_url(), &[server.host_key()]);
    let (_, repository) = bench.get("/repos/octo/layers").await;
    assert_eq!(repository["ssh_url"], server.url("octo/layers"));
    assert_eq!(bench.get("/meta").await.1["ssh_keys"][0], server.host_key());

    let folder = TempDir::new().unwrap();
    let ssh = server.git_ssh_command();
    done(&git(
        folder.path(),
        &ssh,
        &[
            "clone",
            "--quiet",
            "--depth=1",
            &server.url("octo/layers"),
            "clone",
        ],
    ));
    let clone = folder.path().join("clone");
    assert_eq!(
        std::fs::read_to_string(clone.join("README.md")).unwrap(),
        "# Layers\n"
    );
    std::fs::write(clone.join(REQUEST_FILE), "packages: [requests]\n").unwrap();
    done(&git(&clone, &ssh, &["add", "--all"]));
    done(&git(
        &clone,
        &ssh,
        &["commit", "--quiet", "--message", "Tables"],
    ));

    let refused = git(
        &clone,
        &server.read_only_git_ssh_command(),
        &["push", "--quiet", "origin", "HEAD:main"],
    );
    assert!(refusal(&refused).contains("marked as read only"));
    assert_eq!(bench.double.sync_pushes().await, Vec::<String>::new());

    done(&git(
        &clone,
        &ssh,
        &["push", "--quiet", "origin", "HEAD:main"],
    ));
    assert_eq!(
        bench.double.file_at("main", REQUEST_FILE).as_deref(),
        Some("packages: [requests]\n")
    );
    assert_eq!(bench.double.sync_pushes().await, ["main"]);
    let push = hook.take().remove(0);
    assert_eq!(
        push.payload["after"],
        bench.double.branch_head("main").unwrap()
    );
    assert_eq!(push.payload["pusher"]["name"], "deploy key");
    assert_eq!(push.payload["head_commit"]["message"], "Tables");
    bench.assert_clean();
}

#[tokio::test]
async fn strangers_and_impostors_are_turned_away() {
    let bench = Bench::start().await;
    let mut server = GitServer::start(bench.double.repositories_root()).await;
    let folder = TempDir::new().unwrap();
    let ssh = server.git_ssh_command();
    let missing = git(
        folder.path(),
        &ssh,
        &["ls-remote", &server.url("octo/none")],
    );
    assert!(refusal(&missing).contains("Repository not found"));
    let outside = git(
        folder.path(),
        &ssh,
        &["ls-remote", &server.url("octo/../../etc")],
    );
    assert!(refusal(&outside).contains("Repository not found"));

    let key = folder.path().join("unknown");
    std::fs::write(&key, server.unknown_key()).unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(&key, mode).unwrap();
    let options = "-F /dev/null -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes";
    let stranger = format!("ssh -i '{}' {options}", key.display());
    assert!(
        refusal(&git(
            folder.path(),
            &stranger,
            &["ls-remote", &server.url("octo/layers")]
        ))
        .contains("Permission denied")
    );

    done(&git(
        folder.path(),
        &ssh,
        &["ls-remote", &server.url("octo/layers")],
    ));
    let pinned = server.known_hosts();
    server.replace_host_key().await;
    assert_ne!(server.known_hosts(), pinned);
    let refused = git(
        folder.path(),
        &ssh,
        &["ls-remote", &server.url("octo/layers")],
    );
    assert!(refusal(&refused).contains("Host key verification failed"));
    server.stop();
    assert!(
        refusal(&git(
            folder.path(),
            &ssh,
            &["ls-remote", &server.url("octo/layers")]
        ))
        .contains("refused")
    );
}
