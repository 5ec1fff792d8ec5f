//! `layersmith setup deploy-key`, and what `setup` alone says.

use super::{said, with_an_administrator};
use crate::aws::use_aws;
use crate::world::{REPOSITORY, World};
use layersmith_testbed::moto::Moto;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The text with the public half replaced.
fn without_key(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        match (word.starts_with("AAAA"), word.ends_with('\n')) {
            (true, true) => "KEY\n",
            (true, false) => "KEY ",
            (false, _) => word,
        }
    });
    words.collect()
}

/// Pushes a commit with this private key and git's own program.
fn push(world: &World, key: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    std::fs::write(&known, world.git.known_hosts()).unwrap();
    let ssh = format!(
        "ssh -F /dev/null -i '{}' -o IdentitiesOnly=yes -o UserKnownHostsFile='{}' -o StrictHostKeyChecking=yes -o BatchMode=yes",
        key.display(),
        known.display()
    );
    let url = world.git.url(REPOSITORY);
    let script = format!(
        "git clone -q '{url}' work && cd work && git -c user.name=x -c user.email=x@example.com commit -q --allow-empty -m x && git push -q origin HEAD:main"
    );
    let status = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("GIT_SSH_COMMAND", ssh)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status();
    status.unwrap().success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deploy_key_is_made_kept_in_ssm_given_to_the_repository_and_may_push() {
    let moto = Moto::start().await;
    let mut world = with_an_administrator().await;
    use_aws(&mut world.options, &moto.endpoint());
    let setup = ["setup", "deploy-key", "--to", "ssm:/layersmith/deploy-key"];
    let (code, text, error) = said(&world, &setup);
    assert_eq!((code, error.as_str()), (0, ""), "{text}");
    insta::assert_snapshot!(without_key(&text), @"
    private half  ssm:/layersmith/deploy-key: made and stored
    public half   ssh-ed25519 KEY layersmith of octo/catalog
    GitHub        it may push to the repository now

    Set LAYERSMITH_DEPLOY_KEY=ssm:/layersmith/deploy-key
    ");
    let keys = world.github.deploy_keys();
    let [key] = &keys[..] else {
        panic!("one key is expected: {keys:?}");
    };
    assert_eq!((key.title.as_str(), key.read_only), ("Layersmith", false));
    // A SecureString: what is not decrypted is not the key.
    let stored = moto
        .parameter("eu-central-1", "/layersmith/deploy-key")
        .await;
    assert!(stored.unwrap().starts_with("kms:"));

    world
        .options
        .set("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/deploy-key");
    let (code, text, _) = said(&world, &["setup", "deploy-key"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(without_key(&text), @"
    private half  ssm:/layersmith/deploy-key: there already; --replace makes a new one
    public half   ssh-ed25519 KEY
    GitHub        it may push to the repository already
    ");
    assert_eq!(world.github.deploy_keys(), keys);

    let (code, text, _) = said(&world, &["setup"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("BAD      deploy key"), "{text}");
    world.git.allow_key(&key.key, true);
    let (_, text, _) = said(&world, &["setup"]);
    assert!(text.contains("marked as read only"), "{text}");
    assert_eq!(world.github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_a_file_pushes_with_git_itself_and_is_replaced_only_when_asked() {
    let mut world = with_an_administrator().await;
    let file = world.folder.path().join("keys/deploy-key");
    let place = format!("file:{}", file.display());
    world.options.set("LAYERSMITH_DEPLOY_KEY", &place);
    let (code, text, _) = said(&world, &["setup", "deploy-key"]);
    assert_eq!(code, 0, "{text}");
    let first = std::fs::read_to_string(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!push(&world, &file), "nobody knows this key yet");
    let public = world.github.deploy_keys()[0].key.clone();
    world.git.allow_key(&public, false);
    assert!(push(&world, &file));
    world.options.set("LAYERSMITH_WEBHOOK_SECRET", "a secret");
    let (code, text, _) = said(&world, &["setup"]);
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(text, @"
    good     repository      octo/catalog
    good     GitHub          as layersmith-bot
    good     webhook secret  1 set
    good     deploy key      it may push

    Everything is there. `layersmith doctor` tries out the rest.
    ");

    let (_, text, _) = said(&world, &["setup", "deploy-key"]);
    assert!(text.contains("there already"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    let (code, text, _) = said(&world, &["setup", "deploy-key", "--replace"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("The key before may still push"), "{text}");
    assert_ne!(std::fs::read_to_string(&file).unwrap(), first);
    assert_eq!(world.github.deploy_keys().len(), 2);
    assert_eq!(world.github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_administrate_the_repository_is_told_where_to_paste_the_key() {
    let mut world = World::prepare("[eu-west-1]", "").await;
    world.options.set("LAYERSMITH_LOG", "warn");
    let place = format!("file:{}", world.folder.path().join("key").display());
    let setup = ["setup", "deploy-key", "--to", &place];
    let (code, text, error) = said(&world, &setup);
    assert_eq!((code, error.as_str()), (0, ""), "{text}");
    insta::assert_snapshot!(without_key(&text), @r#"
    private half  file:[HERE]/key: made and stored
    public half   ssh-ed25519 KEY layersmith of octo/catalog
    GitHub        not added: GET /repos/octo/catalog/keys?per_page=100&page=1: the bot is not allowed to do this: Resource not accessible by integration

    Add the public half there, and tick "Allow write access": https://github.com/octo/catalog/settings/keys/new

    Set LAYERSMITH_DEPLOY_KEY=file:[HERE]/key
    "#);
    let output = world.command(&["--json", "setup", "deploy-key", "--to", &place]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["private_half"]["result"], "kept");
    assert_eq!(value["github"]["result"], "by_hand");
    let public = value["public_half"].as_str().unwrap();
    assert!(public.starts_with("ssh-ed25519 AAAA"), "{value}");
    let private = std::fs::read_to_string(world.folder.path().join("key")).unwrap();
    let telling = private.lines().nth(3).unwrap();
    assert!(!value.to_string().contains(telling));

    // A key that is neither here nor OpenSSH's is left alone.
    std::fs::write(world.folder.path().join("key"), "hunter2\n").unwrap();
    let (code, text, _) = said(&world, &setup);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("it is no private key in OpenSSH's form"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");

    for (place, words) in [
        (
            &["--to", "hunter2"][..],
            "say where the private half is to be kept",
        ),
        (&[], "say where the private half is to be kept"),
    ] {
        let mut arguments = vec!["setup", "deploy-key"];
        arguments.extend(place);
        let (code, _, error) = said(&world, &arguments);
        assert_eq!(code, 2, "{error}");
        assert!(
            error.contains(words) && !error.contains("hunter2"),
            "{error}"
        );
    }
    assert_eq!(world.github.violations(), Vec::<String>::new());
}
