//! Which connections may stay: the decision, without I/O.
//!
//! A peer proves itself by an admissible call. Unproven connections have a fixed number of places,
//! and the oldest makes room for the newest, so whoever proves itself at once is not kept out by
//! those who never do. Proven ones are never closed for others; beyond their number no connection
//! becomes proven.

use std::collections::BTreeSet;

/// Numbers and places of connections.
#[derive(Debug)]
pub(crate) struct Admission {
    max_unproven: usize,
    max_proven: usize,
    next: u64,
    unproven: BTreeSet<u64>,
    proven: BTreeSet<u64>,
}

impl Admission {
    pub(crate) fn new(max_unproven: usize, max_proven: usize) -> Self {
        let (unproven, proven) = (BTreeSet::new(), BTreeSet::new());
        Self { max_unproven, max_proven, next: 0, unproven, proven }
    }

    /// A connection has come: its number, and the one that must go for it.
    pub(crate) fn arrive(&mut self) -> (u64, Option<u64>) {
        self.next += 1;
        self.unproven.insert(self.next);
        let full = self.unproven.len() > self.max_unproven;
        (self.next, if full { self.unproven.pop_first() } else { None })
    }

    /// A connection has made an admissible call. False if it cannot stay: there are too many, or
    /// it is being closed.
    pub(crate) fn prove(&mut self, connection: u64) -> bool {
        if self.proven.contains(&connection) {
            return true;
        }
        if self.proven.len() >= self.max_proven || !self.unproven.remove(&connection) {
            return false;
        }
        self.proven.insert(connection);
        true
    }

    /// A connection has ended.
    pub(crate) fn leave(&mut self, connection: u64) {
        self.unproven.remove(&connection);
        self.proven.remove(&connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unproven_connection_makes_room_and_proven_ones_stay() {
        let mut admission = Admission::new(2, 2);
        assert_eq!(admission.arrive(), (1, None));
        assert!(admission.prove(1));
        assert_eq!(admission.arrive(), (2, None));
        assert_eq!(admission.arrive(), (3, None));
        assert_eq!(admission.arrive(), (4, Some(2)));
        assert!(!admission.prove(2), "it is being closed");
        assert!(admission.prove(4));
        assert_eq!(admission.arrive(), (5, None));
        assert!(!admission.prove(5), "two are proven");
        assert!(admission.prove(4), "proven once is enough");
        admission.leave(1);
        assert!(admission.prove(5));
        admission.leave(3);
        assert_eq!(admission.arrive(), (6, None));
    }
}
