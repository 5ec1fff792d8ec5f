//! Source distributions with honest, broken and hostile builds.

use super::{Sandbox, both, interpreter};
use crate::build::sandbox::source_build::build_wheel_within;
use crate::build::sandbox::{
    BuildSystem, BuiltWheel, SourceBuildError, SourceDistribution, build_system,
};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A backend of PEP 517 that needs nothing but the standard library; `EXTRA` runs in its hook.
const BACKEND: &str = r#"
import os, zipfile
def build_wheel(folder, settings=None, metadata=None):
    EXTRA
    name = "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for member, text in [("demo.py", "x = 1\n"), ("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")]:
            wheel.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), text)
    return name
"#;
const PYPROJECT: &str =
    "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";

struct Bench {
    folder: TempDir,
    sdist: PathBuf,
}

impl Bench {
    /// A `.tar.gz` with these files in its one folder, made by the interpreter's own `tarfile`.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["demo-1.0", "wheels", "output"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        for (name, text) in files {
            std::fs::write(folder.path().join("demo-1.0").join(name), text).unwrap();
        }
        let sdist = folder.path().join("demo-1.0.tar.gz");
        let script =
            "import sys, tarfile; tarfile.open(sys.argv[1], 'w:gz').add(sys.argv[2], 'demo-1.0')";
        let status = std::process::Command::new(interpreter().path)
            .args(["-I", "-c", script])
            .arg(&sdist)
            .arg(folder.path().join("demo-1.0"))
            .status()
            .unwrap();
        assert!(status.success());
        Self { folder, sdist }
    }

    fn with_backend(extra: &str) -> Self {
        Self::new(&[
            ("pyproject.toml", PYPROJECT),
            ("backend.py", &BACKEND.replace("EXTRA", extra)),
        ])
    }

    fn source(&self) -> SourceDistribution<'_> {
        SourceDistribution {
            package: "demo",
            version: "1.0",
            path: &self.sdist,
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// What is said of the source, however it is isolated.
    async fn system(&self) -> Result<BuildSystem, SourceBuildError> {
        let [isolated, confined] = both().await;
        let first = build_system(&isolated, &interpreter(), self.source()).await;
        let second = build_system(&confined, &interpreter(), self.source()).await;
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        first
    }

    /// What comes of the build, however it is isolated.
    async fn build_within(&self, limit: Duration) -> Result<BuiltWheel, SourceBuildError> {
        let [isolated, confined] = both().await;
        let second = self.build_in(&confined, limit).await;
        if let Ok(built) = &second {
            std::fs::remove_file(&built.path).unwrap();
        }
        let first = self.build_in(&isolated, limit).await;
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        first
    }

    async fn build_in(
        &self,
        sandbox: &Sandbox,
        limit: Duration,
    ) -> Result<BuiltWheel, SourceBuildError> {
        let system = build_system(sandbox, &interpreter(), self.source()).await?;
        build_wheel_within(
            sandbox,
            &interpreter(),
            &uv(),
            self.source(),
            &system,
            &self.folder.path().join("wheels"),
            &self.output(),
            limit,
        )
        .await
    }

    async fn build(&self) -> Result<BuiltWheel, SourceBuildError> {
        self.build_within(Duration::from_secs(120)).await
    }
}

fn uv() -> PathBuf {
    std::env::var_os("LAYERSMITH_TEST_UV")
        .map_or_else(|| Path::new("/usr/bin/uv").to_owned(), PathBuf::from)
}

/// The reason and the last words of a build that failed.
fn failure(result: Result<BuiltWheel, SourceBuildError>) -> (String, String) {
    match result {
        Err(SourceBuildError::Failed { reason, words, .. }) => (reason, words),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_source_becomes_a_wheel_the_same_bytes_each_time() {
    let bench = Bench::with_backend("print('building', file=__import__('sys').stdout)");
    let first = bench.build().await.unwrap();
    assert_eq!(first.filename, "demo-1.0-py3-none-any.whl");
    assert_eq!(first.path, bench.output().join(&first.filename));
    let bytes = std::fs::read(&first.path).unwrap();
    assert_eq!(bytes.len() as u64, first.size);
    assert_eq!(crate::model::Digest::of(&bytes), first.sha256);
    std::fs::remove_file(&first.path).unwrap();
    assert_eq!(bench.build().await.unwrap(), first);
    assert_eq!(std::fs::read_dir(bench.output()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_a_build_needs_is_read_and_not_run() {
    let bench = Bench::new(&[("setup.py", "raise SystemExit('run')")]);
    assert_eq!(bench.system().await.unwrap(), BuildSystem::default());
    // Nothing was given to build it with: it says what it lacks.
    let (reason, words) = failure(bench.build().await);
    assert_eq!(reason, "what its build needs could not be installed");
    assert!(words.contains("setuptools"), "{words}");
}

#[tokio::test]
async fn a_backend_may_ask_for_more() {
    let hook = "def get_requires_for_build_wheel(settings=None):\n    return ['ninja>=1.5']\n";
    let backend = format!("{}{hook}", BACKEND.replace("EXTRA", "pass"));
    let bench = Bench::new(&[("pyproject.toml", PYPROJECT), ("backend.py", &backend)]);
    match bench.build().await {
        Err(SourceBuildError::Needs { requirements, .. }) => {
            assert_eq!(requirements, ["ninja>=1.5"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_build_that_fails_shows_its_last_words() {
    let bench = Bench::with_backend("print('compiling'); raise RuntimeError('no compiler here')");
    let (reason, words) = failure(bench.build().await);
    assert_eq!(reason, "its build stopped with an error");
    assert!(
        words.contains("compiling") && words.ends_with("RuntimeError: no compiler here"),
        "{words}"
    );
    assert_eq!(std::fs::read_dir(bench.output()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_hostile_build_gets_nothing_and_reaches_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let extra = format!(
        r#"
    import socket
    got = []
    for attempt in (
        lambda: open({secret:?}).read(),
        lambda: open({outside:?} + "/x", "w"),
        lambda: open("/build/wheels/x", "w"),
        lambda: open("/build/sdist/x", "w"),
        lambda: open("/build/uv", "a"),
        lambda: socket.create_connection(("127.0.0.1", {port}), 5),
        lambda: os.environ["LAYERSMITH_TEST_UV"],
    ):
        try:
            got.append(attempt())
        except (OSError, KeyError):
            pass
    if got:
        raise RuntimeError(got)
"#,
        secret = secret.path(),
        outside = outside.path(),
        port = listener.local_addr().unwrap().port(),
    );
    let bench = Bench::with_backend(&extra);
    bench.build().await.unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_wheel_of_another_name_or_an_escape_is_refused() {
    for name in [
        "other-1.0-py3-none-any.whl",
        "demo-2.0-py3-none-any.whl",
        "demo.whl",
        "demo-1.0-py3-none-any.zip",
    ] {
        let bench = Bench::with_backend(&format!(
            "open(os.path.join(folder, {name:?}), 'w').close(); return {name:?}"
        ));
        let (reason, _) = failure(bench.build().await);
        assert!(reason.contains(name), "{reason}");
    }
    let bench = Bench::with_backend("return '../../../etc/passwd'");
    let (reason, _) = failure(bench.build().await);
    assert!(reason.contains("No such file"), "{reason}");
}

#[tokio::test]
async fn a_build_without_end_is_stopped() {
    let bench = Bench::with_backend("\n    while True: pass");
    let (reason, _) = failure(bench.build_within(Duration::from_secs(5)).await);
    assert_eq!(reason, "it was stopped after 5 seconds");
}

#[tokio::test]
async fn hostile_archives_harm_only_themselves() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("x");
    for script in [
        // A path that leads out, a link that leads out, zeros without end, no archive at all.
        format!("t.addfile(tarfile.TarInfo('../../../../../..{}'))", target.display()),
        format!("i = tarfile.TarInfo('demo-1.0'); i.type = tarfile.SYMTYPE; i.linkname = '{}'; t.addfile(i)", outside.path().display()),
        "i = tarfile.TarInfo('demo-1.0/zeros'); i.size = 300 << 20; t.addfile(i, open('/dev/zero', 'rb'))".to_owned(),
        "t.close(); open(sys.argv[1], 'w').write('words')".to_owned(),
    ] {
        let bench = Bench::with_backend("pass");
        let script = format!("import sys, tarfile; t = tarfile.open(sys.argv[1], 'w:gz', compresslevel=1); {script}; t.close()");
        let status = std::process::Command::new(interpreter().path)
            .args(["-I", "-c", &script])
            .arg(&bench.sdist)
            .status()
            .unwrap();
        assert!(status.success());
        let error = bench.system().await.unwrap_err();
        assert!(matches!(error, SourceBuildError::Failed { .. }), "{error}");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
