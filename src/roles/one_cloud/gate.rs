//! How many sessions work at a time: the others of known users wait in line, in the order in which they asked.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets in so many at a time.
pub(super) struct Gate {
    places: usize,
    line: Mutex<Line>,
    moved: Condvar,
}

struct Line {
    free: usize,
    /// Who waits, by number, the first in front.
    waiting: VecDeque<u64>,
    next: u64,
}

/// A place behind the gate; given back when it is dropped.
pub(super) struct Place<'g>(&'g Gate);

impl Gate {
    pub(super) fn new(places: usize) -> Self {
        let line = Line { free: places, waiting: VecDeque::new(), next: 0 };
        Gate { places, line: Mutex::new(line), moved: Condvar::new() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are behind it, and how many wait in front of it.
    pub(super) fn crowd(&self) -> (usize, usize) {
        let line = self.line();
        (self.places - line.free, line.waiting.len())
    }

    /// Waits for a place. Who asked before has one before.
    pub(super) fn enter(&self) -> Place<'_> {
        let mut line = self.line();
        let number = line.next;
        line.next += 1;
        line.waiting.push_back(number);
        while line.free == 0 || line.waiting.front() != Some(&number) {
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        line.waiting.pop_front();
        line.free -= 1;
        drop(line);
        // Another place may be free for the next one.
        self.moved.notify_all();
        Place(self)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.line().free += 1;
        self.0.moved.notify_all();
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
        assert_eq!(gate.crowd(), (0, 0));
    }

    #[test]
    fn who_asked_first_is_let_in_first() {
        let (gate, order) = (Gate::new(1), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            let place = gate.enter();
            assert_eq!(gate.crowd(), (1, 0));
            for number in 0..8 {
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _place = gate.enter();
                    order.lock().unwrap().push(number);
                });
                // It stands in line before the next one comes.
                while gate.line().waiting.len() <= number {
                    std::thread::yield_now();
                }
            }
            assert_eq!(gate.crowd(), (1, 8));
            drop(place);
        });
        assert_eq!(order.into_inner().unwrap(), (0..8).collect::<Vec<_>>());
    }
}
