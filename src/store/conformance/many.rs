//! More at once, and larger, than one call of a store's own may take.

use super::publications::publish;
use super::{arn, at, build, delivery, event, key, run};
use crate::model::{
    Delivery, Destination, Event, LayerState, LayerVersion, Notification, Region, StepRecord,
    StepState, Visibility,
};
use crate::store::Store;
use serde_json::json;

/// Text that nothing makes much smaller.
fn noise(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.alphanumeric())
        .take(length)
        .collect()
}

fn step(name: &str, output: serde_json::Value) -> StepRecord {
    StepRecord {
        run: "plan-7".to_owned(),
        name: name.to_owned(),
        state: StepState::Done,
        output,
        started_at: None,
        finished_at: at(0),
    }
}

fn message(id: &str, body: &str) -> Notification {
    Notification {
        id: id.to_owned(),
        destination: Destination::webhook("https://hooks.example.com/x").unwrap(),
        subject: "pandas 2.3.3".to_owned(),
        body: body.to_owned(),
        created_at: at(1),
        attempts: 0,
        next_attempt_at: at(1),
    }
}

pub(crate) async fn large_values(store: &dyn Store) {
    let noise = noise(1_500_000);
    let delivery = Delivery {
        body: noise.clone(),
        ..delivery("d")
    };
    let event = Event {
        payload: json!({ "text": noise }),
        ..event("e", "d", 1)
    };
    store
        .record_delivery(&delivery, Some(&event))
        .await
        .unwrap();
    assert_eq!(store.waiting_events(9).await.unwrap(), [event]);

    store.create_run(&run("plan-7", None, 0)).await.unwrap();
    let step = step("read", json!({ "text": noise }));
    store.put_step(&step).await.unwrap();
    assert_eq!(store.step("plan-7", "read").await.unwrap(), Some(step));

    let mut build = build("f", "zip", 1);
    build.version = noise.clone();
    store.put_build(&build).await.unwrap();
    store.put_build(&build).await.unwrap();
    assert_eq!(store.builds().await.unwrap(), [build]);

    let message = message("one", &json!({ "text": noise }).to_string());
    let messages = std::slice::from_ref(&message);
    store.put_notifications(messages, &[]).await.unwrap();
    assert_eq!(store.due_notifications(at(2), 9).await.unwrap(), [message]);
}

pub(crate) async fn many_pages(store: &dyn Store) {
    store.create_run(&run("plan-7", None, 0)).await.unwrap();
    let noise = noise(120_000);
    let steps: Vec<StepRecord> = (0..24)
        .map(|number| step(&format!("build/{}", 99 - number), json!([number, noise])))
        .collect();
    for step in &steps {
        store.put_step(step).await.unwrap();
    }
    assert!(store.steps("plan-7").await.unwrap() == steps, "steps");
    // More than one answer has, and more than one question may name.
    for number in 0..130_u32 {
        let id = format!("plan-9-{number:03}");
        let run = run(&id, Some(9), i64::from(number));
        store.create_run(&run).await.unwrap();
    }
    let runs = store.runs_of(9).await.unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    assert_eq!(
        (ids.len(), ids[0], ids[129]),
        (130, "plan-9-000", "plan-9-129")
    );
    assert!(ids.is_sorted());
    assert_eq!(store.runs_in(runs[0].state).await.unwrap().len(), 131);
}

pub(crate) async fn many_versions_at_once(store: &dyn Store) {
    let regions = Region::commercial();
    let mut arns = Vec::new();
    for region in &regions {
        let key = key("zip", region.as_str());
        publish(store, &key, 1, 1).await;
        arns.push(arn(&key, 1));
    }
    let key = key("zip", "us-east-1");
    let retired = store.retire(&key.layer, key.target, None, at(9)).await;
    assert_eq!(retired.unwrap(), regions.len());
    let news = store.news().await.unwrap();
    assert_eq!(news.len(), 2 * regions.len());
    assert!(
        news.iter()
            .all(|news| news.version.state == LayerState::Deprecated)
    );
    assert_eq!(store.expired(at(9)).await.unwrap().len(), regions.len());

    let kept: Vec<_> = arns.iter().map(|arn| (arn.clone(), None)).collect();
    store.set_expiries(&kept).await.unwrap();
    assert_eq!(store.expired(at(9)).await.unwrap(), []);
    assert_eq!(
        store.that_may_be_kept(&[]).await.unwrap().len(),
        regions.len()
    );
    let deleted = store.mark_deleted(&arns).await.unwrap();
    assert_eq!(deleted, regions.len());
    assert_eq!(store.layer_versions().await.unwrap(), []);
    // What is deleted is told of like anything else.
    let news = store.news().await.unwrap();
    assert_eq!(news.len(), 2 * regions.len());
    assert!(
        news.iter()
            .all(|news| news.version.state == LayerState::Deleted)
    );
}

pub(crate) async fn many_messages_at_once(store: &dyn Store) {
    for number in 1..=3 {
        publish(
            store,
            &key(&format!("zip {number}"), "us-east-1"),
            number,
            1,
        )
        .await;
    }
    let told: Vec<u64> = store
        .news()
        .await
        .unwrap()
        .iter()
        .map(|news| news.sequence)
        .collect();
    let (small, large) = (json!({}), json!({ "text": noise(220_000) }));
    let messages: Vec<Notification> = (0..150)
        .map(|number| {
            let body = if number < 20 { &large } else { &small };
            message(&format!("{number:03}"), &body.to_string())
        })
        .collect();
    // Some are there already, as after a crash.
    store
        .put_notifications(&messages[90..110], &[])
        .await
        .unwrap();
    store.put_notifications(&messages, &told).await.unwrap();
    assert_eq!(store.news().await.unwrap(), []);
    let due = store.due_notifications(at(1), 9999).await;
    assert_eq!(due.unwrap().len(), messages.len());
    let due = store.due_notifications(at(1), 20).await.unwrap();
    assert_eq!(due, messages[90..110], "in the order of writing");
}

/// In the order of writing, and not in that of names.
pub(crate) async fn order_within_a_second(store: &dyn Store) {
    let regions = [
        "us-west-2",
        "eu-west-1",
        "sa-east-1",
        "ap-south-1",
        "us-east-1",
    ];
    let in_order = |versions: &[LayerVersion]| -> Vec<String> {
        let regions = versions
            .iter()
            .map(|version| version.key.region.to_string());
        regions.collect()
    };
    for region in regions {
        let key = key("zip", region);
        store.begin_publish(&key, "1.0", at(1)).await.unwrap();
    }
    assert_eq!(in_order(&store.intents().await.unwrap()), regions);
    for region in regions {
        publish(store, &key("zip", region), 1, 1).await;
        let newer = key("newer zip", region);
        publish(store, &newer, 2, 1).await;
    }
    assert_eq!(in_order(&store.expired(at(9999)).await.unwrap()), regions);
    let otherwise = store.shared_otherwise(&Visibility::Private, None);
    let otherwise = otherwise.await.unwrap();
    let otherwise: Vec<LayerVersion> = otherwise.into_iter().map(|(row, _)| row).collect();
    assert_eq!(in_order(&otherwise)[..5], regions);

    let ids = ["c", "a", "d", "b"];
    for id in ids {
        store.create_run(&run(id, Some(7), 1)).await.unwrap();
    }
    let of = |runs: Vec<crate::model::Run>| -> Vec<String> {
        runs.into_iter().map(|run| run.id).collect()
    };
    assert_eq!(of(store.runs_of(7).await.unwrap()), ids);
    let first = store.run("c").await.unwrap().unwrap();
    assert_eq!(of(store.runs_in(first.state).await.unwrap()), ids);
    let newest = store.runs_of_kind(first.kind, 3).await.unwrap();
    assert_eq!(of(newest), ["b", "d", "a"]);
}
