//! Values that are computed on first use.

use crate::error::{Error, Result};
use std::sync::{Mutex, OnceLock, PoisonError};

type Make<T> = Box<dyn Fn() -> Result<T> + Send>;

/// A value that is computed on first use and then kept. A failure is reported at every use.
pub struct Deferred<T> {
    made: OnceLock<T>,
    /// The closure; dropped, with everything it holds, once the value exists.
    make: Mutex<Option<Make<T>>>,
}

impl<T> Deferred<T> {
    /// Defers a value: `make` computes it.
    pub fn new(make: impl Fn() -> Result<T> + Send + 'static) -> Self {
        Self { made: OnceLock::new(), make: Mutex::new(Some(Box::new(make))) }
    }

    /// Wraps a value that already exists.
    pub fn ready(value: T) -> Self {
        Self { made: OnceLock::from(value), make: Mutex::new(None) }
    }

    /// Returns the value and computes it if necessary.
    ///
    /// # Errors
    /// When the value cannot be computed.
    pub fn get(&self) -> Result<&T> {
        if let Some(value) = self.made.get() {
            return Ok(value);
        }
        // One caller computes the value; the others wait.
        let mut make = self.make.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = self.made.get() {
            return Ok(value);
        }
        let fresh = make.as_ref().ok_or_else(|| Error::runtime("there is nothing to make"))?()?;
        *make = None;
        Ok(self.made.get_or_init(|| fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn it_is_made_once_by_whoever_comes_first_and_lets_its_maker_go() {
        let (count, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let (c, h) = (count.clone(), held.clone());
        let value =
            Deferred::new(move || Ok(c.fetch_add(Arc::strong_count(&h).min(1), Ordering::SeqCst)));
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| assert_eq!(*value.get().unwrap(), 0));
            }
        });
        assert_eq!((count.load(Ordering::SeqCst), Arc::strong_count(&held)), (1, 1));
        assert_eq!(Deferred::ready(3).get().unwrap(), &3);
    }

    #[test]
    fn a_failure_is_told_again_and_may_pass() {
        let calls = Arc::new(AtomicUsize::new(0));
        let c = calls.clone();
        let value = Deferred::new(move || match c.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Error::runtime("not yet")),
            n => Ok(n),
        });
        assert!(value.get().is_err() && value.get().is_err());
        assert_eq!(value.get().unwrap(), &2);
    }
}
