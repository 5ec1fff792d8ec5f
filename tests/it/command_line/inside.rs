//! What a layer holds: bytecode, what is left out, and that it can be imported.

use super::Desk;
use crate::from_source::{architectures, python_here};
use layersmith_testbed::index::Wheel;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Cursor;

/// A catalog for the Python and the architecture of this machine, whose interpreters and bubblewrap are found.
async fn desk() -> Desk {
    let mut desk = Desk::new().await;
    desk.options.unset("LAYERSMITH_INTERPRETERS");
    desk.options.unset("LAYERSMITH_BWRAP");
    let [architecture, _] = architectures();
    let text = format!(
        "python: [\"{}\"]\narchitectures: [{architecture}]\nregions: [eu-west-1]\nindex_url: {}\n",
        python_here(),
        desk.index.url()
    );
    desk.write(".github/layersmith.yaml", &text);
    desk
}

/// A layer that was built.
struct Built {
    code: i32,
    artifact: Value,
    zip: Vec<u8>,
    names: BTreeSet<String>,
}

/// Builds the layer `one` of this request.
fn build(desk: &Desk, request: &str) -> Built {
    desk.write("layers/one.yaml", request);
    let (code, value) = desk.json(&["build", "one", "--output", "one.zip"]);
    let artifact = value["builds"][0]["build"]["artifact"].clone();
    assert!(artifact.is_object(), "{value:#}");
    let zip = std::fs::read(desk.path("one.zip")).unwrap();
    let archive = zip::ZipArchive::new(Cursor::new(&zip)).unwrap();
    let names = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    Built {
        code,
        artifact,
        zip,
        names,
    }
}

fn compiled(names: &BTreeSet<String>) -> Vec<String> {
    let tag = format!("cpython-{}", python_here().replace('.', ""));
    names
        .iter()
        .filter(|name| name.ends_with(".pyc"))
        .map(|name| name.replace(&tag, "TAG"))
        .collect()
}

/// A package of which importing loads two modules of three.
fn shapes() -> Wheel {
    Wheel::new("shapes", "1.0")
        .file("shapes/__init__.py", "from .used import X\n")
        .file("shapes/used.py", "X = {'a', 'b', None}\n")
        .file("shapes/unused.py", "Y = 1\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytecode_is_shipped_as_asked_and_the_same_every_time() {
    let desk = desk().await;
    desk.index.publish(shapes());
    let all = build(&desk, "packages: [shapes]\n");
    assert_eq!(all.code, 0, "{:#}", all.artifact);
    let modules = ["__init__", "unused", "used"];
    let paths = modules.map(|module| format!("python/shapes/__pycache__/{module}.TAG.pyc"));
    assert_eq!(compiled(&all.names), paths);
    let report = &all.artifact["report"];
    assert_eq!(report["bytecode"]["included"], "all");
    let compiler = report["bytecode"]["compiler"].as_str().unwrap();
    assert!(
        compiler.starts_with(&format!("CPython {}.", python_here())),
        "{compiler}"
    );
    assert_eq!(
        report["import_test"]["passed"]["modules"],
        serde_json::json!(["shapes"])
    );

    // The same again with nothing kept from before.
    std::fs::remove_dir_all(desk.data("cache")).unwrap();
    std::fs::remove_dir_all(desk.data("artifacts")).unwrap();
    let again = build(&desk, "packages: [shapes]\n");
    assert!(again.zip == all.zip, "the bytes differ");

    let none = build(&desk, "packages: [shapes]\nbytecode: false\n");
    assert_eq!(compiled(&none.names), [""; 0]);
    assert_eq!(none.artifact["report"]["bytecode"]["reason"], Value::Null);

    let some = build(&desk, "packages: [shapes]\nbytecode: imported\n");
    assert_eq!(some.code, 0, "{:#}", some.artifact);
    assert_eq!(compiled(&some.names), [&paths[0][..], &paths[2]]);
    assert_eq!(some.artifact["report"]["bytecode"]["included"], "imported");
    // One without any is a step on the way to it, and was there for somebody else.
    let kept = BTreeSet::from([all.zip, none.zip, some.zip]);
    assert!(zips(&desk) == kept, "{} zips", zips(&desk).len());
}

/// The zips that are kept.
fn zips(desk: &Desk) -> BTreeSet<Vec<u8>> {
    let files = std::fs::read_dir(desk.data("artifacts")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let zips = paths.filter(|path| path.extension().is_some_and(|it| it == "zip"));
    zips.map(|path| std::fs::read(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytecode_that_would_not_fit_is_left_out_and_said_so() {
    let desk = desk().await;
    // 249 MiB that weigh next to nothing in the zip, and modules whose bytecode takes more than the MiB that is left.
    let assignments: String = (0..30_000)
        .map(|n| format!("name_{n} = 'value {n}'\n"))
        .collect();
    desk.index.publish(
        Wheel::new("large", "1.0")
            .file("large/__init__.py", "")
            .file("large/many.py", assignments)
            .file("large/zeros.bin", vec![0; 249 * 1024 * 1024 - 700_000]),
    );
    let Built {
        code,
        artifact,
        zip,
        names,
    } = build(&desk, "packages: [large]\n");
    assert_eq!(code, 0, "{artifact:#}");
    let report = &artifact["report"]["bytecode"];
    assert_eq!(
        compiled(&names),
        ["python/large/__pycache__/__init__.TAG.pyc"]
    );
    assert_eq!(report["included"], "imported");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("would pass the limits"), "{reason}");
    assert!(artifact["unzipped_size"].as_u64().unwrap() <= 250 * 1024 * 1024);
    assert!(zips(&desk) == BTreeSet::from([zip]), "a step was left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_interpreter_there_is_no_bytecode_and_it_is_said() {
    let mut desk = desk().await;
    desk.options.set("LAYERSMITH_INTERPRETERS", "");
    desk.index.publish(shapes());
    let Built {
        code,
        artifact,
        names,
        ..
    } = build(&desk, "packages: [shapes]\n");
    assert_eq!(code, 0, "{artifact:#}");
    assert_eq!(compiled(&names), [""; 0]);
    let reason = artifact["report"]["bytecode"]["reason"].as_str().unwrap();
    assert!(reason.contains("there is no CPython 3."), "{reason}");
    let skipped = artifact["report"]["import_test"]["skipped"]["reason"]
        .as_str()
        .unwrap();
    assert!(skipped.contains("there is no CPython 3."), "{skipped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_needed_is_left_out_unless_the_package_needs_it() {
    let desk = desk().await;
    desk.index.publish(
        shapes()
            .file("shapes/tests/test_it.py", "raise SystemExit\n")
            .file("shapes/needed/__init__.py", "")
            .file("shapes/needed/tests/__init__.py", "")
            .file("shapes/include/shapes.h", "int x;\n")
            .file("shapes/used.pyi", "X: set\n")
            .file("shapes/docs/index.rst", "Shapes\n"),
    );
    desk.index.publish(
        Wheel::new("runner", "1.0")
            .file(
                "runner/__init__.py",
                "from .tests.helper import HELP\nfrom shapes.needed import (\n    tests,\n)\n",
            )
            .file(
                "runner/headers.py",
                "def text(read):\n    return read('runner/read.h')\n",
            )
            .file("runner/read.h", "int y;\n")
            .file("runner/unread.h", "int z;\n")
            .file("runner/tests/__init__.py", "")
            .file("runner/tests/helper.py", "HELP = 1\n")
            .requires("shapes")
            .requires("six"),
    );
    desk.index
        .publish(Wheel::new("six", "1.0").module("six", "X = 1\n"));
    let slim = "packages: [runner]\nbytecode: false\n";
    let Built {
        code,
        artifact,
        names,
        ..
    } = build(&desk, slim);
    assert_eq!(code, 0, "{artifact:#}");
    let has = |names: &BTreeSet<String>, path: &str| names.contains(&format!("python/{path}"));
    assert!(has(&names, "runner/tests/helper.py"), "{names:?}");
    // Another package of the layer imports them.
    assert!(has(&names, "shapes/needed/tests/__init__.py"), "{names:?}");
    assert!(has(&names, "runner/read.h"), "{names:?}");
    assert!(
        has(&names, "six.py") || has(&names, "six/__init__.py"),
        "{names:?}"
    );
    let spared = [
        "shapes/tests/test_it.py",
        "shapes/include/shapes.h",
        "runner/unread.h",
        "shapes/used.pyi",
        "shapes/docs/index.rst",
    ];
    for path in spared {
        assert!(!has(&names, path), "{path}");
    }
    let said = desk.run(&["build", "one"]).stdout;
    for kind in ["tests", "headers", "type stubs", "documentation"] {
        assert!(said.contains(kind), "{kind}: {said}");
    }

    let Built { names, .. } = build(&desk, &format!("{slim}slim: false\n"));
    for path in spared {
        assert!(has(&names, path), "{path}");
    }
    let Built {
        artifact, names, ..
    } = build(&desk, &format!("{slim}exclude_runtime: true\n"));
    assert!(!names.iter().any(|name| name.contains("six")), "{names:?}");
    assert_eq!(artifact["pins"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_without_bytecode_is_built_again_once_there_is_an_interpreter() {
    let mut desk = desk().await;
    desk.index.publish(shapes());
    desk.write("layers/one.yaml", "packages: [shapes]\n");
    let versions = |desk: &Desk| {
        let folder = format!("p{}-one", python_here().replace('.', ""));
        let regions = desk.data("registry").join("eu-west-1");
        let layers = std::fs::read_dir(regions).unwrap();
        let layer = layers
            .map(|layer| layer.unwrap().path())
            .find(|path| path.to_string_lossy().contains(&folder))
            .unwrap();
        let files = std::fs::read_dir(layer).unwrap();
        files
            .filter(|file| {
                let path = file.as_ref().unwrap().path();
                path.extension().is_some_and(|kind| kind == "zip")
            })
            .count()
    };
    let empty = desk.path("no-interpreters");
    std::fs::create_dir_all(&empty).unwrap();
    desk.options
        .set("LAYERSMITH_INTERPRETERS", empty.to_str().unwrap());
    let applied = desk.run(&["apply"]);
    assert_eq!(applied.code, 0, "{applied:#?}");
    for _ in 0..2 {
        let said = desk.run(&["upgrade"]);
        assert_eq!((said.code, versions(&desk)), (0, 1), "{said:#?}");
    }
    desk.options.unset("LAYERSMITH_INTERPRETERS");
    let upgraded = desk.run(&["upgrade"]);
    assert_eq!((upgraded.code, versions(&desk)), (0, 2), "{upgraded:#?}");
    let same = desk.run(&["upgrade"]);
    assert_eq!((same.code, versions(&desk)), (0, 2), "{same:#?}");
    // Without the interpreter again, what is live stays as it is.
    desk.options
        .set("LAYERSMITH_INTERPRETERS", empty.to_str().unwrap());
    let without = desk.run(&["upgrade"]);
    assert_eq!((without.code, versions(&desk)), (0, 2), "{without:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_imported_is_built_and_not_published() {
    let desk = desk().await;
    desk.index
        .publish(Wheel::new("broken", "1.0").module("broken", "import a_module_that_nobody_has\n"));
    desk.write("layers/one.yaml", "packages: [broken]\n");
    let built = desk.run(&["build", "one"]);
    assert_eq!(built.code, 1, "{built:#?}");
    assert!(
        built
            .stdout
            .contains("No module named 'a_module_that_nobody_has'"),
        "{built:#?}"
    );
    let applied = desk.run(&["apply"]);
    assert_ne!(applied.code, 0, "{applied:#?}");
    assert!(!desk.path("layers/arns/layers/one.md").exists());
}
