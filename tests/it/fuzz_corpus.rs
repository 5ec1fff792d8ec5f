//! The wheel reader and what fuzzing it found: the corpus holds, and the fuzz target can be compiled.

#[path = "../../fuzz/held.rs"]
mod held;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_corpus_holds() {
    let mut inputs: Vec<PathBuf> = fs::read_dir(root().join("fuzz/corpus/wheel"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    let mut size = 0;
    for input in &inputs {
        let bytes = fs::read(input).unwrap();
        size += bytes.len();
        let held = std::panic::catch_unwind(|| held::hold(&bytes));
        assert!(held.is_ok(), "{} breaks a promise", input.display());
    }
    assert!(
        (10..=100).contains(&inputs.len()) && size <= 200 * 1024,
        "{} inputs, {size} bytes",
        inputs.len()
    );
}

/// The fuzz target compiles two rooms by themselves: it must know the libraries they use, as the workspace has them.
#[test]
fn the_fuzz_target_knows_the_libraries_of_its_rooms() {
    let workspace = manifest("Cargo.toml");
    let ours = &workspace["dependencies"];
    let shared = &workspace["workspace"]["dependencies"];
    let theirs = manifest("fuzz/Cargo.toml");
    let code = code_of("src/build") + &code_of("src/model");
    let mut used = 0;
    for (name, ours) in ours.as_table().unwrap() {
        if !code.contains(&format!("{}::", name.replace('-', "_"))) {
            continue;
        }
        used += 1;
        let ours = if ours.get("workspace").is_some() {
            &shared[name]
        } else {
            ours
        };
        let theirs = theirs["dependencies"].get(name);
        assert_eq!(theirs, Some(ours), "`{name}` in fuzz/Cargo.toml");
    }
    assert!(used > 10, "only {used} libraries were found");
}

fn manifest(path: &str) -> BTreeMap<String, toml::Value> {
    toml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// The sources below a folder, without the tests.
fn code_of(folder: impl AsRef<Path>) -> String {
    let mut code = String::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            code += &code_of(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code += &fs::read_to_string(path).unwrap();
        }
    }
    code
}
