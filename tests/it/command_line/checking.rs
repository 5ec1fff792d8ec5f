//! `check`: every mistake with its place, and paths as people type them.

use super::Desk;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_catalog_is_good_by_every_name_it_has() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("layers/README.md", "not a request\n");
    for path in [".", "layers", "layers/", "./layers/../layers"] {
        let said = desk.run(&["check", path]);
        assert_eq!(said.code, 0, "{path}: {said:#?}");
        assert_eq!(said.stdout, "1 request file, 1 layer: nothing wrong\n");
        assert_eq!(said.stderr, "");
    }
    assert_eq!(desk.run(&["check"]).code, 0);
    assert_eq!(desk.run(&["check", "layers/demo.yaml"]).code, 0);
    assert!(!desk.data("").exists(), "checking leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_shown_as_compilers_show_them() {
    let desk = Desk::new().await;
    desk.write("layers/good.yaml", "packages: [demo-app]\n");
    desk.write(
        "layers/bad.yaml",
        "packages:\n  - demo-app\nregion: [us-east-1]\nregions: [us-east-l]\n",
    );
    let said = desk.run(&["check", "layers/"]);
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stdout, @"
    layers/bad.yaml:3:1: error: unknown key `region`: did you mean `regions`?
    layers/bad.yaml:4:11: error: `us-east-l` is not a region of AWS Lambda: did you mean `us-east-1`?
    2 request files, 1 layer without mistakes: 2 errors, 0 warnings
    ");
    assert_eq!(desk.run(&["check", "layers/good.yaml"]).code, 0);
    assert_eq!(desk.run(&["check", "layers/bad.yaml"]).code, 2);

    let (code, value) = desk.json(&["check"]);
    assert_eq!(code, 2);
    assert_eq!(value["problems"][0]["path"], "layers/bad.yaml");
    assert_eq!(value["problems"][0]["location"]["line"], 3);
    assert!(value["layers"]["good"].is_object(), "{value:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_cannot_be_read_is_named() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write(".github/layersmith.yaml", "regions: [moon-1]\n");
    for command in ["check", "plan", "apply", "tables"] {
        let said = desk.run(&[command]);
        assert_eq!(said.code, 2, "{command}: {said:#?}");
        assert!(
            said.stdout.starts_with(".github/layersmith.yaml:1:"),
            "{command}: {said:#?}"
        );
        let (code, value) = desk.json(&[command]);
        assert_eq!(code, 2, "{command}");
        assert_eq!(value["problems"][0]["path"], ".github/layersmith.yaml");
    }
    assert_eq!(desk.run(&["build", "demo"]).code, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_are_no_catalog_say_what_is_expected() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("notes.yaml", "packages: [demo-app]\n");
    desk.write("empty/README.md", "");
    let mut said = String::new();
    for path in ["missing", "notes.yaml", "empty", "layers/missing.yaml"] {
        let answer = desk.run(&["check", path]);
        assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{path}");
        said.push_str(&format!("{path}: {}", answer.stderr));
    }
    insta::assert_snapshot!(said, @"
    missing: error: missing: No such file or directory (os error 2)
    notes.yaml: error: notes.yaml is not a request file: they are layers/NAME.yaml
    empty: error: [HERE]/catalog/empty/layers cannot be read: No such file or directory (os error 2); a catalog has its request files there
    layers/missing.yaml: error: layers/missing.yaml: No such file or directory (os error 2)
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_no_text_and_odd_names_are_mistakes_not_accidents() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    std::fs::write(desk.path("layers/binary.yaml"), [0xff, 0xfe, 0, 1]).unwrap();
    desk.write("layers/Not A Name.yaml", "packages: [demo-app]\n");
    desk.write("layers/empty.yaml", "");
    std::fs::create_dir(desk.path("layers/folder.yaml")).unwrap();
    let said = desk.run(&["check"]);
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stdout, @r#"
    layers/Not A Name.yaml:1:1: error: the file's name `Not A Name` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `not-a-name.yaml`
    layers/binary.yaml:1:1: error: the file is not UTF-8 text: save it in the UTF-8 encoding
    layers/empty.yaml:1:1: error: the file is empty: write at least `packages: [pandas, "pyarrow>=15"]`
    4 request files, 1 layer without mistakes: 3 errors, 0 warnings
    "#);
}
