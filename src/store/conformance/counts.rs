//! Counting, without reading everything.

use super::publications::publish;
use super::{arn, at, key, run};
use crate::model::{LayerState, RunState};
use crate::store::Store;
use std::collections::BTreeMap;

pub(crate) async fn what_there_is_is_counted(store: &dyn Store) {
    assert_eq!(store.run_counts().await.unwrap(), BTreeMap::new());
    assert_eq!(store.version_counts().await.unwrap(), BTreeMap::new());

    for (id, ends) in [
        ("plan-1", Some(RunState::Done)),
        ("plan-2", Some(RunState::Done)),
        ("plan-3", Some(RunState::Failed)),
        ("plan-4", None),
    ] {
        store.create_run(&run(id, Some(1), 0)).await.unwrap();
        if let Some(state) = ends {
            assert!(store.end_run(id, state, None).await.unwrap());
            assert!(!store.end_run(id, RunState::Cancelled, None).await.unwrap());
        }
    }
    store.create_run(&run("plan-4", Some(1), 5)).await.unwrap();
    let runs = [
        (RunState::Open, 1),
        (RunState::Done, 2),
        (RunState::Failed, 1),
    ];
    assert_eq!(store.run_counts().await.unwrap(), BTreeMap::from(runs));
    store.attach_pull_request("plan-1", 7).await.unwrap();
    let runs = [
        (RunState::Open, 2),
        (RunState::Done, 1),
        (RunState::Failed, 1),
    ];
    assert_eq!(store.run_counts().await.unwrap(), BTreeMap::from(runs));

    let counted = async || store.version_counts().await.unwrap();
    let (first, second, elsewhere) = (
        key("zip 1", "eu-west-1"),
        key("zip 2", "eu-west-1"),
        key("zip 1", "us-east-1"),
    );
    publish(store, &first, 1, 0).await;
    publish(store, &elsewhere, 1, 0).await;
    store.begin_publish(&second, "2.0", at(5)).await.unwrap();
    let versions = [(LayerState::Intent, 1), (LayerState::Live, 2)];
    assert_eq!(counted().await, BTreeMap::from(versions));
    publish(store, &second, 2, 6).await;
    let versions = [(LayerState::Live, 2), (LayerState::Deprecated, 1)];
    assert_eq!(counted().await, BTreeMap::from(versions));

    store.mark_deleted(&[arn(&first, 1)]).await.unwrap();
    let third = key("zip 3", "ap-south-1");
    store.begin_publish(&third, "3.0", at(7)).await.unwrap();
    assert!(store.drop_intent(&third).await.unwrap());
    // What is deleted is not counted, nor is what there is none of.
    assert_eq!(counted().await, BTreeMap::from([(LayerState::Live, 2)]));
}
