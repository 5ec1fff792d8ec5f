//! Named texts beside the layers, by which people find the latest version without a table.

use super::RegistryError;
use crate::model::Region;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// A place that holds named texts per region: AWS Systems Manager's Parameter Store, or files.
///
/// A name is a path: `/layersmith/Layersmith/p3.13/pandas`.
#[async_trait]
pub trait ParameterStore: Send + Sync {
    /// Every parameter below a path, at any depth, by name.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn parameters(
        &self,
        region: &Region,
        path: &str,
    ) -> Result<BTreeMap<String, String>, RegistryError>;

    /// Writes a parameter, in place of what it held before.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn put_parameter(
        &self,
        region: &Region,
        name: &str,
        value: &str,
    ) -> Result<(), RegistryError>;

    /// Deletes parameters. Deleting what is not there is success.
    ///
    /// # Errors
    /// See [`RegistryError`].
    async fn delete_parameters(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<(), RegistryError>;
}
