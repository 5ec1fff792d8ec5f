//! Buckets of Amazon S3: made, filled and looked into.

use reqwest::Method;

use super::{Moto, credential};

impl Moto {
    /// Makes a bucket of Amazon S3.
    pub async fn make_bucket(&self, region: &str, bucket: &str) {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        );
        // The one region that is not named.
        let body = if region == "us-east-1" {
            ""
        } else {
            place.as_str()
        };
        let path = format!("/{bucket}");
        self.s3_call(Method::PUT, region, &path, body.as_bytes())
            .await;
    }

    /// Puts bytes into a bucket.
    pub async fn put_object(&self, region: &str, bucket: &str, key: &str, bytes: &[u8]) {
        let path = format!("/{bucket}/{key}");
        self.s3_call(Method::PUT, region, &path, bytes).await;
    }

    /// An object's bytes; `None` when it is not there.
    pub async fn object(&self, region: &str, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let request = self
            .client
            .get(format!("{}/{bucket}/{key}", self.endpoint))
            .header("authorization", credential("s3", region));
        let answer = request.send().await.expect("moto answers");
        let is_there = answer.status().is_success();
        let bytes = answer.bytes().await.expect("moto's answer is whole");
        is_there.then(|| bytes.to_vec())
    }

    /// Takes an object out of a bucket.
    pub async fn delete_object(&self, region: &str, bucket: &str, key: &str) {
        let path = format!("/{bucket}/{key}");
        self.s3_call(Method::DELETE, region, &path, b"").await;
    }

    /// The keys of what is in a bucket.
    pub async fn objects(&self, region: &str, bucket: &str) -> Vec<String> {
        let path = format!("/{bucket}?list-type=2");
        let answer = self.s3_call(Method::GET, region, &path, b"").await;
        let keys = answer.split("<Key>").skip(1);
        keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()))
            .collect()
    }

    async fn s3_call(&self, method: Method, region: &str, path: &str, body: &[u8]) -> String {
        let request = self
            .client
            .request(method, format!("{}{path}", self.endpoint))
            .header("authorization", credential("s3", region))
            .body(body.to_vec());
        let answer = request.send().await.expect("moto answers");
        let status = answer.status();
        assert!(status.is_success(), "moto answers {status} to {path}");
        answer.text().await.expect("moto's answer is whole")
    }
}
