//! Publications that nobody heard of: what they may make yet is waited for, and nothing is published twice.

use super::world::{World, one_target};
use crate::model::Visibility;
use crate::store::Earlier;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// One layer for one target and region, whose next publications nobody hears of.
async fn world(unheard: &[Option<Duration>]) -> World {
    let mut world = World::new(one_target(), vec!["eu-west-1".parse().unwrap()]);
    world.request("demo", "packages: [demo]\n");
    world.registry.say_nothing(unheard.iter().copied());
    world.apply().await;
    world
}

#[tokio::test]
async fn a_second_try_that_nobody_heard_of_is_waited_for_like_the_first() {
    let late = Some(Duration::from_millis(300));
    let mut world = world(&[None, late]).await;
    assert_eq!(world.workshop.store.intents().await.unwrap(), []);
    world.apply().await;
    assert_eq!(world.registry.all(&Visibility::Public).len(), 1);
}

#[tokio::test]
async fn after_the_wait_for_a_try_that_came_to_nothing_the_next_one_need_not_wait() {
    let world = world(&[None, None]).await;
    let store = &world.workshop.store;
    let intent = store.intents().await.unwrap().remove(0);
    let now = world.workshop.now();
    let begun = store.begin_publish(&intent.key, "1.0", now).await.unwrap();
    assert_eq!(begun.earlier, Earlier::Over);
}

#[tokio::test]
async fn what_a_killed_process_asked_for_and_nobody_wants_any_more_is_recorded_all_the_same() {
    let mut world = World::new(one_target(), vec!["eu-west-1".parse().unwrap()]);
    world.request("demo", "packages: [demo]\n");
    let registry = Arc::clone(&world.registry);
    registry.say_nothing([Some(Duration::from_millis(900))]);
    {
        let mut applying = pin!(world.apply());
        poll_fn(|context| {
            let polled = applying.as_mut().poll(context);
            assert!(polled.is_pending(), "it waits for an answer");
            match registry.changes() {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
    world.release("demo");
    world.upgrade().await;
    let store = &world.workshop.store;
    assert_eq!(store.intents().await.unwrap(), []);
    let recorded = store.layer_versions().await.unwrap().into_iter();
    let mut recorded: Vec<_> = recorded.filter_map(|row| row.arn).collect();
    recorded.sort();
    let there = registry.all(&Visibility::Public);
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded, there.into_keys().collect::<Vec<_>>());
}
