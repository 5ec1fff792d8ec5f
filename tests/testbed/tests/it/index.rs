//! The package index, alone and with the real `uv`.

use std::process::{Command, Output};

use layersmith_testbed::index::{PackageIndex, Sabotage, Wheel};
use layersmith_testbed::tools;
use tempfile::TempDir;

fn demo(version: &str) -> Wheel {
    Wheel::new("Demo_Package", version)
        .module("demo_package", "ANSWER = 42\n")
        .requires("other>=1")
        .requires_python(">=3.9")
        .entry_point("demo", "demo_package:main")
        .data_file("scripts", "tool.sh", "#!python\n")
}

#[tokio::test]
async fn pages_name_hashes_times_and_metadata() {
    assert_eq!(demo("1.2.0").bytes(), demo("1.2.0").bytes());
    let index = PackageIndex::start().await;
    let digest = index.publish(demo("1.2.0").upload_time("2026-05-01T00:00:00Z"));
    let client = reqwest::Client::new();
    let html = client
        .get(format!("{}/demo-package/", index.url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        html.contains(&format!(
            "demo_package-1.2.0-py3-none-any.whl#sha256={digest}"
        )),
        "{html}"
    );
    assert!(html.contains("data-requires-python=\"&gt;=3.9\""), "{html}");
    let request = client
        .get(format!("{}/demo-package/", index.url()))
        .header("accept", "application/vnd.pypi.simple.v1+json");
    let page: serde_json::Value =
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(page["files"][0]["upload-time"], "2026-05-01T00:00:00Z");
    let base = index.url().replace("/simple", "");
    let file = format!("{base}{}", page["files"][0]["url"].as_str().unwrap());
    let metadata = client
        .get(format!("{file}.metadata"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metadata.contains("Requires-Dist: other>=1\n"), "{metadata}");
    assert_eq!(
        client
            .get(&file)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        demo("1.2.0").bytes()
    );
    assert_eq!(index.downloads(), 1);
    index.sabotage("demo_package-1.2.0-py3-none-any.whl", Sabotage::Truncated);
    client
        .get(&file)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap_err();
    index.sabotage("demo_package-1.2.0-py3-none-any.whl", Sabotage::NotFound);
    assert_eq!(client.get(&file).send().await.unwrap().status(), 404);
}

#[test]
fn names_no_installer_takes_are_written_as_asked() {
    let bytes = Wheel::new("evil", "1")
        .file("../evil.py", "x")
        .symlink("evil/link", "/etc/passwd")
        .bytes();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(archive.by_index(0).unwrap().name().unwrap(), "../evil.py");
    assert!(archive.by_index(1).unwrap().is_symlink());
}

async fn compile(index: &PackageIndex, requirement: &str, more: &[&str]) -> Output {
    let uv = tools::uv().unwrap_or_else(|missing| panic!("{missing}"));
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("in.txt"), requirement).unwrap();
    let mut command = Command::new(uv);
    command.current_dir(folder.path()).args([
        "pip",
        "compile",
        "--quiet",
        "--no-config",
        "--no-cache",
        "--no-header",
        "--no-annotate",
    ]);
    command.args([
        "--generate-hashes",
        "--python-version",
        "3.13",
        "--python-platform",
        "x86_64-manylinux_2_28",
    ]);
    command
        .args([
            "--only-binary",
            ":all:",
            "--no-python-downloads",
            "--index-url",
            &index.url(),
            "in.txt",
        ])
        .args(more);
    tokio::task::spawn_blocking(move || (command.output().unwrap(), folder).0)
        .await
        .unwrap()
}

#[tokio::test]
async fn uv_resolves_against_it_and_heeds_upload_times() {
    let index = PackageIndex::start().await;
    let digest = index.publish(demo("1.2.0"));
    index.publish(demo("2.0").upload_time("2026-11-01T00:00:00Z"));
    index.publish(
        Wheel::new("other", "1.5")
            .tag("cp313-cp313-manylinux_2_28_x86_64")
            .module("other", ""),
    );
    index.publish(
        Wheel::new("other", "3")
            .tag("cp313-cp313-manylinux_2_28_aarch64")
            .module("other", ""),
    );
    let output = compile(
        &index,
        "demo-package",
        &["--exclude-newer", "2026-10-01T00:00:00Z"],
    )
    .await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains(&format!(
            "demo-package==1.2.0 \\\n    --hash=sha256:{digest}"
        )),
        "{text}"
    );
    assert!(text.contains("other==1.5"), "{text}");
    assert_eq!(
        index.downloads(),
        0,
        "the metadata beside the wheel is enough: {:?}",
        index.requests()
    );
    let output = compile(&index, "demo-package", &[]).await;
    assert!(String::from_utf8_lossy(&output.stdout).contains("demo-package==2.0"));
    let output = compile(&index, "demo-package>3", &[]).await;
    assert!(!output.status.success());
}
