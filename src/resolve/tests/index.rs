//! A package index of the simple API (PEP 503, PEP 691) with metadata beside the wheels (PEP 658), and a resolver that uses it.

use crate::model::{Digest, Location, Lock, Requirement};
use crate::resolve::{ResolveError, ResolveRequest, Resolver, ResolverSettings};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One wheel on the index.
pub(super) struct Listed {
    filename: String,
    requires: Vec<String>,
    uploaded: String,
    yanked: Option<String>,
}

/// A source distribution `{name}-{version}.tar.gz`.
pub(super) fn listed_source(release: &str) -> Listed {
    Listed {
        filename: format!("{release}.tar.gz"),
        ..listed(release, &[])
    }
}

/// A wheel whose authors withdrew it.
pub(super) fn listed_yanked(wheel: &str, reason: &str) -> Listed {
    Listed {
        yanked: Some(reason.to_owned()),
        ..listed(wheel, &[])
    }
}

/// A wheel `{name}-{version}-{tags}.whl` that requires these.
pub(super) fn listed(wheel: &str, requires: &[&str]) -> Listed {
    listed_at(wheel, requires, "2024-01-01T00:00:00Z")
}

pub(super) fn listed_at(wheel: &str, requires: &[&str], uploaded: &str) -> Listed {
    Listed {
        filename: format!("{wheel}.whl"),
        requires: requires.iter().map(|text| (*text).to_owned()).collect(),
        uploaded: uploaded.to_owned(),
        yanked: None,
    }
}

impl Listed {
    fn name(&self) -> String {
        let name = self.filename.split('-').next().unwrap_or_default();
        crate::model::normalize_package_name(name)
    }

    fn is_wheel(&self) -> bool {
        self.filename.ends_with(".whl")
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.filename.as_bytes())
    }

    fn metadata(&self) -> String {
        let mut parts = self.filename.split('-');
        let (name, version) = (parts.next().unwrap(), parts.next().unwrap());
        let requires: String = self
            .requires
            .iter()
            .map(|requirement| format!("Requires-Dist: {requirement}\n"))
            .collect();
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}\n")
    }
}

/// What is on an index, by package, and the paths that were asked for.
#[derive(Default)]
pub(super) struct Shelf {
    files: Mutex<BTreeMap<String, Vec<Listed>>>,
    requests: Mutex<Vec<String>>,
}

impl Shelf {
    pub(super) fn add(&self, file: Listed) {
        let mut files = self.files.lock().unwrap();
        files.entry(file.name()).or_default().push(file);
    }

    /// The paths asked for so far, each as often as it was.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn note(&self, path: String) {
        self.requests.lock().unwrap().push(path);
    }
}

type Index = Arc<Shelf>;

async fn project(State(index): State<Index>, Path(name): Path<String>) -> Response {
    index.note(format!("/simple/{name}/"));
    let files = index.files.lock().unwrap();
    let Some(wheels) = files.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let files: Vec<serde_json::Value> = wheels
        .iter()
        .map(|wheel| {
            serde_json::json!({
                "filename": wheel.filename,
                "url": format!("/files/{}", wheel.filename),
                "hashes": {"sha256": wheel.digest().to_string()},
                "core-metadata": wheel.is_wheel(),
                "yanked": wheel.yanked.as_ref().map_or(serde_json::json!(false), |reason| reason.clone().into()),
                "upload-time": wheel.uploaded,
                "size": 1000,
            })
        })
        .collect();
    let page = serde_json::json!({"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": files});
    let kind = "application/vnd.pypi.simple.v1+json";
    ([(header::CONTENT_TYPE, kind)], page.to_string()).into_response()
}

async fn metadata(State(index): State<Index>, Path(file): Path<String>) -> Response {
    index.note(format!("/files/{file}"));
    let name = file.strip_suffix(".metadata");
    let files = index.files.lock().unwrap();
    let wheel = files
        .values()
        .flatten()
        .find(|wheel| Some(wheel.filename.as_str()) == name);
    match wheel {
        Some(wheel) => wheel.metadata().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Serves a router on a free port; gives its address.
pub(super) async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address.to_string()
}

/// An index and a resolver with a cache of its own.
pub(super) struct Bench {
    pub(super) index_url: String,
    pub(super) settings: ResolverSettings,
    /// What is on the index, when it is one of these.
    pub(super) shelf: Arc<Shelf>,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn start(wheels: Vec<Listed>) -> Self {
        let shelf = Index::default();
        wheels.into_iter().for_each(|file| shelf.add(file));
        let app = Router::new()
            .route("/simple/{name}/", get(project))
            .route("/files/{file}", get(metadata))
            .with_state(Arc::clone(&shelf));
        Self {
            shelf,
            ..Self::with_index(&format!("http://{}/simple", serve(app).await))
        }
    }

    pub(super) fn with_index(index_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = ResolverSettings {
            uv: Some(uv()),
            search_path: std::env::var_os("PATH"),
            environment: vec![
                ("HOME".into(), folder.path().into()),
                ("UV_HTTP_RETRIES".into(), "0".into()),
                ("NO_PROXY".into(), "127.0.0.1".into()),
            ],
            cache_dir: folder.path().join("cache"),
            time_limit: Duration::from_secs(60),
            python: None,
            max_age: Duration::ZERO,
            cache_limit: u64::MAX,
        };
        Self {
            index_url: index_url.to_owned(),
            settings,
            shelf: Arc::default(),
            _folder: folder,
        }
    }

    pub(super) async fn resolve(
        &self,
        packages: &[&str],
        target: &str,
    ) -> Result<Lock, ResolveError> {
        self.resolve_cooled(packages, target, NOW, 0).await
    }

    /// Without the releases of the last days before a moment.
    pub(super) async fn resolve_cooled(
        &self,
        packages: &[&str],
        target: &str,
        now: &str,
        cooldown_days: u32,
    ) -> Result<Lock, ResolveError> {
        let packages = requirements(packages);
        let request = ResolveRequest {
            now: now.parse().unwrap(),
            cooldown_days,
            ..self.request(&packages, target)
        };
        Resolver::new(self.settings.clone()).resolve(&request).await
    }

    pub(super) fn request<'a>(
        &'a self,
        packages: &'a [Requirement],
        target: &str,
    ) -> ResolveRequest<'a> {
        ResolveRequest {
            packages,
            target: target.parse().unwrap(),
            other_targets: &[],
            index_url: Some(&self.index_url),
            now: NOW.parse().unwrap(),
            cooldown_days: 0,
            built: &[],
            allow_build: &[],
            time_limit: Duration::from_secs(60),
        }
    }
}

/// Long after everything on the index.
pub(super) const NOW: &str = "2026-01-01T00:00:00Z";

pub(super) fn requirements(texts: &[&str]) -> Vec<Requirement> {
    texts.iter().map(|text| requirement(text)).collect()
}

pub(super) fn requirement(text: &str) -> Requirement {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(text.len());
    Requirement {
        text: text.to_owned(),
        name: crate::model::normalize_package_name(&text[..end]),
        location: Location::START,
    }
}

/// The uv of the tests: named by the environment, installed by `make test`, or on the search path.
fn uv() -> PathBuf {
    let installed = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/uv");
    let on_path = || {
        let path: OsString = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join("uv"))
            .find(|file| file.is_file())
    };
    std::env::var_os("LAYERSMITH_TEST_UV")
        .map(PathBuf::from)
        .or_else(|| Some(installed()).filter(|path| path.is_file()))
        .or_else(on_path)
        .expect("uv is needed: `make test` installs it, or set LAYERSMITH_TEST_UV to its path")
}
