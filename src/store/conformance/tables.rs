//! What the committed tables do not show.

use super::publications::publish;
use super::{arn, at, build, key};
use crate::model::{Region, Visibility};
use crate::store::{Store, TableChanges};

async fn changes(store: &dyn Store) -> Option<TableChanges> {
    store.table_changes().await.unwrap()
}

/// The regions of the slots that changed.
fn regions(changes: &TableChanges) -> Vec<&str> {
    let regions = changes
        .slots
        .iter()
        .map(|(.., region)| Region::as_str(region));
    regions.collect()
}

pub(crate) async fn tables_are_behind(store: &dyn Store) {
    let (old, new) = (key("old zip", "us-east-1"), key("new zip", "us-east-1"));
    let other = key("old zip", "eu-west-1");
    publish(store, &old, 1, 1).await;
    // A store that does not write it down says so always.
    let Some(first) = changes(store).await else {
        store.note_tables(1, "tables").await.unwrap();
        assert_eq!(changes(store).await, None);
        return;
    };
    assert_eq!(first.note, None, "what was before is in no table");
    store.note_tables(first.sequence, "one").await.unwrap();
    let noted = changes(store).await.unwrap();
    assert_eq!(noted.note.as_deref(), Some("one"));
    assert_eq!((noted.slots.len(), noted.layers.len()), (0, 0));

    store.begin_publish(&new, "1.0", at(2)).await.unwrap();
    assert_eq!(
        changes(store).await.unwrap(),
        noted,
        "an intent is no version"
    );
    publish(store, &new, 2, 2).await;
    publish(store, &other, 1, 3).await;
    let seen = changes(store).await.unwrap();
    assert_eq!(regions(&seen), ["eu-west-1", "us-east-1"]);
    // What changes after it was looked at stays, even where it had changed before.
    store
        .record_visibility(&arn(&new, 2), &Visibility::Private)
        .await
        .unwrap();
    store.note_tables(seen.sequence, "two").await.unwrap();
    let left = changes(store).await.unwrap();
    assert_eq!(regions(&left), ["us-east-1"]);
    // Whoever looked earlier and is late takes nothing back.
    store.note_tables(first.sequence, "late").await.unwrap();
    assert_eq!(changes(store).await.unwrap(), left);
    assert_eq!(left.note.as_deref(), Some("two"));

    store.note_tables(left.sequence, "three").await.unwrap();
    for change in 0..4 {
        match change {
            0 => drop(store.mark_deleted(&[arn(&old, 1)]).await.unwrap()),
            1 => drop(
                store
                    .retire(&new.layer, new.target, None, at(9))
                    .await
                    .unwrap(),
            ),
            2 => store.set_expiries(&[(arn(&new, 2), None)]).await.unwrap(),
            _ => store
                .put_build(&build("fingerprint", "new zip", 4))
                .await
                .unwrap(),
        }
        let changed = changes(store).await.unwrap();
        let is_build = change == 3;
        assert_eq!(
            (changed.slots.is_empty(), changed.layers.is_empty()),
            (is_build, !is_build)
        );
        store.note_tables(changed.sequence, "again").await.unwrap();
    }
}
