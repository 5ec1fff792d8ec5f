//! AWS Lambda's layers, in memory: light enough to be asked a million times, and stricter than moto where publishing
//! exactly once is at stake. It keeps no zip, only its digest and length.
//!
//! The same conformance calls are made to it and to moto. Deliberately absent: signatures, pages of lists, S3, everything
//! of Lambda that is not a layer.
//!
//! A large zip need not be hashed for each region: one that was announced ([`Lambda::expect`]) is known by its length,
//! beginning and end.

mod answers;
mod body;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::relay::serve;
use body::{KnownZip, Received};

/// The account everything belongs to.
pub(crate) const ACCOUNT: &str = "123456789012";

/// A running double. It stops when dropped.
pub struct Lambda {
    endpoint: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    state: Mutex<Layers>,
    known: Mutex<Vec<KnownZip>>,
}

/// Region and layer → what was published there.
#[derive(Default)]
pub(crate) struct Layers(BTreeMap<(String, String), Layer>);

/// Every version of a layer in a region; numbers are not used again.
#[derive(Default)]
pub(crate) struct Layer {
    last: u64,
    versions: BTreeMap<u64, Version>,
}

/// One version as it was published, with the statements of its policy.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) digest: String,
    pub(crate) size: usize,
    pub(crate) request: Value,
    pub(crate) statements: BTreeMap<String, Value>,
}

/// A version that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LambdaVersion {
    pub region: String,
    pub layer: String,
    pub number: u64,
    /// Base64 of the zip's SHA-256.
    pub digest: String,
    /// The principals of its policy's statements.
    pub shared_with: Vec<String>,
}

impl Lambda {
    /// Starts a double.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            known: Mutex::default(),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let (endpoint, server) = serve(app).await;
        Self {
            endpoint,
            shared,
            server,
        }
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Announces a zip that will be published many times, so that it is hashed once, here.
    pub fn expect(&self, zip: &[u8]) {
        let known = self.shared.known.lock();
        known
            .unwrap_or_else(PoisonError::into_inner)
            .push(KnownZip::new(zip));
    }

    /// Forgets everything that was published.
    pub fn reset(&self) {
        self.shared.layers().0.clear();
    }

    /// Every version of every layer, sorted.
    pub fn versions(&self) -> Vec<LambdaVersion> {
        let layers = self.shared.layers();
        let versions = layers.0.iter().flat_map(|((region, name), layer)| {
            let one = |(number, version): (&u64, &Version)| LambdaVersion {
                region: region.clone(),
                layer: name.clone(),
                number: *number,
                digest: version.digest.clone(),
                shared_with: version.principals(),
            };
            layer.versions.iter().map(one).collect::<Vec<_>>()
        });
        versions.collect()
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Version {
    fn principals(&self) -> Vec<String> {
        let principal = |statement: &Value| {
            let principal = &statement["Principal"];
            let account = principal.as_str().or_else(|| principal["AWS"].as_str());
            account.unwrap_or_default().to_owned()
        };
        self.statements.values().map(principal).collect()
    }
}

impl Shared {
    fn layers(&self) -> MutexGuard<'_, Layers> {
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let region = crate::aws_proxy::region_of(&head.headers);
    let known = shared.known.lock().map(|known| known.clone());
    let received = Received::read(body, &known.unwrap_or_default()).await;
    if head.uri.path() == "/listRegions" {
        return crate::aws_proxy::list_regions(&[]);
    }
    let mut layers = shared.layers();
    layers.answer(&region, &head.method, head.uri.path(), received)
}
