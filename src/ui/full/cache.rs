//! What was computed from pictures, within a budget.

use ratatui::layout::Rect;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of encoded or reduced pictures that are kept.
pub(super) const BUDGET: usize = 48 << 20;

/// A picture's hash, its size in cells, and the part of it in cells.
pub(super) type Key = (u64, (u16, u16), Rect);

/// Results by picture, size and part. The one that was used least recently goes first.
pub(super) struct Cache<T> {
    all: HashMap<Key, Entry<T>>,
    clock: u64,
    bytes: usize,
    budget: usize,
}

struct Entry<T> {
    value: Arc<T>,
    bytes: usize,
    used: u64,
}

impl<T> Cache<T> {
    /// A cache for so many bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self { all: HashMap::new(), clock: 0, bytes: 0, budget }
    }

    /// The result for a key; computed, with its size in bytes, unless it is known.
    pub(super) fn get<E>(
        &mut self,
        key: Key,
        compute: impl FnOnce() -> Result<(T, usize), E>,
    ) -> Result<Arc<T>, E> {
        self.clock += 1;
        if let Some(entry) = self.all.get_mut(&key) {
            entry.used = self.clock;
            return Ok(entry.value.clone());
        }
        let (value, bytes) = compute()?;
        let value = Arc::new(value);
        self.bytes += bytes;
        self.all.insert(key, Entry { value: value.clone(), bytes, used: self.clock });
        while self.bytes > self.budget && self.all.len() > 1 {
            let Some(oldest) = self.all.iter().min_by_key(|(_, e)| e.used).map(|(k, _)| *k) else {
                break;
            };
            self.bytes -= self.all.remove(&oldest).map_or(0, |e| e.bytes);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recent_goes_first() {
        let mut cache = Cache::new(100);
        let mut computed = Vec::new();
        for n in [1, 2, 1, 3, 1, 2] {
            let key = (n, (1, 1), Rect::default());
            let value = cache.get(key, || {
                computed.push(n);
                Ok::<_, ()>((n, 40))
            });
            assert_eq!(value, Ok(Arc::new(n)));
        }
        assert_eq!(computed, [1, 2, 3, 2]);
        let failed = cache.get((9, (1, 1), Rect::default()), || Err("no"));
        assert_eq!(failed, Err("no"));
    }
}
