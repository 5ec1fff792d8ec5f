//! Where the SDK's credentials, endpoint and HTTP client come from.

use crate::model::{AwsIdentity, AwsIdentitySource, Region};
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_lambda::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// What a role's sessions are called in the account's logs.
const SESSION: &str = "layersmith";

/// The SDK's own configuration (its environment variables, profiles and instance roles) for a region, and for another
/// endpoint than AWS' where one is given; plain `http://` endpoints work too.
pub async fn aws_config(endpoint_url: Option<&str>, region: &str) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(region.to_owned()))
        .http_client(http_client());
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// A configuration for each partition that there are credentials for: the SDK's own for that of the home region, and
/// those of the identities. An identity of the home region's partition takes the SDK's own place; a role there is assumed
/// with the SDK's own credentials.
pub async fn aws_configs(
    endpoint_url: Option<&str>,
    home: &Region,
    identities: &[AwsIdentity],
) -> Vec<SdkConfig> {
    let own = aws_config(endpoint_url, home.as_str()).await;
    let mut configs = vec![own.clone()];
    for identity in identities {
        let place = if identity.partition == home.partition() {
            home.as_str()
        } else {
            home_of(&identity.partition)
        };
        let region = aws_config::Region::new(place.to_owned());
        let base = own.to_builder().region(region.clone()).build();
        let credentials = match &identity.source {
            AwsIdentitySource::Role(arn) => {
                let role = AssumeRoleProvider::builder(arn)
                    .session_name(SESSION)
                    .region(region)
                    .configure(&base);
                SharedCredentialsProvider::new(role.build().await)
            }
            AwsIdentitySource::Profile(name) => {
                // A profile may name a role, which is assumed in a region.
                let place = ProviderConfig::default()
                    .with_region(Some(region))
                    .with_http_client(http_client());
                let profile = ProfileFileCredentialsProvider::builder()
                    .configure(&place)
                    .profile_name(name);
                SharedCredentialsProvider::new(profile.build())
            }
        };
        configs.push(
            base.into_builder()
                .credentials_provider(credentials)
                .build(),
        );
    }
    configs
}

/// Where questions about an account of another partition are asked.
fn home_of(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// The SDK's own default client, as a value that others can be made of.
pub(super) fn http_client() -> SharedHttpClient {
    Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}
