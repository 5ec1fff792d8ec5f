//! What a region has, and taking permissions back.
//!
//! Source: AWS Lambda API reference, `ListLayers`, `ListLayerVersions` (pages of at most 50) and
//! `RemoveLayerVersionPermission`.

use super::AwsRegistry;
use super::calls::{parse_arn, version_number};
use super::errors::{is_not_found, odd_answer};
use crate::model::{LayerArn, Region, Visibility};
use crate::registry::policy::{Grantee, remaining, superfluous};
use crate::registry::{PublishedVersion, RegistryError};

impl AwsRegistry {
    /// See [`crate::registry::Registry::layers`].
    pub(super) async fn layers_in(
        &self,
        region: &Region,
        prefix: &str,
    ) -> Result<Vec<String>, RegistryError> {
        let mut names = Vec::new();
        let mut pages = self.client(region)?.list_layers().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = self.heard(region, page).await?;
            names.extend(
                page.layers()
                    .iter()
                    .filter_map(|layer| layer.layer_name())
                    .filter(|name| name.starts_with(prefix))
                    .map(str::to_owned),
            );
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// See [`crate::registry::Registry::versions`].
    pub(super) async fn versions_of(
        &self,
        region: &Region,
        name: &str,
    ) -> Result<Vec<PublishedVersion>, RegistryError> {
        let mut versions = Vec::new();
        self.pages_of_versions(region, name, |page| {
            versions.extend(page);
            None::<()>
        })
        .await?;
        versions.sort_by_key(|version| version.arn.version);
        versions.dedup_by_key(|version| version.arn.version);
        Ok(versions)
    }

    /// Shows the pages of a layer's versions to `look`, the newest first, until it has seen enough; none when there is no
    /// such layer.
    pub(super) async fn pages_of_versions<T>(
        &self,
        region: &Region,
        name: &str,
        mut look: impl FnMut(Vec<PublishedVersion>) -> Option<T>,
    ) -> Result<Option<T>, RegistryError> {
        let mut pages = self
            .client(region)?
            .list_layer_versions()
            .layer_name(name)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if is_not_found(&error) => return Ok(None),
                Err(error) => return Err(self.explain(region, &error).await),
            };
            let versions = page.layer_versions().iter().map(|item| {
                Ok(PublishedVersion {
                    arn: parse_arn(region, item.layer_version_arn())?,
                    digest: None,
                    size: None,
                    description: item.description().unwrap_or_default().to_owned(),
                })
            });
            let versions: Result<_, RegistryError> = versions.collect();
            if let Some(found) = look(versions?) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The policy of a version, a JSON document; `None` when it has none, or is not there.
    pub(super) async fn policy_of(&self, arn: &LayerArn) -> Result<Option<String>, RegistryError> {
        let answer = self
            .client(&arn.region)?
            .get_layer_version_policy()
            .layer_name(self.layer_name(arn).await?)
            .version_number(version_number(arn)?)
            .send()
            .await;
        match answer {
            Ok(output) => Ok(output.policy),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(self.explain(&arn.region, &error).await),
        }
    }

    /// Takes back every permission that the visibility does not name; whether those that it names are all there.
    pub(super) async fn unshare(
        &self,
        arn: &LayerArn,
        visibility: &Visibility,
    ) -> Result<bool, RegistryError> {
        let wanted = Grantee::of(visibility);
        let Some(document) = self.policy_of(arn).await? else {
            return Ok(wanted.is_empty());
        };
        let odd = |_| odd_answer(&arn.region, "its policy cannot be read");
        let statements = superfluous(&document, &wanted).map_err(odd)?;
        for statement in statements {
            let answer = self
                .client(&arn.region)?
                .remove_layer_version_permission()
                .layer_name(self.layer_name(arn).await?)
                .version_number(version_number(arn)?)
                .statement_id(statement)
                .send()
                .await;
            match answer {
                Ok(_) => {}
                Err(error) if is_not_found(&error) => {}
                Err(error) => return Err(self.explain(&arn.region, &error).await),
            }
        }
        let kept = remaining(&document, &wanted).map_err(odd)?;
        Ok(wanted.is_subset(&kept))
    }
}
