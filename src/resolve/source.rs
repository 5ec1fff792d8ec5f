//! Source distributions: found, never run.

use super::compile::{Compiled, Kind};
use super::error::ResolveError;
use super::resolver::{ResolveRequest, Resolver};
use super::{pylock, requirements};
use crate::model::{Digest, WheelFile};
use serde::{Deserialize, Serialize};

/// A source distribution to fetch (PEP 517; "sdist").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDistribution {
    /// Normalised name of the package (PEP 503).
    pub name: String,
    /// Version (PEP 440).
    pub version: String,
    /// File name, such as `flashtext-2.7.tar.gz`: letters, digits and `-_.+!` only.
    pub filename: String,
    /// Where it is fetched from.
    pub url: String,
    /// What its bytes must hash to.
    pub sha256: Digest,
    /// Size in bytes, where the index says it.
    pub size: Option<u64>,
}

impl SourceDistribution {
    /// The URL of a wheel built from it: the source's, with the wheel's name as its fragment (RFC 3986, 3.5). Fetching it
    /// gives the source; the wheel itself is only to be had by its digest, from whoever built it.
    #[must_use]
    pub fn url_of_built(&self, wheel: &str) -> String {
        format!("{}{}{wheel}", self.url, WheelFile::BUILT)
    }
}

impl Resolver {
    /// Finds the source distribution that would be built for a package (normalised name): of the newest version that the
    /// request's requirements of that name allow. Nothing is downloaded but the index's page, and nothing is run.
    ///
    /// # Errors
    /// [`ResolveError::NoSolution`] when there is none, and those of [`Resolver::resolve`].
    pub async fn locate_source(
        &self,
        request: &ResolveRequest<'_>,
        package: &str,
    ) -> Result<SourceDistribution, ResolveError> {
        let asked: Vec<_> = request
            .packages
            .iter()
            .filter(|requirement| requirement.name == package)
            .cloned()
            .collect();
        let mut lines = requirements::lines(&asked)?;
        if lines.is_empty() {
            lines.push(package.to_owned());
        }
        let input = requirements::joined(&lines);
        let request = ResolveRequest {
            built: &[],
            ..*request
        };
        let compilation = request.compilation(&input, Kind::Source(package), request.target);
        match self.compile(&compilation).await? {
            Compiled::Lock { text, .. } => pylock::read_source(&text, package),
            Compiled::NoSolution(_) => Err(ResolveError::NoSolution {
                package: Some(package.to_owned()),
                requirements: lines,
                explanation: format!(
                    "the package index has no source distribution of `{package}` that fits."
                ),
            }),
        }
    }
}
