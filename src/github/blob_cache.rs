//! Contents of files by the SHA that git gives them, kept in memory: a blob never changes.

use bytes::Bytes;
use std::collections::BTreeMap;

/// The bytes kept at most. A catalog of a thousand layers is about one megabyte.
const CAPACITY: usize = 32 * 1024 * 1024;

/// A bounded cache that forgets what was not asked for the longest.
#[derive(Debug, Default)]
pub(super) struct BlobCache {
    blobs: BTreeMap<String, (u64, Bytes)>,
    /// SHAs by when they were last asked for.
    ages: BTreeMap<u64, String>,
    size: usize,
    clock: u64,
}

impl BlobCache {
    pub(super) fn get(&mut self, sha: &str) -> Option<Bytes> {
        let (age, content) = self.blobs.get_mut(sha)?;
        self.clock += 1;
        self.ages.remove(age);
        *age = self.clock;
        self.ages.insert(self.clock, sha.to_owned());
        Some(content.clone())
    }

    pub(super) fn put(&mut self, sha: &str, content: Bytes) {
        if self.get(sha).is_some() {
            return;
        }
        self.clock += 1;
        self.size += content.len();
        self.ages.insert(self.clock, sha.to_owned());
        self.blobs.insert(sha.to_owned(), (self.clock, content));
        while self.size > CAPACITY
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            let forgotten = self.blobs.remove(&oldest);
            self.size -= forgotten.map_or(0, |(_, content)| content.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_what_was_not_asked_for_the_longest() {
        let mut cache = BlobCache::default();
        let third = Bytes::from(vec![0; CAPACITY / 3]);
        for sha in ["a", "b", "c"] {
            cache.put(sha, third.clone());
        }
        assert!(cache.get("a").is_some());
        cache.put("d", third.clone());
        cache.put("d", third);
        assert!(cache.get("b").is_none());
        assert!(["a", "c", "d"].iter().all(|sha| cache.get(sha).is_some()));
        assert_eq!(cache.size, CAPACITY / 3 * 3);
        assert_eq!(cache.blobs.len(), cache.ages.len());
    }
}
