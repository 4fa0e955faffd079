//! Credit-based flow control, the pure part.
//!
//! 1. The consumer of a channel grants its *exclusive* credit with the partition request.
//! 2. The producer sends records while its balance is positive; each batch costs its encoded
//!    bytes, so the balance may go below zero by less than one batch. With every batch it announces
//!    its backlog, the bytes that are queued behind it.
//! 3. When the consumer's task has taken a batch, or a backlog was announced, the consumer grants
//!    more: up to the exclusive credit for what is neither granted nor queued, and on top of it
//!    *floating* credit, which the channels of a gate share, as far as the backlog asks for it.
//! 4. Control elements cost nothing.
//!
//! Invariant: granted and unspent plus queued bytes of a gate never exceed
//! `channels * exclusive + floating` by more than the last batch of each channel.

/// The producer's side of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCredit {
    balance: i64,
}

impl SenderCredit {
    /// Starts with the credit that came with the request.
    pub fn new(initial_bytes: u64) -> Self {
        let mut credit = Self::default();
        credit.on_grant(initial_bytes);
        credit
    }

    /// True if a batch may be sent.
    pub fn may_send(&self) -> bool {
        self.balance > 0
    }

    /// A batch was sent.
    pub fn on_sent(&mut self, bytes: usize) {
        self.balance -= bytes as i64;
    }

    /// Credit has arrived.
    pub fn on_grant(&mut self, bytes: u64) {
        // A peer cannot overflow the balance, however much it grants.
        self.balance = self.balance.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ReceiverChannel {
    /// Granted and not yet spent; negative after an oversized batch.
    outstanding: i64,
    queued: i64,
    backlog: i64,
}

impl ReceiverChannel {
    fn held(&self) -> i64 {
        self.outstanding.max(0) + self.queued
    }
}

/// The consumer's side of all remote channels of one gate.
#[derive(Debug)]
pub struct ReceiverCredits {
    channels: Vec<ReceiverChannel>,
    exclusive: i64,
    floating_free: i64,
}

/// A batch came without credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdrawnChannel;

impl ReceiverCredits {
    /// Credits of a gate.
    pub fn new(channels: usize, exclusive_bytes: usize, floating_bytes: usize) -> Self {
        let fresh = ReceiverChannel { outstanding: exclusive_bytes as i64, queued: 0, backlog: 0 };
        Self {
            channels: vec![fresh; channels],
            exclusive: exclusive_bytes as i64,
            floating_free: floating_bytes as i64,
        }
    }

    /// What a partition request grants.
    pub fn initial_bytes(&self) -> u64 {
        self.exclusive as u64
    }

    /// A batch has arrived. Returns what to grant.
    pub fn on_data(
        &mut self,
        channel: usize,
        bytes: usize,
        backlog: u64,
    ) -> Result<u64, OverdrawnChannel> {
        let state = self.channels.get_mut(channel).ok_or(OverdrawnChannel)?;
        if state.outstanding <= 0 {
            return Err(OverdrawnChannel);
        }
        let before = Self::floating_of(self.exclusive, state);
        state.outstanding -= bytes as i64;
        state.queued += bytes as i64;
        state.backlog = i64::try_from(backlog).unwrap_or(i64::MAX);
        self.floating_free += before - Self::floating_of(self.exclusive, state);
        Ok(self.grant(channel))
    }

    /// The task has taken a batch. Returns what to grant.
    pub fn on_consumed(&mut self, channel: usize, bytes: usize) -> u64 {
        let Some(state) = self.channels.get_mut(channel) else {
            return 0;
        };
        let before = Self::floating_of(self.exclusive, state);
        state.queued -= bytes as i64;
        self.floating_free += before - Self::floating_of(self.exclusive, state);
        self.grant(channel)
    }

    fn floating_of(exclusive: i64, state: &ReceiverChannel) -> i64 {
        (state.held() - exclusive).max(0)
    }

    fn grant(&mut self, channel: usize) -> u64 {
        let exclusive = self.exclusive;
        let state = &mut self.channels[channel];
        let wanted_floating = (state.backlog - state.outstanding.max(0)).max(0);
        let before = Self::floating_of(exclusive, state);
        let available = self.floating_free.max(0);
        let target = exclusive + before + wanted_floating.min(available);
        let missing = target - state.held() - state.outstanding.min(0);
        // Small grants are saved up, unless the channel would stand still.
        if missing <= 0 || (missing < exclusive / 2 && state.outstanding > 0) {
            return 0;
        }
        let room = target - state.held();
        if room <= 0 {
            return 0;
        }
        state.outstanding += missing;
        self.floating_free -= Self::floating_of(exclusive, state) - before;
        missing as u64
    }

    /// Bytes that are queued or may still arrive.
    #[cfg(test)]
    fn held_bytes(&self) -> i64 {
        self.channels.iter().map(ReceiverChannel::held).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_consumer_that_takes_nothing_stops_its_producer() {
        let mut receiver = ReceiverCredits::new(1, 100, 50);
        let mut sender = SenderCredit::new(receiver.initial_bytes());
        let mut sent = 0;
        while sender.may_send() {
            sender.on_sent(30);
            sent += 30;
            sender.on_grant(receiver.on_data(0, 30, 1000).unwrap());
            assert!(sent < 300, "the producer is never stopped");
        }
        assert!((150..180).contains(&sent), "exclusive and floating are used: {sent}");
        sender.on_grant(receiver.on_consumed(0, 30));
        sender.on_grant(receiver.on_consumed(0, 30));
        sender.on_grant(receiver.on_consumed(0, 30));
        assert!(sender.may_send());
    }

    #[test]
    fn data_without_credit_is_refused() {
        let mut receiver = ReceiverCredits::new(1, 100, 0);
        assert_eq!(receiver.on_data(0, 500, 0), Ok(0));
        assert_eq!(receiver.on_data(0, 1, 0), Err(OverdrawnChannel));
        assert!(receiver.on_consumed(0, 500) > 0, "the channel goes on after an oversized batch");
        assert_eq!(receiver.on_data(7, 1, 0), Err(OverdrawnChannel));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_memory_is_bounded(
            sizes in prop::collection::vec(1usize..90, 1..200),
            eager in prop::collection::vec(any::<bool>(), 400),
        ) {
            let channels = 3;
            let (exclusive, floating, largest) = (100, 120, 90);
            let mut receiver = ReceiverCredits::new(channels, exclusive, floating);
            let mut senders = vec![SenderCredit::new(receiver.initial_bytes()); channels];
            let mut to_send: Vec<Vec<usize>> = vec![Vec::new(); channels];
            for (i, size) in sizes.iter().enumerate() {
                to_send[i % channels].push(*size);
            }
            let mut queued: Vec<Vec<usize>> = vec![Vec::new(); channels];
            let mut received = 0;
            let mut turn = 0;
            while received < sizes.len() {
                turn += 1;
                prop_assert!(turn < 20_000, "the channels stand still");
                for c in 0..channels {
                    if senders[c].may_send()
                        && let Some(size) = to_send[c].pop()
                    {
                        let backlog: usize = to_send[c].iter().sum();
                        senders[c].on_sent(size);
                        queued[c].push(size);
                        let grant = receiver.on_data(c, size, backlog as u64);
                        prop_assert!(grant.is_ok(), "a producer within its balance is refused");
                        senders[c].on_grant(grant.unwrap_or(0));
                    }
                    if (eager[turn % eager.len()] || !senders[c].may_send())
                        && let Some(size) = queued[c].pop()
                    {
                        received += 1;
                        senders[c].on_grant(receiver.on_consumed(c, size));
                    }
                }
                let bound = channels * (exclusive + largest) + floating;
                prop_assert!(receiver.held_bytes() <= bound as i64);
            }
        }
    }
}
