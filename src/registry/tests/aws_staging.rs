//! Buckets, accounts, partitions and roles, against moto.

use super::aws::{clock, config, timing};
use super::moto::Moto;
use super::request;
use crate::model::{Digest, Region};
use crate::registry::{AwsRegistry, PublishRequest, Registry as _, RegistryError};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use std::io::Write as _;

/// A request whose zip is above the limit of a direct upload, and in two parts by far.
fn large(name: &str) -> PublishRequest {
    let mut noise = fastrand::Rng::with_seed(4);
    let mut content = vec![0; 53 * 1024 * 1024];
    noise.fill(&mut content);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("python/noise.bin", options).unwrap();
    writer.write_all(&content).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    PublishRequest {
        size: zip.len() as u64,
        digest: Digest::of(&zip),
        zip: super::file(&zip),
        staging: Some("layers-{account}-{region}".parse().unwrap()),
        ..request(name, "a")
    }
}

fn bucket_client(config: &SdkConfig, region: &str) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .region(aws_config::Region::new(region.to_owned()))
        .force_path_style(true);
    Client::from_conf(config.build())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_zip_goes_through_a_bucket_which_is_empty_afterwards() {
    let Some(moto) = Moto::start() else { return };
    let config = config(&moto.url).await;
    let registry = AwsRegistry::new(vec![config.clone()], timing(), clock());
    let region: Region = "us-east-1".parse().unwrap();
    let request = large("large");
    let bucket = "layers-123456789012-us-east-1";

    let refused = registry.publish(&region, &request).await.unwrap_err();
    insta::assert_snapshot!(refused, @"us-east-1: refused: the staging bucket `layers-123456789012-us-east-1` does not exist: create it in us-east-1, or correct `staging` in the policy");
    let s3 = bucket_client(&config, "us-east-1");
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    // A crash left an upload behind.
    let key = format!("layersmith/{}.zip", request.digest);
    let left = s3.create_multipart_upload().bucket(bucket).key(&key);
    left.send().await.unwrap();

    let published = registry.publish(&region, &request).await.unwrap();
    assert_eq!(published.digest, Some(request.digest));
    assert_eq!(published.size, Some(request.size));
    let objects = s3.list_objects_v2().bucket(bucket).send().await.unwrap();
    assert_eq!(objects.contents().len(), 0);
    let uploads = s3.list_multipart_uploads().bucket(bucket).send().await;
    assert_eq!(uploads.unwrap().uploads().len(), 0);

    let direct = PublishRequest {
        staging: None,
        ..request
    };
    let refused = registry.publish(&region, &direct).await;
    assert!(
        matches!(refused, Err(RegistryError::Refused { .. })),
        "{refused:?}"
    );
}
