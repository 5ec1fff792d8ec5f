//! The machine is not as it should be: each time a clear message, exit code 1, nothing published by half.

use super::{Desk, files_below};
use crate::look::CORE_WHEEL;
use crate::world::World;
use layersmith_testbed::index::Sabotage;
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_cannot_be_written_is_named() {
    let mut desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("file", "");
    desk.options.set("LAYERSMITH_DATA", desk.path("file/data"));
    for command in ["plan", "apply", "tables"] {
        let said = desk.run(&[command]);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (1, ""),
            "{command}: {said:#?}"
        );
        assert!(
            said.stderr.contains("[HERE]/catalog/file/data"),
            "{said:#?}"
        );
    }
    assert_eq!(
        desk.run(&["check"]).code,
        0,
        "checking needs no data folder"
    );
    assert_eq!(desk.run(&["doctor"]).code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_data_folder_stops_apply_before_anything_is_published() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    std::fs::create_dir(desk.data("")).unwrap();
    let set = |mode| {
        std::fs::set_permissions(desk.data(""), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o555);
    if std::fs::write(desk.data("probe"), "").is_ok() {
        // The superuser writes everywhere; then the folder is as good as any.
        std::fs::remove_file(desk.data("probe")).unwrap();
        assert_eq!(desk.run(&["apply"]).code, 0);
    } else {
        let said = desk.run(&["apply"]);
        assert_eq!(said.code, 1, "{said:#?}");
        assert!(said.stderr.contains("[HERE]/data"), "{said:#?}");
        assert!(desk.published().is_empty());
    }
    set(0o755);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_store_is_left_alone() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    std::fs::create_dir(desk.data("")).unwrap();
    let content = "this is no database, it is a letter to somebody\n".repeat(40);
    std::fs::write(desk.data("store.sqlite"), &content).unwrap();
    let mut errors = String::new();
    for command in ["apply", "plan", "tables", "serve"] {
        let said = desk.run(&[command]);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (1, ""),
            "{command}: {said:#?}"
        );
        errors = said.stderr;
    }
    insta::assert_snapshot!(errors, @"error: cannot open the store [HERE]/data/store.sqlite: cannot switch on the write-ahead log: file is not a database: Error code 26: file is not a database");
    let doctor = desk.run(&["doctor"]);
    assert!(doctor.stdout.contains("BAD      store"), "{doctor:#?}");
    assert_eq!(
        std::fs::read_to_string(desk.data("store.sqlite")).unwrap(),
        content
    );
    assert!(desk.published().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_uv_nothing_is_published_and_the_way_to_get_it_is_told() {
    let mut desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.options.set("LAYERSMITH_UV", "/no/such/uv");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @r#"
    demo
      p3.13        NOT DONE  not now   uv, which resolves packages, is missing where Layersmith runs. Whoever runs it can install it with `pip install uv` or `pipx install uv`, or set `LAYERSMITH_UV` to its path.

    Nothing was published: 1 build missing.
    Tables in [HERE]/catalog/layers/arns: 1 file written, 0 removed.
    "#);
    assert!(desk.published().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_cannot_be_written_do_not_hide_what_was_published() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("layers/arns", "a file where the folder should be\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    demo
      p3.13        published 1.1.0 to 2 regions
                             arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1

    Published: 1 layer × 1 target, live in 2 regions.
    Tables: FAILED: [HERE]/catalog/layers/arns cannot be made: File exists (os error 17)
    ");
    assert_eq!(desk.published().len(), 2);
    desk.remove("layers/arns");
    let again = desk.run(&["apply"]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert_eq!(desk.published().len(), 2);
    assert!(desk.tables().contains_key("p3.13/us-east-1.md"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_built_zip_that_is_gone_is_built_again() {
    let desk = Desk::new().await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [eu-west-1]\n",
    );
    assert_eq!(desk.run(&["apply"]).code, 0);
    std::fs::remove_dir_all(desk.data("artifacts")).unwrap();
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(
        desk.published(),
        [
            "eu-west-1/Layersmith-p313-demo/1",
            "us-east-1/Layersmith-p313-demo/1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_is_left_also_when_the_zip_is_gone_and_cannot_be_built_again() {
    for (regions, code) in [("[eu-west-1]", 0), ("[eu-west-1, sa-east-1]", 1)] {
        let desk = Desk::new().await;
        let request = |regions: &str| {
            let text = format!("packages: [demo-core]\nregions: {regions}\n");
            desk.write("layers/core.yaml", &text);
        };
        request("[eu-west-1, us-east-1]");
        assert_eq!(desk.run(&["apply"]).code, 0);
        for folder in ["artifacts", "cache"] {
            std::fs::remove_dir_all(desk.data(folder)).unwrap();
        }
        desk.index.sabotage(CORE_WHEEL, Sabotage::NotFound);
        request(regions);
        let said = desk.run(&["apply"]);
        assert_eq!(said.code, code, "{regions}: {said:#?}");
        let left = &desk.tables()["p3.13/us-east-1.csv"];
        let left = String::from_utf8(left.clone()).unwrap();
        assert!(left.contains("core,1.0.0,deprecated,"), "{regions}: {left}");
        let kept = &desk.tables()["p3.13/eu-west-1.csv"];
        let kept = String::from_utf8(kept.clone()).unwrap();
        assert!(kept.contains("core,1.0.0,latest,"), "{regions}: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_pushes_the_tables_and_says_so_when_it_may_not() {
    let mut world = World::start().await;
    // The server is down, and somebody does its work by hand.
    world.kill_bot();
    let request = ("layers/demo.yaml", "packages: [demo-app]\n");
    world.github.push("main", [request], "platform").await;
    let catalog = world.folder.path().join("catalog");
    for path in [".github/layersmith.yaml", request.0] {
        let path = (
            catalog.join(path),
            world.github.file_at("main", path).unwrap(),
        );
        std::fs::create_dir_all(path.0.parent().unwrap()).unwrap();
        std::fs::write(path.0, path.1).unwrap();
    }
    let reading = world.git.reading_key();
    let writing = world.git.writing_key();
    let head = world.github.branch_head("main").unwrap();

    world.options.set("LAYERSMITH_DEPLOY_KEY", reading);
    let refused = world.command(&["apply", "--push", "catalog"]);
    let text = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("published 1.1.0 to 2 regions\n"), "{text}");
    assert!(text.contains("Tables: FAILED: "), "{text}");
    assert_eq!(world.github.branch_head("main").unwrap(), head);

    world.options.set("LAYERSMITH_DEPLOY_KEY", writing);
    let pushed = world.command(&["apply", "--push", "catalog"]);
    let text = String::from_utf8(pushed.stdout).unwrap();
    assert_eq!(pushed.status.code(), Some(0), "{text}");
    let now = world.github.branch_head("main").unwrap();
    assert_ne!(now, head);
    assert!(
        text.contains(&format!("Tables: commit {now} is pushed, ")),
        "{text}"
    );
    assert!(files_below(&catalog.join("layers/arns")).is_empty());

    let again = world.command(&["apply", "--push", "catalog"]);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(
        world.github.branch_head("main").unwrap(),
        now,
        "a no-op makes no commit"
    );
    world.start_bot().await;
    world.finish().await;
}
