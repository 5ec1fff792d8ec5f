//! Runs and the journal of their steps.

use super::DynamoDbStore;
use super::changes::{Outcome, until_settled};
use super::item::{Item, moment, text_value, word};
use super::schema::{self, Index};
use super::table::Range;
use super::write::Write;
use crate::model::{Run, RunKind, RunState, StepRecord, Timestamp};
use crate::store::Result;
use anyhow::{Context as _, bail, ensure};

/// A run, and its place among those of the same second.
pub(super) type Placed = (Run, u64);

pub(super) fn item(run: &Run, sequence: u64) -> Result<Item> {
    let at = moment(run.created_at, sequence);
    Ok(Item::new(&schema::run(&run.id))
        .number("sequence", sequence)
        .text("id", &run.id)
        .text("kind", word(run.kind)?)
        .optional_text("pull_request", run.pull_request)
        .text("head_sha", &run.head_sha)
        .optional_text("base_sha", run.base_sha.as_ref())
        .text("state", word(run.state)?)
        .optional_text("detail", run.detail.as_ref())
        .text("created_at", run.created_at)
        .text("work", in_state(run.state)?)
        .text("work_at", &at)
        .text("list", of_kind(run.kind)?)
        .text("list_at", &at))
}

pub(super) fn record(item: &Item) -> Result<Placed> {
    let run = Run {
        id: item.get("id")?.to_owned(),
        kind: item.word("kind")?,
        pull_request: item.parse_optional("pull_request")?,
        head_sha: item.get("head_sha")?.to_owned(),
        base_sha: item.find("base_sha").map(str::to_owned),
        state: item.word("state")?,
        detail: item.find("detail").map(str::to_owned),
        created_at: item.parse("created_at")?,
    };
    Ok((run, item.count("sequence")?))
}

pub(super) fn in_state(state: RunState) -> Result<String> {
    Ok(format!("RUN#{}", word(state)?))
}

pub(super) fn of_kind(kind: RunKind) -> Result<String> {
    Ok(format!("RUN#{}", word(kind)?))
}

/// The item that lists a run with its pull request.
pub(super) fn listed(run: &Run, sequence: u64) -> Option<Item> {
    let partition = schema::pull_request(run.pull_request?);
    let sort = format!("RUN#{}", moment(run.created_at, sequence));
    let key = super::item::Key::new(partition, sort);
    Some(Item::new(&key).text("run", &run.id))
}

pub(super) async fn create(store: &DynamoDbStore, run: &Run) -> Result<bool> {
    let sequence = store.table.next_sequence(1).await?;
    let mut writes = vec![Write::put(item(run, sequence)?).when_absent()];
    writes.extend(listed(run, sequence).map(Write::put));
    let written = store.table.transact(writes).await?;
    Ok(written == Outcome::Done)
}

async fn find(store: &DynamoDbStore, id: &str) -> Result<Option<Placed>> {
    let item = store.table.get(&schema::run(id)).await?;
    item.as_ref().map(record).transpose()
}

pub(super) async fn get(store: &DynamoDbStore, id: &str) -> Result<Option<Run>> {
    Ok(find(store, id).await?.map(|(run, _)| run))
}

/// The runs that items name by a key each, as they are now, oldest first.
async fn named(store: &DynamoDbStore, keys: &[super::item::Key]) -> Result<Vec<Run>> {
    let items = store.table.get_all(keys).await?;
    let mut runs = items.iter().map(record).collect::<Result<Vec<_>>>()?;
    runs.sort_by_key(|(run, sequence)| (run.created_at, *sequence));
    Ok(runs.into_iter().map(|(run, _)| run).collect())
}

pub(super) async fn with_state(store: &DynamoDbStore, state: RunState) -> Result<Vec<Run>> {
    let partition = in_state(state)?;
    let items = store
        .table
        .index(Index::Work, &partition, Range::All, usize::MAX, true)
        .await?;
    let keys = items.iter().map(Item::key).collect::<Result<Vec<_>>>()?;
    let mut runs = named(store, &keys).await?;
    runs.retain(|run| run.state == state);
    Ok(runs)
}

pub(super) async fn of_pull_request(store: &DynamoDbStore, number: u64) -> Result<Vec<Run>> {
    let partition = schema::pull_request(number);
    let items = store.table.query(&partition, "RUN#").await?;
    let keys = items.iter().map(|item| Ok(schema::run(item.get("run")?)));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let mut runs = named(store, &keys).await?;
    runs.retain(|run| run.pull_request == Some(number));
    Ok(runs)
}

pub(super) async fn with_kind(
    store: &DynamoDbStore,
    kind: RunKind,
    limit: usize,
) -> Result<Vec<Run>> {
    let partition = of_kind(kind)?;
    let items = store
        .table
        .index(Index::List, &partition, Range::All, limit, false)
        .await?;
    let keys = items.iter().map(Item::key).collect::<Result<Vec<_>>>()?;
    let mut runs = named(store, &keys).await?;
    runs.reverse();
    Ok(runs)
}

pub(super) async fn first_at(store: &DynamoDbStore) -> Result<Option<Timestamp>> {
    let mut first: Option<Timestamp> = None;
    for kind in RunKind::ALL {
        let partition = of_kind(kind)?;
        let items = store
            .table
            .index(Index::List, &partition, Range::All, 1, true)
            .await?;
        let keys = items.iter().map(Item::key).collect::<Result<Vec<_>>>()?;
        for run in named(store, &keys).await? {
            let earlier = first.filter(|first| *first <= run.created_at);
            first = earlier.or(Some(run.created_at));
        }
    }
    Ok(first)
}

pub(super) async fn end(
    store: &DynamoDbStore,
    id: &str,
    state: RunState,
    detail: Option<&str>,
) -> Result<bool> {
    ensure!(state != RunState::Open, "a run cannot end as open");
    let set = match detail {
        Some(_) => "SET #state = :state, #work = :work, #detail = :detail",
        None => "SET #state = :state, #work = :work REMOVE #detail",
    };
    let mut update = Write::update(schema::run(id), set)
        .when("#state = :open")
        .value(":open", text_value(word(RunState::Open)?))
        .value(":state", text_value(word(state)?))
        .value(":work", text_value(in_state(state)?));
    if let Some(detail) = detail {
        update = update.value(":detail", text_value(detail));
    }
    // As a transaction of one: its token keeps a try whose answer was lost from finding the run ended by itself.
    let written = store.table.transact(vec![update]).await?;
    Ok(written == Outcome::Done)
}

pub(super) async fn attach_pull_request(
    store: &DynamoDbStore,
    id: &str,
    number: u64,
) -> Result<()> {
    until_settled("naming a run's pull request", || async {
        let Some((run, sequence)) = find(store, id).await? else {
            bail!("there is no run `{id}`");
        };
        let mut attached = run.clone();
        attached.pull_request = Some(number);
        if run.state == RunState::Done {
            attached.state = RunState::Open;
        }
        let mut writes = vec![
            Write::put(item(&attached, sequence)?)
                .when("#state = :state")
                .value(":state", text_value(word(run.state)?)),
        ];
        writes.extend(listed(&attached, sequence).map(Write::put));
        let written = store.table.transact(writes).await?;
        Ok((written == Outcome::Done).then_some(()))
    })
    .await
}

pub(super) async fn step_item(
    store: &DynamoDbStore,
    step: &StepRecord,
    sequence: u64,
) -> Result<Item> {
    let item = Item::new(&schema::step(&step.run, &step.name))
        .number("sequence", sequence)
        .text("run", &step.run)
        .text("name", &step.name)
        .text("state", word(step.state)?)
        .optional_text("started_at", step.started_at)
        .text("finished_at", step.finished_at);
    store.bodies.pack(item, &step.output.to_string()).await
}

pub(super) async fn step_record(store: &DynamoDbStore, item: &Item) -> Result<StepRecord> {
    let output = store.bodies.unpack(item).await?;
    Ok(StepRecord {
        run: item.get("run")?.to_owned(),
        name: item.get("name")?.to_owned(),
        state: item.word("state")?,
        output: serde_json::from_str(&output).context("a step's output in the store")?,
        started_at: item.parse_optional("started_at")?,
        finished_at: item.parse("finished_at")?,
    })
}

pub(super) async fn put_step(store: &DynamoDbStore, step: &StepRecord) -> Result<()> {
    let unwritten = || format!("cannot write step `{}` of run `{}`", step.name, step.run);
    // Only runs that ended long ago are removed: one that is there now is there when the step is written.
    let known = find(store, &step.run).await?;
    ensure!(known.is_some(), unwritten());
    let new = step_item(store, step, 0).await?;
    let key = new.key()?;
    until_settled("writing a step down", || async {
        let known = store.table.get(&key).await?;
        let sequence: u64 = match &known {
            // It keeps its place in the journal.
            Some(known) => known.count("sequence")?,
            None => store.table.next_sequence(1).await?,
        };
        let put = Write::put(new.clone().number("sequence", sequence));
        let put = if known.is_none() {
            put.when_absent()
        } else {
            put
        };
        let written = store.table.transact(vec![put]).await?;
        Ok((written == Outcome::Done).then_some(()))
    })
    .await
    .with_context(unwritten)
}

pub(super) async fn steps(store: &DynamoDbStore, run: &str) -> Result<Vec<StepRecord>> {
    let partition = schema::run(run).partition;
    let mut steps = Vec::new();
    for item in store.table.query(&partition, "STEP#").await? {
        let sequence: u64 = item.count("sequence")?;
        steps.push((sequence, step_record(store, &item).await?));
    }
    steps.sort_by_key(|(sequence, _)| *sequence);
    Ok(steps.into_iter().map(|(_, step)| step).collect())
}

pub(super) async fn step(
    store: &DynamoDbStore,
    run: &str,
    name: &str,
) -> Result<Option<StepRecord>> {
    match store.table.get(&schema::step(run, name)).await? {
        Some(item) => Ok(Some(step_record(store, &item).await?)),
        None => Ok(None),
    }
}
