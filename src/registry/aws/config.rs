//! Where the SDK's credentials, endpoint and HTTP client come from.

use aws_config::{BehaviorVersion, Region, SdkConfig};

/// The SDK's own configuration (its environment variables, profiles and instance roles) for a region, and for another
/// endpoint than AWS' where one is given; plain `http://` endpoints work too.
pub async fn aws_config(endpoint_url: Option<&str>, region: &str) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}
