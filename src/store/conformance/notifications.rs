//! What nobody was told of yet, and messages on their way.

use super::publications::publish;
use super::{arn, at, key};
use crate::model::{Destination, LayerState, NewsKind, Notification, Visibility};
use crate::store::Store;

/// Each piece of news as `kind number state`, the number being the ARN's.
async fn told(store: &dyn Store) -> Vec<(NewsKind, u64, LayerState)> {
    let news = store.news().await.unwrap();
    assert!(news.is_sorted_by_key(|news| news.sequence));
    news.into_iter()
        .map(|news| {
            let version = news.version.arn.map_or(0, |arn| arn.version);
            (news.kind, version, news.version.state)
        })
        .collect()
}

pub(crate) async fn news_are_written_with_the_change(store: &dyn Store) {
    use LayerState::{Deprecated, Live};
    use NewsKind::{Deprecated as Ended, Published};
    let (old, new) = (key("old zip", "us-east-1"), key("new zip", "us-east-1"));
    store.begin_publish(&old, "1.0", at(1)).await.unwrap();
    assert_eq!(told(store).await, [], "an intent is no news");
    publish(store, &old, 1, 2).await;
    // Repeated, as after a crash: nothing changes, so there is no news either.
    store
        .mark_live(&old, &arn(&old, 1), &Visibility::Public, at(3), at(4))
        .await
        .unwrap();
    assert_eq!(told(store).await, [(Published, 1, Live)]);
    publish(store, &new, 2, 5).await;
    assert_eq!(
        told(store).await,
        [
            (Published, 1, Deprecated),
            (Ended, 1, Deprecated),
            (Published, 2, Live)
        ]
    );
    let first: Vec<u64> = store.news().await.unwrap()[..2]
        .iter()
        .map(|news| news.sequence)
        .collect();
    store.put_notifications(&[], &first).await.unwrap();
    assert_eq!(told(store).await, [(Published, 2, Live)]);
    store
        .retire(&new.layer, new.target, None, at(9))
        .await
        .unwrap();
    assert_eq!(
        told(store).await,
        [(Published, 2, Deprecated), (Ended, 2, Deprecated)]
    );
    // A rollback adopts the version that was deprecated: its old row goes, and what was said of that row with it.
    publish(store, &old, 1, 20).await;
    assert_eq!(
        told(store).await,
        [
            (Published, 2, Deprecated),
            (Ended, 2, Deprecated),
            (Published, 1, Live)
        ]
    );
}

pub(crate) async fn messages_wait_for_their_time(store: &dyn Store) {
    let message = |id: &str, to: &str, due: i64| Notification {
        id: id.to_owned(),
        destination: to.parse().unwrap(),
        subject: "pandas 2.3.3".to_owned(),
        body: r#"{"schema":1}"#.to_owned(),
        created_at: at(1),
        attempts: 0,
        next_attempt_at: at(due),
    };
    let topic = "arn:aws:sns:eu-west-1:123456789012:layers";
    let hook = "https://hooks.example.com/x";
    let messages = [
        message("one", topic, 20),
        message("one", hook, 10),
        message("two", hook, 30),
    ];
    store.put_notifications(&messages, &[]).await.unwrap();
    // The same once more, as after a crash, is one message.
    store
        .put_notifications(&[message("one", hook, 0)], &[])
        .await
        .unwrap();
    let due = store.due_notifications(at(20), 10).await.unwrap();
    assert_eq!(due, [messages[1].clone(), messages[0].clone()]);
    assert_eq!(due[0].destination, Destination::webhook(hook).unwrap());
    assert_eq!(store.due_notifications(at(20), 1).await.unwrap().len(), 1);

    assert!(store.begin_attempt(&due[0], at(100)).await.unwrap());
    assert!(
        !store.begin_attempt(&due[0], at(100)).await.unwrap(),
        "somebody else is at it"
    );
    assert_eq!(store.due_notifications(at(99), 10).await.unwrap().len(), 2);
    let again = &store.due_notifications(at(100), 10).await.unwrap()[2];
    assert_eq!((again.id.as_str(), again.attempts), ("one", 1));
    assert!(store.begin_attempt(again, at(200)).await.unwrap());

    store.end_notification(again).await.unwrap();
    store.end_notification(again).await.unwrap();
    assert!(!store.begin_attempt(again, at(300)).await.unwrap());
    let left = store.due_notifications(at(1000), 10).await.unwrap();
    assert_eq!(left, [messages[0].clone(), messages[2].clone()]);
}
