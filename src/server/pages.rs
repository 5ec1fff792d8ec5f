//! Pages for people: find a layer, pick target and region, copy the ARN.
//!
//! They work without scripts; the one script there is copies an ARN when its button is pressed.

use super::AppState;
use super::inside;
use crate::model::{BuildRecord, LayerName, LayerState, LayerVersion, Region, Target};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;
use std::collections::BTreeSet;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h1 a { color: inherit; text-decoration: none; }
form { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: end; margin: 1.5rem 0; }
label { display: flex; flex-direction: column; font-size: .85rem; gap: .2rem; }
input, select, button { font: inherit; padding: .3rem .5rem; } form :is(input, select, button) { box-sizing: border-box; height: 2.3rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
code { font: .85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; } .quiet { opacity: .7; } p a { margin-right: .5rem; } td button { font-size: .8rem; padding: .1rem .5rem; }
";
const SCRIPT: &str = "
document.addEventListener('click', function (event) {
  var arn = event.target.getAttribute('data-arn');
  if (!arn || !navigator.clipboard) return;
  navigator.clipboard.writeText(arn).then(function () { event.target.textContent = 'Copied'; });
});
";

/// What the front page is asked for; everything that is not known is as if it were not there.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    target: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    q: String,
}

/// The front page: every layer for one target in one region.
pub(super) async fn index(State(state): State<AppState>, Query(search): Query<Search>) -> Response {
    let places = match state.store.places().await {
        Ok(places) => places,
        Err(error) => return not_now(&error),
    };
    let targets: BTreeSet<Target> = places.iter().map(|(target, _)| *target).collect();
    let regions: BTreeSet<&Region> = places.iter().map(|(_, region)| region).collect();
    let target = search
        .target
        .parse()
        .ok()
        .filter(|target| targets.contains(target))
        .or(targets.last().copied());
    let region = search.region.parse::<Region>().ok();
    let region = region
        .as_ref()
        .filter(|region| regions.contains(region))
        .or_else(|| usual_region(&regions));
    let query = search.q.trim().to_lowercase();
    let mut rows = match (target, region) {
        (Some(target), Some(region)) => match state.store.live_in(target, region).await {
            Ok(rows) => only_live(rows),
            Err(error) => return not_now(&error),
        },
        _ => Vec::new(),
    };
    rows.retain(|version| version.key.layer.as_str().contains(&query));
    page(
        "Lambda layers",
        &html! {
            form method="get" {
                label { "Layer" input type="search" name="q" value=(search.q) placeholder="part of its name"; }
                label { "Target" select name="target" {
                    @for choice in &targets { option value=(choice) selected[Some(*choice) == target] { (target_label(*choice)) } }
                } }
                label { "Region" select name="region" {
                    @for choice in &regions { option value=(choice) selected[Some(*choice) == region] { (choice) } }
                } }
                button { "Show" }
            }
            @if places.is_empty() {
                p { "No layer is published yet. Ask for one with a pull request that adds a file to " code { "layers/" } "." }
            } @else if rows.is_empty() {
                p { "No layer of that name here." }
            } @else {
                table {
                    thead { tr { th { "Layer" } th { "Version" } th { "ARN" } th {} } }
                    tbody { @for version in &rows { (row(version)) } }
                }
                @if let (Some(target), Some(region)) = (target, region) {
                    p class="quiet" { "The same for programs: "
                        @for format in ["json", "csv"] {
                            @let address = format!("/api/v2/{target}/layers/latest/{region}/{format}");
                            a href=(address) { (format) } " "
                        }
                    }
                }
            }
        },
    )
    .into_response()
}

/// One layer: every target and region it is live in.
pub(super) async fn layer(State(state): State<AppState>, Path(name): Path<String>) -> Response {
    let Ok(name) = name.parse::<LayerName>() else {
        return not_found().await;
    };
    let layers = BTreeSet::from([name.clone()]);
    let versions = match state.store.listed_versions_of(&layers).await {
        Ok(versions) => only_live(versions),
        Err(error) => return not_now(&error),
    };
    if versions.is_empty() {
        return not_found().await;
    }
    let targets: BTreeSet<Target> = versions.iter().map(|version| version.key.target).collect();
    let builds = match state.store.builds_of(&layers).await {
        Ok(builds) => builds,
        Err(error) => return not_now(&error),
    };
    page(
        name.as_str(),
        &html! {
            p { @for target in &targets { a href=(format!("#{target}")) { (target_label(*target)) } " " } }
            @for target in targets {
                @let rows: Vec<&LayerVersion> = versions.iter().filter(|version| version.key.target == target).collect();
                h2 id=(target) { (target_label(target)) }
                table {
                    thead { tr { th { "Region" } th { "Version" } th { "ARN" } th {} } }
                    tbody { @for version in &rows { tr { td { (version.key.region) } (cells(version)) } } }
                }
                @let newest = rows.iter().max_by_key(|version| version.live_at);
                @if let Some(build) = newest.and_then(|version| build_of(&builds, version)) { (inside::render(build)) }
            }
        },
    )
    .into_response()
}

/// What there is not.
pub(super) async fn not_found() -> Response {
    let body = page(
        "Not found",
        &html! { p { "There is nothing here. " a href="/" { "All layers" } } },
    );
    (StatusCode::NOT_FOUND, body).into_response()
}

fn only_live(mut versions: Vec<LayerVersion>) -> Vec<LayerVersion> {
    versions.retain(|version| version.state == LayerState::Live && version.arn.is_some());
    versions
}

/// What is said when the store does not answer.
fn not_now(error: &anyhow::Error) -> Response {
    tracing::error!("a page cannot be shown: {error:#}");
    let body = page(
        "Not now",
        &html! { p { "The store does not answer. Try again in a minute." } },
    );
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

/// The build that a version's zip came from.
fn build_of<'a>(builds: &'a [BuildRecord], version: &LayerVersion) -> Option<&'a BuildRecord> {
    let key = &version.key;
    let same = |build: &&BuildRecord| {
        (&build.layer, build.target, &build.artifact.digest)
            == (&key.layer, key.target, &key.digest)
    };
    let same = builds.iter().filter(same);
    same.max_by_key(|build| (build.built_at, build.fingerprint))
}

fn usual_region<'a>(regions: &BTreeSet<&'a Region>) -> Option<&'a Region> {
    regions
        .iter()
        .copied()
        .find(|region| region.as_str() == "us-east-1")
        .or_else(|| regions.first().copied())
}

fn target_label(target: Target) -> String {
    format!("Python {} on {}", target.python, target.architecture)
}

fn row(version: &LayerVersion) -> Markup {
    let name = &version.key.layer;
    html! { tr { td { a href=(format!("/layers/{name}")) { (name) } } (cells(version)) } }
}

fn cells(version: &LayerVersion) -> Markup {
    let arn = version
        .arn
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    html! { td { (version.version) } td { code { (arn) } } td { button type="button" data-arn=(arn) { "Copy" } } }
}

fn page(title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – Layersmith" }
                style { (PreEscaped(STYLE)) }
            }
            body { h1 { a href="/" { "Layersmith" } @if title != "Lambda layers" { " / " (title) } } (body) script { (PreEscaped(SCRIPT)) } }
        }
    };
    Html(page.into_string())
}
