//! Getting a layer of one region to a version number, by versions that are deleted at once.
//!
//! They hold next to nothing, are for nobody, and their description is one that no publication has: none of them is ever
//! found by a digest and adopted. What a crash leaves behind is deleted when the region is next published to, or when it
//! is verified.

use crate::model::{Digest, Region};
use crate::plan::{Alignment, THROW_AWAY_LIMIT};
use crate::registry::{PublishRequest, Registry, RegistryError};
use std::io::{Cursor, Write as _};
use tempfile::NamedTempFile;

/// The description of a version that is to be deleted.
pub(super) const THROW_AWAY: &str = "Layersmith: made to get to a version number, to be deleted";

/// Makes sure that the version published next gets the alignment's number, unless the region is ahead or too far behind.
///
/// # Errors
/// See [`RegistryError`]; trying again goes on where this ended.
pub(super) async fn advance(
    registry: &dyn Registry,
    region: &Region,
    request: &PublishRequest,
    alignment: &Alignment,
) -> Result<(), RegistryError> {
    let mut newest = 0;
    for version in registry.versions(region, &request.name).await? {
        newest = newest.max(version.arn.version);
        if version.description == THROW_AWAY {
            registry.delete(&version.arn).await?;
        }
    }
    if alignment.too_far.contains(region) {
        return Ok(());
    }
    let refused = |message: String| RegistryError::Refused {
        region: region.clone(),
        message,
    };
    let zip = tiny_zip().map_err(|error| refused(error.to_string()))?;
    let mut file = NamedTempFile::new().map_err(|error| refused(error.to_string()))?;
    let written = file.write_all(&zip);
    written.map_err(|error| refused(error.to_string()))?;
    let throw_away = PublishRequest {
        description: THROW_AWAY.to_owned(),
        license: None,
        digest: Digest::of(&zip),
        zip: file.path().to_owned(),
        size: zip.len() as u64,
        ..request.clone()
    };
    for _ in 0..THROW_AWAY_LIMIT {
        if newest + 1 >= alignment.to {
            break;
        }
        let made = registry.publish(region, &throw_away).await?;
        newest = made.arn.version;
        registry.delete(&made.arn).await?;
    }
    Ok(())
}

/// A zip with one small file: AWS takes none that is empty.
fn tiny_zip() -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("python/README", zip::write::SimpleFileOptions::default())?;
    writer.write_all(b"To be deleted.\n")?;
    Ok(writer.finish()?.into_inner())
}
