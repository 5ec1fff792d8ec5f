//! Somebody deletes layer versions behind the bot's back, in AWS itself: it is noticed and mended.

use super::Narrator;
use super::screen::ensure;
use super::stage::{REPOSITORY, Stage, git_command, output_of};
use crate::moto::Moto;

/// Where somebody deletes a version, and whose.
const DELETED_IN: [&str; 2] = ["eu-central-1", "us-west-2"];
const LAYER: &str = "Layersmith-p313-requests";
/// Lines of an answer that are shown.
const LINES: usize = 12;

/// What is there is right, two versions are deleted, that is found, and mended with the tables.
pub(super) async fn verify(stage: &Stage, narrator: &mut Narrator, moto: &Moto) {
    narrator.step("verify", "Somebody deletes versions in AWS itself");
    let clean = run(stage, &["verify"]);
    narrator.claim(
        "`layersmith verify` reads back every version of every region and finds nothing wrong",
        clean.map(|said| narrator.quote(&said, LINES)),
    );
    for region in DELETED_IN {
        narrator.say(&format!(
            "aws lambda delete-layer-version --region {region} --layer-name {LAYER} --version-number 1"
        ));
        moto.delete_layer_version(region, LAYER, 1).await;
    }
    let found = match run(stage, &["verify"]) {
        Ok(said) => Err(format!("nothing is wrong: {said}")),
        Err(said) => {
            narrator.quote(&said, LINES);
            let named = |region| said.contains(&format!("lambda:{region}:"));
            let named = DELETED_IN.into_iter().all(named) && said.contains(" 2 wrong");
            ensure(named, || said.clone())
        }
    };
    narrator.claim("`verify` names the two that are gone, and no other", found);
    let mended = run(stage, &["verify", "--repair", "--push"]);
    narrator.claim(
        "`verify --repair` publishes them again and commits the tables",
        mended.map(|said| narrator.quote(&said, LINES)),
    );
    stage.settled().await;
    narrator.claim(
        "both regions have the layer once, and their tables the new ARN",
        are_back(stage, moto).await,
    );
    let clean = run(stage, &["verify"]);
    narrator.claim("`verify` finds nothing wrong", clean.map(drop));
}

async fn are_back(stage: &Stage, moto: &Moto) -> Result<(), String> {
    for region in DELETED_IN {
        let versions = moto.layer_versions(region, LAYER).await;
        let numbers: Vec<u64> = versions.iter().map(|version| version.version).collect();
        ensure(numbers == [2], || format!("{region}: {versions:?}"))?;
        let path = format!("layers/arns/p3.13/{region}.json");
        let table = stage.github.file_at("main", &path).unwrap_or_default();
        let (new, old) = (format!("{LAYER}:2"), format!("{LAYER}:1"));
        ensure(table.contains(&new) && !table.contains(&old), || table)?;
    }
    Ok(())
}

/// Runs a command of the executable over the catalog as it is in the repository now.
fn run(stage: &Stage, arguments: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let root = stage.github.repositories_root();
    let mut clone = git_command();
    clone
        .args(["clone", "-q"])
        .arg(root.join(format!("{REPOSITORY}.git")))
        .arg(folder.path());
    output_of(&mut clone)?;
    let (command, options) = arguments.split_first().unwrap_or((&"verify", &[]));
    let mut process = stage.options.command();
    process
        .arg(command)
        .arg(folder.path())
        .args(options)
        .env("LAYERSMITH_LOG", "error");
    output_of(&mut process)
}
