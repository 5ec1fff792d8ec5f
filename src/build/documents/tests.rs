//! The documents of small layers, held to the tools that read them.

use super::*;
use crate::build::assemble::FileOrigin;
use crate::build::metadata;
use crate::model::{BuildReport, Pin};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn package(name: &str, version: &str, url: &str) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        wheel: WheelFile {
            filename: format!("{}-{version}-py3-none-any.whl", name.replace('-', "_")),
            url: url.to_owned(),
            sha256: Digest::of(name.as_bytes()),
            size: Some(1_000),
        },
        yanked: None,
    }
}

fn file(path: &str, wheel: usize, origin: FileOrigin) -> LayerFile {
    LayerFile {
        path: path.to_owned(),
        size: 20,
        compressed_size: 10,
        digest: Digest::of(path.as_bytes()),
        is_executable: path.starts_with("bin/"),
        wheel,
        origin,
    }
}

/// Three packages: one with an expression, one with hostile texts, one that says nothing.
fn layer() -> Documented {
    let locked = vec![
        package(
            "alpha",
            "1!2.0+cpu",
            "https://user:s3cret@files.example/alpha.whl?token=s3cret#x",
        ),
        package("beta-tools", "2.0", "file:///home/builder/beta.whl"),
        package("gamma", "3.0", "not an address"),
    ];
    let described = [
        "Name: alpha\nLicense-Expression: MIT OR Apache-2.0\nLicense-File: LICENSE.txt\nLicense-File: NOT_THERE\n\
         Requires-Python: >=3.10\nRequires-Dist: Beta_Tools (>=1) ; python_version > \"3\"\nRequires-Dist: absent\n\
         Requires-Dist: alpha[extra]\nSummary: First letter\nProject-URL: Home, https://alpha.example/",
        "Name: beta-tools\nLicense-Expression: \"}], (\nClassifier: License :: OSI Approved :: BSD License\n\
         Home-page: javascript:alert(1)\nRequires-Dist: (((\nSummary: \u{1}a \"quoted\" </script>",
        "Name: gamma",
    ];
    let metadata: Vec<Metadata> = described.iter().map(|text| metadata::read(text)).collect();
    let pins = locked.iter().zip(&metadata).map(|(package, metadata)| Pin {
        name: package.name.clone(),
        version: package.version.clone(),
        license: metadata.license.clone(),
    });
    Documented {
        artifact: Artifact {
            digest: Digest::of(b"zip"),
            size: 100,
            unzipped_size: 300,
            files: 5,
            pins: pins.collect(),
            report: BuildReport::default(),
        },
        choices: Choices {
            target: "p3.13".parse().unwrap(),
            packages: vec!["alpha".to_owned(), "gamma".to_owned()],
            exclude: vec!["docs/**".to_owned()],
            slim: vec![SlimKind::Tests],
            exclude_runtime: false,
            is_staged: false,
            bytecode: Bytecode::All,
        },
        locked,
        metadata,
        files: vec![
            file("alpha-2.0.dist-info/RECORD", 0, FileOrigin::Made),
            file(
                "alpha-2.0.dist-info/licenses/LICENSE.txt",
                0,
                FileOrigin::Copied,
            ),
            file("alpha/__init__.py", 0, FileOrigin::Copied),
            file(
                "alpha/__pycache__/__init__.cpython-313.pyc",
                0,
                FileOrigin::Bytecode,
            ),
            file("bin/beta", 1, FileOrigin::Stripped),
        ],
    }
}

fn text(layer: &Documented, document: Document) -> String {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = ArtifactDirectory::new(folder.path().join("artifacts"));
    let documents = write(&artifacts, layer).unwrap();
    let names = std::fs::read_dir(folder.path().join("artifacts")).unwrap();
    assert_eq!(names.count(), 4, "only the documents are left");
    std::fs::read_to_string(artifacts.document_path(&documents, document)).unwrap()
}

/// A program of the test tools' virtual environment, which `.ci/tools` fills.
fn python() -> std::path::PathBuf {
    let tools = std::env::var_os("LAYERSMITH_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
        Into::into,
    );
    let python = tools.join("venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `make test` or `.ci/tools`, or say in LAYERSMITH_TEST_TOOLS where it is",
        python.display()
    );
    python
}

/// What a Python program prints of a document that it gets on standard input.
fn told_by_python(program: &str, input: &str) -> String {
    let mut child = Command::new(python())
        .args(["-I", "-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What CycloneDX' own JSON schema finds wrong with each SBOM; nothing when it is right.
fn schema_errors(sboms: &[String]) -> Vec<String> {
    let errors = told_by_python(
        "import json, sys\n\
         from cyclonedx.schema import SchemaVersion\n\
         from cyclonedx.validation.json import JsonStrictValidator\n\
         validator = JsonStrictValidator(SchemaVersion.V1_6)\n\
         errors = [validator.validate_str(sbom) for sbom in json.load(sys.stdin)]\n\
         print(json.dumps(['' if error is None else repr(error) for error in errors]))",
        &serde_json::to_string(sboms).unwrap(),
    );
    serde_json::from_str(&errors).unwrap()
}

#[test]
fn the_sbom_follows_the_schema_of_cyclonedx() {
    let mut sboms = vec![text(&layer(), Document::Sbom)];
    for (right, wrong) in [
        ("\"type\":\"library\"", "\"type\":\"lib\""),
        ("urn:uuid:", "uuid:"),
        ("\"alg\":\"SHA-256\"", "\"alg\":\"SHA256\""),
        ("\"expression\":", "\"expressions\":"),
    ] {
        let broken = sboms[0].replace(right, wrong);
        assert_ne!(broken, sboms[0], "{right} is not there");
        sboms.push(broken);
    }
    let errors = schema_errors(&sboms);
    assert_eq!(errors[0], "");
    assert_eq!(errors.len(), sboms.len());
    assert!(
        errors[1..].iter().all(|error| !error.is_empty()),
        "{errors:?}"
    );
}

#[test]
fn the_sbom_says_what_the_packages_say() {
    let sbom: serde_json::Value = serde_json::from_str(&text(&layer(), Document::Sbom)).unwrap();
    let at = |pointer: &str| sbom.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/components/0/purl"), "pkg:pypi/alpha@1%212.0%2Bcpu");
    assert_eq!(
        at("/components/0/licenses/0/expression"),
        "MIT OR Apache-2.0"
    );
    assert_eq!(
        at("/components/0/externalReferences/0/url"),
        "https://files.example/alpha.whl"
    );
    // What is no SPDX expression is a name, and what is no address on the web is left out.
    assert_eq!(at("/components/1/licenses/0/license/name"), "\"}], (");
    assert!(at("/components/1/externalReferences").is_null());
    assert!(at("/components/2/licenses").is_null());
    let needs = |index: usize| at(&format!("/dependencies/{index}/dependsOn"));
    assert_eq!(
        needs(0),
        serde_json::json!(["pkg:pypi/alpha@1%212.0%2Bcpu", "pkg:pypi/gamma@3.0"])
    );
    assert_eq!(needs(1), serde_json::json!(["pkg:pypi/beta-tools@2.0"]));
    assert_eq!(needs(2), serde_json::json!([]));
}

#[test]
fn pip_reads_the_requirements_with_their_hashes() {
    let requirements = text(&layer(), Document::Requirements);
    let read = told_by_python(
        "import sys, tempfile\n\
         from pip._internal.network.session import PipSession\n\
         from pip._internal.req.constructors import install_req_from_parsed_requirement\n\
         from pip._internal.req.req_file import parse_requirements\n\
         with tempfile.NamedTemporaryFile('w', suffix='.txt') as file:\n    \
             file.write(sys.stdin.read())\n    \
             file.flush()\n    \
             for line in parse_requirements(file.name, session=PipSession()):\n        \
                 read = install_req_from_parsed_requirement(line)\n        \
                 print(read.name, read.specifier, read.hash_options['sha256'][0][:8], read.is_pinned)",
        &requirements,
    );
    let first: Vec<String> = layer()
        .locked
        .iter()
        .map(|package| package.wheel.sha256.short()[..8].to_owned())
        .collect();
    assert_eq!(
        read.lines().collect::<Vec<_>>(),
        [
            format!("alpha ==1!2.0+cpu {} True", first[0]),
            format!("beta-tools ==2.0 {} True", first[1]),
            format!("gamma ==3.0 {} True", first[2]),
        ]
    );
}

#[test]
fn a_wheel_built_from_source_is_not_said_to_be_on_the_index() {
    let mut layer = layer();
    let wheel = &mut layer.locked[2].wheel;
    wheel.url = format!(
        "https://u:p@files.example/gamma-3.0.tar.gz#built={}",
        wheel.filename
    );
    let json =
        |document| -> serde_json::Value { serde_json::from_str(&text(&layer, document)).unwrap() };
    let source = "https://files.example/gamma-3.0.tar.gz";
    assert_eq!(
        json(Document::Sbom)["components"][2]["externalReferences"],
        serde_json::json!([{ "type": "source-distribution", "url": source }])
    );
    let package = &json(Document::Manifest)["packages"][2];
    assert!(package["url"].is_null());
    assert_eq!(package["built_from"], source);
    let last = text(&layer, Document::Requirements);
    let last = last.lines().last().unwrap();
    assert!(
        last.ends_with("  # built from source: the index has no such wheel"),
        "{last}"
    );
}

#[test]
fn licences_are_told_and_unknown_ones_are_called_so() {
    let document: serde_json::Value =
        serde_json::from_str(&text(&layer(), Document::Licenses)).unwrap();
    assert_eq!(
        document["licenses"],
        serde_json::json!({ "MIT OR Apache-2.0": ["alpha"], "\"}], (": ["beta-tools"], "unknown": ["gamma"] })
    );
    let alpha = &document["packages"][0];
    assert_eq!(
        alpha["files"],
        serde_json::json!(["alpha-2.0.dist-info/licenses/LICENSE.txt"])
    );
    assert_eq!(
        document["packages"][1]["classifiers"][0],
        "License :: OSI Approved :: BSD License"
    );
    assert!(document["packages"][2]["license"].is_null());
}

#[test]
fn the_manifest_names_every_file_and_no_secret() {
    let layer = layer();
    let manifest = text(&layer, Document::Manifest);
    assert!(!manifest.contains("s3cret") && !manifest.contains("/home/"));
    // A line for each file, so that two manifests can be compared line by line.
    assert!(manifest.lines().any(|line| line
        == format!(
            "{{\"path\":\"bin/beta\",\"size\":20,\"compressed_size\":10,\"sha256\":\"{}\",\"executable\":true,\"package\":\"beta-tools\",\"origin\":\"stripped\"}}",
            Digest::of(b"bin/beta")
        )));
    let read: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(read["files"].as_array().unwrap().len(), layer.files.len());
    assert_eq!(read["layer"]["sha256"], layer.artifact.digest.to_string());
    assert_eq!(
        read["packages"][0]["url"],
        "https://files.example/alpha.whl"
    );
    assert_eq!(read["builder"]["exclude"][0], "docs/**");
    assert_eq!(read["target"], "p3.13");
}

#[test]
fn documents_are_the_same_every_time_and_replace_damaged_ones() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = ArtifactDirectory::new(folder.path().to_owned());
    let layer = layer();
    let documents = write(&artifacts, &layer).unwrap();
    let paths = Document::ALL.map(|document| artifacts.document_path(&documents, document));
    let read = || paths.each_ref().map(|path| std::fs::read(path).unwrap());
    let first = read();
    assert!(documents.is_whole(&artifacts).unwrap());
    for path in &paths {
        std::fs::write(path, "damaged").unwrap();
        assert!(!documents.is_whole(&artifacts).unwrap());
        std::fs::remove_file(path).unwrap();
        assert!(!documents.is_whole(&artifacts).unwrap());
        assert_eq!(write(&artifacts, &layer).unwrap(), documents);
        assert!(documents.is_whole(&artifacts).unwrap());
    }
    assert_eq!(read(), first);
}

#[test]
fn builds_of_one_zip_that_differ_have_documents_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = ArtifactDirectory::new(folder.path().to_owned());
    let one = layer();
    let mut for_arm = layer();
    for_arm.choices.target = "p3.13-arm64".parse().unwrap();
    let mut all_asked_for = layer();
    all_asked_for.choices.packages.push("beta-tools".to_owned());
    let layers = [one, for_arm, all_asked_for];
    let sets = layers
        .each_ref()
        .map(|layer| write(&artifacts, layer).unwrap());
    let read =
        |set, document| std::fs::read_to_string(artifacts.document_path(set, document)).unwrap();
    let sboms = sets.each_ref().map(|set| -> serde_json::Value {
        serde_json::from_str(&read(set, Document::Sbom)).unwrap()
    });
    let said = sboms.each_ref().map(|sbom| {
        let properties = &sbom["metadata"]["component"]["properties"];
        let asked = sbom["dependencies"][0]["dependsOn"].as_array().unwrap();
        (properties[2]["value"].as_str().unwrap(), asked.len())
    });
    assert_eq!(said, [("x86_64", 2), ("arm64", 2), ("x86_64", 3)]);
    // CycloneDX 1.6: every document has a serial number of its own.
    let serials: std::collections::BTreeSet<&str> = sboms
        .iter()
        .map(|sbom| sbom["serialNumber"].as_str().unwrap())
        .collect();
    assert_eq!(serials.len(), 3);
    let names = sets.each_ref().map(|set| set.file_name(Document::Sbom));
    let digest = layers[0].artifact.digest;
    assert!(
        names[0].starts_with(&format!("{digest}.p3.13.")),
        "{names:?}"
    );
    assert!(
        names[1].starts_with(&format!("{digest}.p3.13-arm64.")),
        "{names:?}"
    );
    for layer in &layers {
        let artifact = layer.artifact.digest;
        assert!(
            names
                .iter()
                .all(|name| name.split('.').next() == Some(&*artifact.to_string()))
        );
    }
}
