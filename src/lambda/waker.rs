//! Waking the function that handles events.

use crate::server::Wake;
use async_trait::async_trait;
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;

/// Invokes a function and does not wait for what it does.
pub struct FunctionWaker {
    client: aws_sdk_lambda::Client,
    function: String,
}

impl FunctionWaker {
    /// Wakes the function of that name.
    #[must_use]
    pub fn new(client: aws_sdk_lambda::Client, function: String) -> Self {
        Self { client, function }
    }
}

#[async_trait]
impl Wake for FunctionWaker {
    async fn wake(&self) {
        let invoke = self
            .client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(r#"{"work":"events"}"#));
        if let Err(error) = invoke.send().await {
            // What was taken in is written down, and a schedule looks for it.
            tracing::warn!(
                "{} was not woken: {}",
                self.function,
                DisplayErrorContext(&error)
            );
        }
    }
}
