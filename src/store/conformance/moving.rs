//! Everything out of one store and into another.

use super::publications::publish;
use super::{arn, at, build, delivery, event, key, run};
use crate::model::{
    Conversation, LayerState, Notification, RunState, StepRecord, StepState, Visibility,
};
use crate::store::{CopyRefused, Earlier, Record, Store, copy};
use serde_json::json;

/// Something of everything, in all states.
async fn fill(store: &dyn Store) {
    let record = async |id: &str, key: &str| {
        let event = event(key, id, 3);
        store
            .record_delivery(&delivery(id), Some(&event))
            .await
            .unwrap();
    };
    record("d2", "finished").await;
    record("d1", "waiting").await;
    store.finish_event("finished", "run plan-7").await.unwrap();
    for (id, pull_request) in [("plan-7", Some(7)), ("plan-8", Some(7)), ("apply-1", None)] {
        store.create_run(&run(id, pull_request, 1)).await.unwrap();
    }
    store
        .end_run("plan-7", RunState::Superseded, Some("by plan-8"))
        .await
        .unwrap();
    store.attach_pull_request("apply-1", 9).await.unwrap();
    for name in ["read", "build/pandas/p3.13"] {
        let step = StepRecord {
            run: "plan-7".to_owned(),
            name: name.to_owned(),
            state: StepState::Done,
            output: json!({ "text": name }),
            started_at: Some(at(1)),
            finished_at: at(2),
        };
        store.put_step(&step).await.unwrap();
    }
    let conversation = Conversation {
        pull_request: 7,
        comment_id: Some(99),
        approved_sha: None,
    };
    store.put_conversation(&conversation).await.unwrap();
    for build in [build("f", "zip 2", 1), build("f", "zip 1", 1)] {
        store.put_build(&build).await.unwrap();
    }
    for (number, zip) in (1..).zip(["zip 0", "zip 1", "zip 2", "zip 3"]) {
        publish(store, &key(zip, "us-east-1"), number, 1).await;
    }
    let first = arn(&key("zip 0", "us-east-1"), 1);
    store.mark_deleted(&[first]).await.unwrap();
    let second = arn(&key("zip 1", "us-east-1"), 2);
    store.set_expiries(&[(second.clone(), None)]).await.unwrap();
    store
        .record_visibility(&second, &Visibility::Accounts(vec!["1".repeat(12)]))
        .await
        .unwrap();
    store
        .begin_publish(&key("zip 9", "eu-west-1"), "9.0", at(9))
        .await
        .unwrap();
    let idle = key("zip 9", "eu-west-1");
    store.note_idle(&idle).await.unwrap();
    let message = Notification {
        id: "one".to_owned(),
        destination: "https://hooks.example.com/x".parse().unwrap(),
        subject: "pandas".to_owned(),
        body: "{}".to_owned(),
        created_at: at(1),
        attempts: 2,
        next_attempt_at: at(4),
    };
    let news = store.news().await.unwrap();
    let told = [news[0].sequence];
    store.put_notifications(&[message], &told).await.unwrap();
}

/// Everything, in the order of kinds and names.
async fn everything(store: &dyn Store) -> Vec<Record> {
    let mut records = Vec::new();
    let mut after = None;
    loop {
        let page = store.export(after.as_deref()).await.unwrap();
        records.extend(page.records);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    records.sort_by_key(|record| (record.kind(), record.name()));
    records
}

/// Both have to be empty.
pub(crate) async fn everything_moves(from: &dyn Store, to: &dyn Store) {
    fill(from).await;
    let source = everything(from).await;
    let kinds: std::collections::BTreeSet<_> = source.iter().map(Record::kind).collect();
    assert_eq!(kinds.len(), 9, "{kinds:?}");

    // A part of it is there, as when a copy was killed.
    to.import(&source[..source.len() / 2]).await.unwrap();
    let copied = copy(from, to, |_, _| ()).await.unwrap();
    assert_eq!(copied.already_there, source.len() / 2);
    assert_eq!(copied.written + copied.already_there, source.len());
    assert_eq!(everything(to).await, source);
    let again = copy(from, to, |_, _| ()).await.unwrap();
    assert_eq!((again.written, again.digest), (0, copied.digest));

    assert_eq!(
        to.layer_versions().await.unwrap(),
        from.layer_versions().await.unwrap()
    );
    assert_eq!(to.builds().await.unwrap(), from.builds().await.unwrap());
    assert_eq!(to.news().await.unwrap(), from.news().await.unwrap());
    assert_eq!(to.intents().await.unwrap(), from.intents().await.unwrap());
    assert_eq!(to.runs_of(7).await.unwrap(), from.runs_of(7).await.unwrap());
    assert_eq!(to.runs_of(9).await.unwrap(), from.runs_of(9).await.unwrap());
    assert_eq!(
        to.steps("plan-7").await.unwrap(),
        from.steps("plan-7").await.unwrap()
    );
    assert_eq!(to.first_run_at().await.unwrap(), Some(at(1)));
    assert_eq!(to.waiting_events(9).await.unwrap().len(), 1);
    assert_eq!(to.due_notifications(at(9), 9).await.unwrap().len(), 1);

    // It goes on where the other one was: what is live is superseded, what comes next comes after what was there.
    let live = key("zip 3", "us-east-1");
    let standing = to.begin_publish(&live, "1.0", at(20)).await.unwrap();
    assert_eq!(standing.version.state, LayerState::Live);
    let idle = key("zip 9", "eu-west-1");
    let begun = to.begin_publish(&idle, "9.0", at(21)).await.unwrap();
    assert_eq!(begun.earlier, Earlier::Over);
    publish(to, &key("zip 4", "us-east-1"), 5, 21).await;
    publish(to, &key("zip 9", "eu-west-1"), 1, 21).await;
    let versions = to.layer_versions().await.unwrap();
    let count = |state| versions.iter().filter(|it| it.state == state).count();
    assert_eq!(
        (count(LayerState::Live), count(LayerState::Deprecated)),
        (2, 3)
    );
    to.create_run(&run("plan-10", Some(7), 1)).await.unwrap();
    let last = to.runs_of(7).await.unwrap().pop();
    assert_eq!(last.map(|run| run.id).as_deref(), Some("plan-10"));
    let news = to.news().await.unwrap();
    assert!(news.is_sorted_by_key(|news| news.sequence));
    let gone = to.mark_deleted(&[arn(&live, 4)]).await.unwrap();
    assert_eq!(gone, 1);

    // By now it is another store, into which nothing is copied.
    let refused = copy(from, to, |_, _| ()).await.unwrap_err();
    assert!(
        matches!(refused, CopyRefused::OtherContents(_)),
        "{refused}"
    );
    assert_eq!(everything(from).await, source);
}
