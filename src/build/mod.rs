//! Lock → layer zip: wheels are fetched, verified and put together under `python/`, the same bytes every time.
//!
//! Wheels are zip files and so is a layer: the compressed bytes of an entry are copied as they are, and only the few
//! files an installer writes (`RECORD`, `INSTALLER`, scripts) are made here. [`assemble()`] is the whole of that, readers
//! in and a writer out; [`Builder`] is the shell around it that fetches, caches and stores.
//!
//! Deliberately absent: choosing versions and wheels (that is `resolve`), holding a layer to AWS' limits (that is
//! `plan`, which gets the sizes), running anything of a package, and console scripts made from entry points, which
//! have no use in a layer.

mod artifact_store;
mod artifacts;
mod artifacts_room;
mod assemble;
mod audit;
mod bucket;
mod builder;
mod bytecode;
mod cache;
mod checksum;
mod contents;
mod derived;
mod documents;
mod elf;
mod error;
mod eviction;
mod examine;
mod exclude;
mod fetch;
mod files;
mod from_source;
mod hashing;
mod host;
mod http_client;
mod importer;
mod judge;
mod layer;
mod layout;
mod member_name;
mod metadata;
mod object_key;
mod options;
mod overlay;
mod prepare;
mod recall;
mod record;
mod sandbox;
mod selection;
mod settings;
mod slim;
mod verify;
mod wheel;
mod wheel_files;
mod wheel_index;
mod window;
mod zip_directory;
mod zip_end;
mod zip_reader;
mod zip_writer;

#[cfg(test)]
pub(crate) mod tests;

pub use artifact_store::{ArtifactError, Artifacts, HeldZip};
pub use artifacts::ArtifactDirectory;
pub use assemble::{Assembled, FileOrigin, LayerFile, WheelSource, assemble};
pub use bucket::{Bucket, BucketError, LazyConfig};
pub use builder::Builder;
pub use bytecode::{Interpreter, InterpreterSettings};
pub use documents::{Document, DocumentSet};
pub use error::BuildError;
pub use exclude::Exclude;
pub use from_source::{KeptWheel, SourceBuildTools, SourceBuildTurn};
pub use host::{BuildHost, HostInterpreter, Isolation};
pub use object_key::ObjectKey;
pub use options::BuildOptions;
pub use sandbox::{
    BuildSystem, BuiltWheel, ImportTested, NoSandbox, Reach, Sandbox, SourceBuildError,
    SourceDistribution, build_system, build_wheel, confine, empty_folder, test_import,
};
pub use selection::{BytecodeChoice, Selection};
pub use settings::{BuildProgress, BuilderSettings};
pub use verify::verify;
