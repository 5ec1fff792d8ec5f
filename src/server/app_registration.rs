//! A page on this machine from which a person makes the GitHub App, and where GitHub sends the browser back to.
//!
//! It serves one person for a few minutes, on a port of 127.0.0.1; nothing of it is in the bot's own server.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Where GitHub sends the browser back to, with `code` and `state`.
const BACK: &str = "/created";
/// How long the last page may take to reach the browser.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the page asks GitHub for.
#[derive(Debug, Clone)]
pub struct AppRegistration {
    /// Where the form goes, on GitHub.
    pub action: String,
    /// The manifest, JSON.
    pub manifest: String,
    /// What GitHub gives back unchanged: who comes without it did not come from this page.
    pub state: String,
}

impl AppRegistration {
    /// Where GitHub sends the browser back to, when the page is served at this address.
    #[must_use]
    pub fn redirect_url(address: std::net::SocketAddr) -> String {
        format!("http://{address}{BACK}")
    }
}

#[derive(Clone)]
struct Shared {
    registration: Arc<AppRegistration>,
    /// The page's own host and port: another name for this machine could be somebody else's page.
    host: Arc<str>,
    codes: mpsc::Sender<String>,
}

#[derive(Deserialize)]
struct Back {
    code: Option<String>,
    state: Option<String>,
}

/// Serves the page until GitHub has sent the browser back with the right state; returns the code it brought.
///
/// # Errors
/// When the listener fails.
pub async fn receive_code(
    listener: TcpListener,
    registration: AppRegistration,
) -> std::io::Result<String> {
    let (codes, mut received) = mpsc::channel(1);
    let shared = Shared {
        registration: Arc::new(registration),
        host: listener.local_addr()?.to_string().into(),
        codes,
    };
    let router = Router::new()
        .route("/", get(ask))
        .route(BACK, get(take))
        .with_state(shared);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // Also when whoever waits for the code went away.
        drop(stopped.await);
    });
    let mut server = std::pin::pin!(server.into_future());
    let code = tokio::select! {
        ended = &mut server => {
            ended?;
            None
        }
        code = received.recv() => code,
    };
    drop(stop);
    // What the browser does with its connection is no concern of whoever waits.
    drop(tokio::time::timeout(GOODBYE, server).await);
    code.ok_or_else(|| std::io::Error::other("the page was closed before GitHub answered"))
}

async fn ask(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Some(refusal) = foreign(&shared, &headers) {
        return refusal;
    }
    let AppRegistration {
        action, manifest, ..
    } = shared.registration.as_ref();
    page(
        StatusCode::OK,
        "Make the GitHub App",
        &html! {
            p { "GitHub shows what the App may do and asks you to confirm. Its keys come back to the command that waits in your terminal." }
            form action=(action) method="post" {
                input type="hidden" name="manifest" value=(manifest);
                button type="submit" { "Make the App on GitHub" }
            }
        },
    )
}

async fn take(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    if let Some(refusal) = foreign(&shared, &headers) {
        return refusal;
    }
    let is_ours = back.state.as_deref() == Some(shared.registration.state.as_str());
    let code = back.code.filter(|code| is_ours && !code.is_empty());
    match code {
        Some(code) => {
            // The first one counts; a reload of the page changes nothing.
            drop(shared.codes.try_send(code));
            page(
                StatusCode::OK,
                "GitHub has made the App",
                &html! { p { "Go on in your terminal." } },
            )
        }
        None => page(
            StatusCode::BAD_REQUEST,
            "This did not come from here",
            &html! { p { "The answer does not belong to the page that this command showed, so it is not used. " a href="/" { "Start again" } "." } },
        ),
    }
}

fn foreign(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    (host != Some(&*shared.host)).then(|| {
        let name = &shared.host;
        page(
            StatusCode::FORBIDDEN,
            "Wrong address",
            &html! { p { "Open http://" (name) "/" } },
        )
    })
}

fn page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) " · Layersmith" } }
            body { h1 { (title) } (body) }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    (status, headers, whole.into_string()).into_response()
}
