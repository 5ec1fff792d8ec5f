//! A package index with wheels and source distributions made in code.
//!
//! Pages as HTML (PEP 503) and JSON (PEP 691, with sizes and upload times of PEP 700), metadata beside each wheel (PEP 658),
//! and sabotage for what can go wrong on the way.

mod source;
mod wheel;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::get;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::relay::serve;

pub use source::SourceDistribution;
pub use wheel::Wheel;

const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// What goes wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The page names a hash that is not the file's.
    WrongHash,
    /// The connection breaks after half of the file.
    Truncated,
    /// The file is listed, but 404.
    NotFound,
    /// The file is asked for and nothing comes, ever.
    Hang,
    /// 503 for this file.
    Unavailable,
    /// Bytes that are no archive, with their right hash.
    Garbage,
}

/// A running index. It stops when dropped.
pub struct PackageIndex {
    url: String,
    shared: Arc<Mutex<Shelf>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shelf {
    /// Project → filename → file.
    projects: BTreeMap<String, BTreeMap<String, File>>,
    requests: Vec<String>,
}

#[derive(Clone)]
struct File {
    content: Bytes,
    /// Of a wheel.
    metadata: Option<Bytes>,
    requires_python: Option<String>,
    upload_time: String,
    yanked: Option<String>,
    sabotage: Option<Sabotage>,
}

type Shared = Arc<Mutex<Shelf>>;

impl PackageIndex {
    /// Starts an empty index on a free port.
    pub async fn start() -> Self {
        let shared = Shared::default();
        let app = Router::new()
            .route("/simple/", get(list))
            .route("/simple/{project}/", get(project))
            .route("/files/{filename}", get(file))
            .fallback(nothing)
            .with_state(Arc::clone(&shared));
        let (url, server) = serve(app).await;
        Self {
            url,
            shared,
            server,
        }
    }

    /// What `--index-url` takes.
    pub fn url(&self) -> String {
        format!("{}/simple", self.url)
    }

    /// Adds a wheel (or replaces the one of the same filename); answers its SHA-256 in hexadecimal.
    pub fn publish(&self, wheel: Wheel) -> String {
        let (project, filename) = (wheel.normalized_name(), wheel.filename());
        let file = File {
            content: Bytes::from(wheel.bytes()),
            metadata: Some(Bytes::from(wheel.metadata())),
            requires_python: wheel.requires_python,
            upload_time: wheel.upload_time,
            yanked: wheel.yanked,
            sabotage: None,
        };
        self.add(project, filename, file)
    }

    /// Adds a source distribution (or replaces the one of the same filename); answers its SHA-256 in hexadecimal.
    pub fn publish_source(&self, source: &SourceDistribution) -> String {
        let file = File {
            content: Bytes::from(source.bytes()),
            metadata: None,
            requires_python: None,
            upload_time: wheel::LONG_AGO.to_owned(),
            yanked: None,
            sabotage: None,
        };
        self.add(source.normalized_name(), source.filename(), file)
    }

    fn add(&self, project: String, filename: String, file: File) -> String {
        let digest = hex(&sha256(&file.content));
        self.shelf(|shelf| {
            let files = shelf.projects.entry(project).or_default();
            files.insert(filename, file)
        });
        digest
    }

    /// Spoils a file that was published, by its filename.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn sabotage(&self, filename: &str, sabotage: Sabotage) {
        self.shelf(|shelf| {
            let found = shelf
                .projects
                .values_mut()
                .find_map(|files| files.get_mut(filename));
            let file = found.unwrap_or_else(|| panic!("the index has no file {filename}"));
            if sabotage == Sabotage::Garbage {
                file.content = Bytes::from_static(b"this is no archive");
            }
            file.sabotage = Some(sabotage);
        });
    }

    /// The SHA-256 of a file, in hexadecimal.
    pub fn digest(&self, filename: &str) -> Option<String> {
        self.shelf(|shelf| {
            shelf
                .projects
                .values()
                .find_map(|files| files.get(filename))
                .map(|file| hex(&sha256(&file.content)))
        })
    }

    /// The paths asked for so far, oldest first.
    pub fn requests(&self) -> Vec<String> {
        self.shelf(|shelf| shelf.requests.clone())
    }

    /// How many files (not pages or metadata) were asked for.
    pub fn downloads(&self) -> usize {
        self.requests()
            .iter()
            .filter(|path| path.ends_with(".whl"))
            .count()
    }

    fn shelf<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        work(&mut self.shared.lock().expect("no holder panics"))
    }
}

impl Drop for PackageIndex {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn nothing(State(shared): State<Shared>, uri: Uri) -> StatusCode {
    note(&shared, &uri);
    StatusCode::NOT_FOUND
}

async fn list(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    note(&shared, &uri);
    let shelf = shared.lock().expect("no holder panics");
    let names: Vec<&String> = shelf.projects.keys().collect();
    if wants_json(&headers) {
        let projects: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        return page(
            JSON,
            json!({"meta": {"api-version": "1.1"}, "projects": projects}).to_string(),
        );
    }
    let links: String = names
        .iter()
        .map(|name| format!("<a href=\"/simple/{name}/\">{name}</a><br>\n"))
        .collect();
    page(
        "text/html",
        format!("<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n"),
    )
}

async fn project(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    note(&shared, &uri);
    let shelf = shared.lock().expect("no holder panics");
    let Some(files) = shelf.projects.get(&wheel::normalized(&name)) else {
        return empty(StatusCode::NOT_FOUND);
    };
    if wants_json(&headers) {
        let listed: Vec<Value> = files
            .iter()
            .map(|(filename, file)| described(filename, file))
            .collect();
        let versions: std::collections::BTreeSet<&str> = files
            .keys()
            .filter_map(|filename| filename.trim_end_matches(".zip").split('-').nth(1))
            .collect();
        return page(JSON, json!({"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": listed}).to_string());
    }
    let links: String = files
        .iter()
        .map(|(filename, file)| link(filename, file))
        .collect();
    page(
        "text/html",
        format!("<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n"),
    )
}

async fn file(State(shared): State<Shared>, Path(filename): Path<String>, uri: Uri) -> Response {
    note(&shared, &uri);
    let wanted = filename.strip_suffix(".metadata").unwrap_or(&filename);
    let found = shared
        .lock()
        .expect("no holder panics")
        .projects
        .values()
        .find_map(|files| files.get(wanted))
        .cloned();
    let Some(file) = found else {
        return empty(StatusCode::NOT_FOUND);
    };
    if wanted != filename {
        return match file.metadata {
            Some(metadata) => page("application/octet-stream", metadata),
            None => empty(StatusCode::NOT_FOUND),
        };
    }
    match file.sabotage {
        Some(Sabotage::NotFound) => empty(StatusCode::NOT_FOUND),
        Some(Sabotage::Unavailable) => empty(StatusCode::SERVICE_UNAVAILABLE),
        Some(Sabotage::Hang) => std::future::pending().await,
        Some(Sabotage::Truncated) => {
            let half = file.content.slice(..file.content.len() / 2);
            // The pause lets the first half out before the connection breaks.
            let pieces = stream::once(async { Ok(half) }).chain(stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(std::io::Error::other("cut on purpose"))
            }));
            let head = Response::builder().header(header::CONTENT_LENGTH, file.content.len());
            head.body(Body::from_stream(pieces))
                .expect("the headers are valid")
        }
        Some(Sabotage::WrongHash | Sabotage::Garbage) | None => {
            page("application/octet-stream", file.content)
        }
    }
}

fn described(filename: &str, file: &File) -> Value {
    let metadata = file.metadata.as_ref().map_or(
        json!(false),
        |metadata| json!({"sha256": hex(&sha256(metadata))}),
    );
    json!({
        "filename": filename, "url": format!("/files/{filename}"), "hashes": {"sha256": file.stated_digest()},
        "requires-python": file.requires_python, "size": file.content.len(), "upload-time": file.upload_time, "core-metadata": metadata,
        "dist-info-metadata": metadata, "yanked": file.yanked.as_ref().map_or(json!(false), |reason| json!(reason)),
    })
}

fn link(filename: &str, file: &File) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
    };
    let python = file
        .requires_python
        .as_ref()
        .map(|range| format!(" data-requires-python=\"{}\"", escape(range)))
        .unwrap_or_default();
    let yanked = file
        .yanked
        .as_ref()
        .map(|reason| format!(" data-yanked=\"{}\"", escape(reason)))
        .unwrap_or_default();
    let metadata = file
        .metadata
        .as_ref()
        .map(|metadata| format!(" data-core-metadata=\"sha256={}\"", hex(&sha256(metadata))))
        .unwrap_or_default();
    format!(
        "<a href=\"/files/{filename}#sha256={}\"{python}{yanked}{metadata}>{filename}</a><br>\n",
        file.stated_digest()
    )
}

impl File {
    fn stated_digest(&self) -> String {
        if self.sabotage == Some(Sabotage::WrongHash) {
            hex(&sha256(b"another file"))
        } else {
            hex(&sha256(&self.content))
        }
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains(JSON)))
}

fn page(kind: &str, body: impl Into<Body>) -> Response {
    Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .expect("the headers are valid")
}

fn empty(status: StatusCode) -> Response {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .expect("a code alone is valid")
}

fn note(shared: &Shared, uri: &Uri) {
    shared
        .lock()
        .expect("no holder panics")
        .requests
        .push(uri.path().to_owned());
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
