//! What every store does with layer versions as time passes.

use super::publications::{publish, shown};
use super::{arn, at, key, run};
use crate::model::{LayerState, LayerVersion, Run, RunKind, RunState, Visibility};
use crate::store::{Earlier, Store};

pub(crate) async fn what_expires_and_what_is_deleted(store: &dyn Store) {
    let (first, second) = (key("zip 1", "us-east-1"), key("zip 2", "us-east-1"));
    publish(store, &first, 1, 1).await;
    publish(store, &second, 2, 5).await;
    publish(store, &first, 3, 9).await;
    let expired = async |seconds| -> Vec<u64> {
        let expired = store.expired(at(seconds)).await.unwrap();
        let numbers = expired.iter().filter_map(|version| version.arn.as_ref());
        numbers.map(|arn| arn.version).collect()
    };
    assert_eq!(expired(1004).await, [0_u64; 0], "not before its time");
    assert_eq!(expired(1005).await, [1]);
    assert_eq!(expired(9999).await, [1, 2], "what is live never expires");

    // What is kept has no expiry; others get theirs back.
    let first_arn = arn(&first, 1);
    let never = [(first_arn.clone(), None), (arn(&first, 3), None)];
    store.set_expiries(&never).await.unwrap();
    assert_eq!(expired(9999).await, [2]);
    let kept = store.that_may_be_kept(&[]).await.unwrap();
    assert_eq!(kept[0].arn.as_ref(), Some(&first_arn));
    let of_layer = store
        .that_may_be_kept(std::slice::from_ref(&first.layer))
        .await
        .unwrap();
    assert_eq!((kept.len(), of_layer.len()), (1, 2));
    store
        .set_expiries(&[(first_arn.clone(), Some(at(2000)))])
        .await
        .unwrap();
    assert_eq!(expired(9999).await, [2, 1]);

    let gone = [first_arn, arn(&first, 77)];
    assert_eq!(store.mark_deleted(&gone).await.unwrap(), 1);
    assert_eq!(store.mark_deleted(&gone).await.unwrap(), 0);
    assert_eq!(expired(9999).await, [2]);
    assert_eq!(shown(store).await, ["Deprecated 2 until 1009", "Live 3"]);
    store.mark_deleted(&[arn(&first, 3)]).await.unwrap();
    let again = store.begin_publish(&first, "1.0", at(20)).await.unwrap();
    let state = again.version.state;
    assert_eq!(state, LayerState::Intent, "it is published anew");
    let gone = store.deleted_versions(None).await.unwrap();
    let numbers = gone.iter().filter_map(|it| Some(it.arn.as_ref()?.version));
    let numbers: std::collections::BTreeSet<u64> = numbers.collect();
    assert_eq!(numbers, [1, 3].into());
    for (layer, count) in [(first.layer.clone(), 2), ("numpy".parse().unwrap(), 0)] {
        let layers = std::iter::once(layer).collect();
        let gone = store.deleted_versions(Some(&layers)).await.unwrap();
        assert_eq!(gone.len(), count);
    }
}

pub(crate) async fn who_may_use_what(store: &dyn Store) {
    let (one, other) = (key("zip", "us-east-1"), key("zip", "eu-west-1"));
    publish(store, &one, 1, 1).await;
    publish(store, &other, 1, 2).await;
    store
        .begin_publish(&key("zip", "sa-east-1"), "1.0", at(3))
        .await
        .unwrap();
    let accounts = Visibility::Accounts(vec!["111111111111".to_owned()]);
    let otherwise = async |visibility: &Visibility| -> Vec<String> {
        let rows = store.shared_otherwise(visibility, None).await.unwrap();
        let of = async |layer: &str| {
            let layers = std::iter::once(layer.parse().unwrap()).collect();
            let rows = store.shared_otherwise(visibility, Some(&layers)).await;
            rows.unwrap()
        };
        assert_eq!(of("pandas").await, rows, "all are of this layer");
        assert_eq!(of("numpy").await, []);
        rows.iter()
            .map(|(row, _)| row.key.region.to_string())
            .collect()
    };
    assert_eq!(otherwise(&Visibility::Public).await, [""; 0]);
    assert_eq!(otherwise(&accounts).await, ["us-east-1", "eu-west-1"]);
    store
        .record_visibility(&arn(&one, 1), &accounts)
        .await
        .unwrap();
    assert_eq!(otherwise(&accounts).await, ["eu-west-1"]);
    assert_eq!(otherwise(&Visibility::Public).await, ["us-east-1"]);
    store.mark_deleted(&[arn(&one, 1)]).await.unwrap();
    assert_eq!(otherwise(&Visibility::Public).await, [""; 0]);
}

pub(crate) async fn what_is_for_others_is_not_listed(store: &dyn Store) {
    let (old, new) = (key("old zip", "us-east-1"), key("new zip", "us-east-1"));
    publish(store, &old, 1, 1).await;
    publish(store, &new, 2, 2).await;
    let accounts = Visibility::Accounts(vec!["111111111111".to_owned()]);
    let narrow = async |key, number| {
        let arn = arn(key, number);
        let record = store.record_visibility(&arn, &accounts);
        record.await.unwrap();
    };
    let listed = async || -> (Vec<u64>, Vec<u64>) {
        let number = |row: LayerVersion| row.arn.unwrap().version;
        let layers = std::iter::once(new.layer.clone()).collect();
        let all = store.listed_versions_of(&layers).await.unwrap();
        let live = store.live_in(new.target, &new.region).await.unwrap();
        let numbers = |rows: Vec<LayerVersion>| {
            let mut numbers: Vec<u64> = rows.into_iter().map(number).collect();
            numbers.sort_unstable();
            numbers
        };
        (numbers(all), numbers(live))
    };
    let one_of_each = [Visibility::Public, accounts.clone()];
    narrow(&old, 1).await;
    assert_eq!(store.listed_for().await.unwrap(), []);
    assert_eq!(listed().await, (vec![1, 2], vec![2]), "nobody noted it");
    store.list_for(&one_of_each[..1]).await.unwrap();
    assert_eq!(listed().await, (vec![2], vec![2]));
    store.list_for(&one_of_each[1..]).await.unwrap();
    assert_eq!(listed().await, (vec![1], vec![]));
    store.list_for(&one_of_each).await.unwrap();
    assert_eq!(store.listed_for().await.unwrap(), one_of_each);
    assert_eq!(listed().await, (vec![1, 2], vec![2]));
    store.list_for(&one_of_each[1..]).await.unwrap();
    narrow(&new, 2).await;
    assert_eq!(listed().await, (vec![1, 2], vec![2]));
}

pub(crate) async fn adopting_what_nobody_recorded(store: &dyn Store) {
    let (key, public) = (key("zip", "us-east-1"), Visibility::Public);
    let adopt = async |number| {
        let arn = arn(&key, number);
        let adopted = store.adopt(&key, "1.0", &arn, &public, at(5), at(50)).await;
        adopted.unwrap()
    };
    assert!(adopt(4).await);
    assert!(!adopt(4).await);
    assert_eq!(shown(store).await, ["Deprecated 4 until 50"]);
    // What is published with that zip later is that version.
    publish(store, &key, 4, 7).await;
    assert_eq!(shown(store).await, ["Live 4"]);
    assert!(!adopt(4).await);
}

pub(crate) async fn intents_are_given_up(store: &dyn Store) {
    let (one, other) = (key("zip 1", "us-east-1"), key("zip 2", "us-east-1"));
    for (key, seconds) in [(&one, 2), (&other, 1)] {
        store.begin_publish(key, "1.0", at(seconds)).await.unwrap();
    }
    let intents = store.intents().await.unwrap();
    let keys: Vec<_> = intents.iter().map(|intent| &intent.key).collect();
    assert_eq!(keys, [&other, &one], "oldest first");
    assert!(store.drop_intent(&other).await.unwrap());
    assert!(!store.drop_intent(&other).await.unwrap());
    publish(store, &one, 1, 3).await;
    assert!(!store.drop_intent(&one).await.unwrap(), "it is a version");
    assert_eq!(shown(store).await, ["Live 1"]);
    assert!(store.intents().await.unwrap().is_empty());
}

pub(crate) async fn intents_are_open_until_it_is_noted(store: &dyn Store) {
    let key = key("zip", "us-east-1");
    let begin = async |seconds| {
        let begun = store.begin_publish(&key, "1.0", at(seconds)).await;
        begun.unwrap().earlier
    };
    store.note_idle(&key).await.unwrap();
    assert_eq!(begin(1).await, Earlier::Never);
    assert_eq!(begin(2).await, Earlier::Open, "nobody noted the end");
    for seconds in [3, 5] {
        store.note_idle(&key).await.unwrap();
        store.note_idle(&key).await.unwrap();
        assert_eq!(begin(seconds).await, Earlier::Over);
        assert_eq!(
            begin(seconds + 1).await,
            Earlier::Open,
            "it was begun again"
        );
    }
    store.note_idle(&key).await.unwrap();
    assert_eq!(store.intents().await.unwrap().len(), 1);
    assert!(store.drop_intent(&key).await.unwrap());
    assert_eq!(begin(9).await, Earlier::Never);
}

pub(crate) async fn runs_by_kind(store: &dyn Store) {
    assert_eq!(store.first_run_at().await.unwrap(), None);
    for (id, kind, seconds) in [
        ("a", RunKind::Apply, 5),
        ("b", RunKind::Expire, 6),
        ("c", RunKind::Expire, 8),
        ("d", RunKind::Expire, 8),
        ("e", RunKind::Expire, 7),
    ] {
        let run = Run {
            kind,
            ..run(id, None, seconds)
        };
        store.create_run(&run).await.unwrap();
    }
    let ids = async |kind, limit| -> Vec<String> {
        let runs = store.runs_of_kind(kind, limit).await.unwrap();
        runs.into_iter().map(|run| run.id).collect()
    };
    assert_eq!(ids(RunKind::Expire, 3).await, ["d", "c", "e"]);
    assert_eq!(ids(RunKind::Verify, 3).await, [""; 0]);
    store.end_run("d", RunState::Done, None).await.unwrap();
    assert_eq!(ids(RunKind::Expire, 1).await, ["d"], "whatever its state");
    assert_eq!(store.first_run_at().await.unwrap(), Some(at(5)));
}
