//! The place of those who have connected and not yet shown who they are.
//!
//! Invariant: there are never more of them than the doorway holds. Whoever comes when it is full
//! takes the place of the one who has waited longest, so connections by the thousand that say
//! nothing keep nobody out: a client that speaks at once is through long before its turn to go.
//!
//! Deliberately absent: a time limit, which is the server's, and any count of those who are inside.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// A bounded number of visitors.
#[derive(Clone, Debug)]
pub struct Doorway {
    most: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// In the order of arrival. Dropping the sender shows a visitor out.
    visitors: BTreeMap<u64, oneshot::Sender<()>>,
}

/// The place of one who has come. When it is dropped the place is free.
#[derive(Debug)]
pub struct Visitor {
    number: u64,
    doorway: Doorway,
    place: oneshot::Receiver<()>,
}

impl Doorway {
    /// Room for so many.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), waiting: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has come; the one who has waited longest may have to go.
    pub fn enter(&self) -> Visitor {
        let (sender, place) = oneshot::channel();
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        if waiting.visitors.len() >= self.most {
            waiting.visitors.pop_first();
        }
        waiting.visitors.insert(number, sender);
        drop(waiting);
        Visitor { number, doorway: self.clone(), place }
    }
}

impl Visitor {
    /// Returns when another one needs the place.
    pub async fn shown_out(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.place).await;
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.doorway.lock().visitors.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn must_go(visitor: &mut Visitor) -> bool {
        let polled = pin!(visitor.shown_out()).poll(&mut Context::from_waker(Waker::noop()));
        polled == Poll::Ready(())
    }

    #[test]
    fn the_one_who_has_waited_longest_makes_room() {
        let doorway = Doorway::new(2);
        let (mut first, mut second) = (doorway.enter(), doorway.enter());
        assert!(!must_go(&mut first) && !must_go(&mut second));
        let mut third = doorway.enter();
        assert!(must_go(&mut first));
        assert!(!must_go(&mut second) && !must_go(&mut third));
    }

    #[test]
    fn whoever_has_left_costs_nobody_a_place() {
        let doorway = Doorway::new(2);
        let mut first = doorway.enter();
        for _ in 0..10 {
            drop(doorway.enter());
        }
        assert!(!must_go(&mut first));
        drop(first);
        assert!(doorway.lock().visitors.is_empty());
    }
}
