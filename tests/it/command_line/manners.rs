//! What scripts and terminals rely on: JSON alone on standard output, exit codes, hints, no colours.

use super::Desk;
use std::io::Read as _;
use std::process::Stdio;

/// What `apply` answers with, whether there was something to do or not.
const APPLIED: &[&str] = &[
    "failures",
    "not_rebuilt",
    "outcomes",
    "parameters",
    "problems",
    "retired",
    "shared",
    "tables",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_all_there_is_on_standard_output() {
    let mut desk = Desk::new().await;
    desk.options.set("LAYERSMITH_LOG", "debug");
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    for (arguments, keys) in [
        (&["check"][..], &["files", "layers", "problems"][..]),
        (&["plan"], &["plan", "problems"]),
        (&["build", "demo"], &["builds"]),
        (&["apply"], APPLIED),
        (&["apply"], APPLIED),
        (&["tables"], &["problems", "tables"]),
        (&["doctor"], &["findings"]),
    ] {
        let (code, value) = desk.json(arguments);
        assert_eq!(code, 0, "{arguments:?}");
        let mut found: Vec<&String> = value.as_object().unwrap().keys().collect();
        found.sort();
        assert_eq!(found, keys, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_with_json_is_json_on_standard_error() {
    let desk = Desk::new().await;
    let said = desk.run(&["--json", "plan", "missing"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    let value: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert!(
        value["error"].as_str().unwrap().contains("missing"),
        "{value}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_is_told_with_a_hint() {
    let desk = Desk::new().await;
    let mut said = String::new();
    for arguments in [
        &[][..],
        &["chek"],
        &["plan", "--jsn"],
        &["plan", "a", "b"],
        &["build"],
        &["replay", "x.json"],
        &["--registry", "s3", "plan"],
        &["--repository", "octo", "plan"],
        &["--log", "a=b=c", "plan"],
        &["serve", "--listen", "8080"],
    ] {
        let answer = desk.run(arguments);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        let hint = answer.stderr.split("\n\nUsage").next().unwrap().trim_end();
        let typed: Vec<&str> = ["$ layersmith"].iter().chain(arguments).copied().collect();
        said.push_str(&format!("{}\n{hint}\n\n", typed.join(" ")));
    }
    insta::assert_snapshot!(said, @r#"
    $ layersmith
    error: 'layersmith' requires a subcommand but one was not provided
      [subcommands: check, plan, build, apply, upgrade, expire, verify, status, serve, tables, store, doctor, replay, confine, redeliver, setup, help]

    $ layersmith chek
    error: unrecognized subcommand 'chek'

      tip: a similar subcommand exists: 'check'

    $ layersmith plan --jsn
    error: unexpected argument '--jsn' found

      tip: a similar argument exists: '--json'

    $ layersmith plan a b
    error: unexpected argument 'b' found

    $ layersmith build
    error: the following required arguments were not provided:
      <NAME>

    $ layersmith replay x.json
    error: the following required arguments were not provided:
      --event <EVENT>

    $ layersmith --registry s3 plan
    error: invalid value 's3' for '--registry <REGISTRY>': `s3` is not a registry: write `dir:PATH` or `aws`

    For more information, try '--help'.

    $ layersmith --repository octo plan
    error: invalid value 'octo' for '--repository <OWNER/NAME>': `octo` is not a repository: write it as owner/name

    For more information, try '--help'.

    $ layersmith --log a=b=c plan
    error: --log: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5

    $ layersmith serve --listen 8080
    error: invalid value '8080' for '--listen <ADDRESS>': invalid socket address syntax

    For more information, try '--help'.
    "#);
    for arguments in [
        &["--help"][..],
        &["help", "apply"],
        &["--version"],
        &["apply", "-h"],
    ] {
        let answer = desk.run(arguments);
        assert_eq!(
            (answer.code, answer.stderr.as_str()),
            (0, ""),
            "{arguments:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_not_in_the_help() {
    let mut desk = Desk::new().await;
    desk.options.set("LAYERSMITH_WEBHOOK_SECRET", "hush-hush");
    desk.options.set("LAYERSMITH_GITHUB_TOKEN", "hush-hush");
    let said = desk.run(&["--help"]);
    assert!(
        said.stdout.contains("LAYERSMITH_WEBHOOK_SECRET"),
        "{said:#?}"
    );
    assert!(!said.stdout.contains("hush"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    for arguments in [&["plan"][..], &["--json", "plan"], &["--help"]] {
        let mut process = desk
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The reading end is gone before anything is written.
        drop(process.stdout.take());
        let mut errors = String::new();
        process
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        let status = process.wait().unwrap();
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
        assert_eq!(status.code(), Some(0), "{arguments:?}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_terminal_gets_plain_lines() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let mut command = desk.command(&["apply"]);
    command.env("TERM", "xterm-256color").env("CLICOLOR", "1");
    let said = desk.said(command.output().unwrap());
    for text in [&said.stdout, &said.stderr] {
        assert!(!text.contains(['\u{1b}', '\r']), "{said:#?}");
    }
    assert_eq!(
        said.stderr,
        "Building 1/1 demo p3.13\nPublishing 1/1 demo p3.13\n"
    );
}
