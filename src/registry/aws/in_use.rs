//! Values that several publications share while any of them needs them: a body, the checksums of parts, a turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Values by key, each made for the first who asks and gone with the last who holds it.
#[derive(Debug)]
pub(super) struct InUse<Key, Value>(Mutex<BTreeMap<Key, Weak<Value>>>);

impl<Key, Value> Default for InUse<Key, Value> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Key: Ord, Value: Default> InUse<Key, Value> {
    /// The value that all have who ask for this key now.
    pub(super) fn of(&self, key: Key) -> Arc<Value> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, value| value.strong_count() > 0);
        let place = known.entry(key).or_default();
        place.upgrade().unwrap_or_else(|| {
            let new = Arc::default();
            *place = Arc::downgrade(&new);
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_ask_at_once_have_the_same_value() {
        let values = InUse::<u8, Mutex<u8>>::default();
        let (one, other) = (values.of(1), values.of(2));
        *one.lock().unwrap() = 7;
        assert_eq!(*values.of(1).lock().unwrap(), 7);
        assert_eq!(*other.lock().unwrap(), 0);
        drop(one);
        assert_eq!(*values.of(1).lock().unwrap(), 0);
    }
}
