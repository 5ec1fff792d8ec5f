//! What the tables were made of when they were committed, besides what is published.

use crate::model::{Digest, LayerName, LayerRequest, Timestamp};
use crate::pipeline::Desired;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Hexadecimal digits of a digest that tell two requests apart: 64 bits.
const DIGITS: usize = 16;

/// Noted with each commit of the tables, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pipeline) struct Note {
    /// The tree of the tables' folder.
    pub(in crate::pipeline) tree: Option<String>,
    /// The day: it decides what is warned of.
    pub(in crate::pipeline) today: Timestamp,
    /// [`crate::tables::account_of`] what was published.
    pub(in crate::pipeline) account: String,
    /// Digest of what all tables depend on: policy, page, and the program that rendered them.
    all: String,
    /// Digest of what each layer's page says of its request.
    layers: BTreeMap<LayerName, String>,
}

impl Note {
    pub(in crate::pipeline) fn of(desired: &Desired, page: Option<&str>, today: Timestamp) -> Self {
        let requested = desired.layers.iter();
        let mut layers: BTreeMap<LayerName, String> = requested
            .map(|(layer, request)| (layer.clone(), shown(request)))
            .collect();
        let held = desired.held.iter();
        layers.extend(held.map(|layer| (layer.clone(), "held".to_owned())));
        // A policy is texts, numbers and lists of them, which cannot fail to become JSON.
        let policy = serde_json::to_string(&desired.policy).unwrap_or_default();
        let program = env!("CARGO_PKG_VERSION");
        Self {
            tree: None,
            today,
            account: String::new(),
            all: digest(&[program, &policy, page.unwrap_or_default()]),
            layers,
        }
    }

    /// `None` for what another program noted.
    pub(in crate::pipeline) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(in crate::pipeline) fn to_text(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Whether tables that were made of this differ in the parts of some layers only from those made of the other one,
    /// which is no older.
    pub(in crate::pipeline) fn allows(&self, now: &Self) -> bool {
        self.all == now.all && self.today <= now.today
    }

    /// Layers whose requests say another thing now, or are new or gone.
    pub(in crate::pipeline) fn layers_that_differ(&self, now: &Self) -> BTreeSet<LayerName> {
        let names = self.layers.keys().chain(now.layers.keys());
        names
            .filter(|layer| self.layers.get(*layer) != now.layers.get(*layer))
            .cloned()
            .collect()
    }
}

/// What the page and the overview show of a request.
fn shown(request: &LayerRequest) -> String {
    // No description is another page than an empty one.
    let described = request.description.as_ref().map_or("", |_| "described");
    let description = request.description.as_deref().unwrap_or_default();
    let mut parts = vec![request.path.as_str(), described, description];
    parts.extend(request.packages.iter().map(|package| package.text.as_str()));
    digest(&parts)
}

fn digest(parts: &[&str]) -> String {
    let digest = Digest::of(parts.join("\0").as_bytes()).to_string();
    digest.chars().take(DIGITS).collect()
}
