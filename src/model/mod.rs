//! The words every room speaks: names, targets, regions, ARNs, digests, locks, artifacts, layer versions, runs.
//!
//! Every type is parsed once, at the border, and holds only valid values afterwards. Deliberately absent: input
//! and output, clocks, randomness, and anything that knows how a value is stored, sent or shown to a person.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod arn;
mod artifact;
mod aws_identity;
mod build_report;
mod digest;
mod lambda_python;
mod layer_request;
mod layer_version;
mod lock;
mod name;
mod notification;
mod offered;
mod parameter_path;
mod pins;
mod policy;
mod problem;
mod region;
mod repository_name;
mod run;
mod run_id;
mod secret_reference;
mod staging;
mod target;
mod timestamp;

pub use arn::LayerArn;
pub use artifact::{Artifact, BuildRecord, Pin, UNZIPPED_LIMIT, ZIPPED_LIMIT};
pub use aws_identity::{AwsIdentity, AwsIdentitySource};
pub use build_report::{
    BuildReport, BytecodeReport, Finding, ImportTest, LeftOut, Severity, SlimKind, Slimmed, Weight,
};
pub use digest::{Digest, Hasher};
pub use lambda_python::libraries_of;
pub use layer_request::{BUILDER_REVISION, Bytecode, LayerRequest, Requirement, Schedule};
pub use layer_version::{LayerState, LayerVersion, SlotKey};
pub use lock::{Lock, LockedPackage, WheelFile, normalize_package_name};
pub use name::{
    LayerName, LayerPrefix, is_published_under, layer_description, published_layer_name,
    published_prefix,
};
pub use notification::{Destination, News, NewsKind, Notification};
pub use offered::OfferedRegions;
pub use parameter_path::ParameterPath;
pub use pins::{PinChange, pin_changes};
pub use policy::{Limits, PlanFrom, Policy, TableFormat, TableSettings, Visibility};
pub use problem::{Level, Location, Problem};
pub use region::{COMMERCIAL_REGIONS, Region};
pub use repository_name::RepositoryName;
pub use run::{Conversation, Delivery, Event, Run, RunKind, RunState, StepRecord, StepState};
pub use run_id::RunId;
pub use secret_reference::SecretReference;
pub use staging::StagingBucket;
pub use target::{Architecture, PythonVersion, RuntimeDates, Target};
pub use timestamp::Timestamp;

/// A value that does not have the shape its type asks for; the text repeats the input and says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub String);

/// Serialises a type by its `Display` and reads it back by its `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;
