//! The read API of Klayers v2, answered from the store: its clients need only another base URL.
//!
//! Unknown targets, regions and layers answer as Klayers does: 200 with an empty list. Paths work with and without a
//! slash at the end, and with two at the start: so do Klayers' published links, and people change only their host.

use super::AppState;
use crate::model::{BuildRecord, Digest, LayerName, LayerState, Region, Target};
use crate::tables::{ApiLayer, api_history, api_latest, api_latest_csv, api_latest_html};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn routes() -> Router<AppState> {
    let mut router = Router::new();
    for base in ["/api/v2", "//api/v2"] {
        for slash in ["", "/"] {
            router = router
                .route(
                    &format!("{base}/{{target}}/layers/latest/{{region}}{slash}"),
                    get(latest),
                )
                .route(
                    &format!("{base}/{{target}}/layers/latest/{{region}}/{{format}}{slash}"),
                    get(latest_as),
                )
                .route(
                    &format!("{base}/{{target}}/layers/{{region}}/{{package}}{slash}"),
                    get(history),
                )
                .route(
                    &format!("{base}/{{target}}/builds/latest{slash}"),
                    get(builds),
                );
        }
    }
    router
}

/// One build, in the shape of Klayers' `builds/latest`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiBuild {
    package: String,
    package_version: String,
    /// `2026-11-22T10:00:00`, UTC without saying so, as Klayers has it.
    created_date_time: String,
    dependencies: Vec<String>,
}

async fn latest(
    state: State<AppState>,
    Path((target, region)): Path<(String, String)>,
) -> Result<Response, Unavailable> {
    latest_as(state, Path((target, region, "json".to_owned()))).await
}

async fn latest_as(
    State(state): State<AppState>,
    Path((target, region, format)): Path<(String, String, String)>,
) -> Result<Response, Unavailable> {
    let place = target
        .parse::<Target>()
        .ok()
        .zip(region.parse::<Region>().ok());
    let layers: Vec<ApiLayer> = match &place {
        Some((target, region)) => {
            let live = state.store.live_in(*target, region).await?;
            api_latest(&live, *target, region)
        }
        None => Vec::new(),
    };
    Ok(match (format.as_str(), &place) {
        ("json", _) => Json(layers).into_response(),
        ("csv", _) => (
            [(header::CONTENT_TYPE, "text/csv; charset=utf-8")],
            api_latest_csv(&layers),
        )
            .into_response(),
        ("html", Some((target, region))) => {
            Html(api_latest_html(&layers, *target, region)).into_response()
        }
        _ => (
            StatusCode::NOT_FOUND,
            Json(serde_json::json!({ "message": "Not Found" })),
        )
            .into_response(),
    })
}

async fn history(
    State(state): State<AppState>,
    Path((target, region, package)): Path<(String, String, String)>,
) -> Result<Response, Unavailable> {
    let (Ok(target), Ok(region)) = (target.parse::<Target>(), region.parse::<Region>()) else {
        return Ok(Json(Vec::<ApiLayer>::new()).into_response());
    };
    // Names of layers have no capital letters, and Klayers' clients may write some.
    let Ok(layer) = package.to_ascii_lowercase().parse::<LayerName>() else {
        return Ok(Json(Vec::<ApiLayer>::new()).into_response());
    };
    let layers = BTreeSet::from([layer]);
    let versions = state.store.listed_versions_of(&layers).await?;
    let builds = state.store.builds_of(&layers).await?;
    Ok(Json(api_history(&versions, &builds, &package, target, &region)).into_response())
}

async fn builds(
    State(state): State<AppState>,
    Path(target): Path<String>,
) -> Result<Response, Unavailable> {
    let Ok(target) = target.parse::<Target>() else {
        return Ok(Json(Vec::<ApiBuild>::new()).into_response());
    };
    let mut all = state.store.builds().await?;
    all.retain(|build| build.target == target);
    let mut newest: BTreeMap<&LayerName, Vec<&BuildRecord>> = BTreeMap::new();
    for build in &all {
        let known = newest.entry(&build.layer).or_default();
        if known.first().is_some_and(|it| it.built_at < build.built_at) {
            known.clear();
        }
        if known.first().is_none_or(|it| it.built_at == build.built_at) {
            known.push(build);
        }
    }
    // The time of a build has whole seconds: of two in one second, the one that is live is the later one.
    let tied = newest.iter().filter(|(_, builds)| builds.len() > 1);
    let tied: BTreeSet<LayerName> = tied.map(|(layer, _)| (*layer).clone()).collect();
    let versions = state.store.layer_versions_of(&tied).await?;
    let live: BTreeSet<(&LayerName, Digest)> = versions
        .iter()
        .filter(|version| version.state == LayerState::Live && version.key.target == target)
        .map(|version| (&version.key.layer, version.key.digest))
        .collect();
    let is_live = |build: &&BuildRecord| live.contains(&(&build.layer, build.artifact.digest));
    let latest = newest.values().filter_map(|builds| {
        let live = builds.iter().copied().find(is_live);
        live.or_else(|| builds.first().copied())
    });
    let answer: Vec<ApiBuild> = latest
        .map(|build| ApiBuild {
            package: build.layer.to_string(),
            package_version: build.version.clone(),
            created_date_time: build.built_at.to_string().chars().take(19).collect(),
            dependencies: build
                .artifact
                .pins
                .iter()
                .map(|pin| format!("{}=={}", pin.name, pin.version))
                .collect(),
        })
        .collect();
    Ok(Json(answer).into_response())
}

/// The store does not answer: 503, and the reason in the log only.
struct Unavailable(anyhow::Error);

impl From<anyhow::Error> for Unavailable {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!("the read API cannot answer: {:#}", self.0);
        let message = serde_json::json!({ "message": "the store does not answer" });
        (StatusCode::SERVICE_UNAVAILABLE, Json(message)).into_response()
    }
}
