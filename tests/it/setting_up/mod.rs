//! `layersmith setup` and `redeliver`: what an operator does before and after the bot works.

mod deploy_key;
mod doctor_aws;
mod github_app;
mod redelivering;

use crate::world::{World, normalize};
use std::process::Output;

/// Exit code, standard output and standard error of a command, with what differs from run to run replaced.
fn said(world: &World, arguments: &[&str]) -> (i32, String, String) {
    shown(world, &world.command(arguments))
}

fn shown(world: &World, output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).expect("the executable speaks UTF-8");
        let folder = world.folder.path().to_str().unwrap();
        // The kind of a key has hexadecimal digits only.
        normalize(&text.replace(folder, "[HERE]")).replace("ssh-SHA", "ssh-ed25519")
    };
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A world without a bot's credentials on GitHub but a token of somebody who administrates the repository.
async fn with_an_administrator() -> World {
    let mut world = World::prepare("[eu-west-1]", "").await;
    world.github.set_permission(
        "layersmith-bot",
        layersmith_testbed::github::Permission::Admin,
    );
    for name in [
        "LAYERSMITH_GITHUB_APP_ID",
        "LAYERSMITH_GITHUB_PRIVATE_KEY",
        "LAYERSMITH_DEPLOY_KEY",
        "LAYERSMITH_WEBHOOK_SECRET",
    ] {
        world.options.unset(name);
    }
    let token = world.github.token();
    world.options.set("LAYERSMITH_GITHUB_TOKEN", token);
    world.options.set("LAYERSMITH_LOG", "warn");
    world
}
