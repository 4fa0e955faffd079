//! Who serves the connection when two TaskExecutors dial each other: the decision, without I/O.
//!
//! 1. Whoever needs a channel dials and says who it is and whom it means.
//! 2. The side that was dialled takes the connection, unless it serves one with that peer already,
//!    or dials that peer itself and has the smaller id.
//! 3. So of two dials that cross, that of the smaller id is taken and the other refused; the larger
//!    id waits for the dial that comes.

use hurtig_types::ResourceId;

/// What a TaskExecutor has for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing.
    Nothing,
    /// It dials the peer.
    Dialling,
    /// A connection.
    Serving,
}

/// True if `own` takes the connection that `from` dialled.
pub(crate) fn takes(own: ResourceId, from: ResourceId, held: Held) -> bool {
    from != own
        && match held {
            Held::Nothing => true,
            Held::Dialling => from < own,
            Held::Serving => false,
        }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Wire {
        Hello,
        Answer(bool),
    }

    /// Two sides, and what travels between them.
    struct Pair {
        held: [Held; 2],
        serving: [u32; 2],
        /// By the side that dialled: messages to the other side, and back.
        dials: [VecDeque<(bool, Wire)>; 2],
    }

    impl Pair {
        fn id(side: usize) -> ResourceId {
            ResourceId(side as u128 + 5)
        }

        fn want(&mut self, side: usize) {
            if self.held[side] == Held::Nothing {
                self.held[side] = Held::Dialling;
                self.dials[side].push_back((true, Wire::Hello));
            }
        }

        fn deliver(&mut self, dialler: usize) {
            let other = 1 - dialler;
            match self.dials[dialler].pop_front() {
                None => {}
                Some((_, Wire::Hello)) => {
                    let taken = takes(Self::id(other), Self::id(dialler), self.held[other]);
                    if taken {
                        self.held[other] = Held::Serving;
                        self.serving[other] += 1;
                    }
                    self.dials[dialler].push_back((false, Wire::Answer(taken)));
                }
                Some((_, Wire::Answer(true))) => {
                    assert_eq!(self.held[dialler], Held::Dialling, "both dials were taken");
                    self.held[dialler] = Held::Serving;
                    self.serving[dialler] += 1;
                }
                Some((_, Wire::Answer(false))) => {}
            }
        }
    }

    proptest! {
        #[test]
        fn crossing_dials_end_with_one_connection(
            steps in prop::collection::vec((any::<bool>(), any::<bool>()), 1..30),
        ) {
            let mut pair = Pair {
                held: [Held::Nothing; 2],
                serving: [0; 2],
                dials: Default::default(),
            };
            for (wants, side) in steps {
                if wants {
                    pair.want(usize::from(side));
                } else {
                    pair.deliver(usize::from(side));
                }
            }
            pair.want(0);
            pair.want(1);
            for _ in 0..4 {
                pair.deliver(0);
                pair.deliver(1);
            }
            prop_assert_eq!(pair.serving, [1, 1]);
        }
    }

    #[test]
    fn nobody_takes_its_own_dial() {
        assert!(!takes(ResourceId(1), ResourceId(1), Held::Nothing));
    }
}
