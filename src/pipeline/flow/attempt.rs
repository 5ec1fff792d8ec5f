//! What an engine hands to a step, and what it gets back. Small: everything else is in the run's journal.

use super::Stage;
use crate::model::{LayerName, RunKind, Target};
use serde::{Deserialize, Serialize};

/// What one try of one step is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCall {
    /// The run's id.
    pub run: String,
    /// What the run does.
    pub kind: RunKind,
    /// The stage.
    pub stage: Stage,
    /// The layer and target, for a stage that has items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
}

/// A layer and target that a stage is carried out for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The layer.
    pub layer: LayerName,
    /// What it is built for.
    pub target: Target,
    /// The end of the name of the function that builds for the target, such as `p313-arm64`.
    pub function: String,
}

impl Item {
    /// The item of a layer and target.
    #[must_use]
    pub fn new(layer: LayerName, target: Target) -> Self {
        Self {
            layer,
            target,
            function: target.layer_name_part(),
        }
    }

    /// The name of its step in the journal, such as `build/pandas/p3.13`.
    #[must_use]
    pub fn step(&self, stage: Stage) -> String {
        format!("{}/{}/{}", stage.name(), self.layer, self.target)
    }
}

/// What came of a step, as far as an engine has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the next stage with items is carried out for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}
