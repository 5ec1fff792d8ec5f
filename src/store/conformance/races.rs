//! What many do at once, and one of them may do.

use super::{arn, at, delivery, event, key, run};
use crate::model::{LayerState, Notification, RunState, Visibility};
use crate::store::{Recorded, Store};
use futures::future::{join_all, try_join_all};

/// How many are at it at once.
const MANY: u32 = 12;

fn winners(won: &[bool]) -> usize {
    won.iter().filter(|won| **won).count()
}

pub(crate) async fn one_of_many_wins(store: &dyn Store) {
    let run = run("plan-7", Some(7), 1);
    let created = try_join_all((0..MANY).map(|_| store.create_run(&run))).await;
    assert_eq!(winners(&created.unwrap()), 1, "one creates the run");
    let end = || store.end_run("plan-7", RunState::Done, Some("enough"));
    let ended = try_join_all((0..MANY).map(|_| end())).await.unwrap();
    assert_eq!(winners(&ended), 1, "one ends it");

    let same = delivery("d");
    let recorded = try_join_all((0..MANY).map(|_| store.record_delivery(&same, None))).await;
    let new = |recorded: &[Recorded]| {
        let new = recorded.iter().filter(|it| **it == Recorded::New);
        new.count()
    };
    assert_eq!(new(&recorded.unwrap()), 1, "one records the delivery");
    let others: Vec<_> = (0..MANY)
        .map(|n| (delivery(&format!("d{n}")), event("e", &format!("d{n}"), 1)))
        .collect();
    let record = others
        .iter()
        .map(|(delivery, event)| store.record_delivery(delivery, Some(event)));
    let recorded = try_join_all(record).await.unwrap();
    assert_eq!(new(&recorded), 1, "one records the event: {recorded:?}");
    let waiting = store.waiting_events(9).await.unwrap();
    let delivered: Vec<_> = waiting.iter().map(|event| event.delivery.clone()).collect();
    let winner = recorded.iter().position(|it| *it == Recorded::New).unwrap();
    assert_eq!(delivered, [format!("d{winner}")]);

    let message = Notification {
        id: "one".to_owned(),
        destination: "https://hooks.example.com/x".parse().unwrap(),
        subject: "pandas".to_owned(),
        body: "{}".to_owned(),
        created_at: at(1),
        attempts: 0,
        next_attempt_at: at(1),
    };
    let messages = std::slice::from_ref(&message);
    let put = try_join_all((0..MANY).map(|_| store.put_notifications(messages, &[]))).await;
    put.unwrap();
    let begun = try_join_all((0..MANY).map(|_| store.begin_attempt(&message, at(9)))).await;
    assert_eq!(winners(&begun.unwrap()), 1, "one begins the attempt");

    let (key, public) = (key("zip", "us-east-1"), Visibility::Public);
    let arn = arn(&key, 3);
    let adopt = || store.adopt(&key, "1.0", &arn, &public, at(5), at(50));
    let adopted = try_join_all((0..MANY).map(|_| adopt())).await.unwrap();
    assert_eq!(winners(&adopted), 1, "one adopts the version");
}

pub(crate) async fn one_of_many_versions_is_live(store: &dyn Store) {
    let keys: Vec<_> = (0..MANY)
        .map(|n| key(&format!("zip {n}"), "us-east-1"))
        .collect();
    let publish = (1..).zip(&keys).map(|(number, key)| async move {
        store.begin_publish(key, "1.0", at(1)).await.unwrap();
        let arn = arn(key, number);
        store
            .mark_live(key, &arn, &Visibility::Public, at(2), at(3))
            .await
            .unwrap();
    });
    join_all(publish).await;
    let versions = store.layer_versions().await.unwrap();
    let live = versions
        .iter()
        .filter(|version| version.state == LayerState::Live);
    assert_eq!((versions.len(), live.count()), (keys.len(), 1));
    // Each was published, and each but one deprecated: nothing is untold, and nothing told twice.
    assert_eq!(store.news().await.unwrap().len(), 2 * keys.len() - 1);
    assert_eq!(store.intents().await.unwrap(), []);

    // The same version marked by many is one that went live once.
    let again = key("again", "us-east-1");
    store.begin_publish(&again, "1.0", at(4)).await.unwrap();
    let arn = arn(&again, 99);
    let mark = || store.mark_live(&again, &arn, &Visibility::Public, at(5), at(6));
    try_join_all((0..MANY).map(|_| mark())).await.unwrap();
    assert_eq!(store.news().await.unwrap().len(), 2 * keys.len() + 1);
    // Retired by many, it is retired once.
    let retire = || store.retire(&again.layer, again.target, None, at(7));
    let retired = try_join_all((0..MANY).map(|_| retire())).await.unwrap();
    assert_eq!(retired.iter().sum::<usize>(), 1, "{retired:?}");
    let deleted = try_join_all((0..MANY).map(|_| store.mark_deleted(std::slice::from_ref(&arn))));
    assert_eq!(deleted.await.unwrap().iter().sum::<usize>(), 1);
}
