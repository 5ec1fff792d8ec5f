//! Topics of Amazon SNS, and queues of Amazon SQS that get what they are told.

use serde_json::{Value, json};

use super::{Moto, credential};

impl Moto {
    /// Makes an SNS topic and an SQS queue of this name that gets what the topic is told; the topic's ARN.
    ///
    /// # Panics
    /// When moto refuses.
    pub async fn topic_with_queue(&self, region: &str, name: &str) -> String {
        let queue = self
            .try_json_call(
                "sqs",
                region,
                "AmazonSQS.CreateQueue",
                &json!({ "QueueName": name }),
            )
            .await;
        assert_eq!(queue.0, 200, "moto refuses the queue: {}", queue.1);
        let topic = format!("arn:aws:sns:{region}:123456789012:{name}");
        let queue = format!("arn:aws:sqs:{region}:123456789012:{name}");
        self.form_call("sns", region, &[("Action", "CreateTopic"), ("Name", name)])
            .await;
        let subscribe = [
            ("Action", "Subscribe"),
            ("TopicArn", topic.as_str()),
            ("Protocol", "sqs"),
            ("Endpoint", queue.as_str()),
        ];
        self.form_call("sns", region, &subscribe).await;
        topic
    }

    /// What is in such a queue, oldest first, and takes it out.
    pub async fn queue(&self, region: &str, name: &str) -> Vec<Value> {
        let body = json!({
            "QueueUrl": format!("{}/123456789012/{name}", self.endpoint),
            "MaxNumberOfMessages": 10,
        });
        let (_, answer) = self
            .try_json_call("sqs", region, "AmazonSQS.ReceiveMessage", &body)
            .await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        messages
            .iter()
            .filter_map(|message| serde_json::from_str(message["Body"].as_str()?).ok())
            .collect()
    }

    async fn form_call(&self, service: &str, region: &str, fields: &[(&str, &str)]) {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let request = self
            .client
            .post(format!("{}/", self.endpoint))
            .header("authorization", credential(service, region))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish());
        let answer = request.send().await.expect("moto answers");
        let status = answer.status().as_u16();
        assert_eq!(status, 200, "moto refuses {fields:?}");
    }
}
