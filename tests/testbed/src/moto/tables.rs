//! Tables of Amazon DynamoDB: made, and looked into.

use serde_json::{Value, json};

use super::Moto;

impl Moto {
    /// Makes a table from the properties of an `AWS::DynamoDB::Table`.
    ///
    /// # Panics
    /// When moto refuses.
    pub async fn make_table(&self, region: &str, name: &str, properties: &Value) {
        let mut body = properties.clone();
        let fields = body.as_object_mut().expect("properties are an object");
        // Switched on by another call, of which moto does nothing.
        fields.remove("TimeToLiveSpecification");
        fields.insert("TableName".to_owned(), json!(name));
        self.json_call("dynamodb", region, "DynamoDB_20120810.CreateTable", &body)
            .await;
    }

    /// Takes an item out of a table whose keys are `pk` and `sk`.
    ///
    /// # Panics
    /// When moto refuses.
    pub async fn remove_item(&self, region: &str, table: &str, pk: &str, sk: &str) {
        let body = json!({ "TableName": table, "Key": { "pk": { "S": pk }, "sk": { "S": sk } } });
        self.json_call("dynamodb", region, "DynamoDB_20120810.DeleteItem", &body)
            .await;
    }

    /// What is in a table, in no order, as DynamoDB writes items.
    ///
    /// # Panics
    /// When moto refuses.
    pub async fn items(&self, region: &str, table: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut body = json!({ "TableName": table });
        loop {
            let call = "DynamoDB_20120810.Scan";
            let (status, answer) = self.try_json_call("dynamodb", region, call, &body).await;
            assert_eq!(status, 200, "moto refuses {call}: {answer}");
            found.extend(answer["Items"].as_array().cloned().unwrap_or_default());
            match &answer["LastEvaluatedKey"] {
                Value::Null => return found,
                key => body["ExclusiveStartKey"] = key.clone(),
            }
        }
    }
}
