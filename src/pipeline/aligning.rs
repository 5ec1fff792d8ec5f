//! Getting a layer of one region to a version number, by versions that are deleted at once.
//!
//! They hold next to nothing, are for nobody, and their description is one that no publication has: none of them is ever
//! found by a digest and adopted. A listing does not show what is deleted, so the newest stays until the real version is
//! there: after a crash its number is the one to go on from. The numbers of real versions that were deleted are the store's
//! to know, and come with the plan. What a crash leaves behind is deleted when the region is next
//! published to, or when it is verified.

use crate::model::{Digest, LayerArn, Region};
use crate::plan::{Alignment, THROW_AWAY_LIMIT};
use crate::registry::{PublishRequest, Registry, RegistryError};
use std::io::{Cursor, Write as _};
use tempfile::NamedTempFile;

/// The description of a version that is to be deleted.
pub(super) const THROW_AWAY: &str = "Layersmith: made to get to a version number, to be deleted";

/// Makes sure that the version published next gets the alignment's number, unless the region is ahead or too far behind.
/// Once that is published, the caller [tidies up](tidy).
///
/// # Errors
/// See [`RegistryError`]; trying again goes on where this ended.
pub(super) async fn advance(
    registry: &dyn Registry,
    region: &Region,
    request: &PublishRequest,
    alignment: &Alignment,
) -> Result<(), RegistryError> {
    let versions = registry.versions(region, &request.name).await?;
    let numbers = versions.iter().map(|version| version.arn.version);
    let reached = alignment.reached.get(region).copied();
    let mut newest = numbers.chain(reached).max().unwrap_or_default();
    let mut last: Option<LayerArn> = None;
    for version in versions {
        if version.description != THROW_AWAY {
            continue;
        }
        if version.arn.version == newest {
            last = Some(version.arn);
        } else {
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
        if let Some(before) = last.replace(made.arn) {
            registry.delete(&before).await?;
        }
    }
    Ok(())
}

/// Deletes what [`advance`] left, once the real version is there. What cannot be deleted now is left to the next
/// verification.
pub(super) async fn tidy(registry: &dyn Registry, region: &Region, name: &str) {
    let tidied: Result<(), RegistryError> = async {
        for version in registry.versions(region, name).await? {
            if version.description == THROW_AWAY {
                registry.delete(&version.arn).await?;
            }
        }
        Ok(())
    }
    .await;
    if let Err(error) = tidied {
        tracing::warn!(%region, layer = name, "what is left over from aligning {name} in {region} is not deleted: {error}");
    }
}

/// A zip with one small file: AWS takes none that is empty.
fn tiny_zip() -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("python/README", zip::write::SimpleFileOptions::default())?;
    writer.write_all(b"To be deleted.\n")?;
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::memory::MemoryRegistry;
    use std::collections::BTreeMap;

    /// What is published, and the alignment to the number 4.
    fn wanted(file: &mut NamedTempFile) -> (PublishRequest, Alignment) {
        let zip = tiny_zip().unwrap();
        file.write_all(&zip).unwrap();
        let digest = Digest::of(&zip);
        let request = PublishRequest {
            name: "Layersmith-p313-demo".to_owned(),
            description: format!("demo 1.0 | sha256:{}", digest.short()),
            license: None,
            python: "3.13".parse().unwrap(),
            architecture: "x86_64".parse().unwrap(),
            zip: file.path().to_owned(),
            size: zip.len() as u64,
            digest,
            staging: None,
        };
        let alignment = Alignment {
            to: 4,
            throw_away: 3,
            too_far: Vec::new(),
            reached: BTreeMap::new(),
        };
        (request, alignment)
    }

    #[tokio::test]
    async fn the_number_of_a_deleted_version_is_not_counted_on_again() {
        let region: Region = "eu-west-1".parse().unwrap();
        let mut file = NamedTempFile::new().unwrap();
        let (request, alignment) = wanted(&mut file);
        let registry = MemoryRegistry::new(vec![region.clone()]);
        for number in 1..4 {
            let published = registry.publish(&region, &request).await.unwrap();
            assert_eq!(published.arn.version, number);
            registry.delete(&published.arn).await.unwrap();
        }
        let alignment = Alignment {
            reached: BTreeMap::from([(region.clone(), 3)]),
            ..alignment
        };
        advance(&registry, &region, &request, &alignment)
            .await
            .unwrap();
        let published = registry.publish(&region, &request).await.unwrap();
        assert_eq!(published.arn.version, 4);
    }

    #[tokio::test]
    async fn a_crash_while_aligning_loses_no_number_and_leaves_nothing() {
        let region: Region = "eu-west-1".parse().unwrap();
        let mut file = NamedTempFile::new().unwrap();
        let (request, alignment) = wanted(&mut file);
        // Killed before the real version was published: once, after any number of versions, and twice.
        for crashes in [vec![], vec![4], vec![2], vec![3, 4], vec![2, 2]] {
            let registry = MemoryRegistry::new(vec![region.clone()]);
            for to in crashes {
                let so_far = Alignment {
                    to,
                    ..alignment.clone()
                };
                advance(&registry, &region, &request, &so_far)
                    .await
                    .unwrap();
                let left = registry.versions(&region, &request.name).await.unwrap();
                assert!(left.len() == 1 && left[0].description == THROW_AWAY);
                let found = registry.find(&region, &request.name, &request.digest);
                assert_eq!(
                    found.await.unwrap(),
                    None,
                    "it is never taken for the real one"
                );
            }
            advance(&registry, &region, &request, &alignment)
                .await
                .unwrap();
            let published = registry.publish(&region, &request).await.unwrap();
            assert_eq!(published.arn.version, 4);
            tidy(&registry, &region, &request.name).await;
            let there = registry.versions(&region, &request.name).await.unwrap();
            assert_eq!(there.len(), 1);
            assert_eq!(there[0].arn, published.arn);
        }
    }
}
