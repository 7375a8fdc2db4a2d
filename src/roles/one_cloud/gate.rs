//! How many sessions work at a time: the others of known users wait in line.

use std::sync::{Condvar, Mutex, PoisonError};

/// Lets in so many at a time.
pub(super) struct Gate {
    free: Mutex<usize>,
    left: Condvar,
}

/// A place behind the gate; given back when it is dropped.
pub(super) struct Place<'g>(&'g Gate);

impl Gate {
    pub(super) fn new(places: usize) -> Self {
        Gate { free: Mutex::new(places), left: Condvar::new() }
    }

    /// Waits for a place.
    pub(super) fn enter(&self) -> Place<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.left.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_than_the_places_are_inside() {
        let (gate, inside, most) = (Gate::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _place = gate.enter();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.into_inner()));
        assert_eq!(*gate.free.lock().unwrap(), 2);
    }
}
