//! What the committed tables do not show.

use super::publications::publish;
use super::{arn, at, build, key};
use crate::model::{Region, Visibility};
use crate::store::{Store, TableChanges};

async fn changes(store: &dyn Store) -> TableChanges {
    store.table_changes().await.unwrap()
}

/// The regions of the slots that changed, and how many layers have other builds.
fn shown(changes: &TableChanges) -> (Vec<&str>, usize) {
    let slots = changes.slots.iter();
    let regions = slots.map(|(.., region)| Region::as_str(region));
    (regions.collect(), changes.layers.len())
}

pub(crate) async fn tables_are_behind(store: &dyn Store) {
    let (old, new) = (key("old zip", "us-east-1"), key("new zip", "us-east-1"));
    let other = key("old zip", "eu-west-1");
    publish(store, &old, 1, 1).await;
    let first = changes(store).await;
    assert_eq!(first.note, None, "what was before is in no table");
    store.note_tables(&first.seen, "one").await.unwrap();
    let noted = changes(store).await;
    assert_eq!(noted.note.as_deref(), Some("one"));
    assert_eq!(shown(&noted), (vec![], 0));

    store.begin_publish(&new, "1.0", at(2)).await.unwrap();
    let intent = changes(store).await;
    assert_eq!(shown(&intent), (vec![], 0), "an intent is no version");
    publish(store, &new, 2, 2).await;
    publish(store, &other, 1, 3).await;
    let seen = changes(store).await;
    assert_eq!(shown(&seen), (vec!["eu-west-1", "us-east-1"], 0));
    // What changes after it was looked at stays, even where it had changed before.
    let live = arn(&new, 2);
    let record = store.record_visibility(&live, &Visibility::Private);
    record.await.unwrap();
    store.note_tables(&seen.seen, "two").await.unwrap();
    let left = changes(store).await;
    assert_eq!(shown(&left), (vec!["us-east-1"], 0));
    // Whoever looked earlier and is late takes nothing back.
    store.note_tables(&first.seen, "late").await.unwrap();
    let still = changes(store).await;
    assert_eq!(shown(&still), shown(&left));
    assert_eq!(still.note.as_deref(), Some("two"));
    store.note_tables(&still.seen, "three").await.unwrap();
    each_change_is_written_down(store).await;
}

/// Goes on where the tables show everything: `old zip` deprecated, `new zip` live.
async fn each_change_is_written_down(store: &dyn Store) {
    let (old, new) = (key("old zip", "us-east-1"), key("new zip", "us-east-1"));
    for change in [
        "delete", "retire", "keep", "keep", "build", "build", "adopt", "expire",
    ] {
        match change {
            "delete" => drop(store.mark_deleted(&[arn(&old, 1)]).await.unwrap()),
            "retire" => {
                let retired = store.retire(&new.layer, new.target, None, at(9)).await;
                assert_eq!(retired.unwrap(), 2);
            }
            "keep" => store.set_expiries(&[(arn(&new, 2), None)]).await.unwrap(),
            "build" => {
                let build = build("fingerprint", "new zip", 4);
                store.put_build(&build).await.unwrap();
            }
            "adopt" => {
                let (found, public) = (arn(&old, 7), Visibility::Public);
                let adopted = store.adopt(&old, "1.0", &found, &public, at(5), at(50));
                assert!(adopted.await.unwrap());
                // What is adopted and changed at once is seen once more.
                let seen = changes(store).await;
                assert_eq!(shown(&seen), (vec!["us-east-1"], 0));
                let expiry = [(found, Some(at(60)))];
                store.set_expiries(&expiry).await.unwrap();
                store.note_tables(&seen.seen, "between").await.unwrap();
            }
            _ => {
                let expiry = [(arn(&new, 2), Some(at(70)))];
                store.set_expiries(&expiry).await.unwrap();
            }
        }
        let changed = changes(store).await;
        let expected = match change {
            "build" => (vec![], 1),
            "retire" => (vec!["eu-west-1", "us-east-1"], 0),
            _ => (vec!["us-east-1"], 0),
        };
        // What is so already changes nothing.
        let is_first = changed.note.as_deref() != Some(change);
        let expected = if is_first { expected } else { (vec![], 0) };
        assert_eq!(shown(&changed), expected, "{change}");
        store.note_tables(&changed.seen, change).await.unwrap();
    }
}
