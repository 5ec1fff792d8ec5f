//! What came from GitHub and what was said there: deliveries, events, conversations.

use super::changes::Outcome;
use super::item::{Item, Key, moment, text_value};
use super::schema::{self, Index};
use super::table::Range;
use super::write::Write;
use super::{DynamoDbStore, EXPIRES_BY_ITSELF};
use crate::model::{Conversation, Delivery, Event, Timestamp};
use crate::store::{Recorded, Result};
use anyhow::{Context as _, ensure};

/// Days that a delivery is kept: GitHub delivers once more what is at most three days old, and people ask later.
const DELIVERY_DAYS: u32 = 90;
/// Days that an event is kept once it is finished. Its delivery outlasts it.
const EVENT_DAYS: u32 = 30;
/// Partition key, in the index `work`, of events that nobody has finished.
const WAITING: &str = "EVENT";
/// When an event may go, once it is finished.
const KEPT_UNTIL: &str = "kept_until";

pub(super) async fn delivery_item(store: &DynamoDbStore, delivery: &Delivery) -> Result<Item> {
    let gone = delivery.received_at.plus_days(DELIVERY_DAYS);
    let item = Item::new(&schema::delivery(&delivery.id))
        .text("id", &delivery.id)
        .text("event", &delivery.event)
        .text("received_at", delivery.received_at)
        .number(EXPIRES_BY_ITSELF, gone.unix());
    store.bodies.pack(item, &delivery.body).await
}

pub(super) async fn delivery_record(store: &DynamoDbStore, item: &Item) -> Result<Delivery> {
    Ok(Delivery {
        id: item.get("id")?.to_owned(),
        event: item.get("event")?.to_owned(),
        body: store.bodies.unpack(item).await?,
        received_at: item.parse("received_at")?,
    })
}

/// An event's item; what came of it, if it is finished.
pub(super) async fn event_item(
    store: &DynamoDbStore,
    event: &Event,
    outcome: Option<&str>,
    sequence: u64,
) -> Result<Item> {
    let gone = event.received_at.plus_days(EVENT_DAYS).unix();
    let item = Item::new(&schema::event(&event.key))
        .number("sequence", sequence)
        .text("key", &event.key)
        .text("delivery", &event.delivery)
        .text("received_at", event.received_at)
        .number(KEPT_UNTIL, gone);
    let item = match outcome {
        Some(outcome) => item
            .text("outcome", outcome)
            .number(EXPIRES_BY_ITSELF, gone),
        None => item
            .text("work", WAITING)
            .text("work_at", moment(event.received_at, sequence)),
    };
    store.bodies.pack(item, &event.payload.to_string()).await
}

pub(super) async fn event_record(store: &DynamoDbStore, item: &Item) -> Result<Event> {
    let payload = store.bodies.unpack(item).await?;
    Ok(Event {
        key: item.get("key")?.to_owned(),
        delivery: item.get("delivery")?.to_owned(),
        payload: serde_json::from_str(&payload).context("an event's payload in the store")?,
        received_at: item.parse("received_at")?,
    })
}

pub(super) async fn record(
    store: &DynamoDbStore,
    delivery: &Delivery,
    event: Option<&Event>,
) -> Result<Recorded> {
    let delivered = Write::put(delivery_item(store, delivery).await?).when_absent();
    let mut writes = vec![delivered.clone()];
    if let Some(event) = event {
        let sequence = store.table.next_sequence(1).await?;
        let item = event_item(store, event, None, sequence).await?;
        writes.push(Write::put(item).when_absent());
    }
    Ok(match store.table.transact(writes).await? {
        Outcome::Done => Recorded::New,
        Outcome::Refused(refused) if refused.contains(&0) => Recorded::SeenDelivery,
        // The event is there, and stays; the delivery is written down by itself.
        Outcome::Refused(_) => match store.table.transact(vec![delivered]).await? {
            Outcome::Done => Recorded::SeenEvent,
            Outcome::Refused(_) => Recorded::SeenDelivery,
        },
    })
}

pub(super) async fn waiting(store: &DynamoDbStore, limit: usize) -> Result<Vec<Event>> {
    let named = store
        .table
        .index(Index::Work, WAITING, Range::All, limit, true)
        .await?;
    let keys = named.iter().map(Item::key).collect::<Result<Vec<Key>>>()?;
    let mut waiting: Vec<(Timestamp, u64, Event)> = Vec::new();
    for item in store.table.get_all(&keys).await? {
        if item.find("outcome").is_some() {
            continue;
        }
        let event = event_record(store, &item).await?;
        waiting.push((event.received_at, item.count("sequence")?, event));
    }
    waiting.sort_by_key(|(at, sequence, _)| (*at, *sequence));
    Ok(waiting.into_iter().map(|(_, _, event)| event).collect())
}

pub(super) async fn finish(store: &DynamoDbStore, key: &str, outcome: &str) -> Result<()> {
    // The first outcome stands: whoever finishes an event again did nothing more.
    let set = format!(
        "SET #outcome = if_not_exists(#outcome, :outcome), #{EXPIRES_BY_ITSELF} = #{KEPT_UNTIL} REMOVE #work, #work_at"
    );
    let finished = store
        .table
        .update(
            &schema::event(key),
            &set,
            Some("attribute_exists(#pk)"),
            &[(":outcome", text_value(outcome))],
        )
        .await?;
    ensure!(finished.is_some(), "there is no event `{key}` to finish");
    Ok(())
}

pub(super) fn conversation_item(conversation: &Conversation) -> Item {
    Item::new(&schema::conversation(conversation.pull_request))
        .text("pull_request", conversation.pull_request)
        .optional_text("comment_id", conversation.comment_id)
        .optional_text("approved_sha", conversation.approved_sha.as_ref())
}

pub(super) fn conversation_record(item: &Item) -> Result<Conversation> {
    Ok(Conversation {
        pull_request: item.parse("pull_request")?,
        comment_id: item.parse_optional("comment_id")?,
        approved_sha: item.find("approved_sha").map(str::to_owned),
    })
}

pub(super) async fn conversation(
    store: &DynamoDbStore,
    pull_request: u64,
) -> Result<Option<Conversation>> {
    let item = store.table.get(&schema::conversation(pull_request)).await?;
    item.as_ref().map(conversation_record).transpose()
}
