//! Changes to items, each with what has to be so for it to be made.

use super::item::{Item, Key};
use crate::store::Result;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use std::collections::HashMap;

/// One change, as a part of a transaction.
#[derive(Debug, Clone)]
pub(super) struct Write {
    what: What,
    condition: Option<String>,
    values: HashMap<String, AttributeValue>,
}

#[derive(Debug, Clone)]
enum What {
    Put(Item),
    Update(Key, String),
    Delete(Key),
}

impl Write {
    pub(super) fn put(item: Item) -> Self {
        Self::new(What::Put(item))
    }

    /// In an expression, `#word` is the attribute of that name.
    pub(super) fn update(key: Key, expression: &str) -> Self {
        Self::new(What::Update(key, expression.to_owned()))
    }

    pub(super) fn delete(key: Key) -> Self {
        Self::new(What::Delete(key))
    }

    fn new(what: What) -> Self {
        Self {
            what,
            condition: None,
            values: HashMap::new(),
        }
    }

    pub(super) fn when(mut self, condition: &str) -> Self {
        self.condition = Some(condition.to_owned());
        self
    }

    pub(super) fn when_absent(self) -> Self {
        self.when("attribute_not_exists(#pk)")
    }

    /// What `:name` stands for.
    pub(super) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        let update = match &self.what {
            What::Update(_, expression) => expression.as_str(),
            _ => "",
        };
        let condition = self.condition.as_deref().unwrap_or_default();
        names_in(&[update, condition])
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    /// The change as a transaction takes it.
    pub(super) fn part(self, table: &str) -> Result<TransactWriteItem> {
        let (names, values) = (self.names(), self.values());
        let whole = TransactWriteItem::builder();
        Ok(match self.what {
            What::Put(item) => whole.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(item.0))
                    .set_condition_expression(self.condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            What::Update(key, expression) => whole.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .update_expression(expression)
                    .set_condition_expression(self.condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
            What::Delete(key) => whole.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(self.condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()?,
            ),
        }
        .build())
    }
}

/// The attributes that expressions name: `#word` is `word`, so that no word can be one that DynamoDB reserves.
pub(super) fn names_in(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names: HashMap<String, String> = expressions
        .iter()
        .flat_map(|expression| expression.split('#').skip(1))
        .filter_map(|rest| rest.split(ends).next())
        .map(|word| (format!("#{word}"), word.to_owned()))
        .collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_expressions() {
        let names = names_in(&["SET #state = :s, #at = :a", "#pk = :p AND #state <> :x"]).unwrap();
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        let expected = ["at", "pk", "state"].map(|word| (format!("#{word}"), word.to_owned()));
        assert_eq!(names, expected);
        assert_eq!(names_in(&["", "x = :y"]), None);
    }
}
