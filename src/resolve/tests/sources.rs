//! Source distributions are found without a line of them being run, and wheels built from them are taken.

use super::index::{Bench, listed, listed_source, requirements};
use crate::model::Digest;
use crate::resolve::{BuiltWheel, ResolveError, ResolveRequest, Resolver};

#[tokio::test]
async fn a_source_is_found_and_not_even_fetched() {
    let bench = Bench::start(vec![
        listed_source("trace-1.0"),
        listed_source("trace-2.0"),
        listed("trace-2.0-py3-none-any", &["elsewhere"]),
        listed("wheels-1.0-py3-none-any", &[]),
    ])
    .await;
    let resolver = Resolver::new(bench.settings.clone());
    let packages = requirements(&["wheels", "trace<2"]);
    let request = bench.request(&packages, "p3.13");
    let source = resolver.locate_source(&request, "trace").await.unwrap();
    assert_eq!(
        (source.name.as_str(), source.version.as_str()),
        ("trace", "1.0")
    );
    assert_eq!(source.filename, "trace-1.0.tar.gz");
    assert!(
        source.url.ends_with("/files/trace-1.0.tar.gz"),
        "{}",
        source.url
    );
    assert_eq!(source.sha256, listed_source("trace-1.0").digest());
    assert_eq!(source.size, Some(1000));
    // What was not fetched was not run.
    assert_eq!(bench.shelf.requests(), ["/simple/trace/"]);

    let any = requirements(&["wheels"]);
    let request = bench.request(&any, "p3.13");
    let source = resolver.locate_source(&request, "trace").await.unwrap();
    assert_eq!(source.version, "2.0");
    for absent in ["wheels", "nowhere"] {
        let error = resolver.locate_source(&request, absent).await.unwrap_err();
        assert!(
            matches!(error, ResolveError::NoSolution { .. }),
            "{error:?}"
        );
        assert_eq!(error.package(), Some(absent));
    }
    assert!(
        bench
            .shelf
            .requests()
            .iter()
            .all(|path| path.starts_with("/simple/"))
    );
}

/// A wheel of one module, as a build would leave it.
fn wheel(path: &std::path::Path, name: &str, requires: &str) {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let metadata =
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requires}\n\n");
    let wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    for (file, content) in [
        ("METADATA", metadata.as_str()),
        ("WHEEL", wheel),
        ("RECORD", ""),
    ] {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{name}-1.0.dist-info/{file}"), options)
            .unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

#[tokio::test]
async fn a_wheel_built_by_us_is_taken_and_named_by_its_source() {
    let bench = Bench::start(vec![
        listed_source("native-1.0"),
        listed_source("other-1.0"),
        listed("part-1.0-py3-none-any", &[]),
    ])
    .await;
    let resolver = Resolver::new(bench.settings.clone());
    let packages = requirements(&["native"]);
    let request = bench.request(&packages, "p3.13");
    let error = resolver.resolve(&request).await.unwrap_err();
    assert!(matches!(error, ResolveError::NoWheel { .. }), "{error:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept-by-digest");
    wheel(&path, "native", "part");
    wheel(
        &folder.path().join("other-1.0-py3-none-any.whl"),
        "other",
        "part",
    );
    let bytes = std::fs::read(&path).unwrap();
    let source = resolver.locate_source(&request, "native").await.unwrap();
    let built = [BuiltWheel {
        filename: "native-1.0-py3-none-any.whl",
        path: &path,
        sha256: Digest::of(&bytes),
        size: bytes.len() as u64,
        source: &source,
    }];
    let request = ResolveRequest {
        built: &built,
        ..request
    };
    let lock = resolver.resolve(&request).await.unwrap();
    let names: Vec<&str> = lock
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(names, ["native", "part"]);
    let wheel = &lock.packages[0].wheel;
    assert_eq!(wheel.sha256, Digest::of(&bytes));
    assert_eq!(wheel.size, Some(bytes.len() as u64));
    assert_eq!(
        wheel.url,
        format!("{}#built=native-1.0-py3-none-any.whl", source.url)
    );
    // What lies beside it is not considered.
    let other = requirements(&["other"]);
    let request = ResolveRequest {
        packages: &other,
        ..request
    };
    let error = resolver.resolve(&request).await.unwrap_err();
    assert!(matches!(error, ResolveError::NoWheel { .. }), "{error:?}");

    let name = [BuiltWheel {
        filename: "../native-1.0-py3-none-any.whl",
        ..built[0]
    }];
    let request = ResolveRequest {
        built: &name,
        ..request
    };
    resolver.resolve(&request).await.unwrap_err();
}
