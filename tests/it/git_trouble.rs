//! The git server in trouble: what is live stays live and is told, and a retry after the repair commits the tables once.

use crate::world::World;
use layersmith_testbed::bot::BotOptions;
use std::net::TcpListener;
use std::path::Path;

const CORE: &str = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

/// Merges a request while git is in trouble; what the pull request is told of the tables.
async fn merged_in_trouble(world: &World) -> (u64, String) {
    let number = world.pull_request(&[("layers/core.yaml", CORE)]).await;
    world.settled().await;
    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    let arn = "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-core:1";
    assert!(comment.contains(arn), "{comment}");
    assert_eq!(world.conclusions(&merge), ["failure"]);
    assert_eq!(world.published_once().len(), 2);
    assert_eq!(world.own_commits(), 0);
    let told = comment
        .lines()
        .find(|line| line.contains("could not be committed.**"))
        .unwrap_or_else(|| panic!("nothing is said of the tables: {comment}"));
    let told = told.replace(&world.git.port().to_string(), "PORT");
    let user = world.git.base_url();
    let user = user.trim_start_matches("ssh://").split('@').next().unwrap();
    (number, told.replace(&format!("`{user}`"), "`USER`"))
}

/// Starts the bot anew with other options, and asks for another try.
async fn repaired(world: &mut World, number: u64, change: impl FnOnce(&mut BotOptions)) {
    world.kill_bot();
    change(&mut world.options);
    world.start_bot().await;
    world.settled().await;
    let retry = "/layersmith retry";
    world.github.comment(number, "platform", retry).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("The tables are committed"), "{comment}");
    assert_eq!(world.comment_ids(number).len(), 1);
    assert_eq!(world.published_once().len(), 2);
    assert_eq!(world.own_commits(), 1);
}

fn assert_untold(world: &World, key: &str, told: &str) {
    let secret = key.lines().nth(1).unwrap();
    for text in [told.to_owned(), world.log()] {
        assert!(!text.contains(secret), "a key is told: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_server_does_not_know() {
    let mut world = World::start_with("", |options, world| {
        options.set("LAYERSMITH_DEPLOY_KEY", world.git.unknown_key());
    })
    .await;
    let (number, told) = merged_in_trouble(&world).await;
    assert_untold(&world, &world.git.unknown_key(), &told);
    insta::assert_snapshot!(told, @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: `[127.0.0.1]:PORT` refused the deploy key for user `USER`: add its public half to the repository's deploy keys, with write access");
    let key = world.git.writing_key();
    repaired(&mut world, number, |options| {
        options.set("LAYERSMITH_DEPLOY_KEY", key);
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_only_read() {
    let mut world = World::start_with("", |options, world| {
        options.set("LAYERSMITH_DEPLOY_KEY", world.git.reading_key());
    })
    .await;
    let (number, told) = merged_in_trouble(&world).await;
    assert_untold(&world, &world.git.reading_key(), &told);
    insta::assert_snapshot!(told, @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: `[127.0.0.1]:PORT` lets this deploy key read but not write: ERROR: The key you are authenticating with has been marked as read only.");
    let key = world.git.writing_key();
    repaired(&mut world, number, |options| {
        options.set("LAYERSMITH_DEPLOY_KEY", key);
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_no_key() {
    let mut world = World::start_with("", |options, world| {
        let key = world.git.writing_key();
        options.set("LAYERSMITH_DEPLOY_KEY", key.replace('A', "B"));
    })
    .await;
    let (number, told) = merged_in_trouble(&world).await;
    assert_untold(&world, &world.git.writing_key().replace('A', "B"), &told);
    insta::assert_snapshot!(told, @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: the deploy key `(LAYERSMITH_DEPLOY_KEY)` cannot be used: it is not a private key in OpenSSH or PEM format, or its passphrase is missing or wrong");
    let key = world.git.writing_key();
    repaired(&mut world, number, |options| {
        options.set("LAYERSMITH_DEPLOY_KEY", key);
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_shows_another_host_key_gets_nothing() {
    let mut world = World::start().await;
    world.git.replace_host_key().await;
    let (number, told) = merged_in_trouble(&world).await;
    let told = told.replace(&world.git.host_key(), "KEY");
    let words: Vec<&str> = told
        .split(' ')
        .map(|word| match word.split_once("SHA256:") {
            Some(_) => "FINGERPRINT",
            None => word,
        })
        .collect();
    insta::assert_snapshot!(words.join(" "), @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: the host key of `[127.0.0.1]:PORT` has changed: ssh-ed25519 FINGERPRINT is pinned, but it showed ssh-ed25519 FINGERPRINT Somebody may be listening in. Compare the fingerprint with the one its operator publishes; only if they agree, add this line to `LAYERSMITH_KNOWN_HOSTS: [127.0.0.1]:PORT` KEY");
    let pinned = world.git.known_hosts();
    repaired(&mut world, number, |options| {
        options.set("LAYERSMITH_KNOWN_HOSTS", pinned);
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_is_not_there() {
    let mut world = World::start_with("", |options, world| {
        options.set("LAYERSMITH_GIT_URL", world.git.url("octo/nowhere"));
    })
    .await;
    let (number, told) = merged_in_trouble(&world).await;
    insta::assert_snapshot!(told, @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: `[127.0.0.1]:PORT` does not give the repository to this deploy key: ERROR: Repository not found.");
    let url = world.git.url("octo/catalog");
    repaired(&mut world, number, |options| {
        options.set("LAYERSMITH_GIT_URL", url);
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away() {
    let mut world = World::start_with("", |options, _| {
        options.set("LAYERSMITH_PATIENCE", "1");
    })
    .await;
    world.git.stop();
    let (number, told) = merged_in_trouble(&world).await;
    insta::assert_snapshot!(told, @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It will be retried; `/layersmith retry` tries at once. What was said: `[127.0.0.1]:PORT` cannot be reached: Connection refused (os error 111)");
    world.git.start_again();
    repaired(&mut world, number, |_| {}).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_waited_for_as_long_as_is_set() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut world = World::start_with("", |options, world| {
        options.set("LAYERSMITH_PATIENCE", "1");
        options.set("LAYERSMITH_GIT_TIMEOUT", "1.5");
        let url = world.git.url("octo/catalog");
        let there = format!("127.0.0.1:{}", world.git.port());
        options.set(
            "LAYERSMITH_GIT_URL",
            url.replace(&there, &address.to_string()),
        );
        let hosts = world.git.known_hosts();
        let (there, here) = (world.git.port().to_string(), address.port().to_string());
        options.set("LAYERSMITH_KNOWN_HOSTS", hosts.replace(&there, &here));
    })
    .await;
    let (number, told) = merged_in_trouble(&world).await;
    let told = told.replace(&address.port().to_string(), "PORT");
    insta::assert_snapshot!(told, @"⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It will be retried; `/layersmith retry` tries at once. What was said: `[127.0.0.1]:PORT` did not answer within 1.5 seconds");
    let (url, hosts) = (world.git.url("octo/catalog"), world.git.known_hosts());
    repaired(&mut world, number, |options| {
        options.set("LAYERSMITH_GIT_URL", url);
        options.set("LAYERSMITH_KNOWN_HOSTS", hosts);
        options.unset("LAYERSMITH_GIT_TIMEOUT");
    })
    .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_fails_stops_no_other_and_is_filled_in_by_a_retry() {
    let world = World::start().await;
    let number = world.pull_request(&[("layers/core.yaml", CORE)]).await;
    world.settled().await;
    let region = world.folder.path().join("data/registry/us-east-1");
    std::fs::write(&region, "in the way").unwrap();
    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    let comment = world.comment(number);
    assert_names_no_path(&comment, world.folder.path());
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Merged · mona · main ← change

    ── layersmith[bot] · edited ──
    ### ⚠️ Published in part: 1 of 2 versions are live, 1 failed

    What is listed as live was read back and can be used. The rest is marked; `/layersmith retry` tries it again at once.

    - The tables are committed: [`SHA`](https://github.com/octo/catalog/commit/SHA) changes 9 files.

    #### `core` · live in 1 region, ⚠️ 1 version not live

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `1.0.0` | 1 region | ⚠️ 1: `us-east-1` |

    ⚠️ `us-east-1` failed for `p3.13`; it will be retried, `/layersmith retry` tries at once: no answer: Not a directory (os error 20)

    To copy, for Python 3.13 on x86_64 in `eu-west-1`:

    ```text
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-core:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-core:1` |

    Other regions, history and snippets: [`core.md`](https://github.com/octo/catalog/blob/SHA/layers/arns/layers/core.md).

    <details><summary>9 files of the tables changed</summary>

    ```text
    layers/arns/README.md
    layers/arns/feeds/all.atom
    layers/arns/feeds/all.json
    layers/arns/feeds/layers/core.atom
    layers/arns/feeds/layers/core.json
    layers/arns/layers/core.md
    layers/arns/p3.13/eu-west-1.csv
    layers/arns/p3.13/eu-west-1.json
    layers/arns/p3.13/eu-west-1.md
    ```

    </details>

    ---
    <sub>Carried out: [`SHA`](https://github.com/octo/catalog/commit/SHA), run `apply-SHA-1`.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 1 target would be published to 2 regions after the merge
    ");
    assert_eq!(world.conclusions(&merge), ["failure"]);
    assert_eq!(world.published_once().len(), 1);
    assert!(world.table("p3.13/eu-west-1.md").contains("core"));
    assert!(
        !world
            .tables()
            .contains_key("layers/arns/p3.13/us-east-1.md")
    );
    let (_, list) = world.get("/api/v2/p3.13/layers/latest/us-east-1").await;
    assert_eq!(list, "[]");

    std::fs::remove_file(&region).unwrap();
    let retry = "/layersmith retry";
    world.github.comment(number, "platform", retry).await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("live in 2 regions"), "{comment}");
    assert_eq!(world.published_once().len(), 2);
    assert!(world.table("p3.13/us-east-1.md").contains("core"));
    assert_eq!(world.own_commits(), 2);
    world.finish().await;
}

fn assert_names_no_path(text: &str, folder: &Path) {
    let folder = folder.to_str().unwrap();
    assert!(!text.contains(folder), "{folder} is told: {text}");
}
