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
//! 5. When a channel has ended, the floating credit that it did not use goes back to the others.
//!
//! Every batch costs [`ELEMENT_OVERHEAD_BYTES`] beside its bytes, so that a flood of tiny batches
//! is bounded as well.
//!
//! Invariant: granted and unspent plus queued bytes of a gate never exceed
//! `channels * exclusive + floating` by more than the last batch of each channel.

/// What a batch costs beside its bytes: about what the queues hold for it.
pub const ELEMENT_OVERHEAD_BYTES: usize = 64;

/// What a batch of that many bytes costs, in budgets and in credit.
pub fn cost_bytes(payload_bytes: usize) -> usize {
    payload_bytes.saturating_add(ELEMENT_OVERHEAD_BYTES)
}

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
    ended: bool,
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
    floating_total: i64,
    floating_free: i64,
}

/// A batch came without credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdrawnChannel;

impl ReceiverCredits {
    /// Credits of a gate.
    pub fn new(channels: usize, exclusive_bytes: usize, floating_bytes: usize) -> Self {
        let fresh = ReceiverChannel {
            outstanding: exclusive_bytes as i64,
            queued: 0,
            backlog: 0,
            ended: false,
        };
        Self {
            channels: vec![fresh; channels],
            exclusive: exclusive_bytes as i64,
            floating_total: floating_bytes as i64,
            floating_free: floating_bytes as i64,
        }
    }

    /// The gate's share of the budget has changed. What was granted stays granted.
    pub fn set_floating(&mut self, floating_bytes: usize) {
        let total = floating_bytes as i64;
        self.floating_free += total - self.floating_total;
        self.floating_total = total;
    }

    /// Nothing more will arrive on a channel; what is queued there is still to be taken.
    pub fn on_ended(&mut self, channel: usize) {
        let Some(state) = self.channels.get_mut(channel) else {
            return;
        };
        let before = Self::floating_of(self.exclusive, state);
        state.outstanding = 0;
        state.backlog = 0;
        state.ended = true;
        self.floating_free += before - Self::floating_of(self.exclusive, state);
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
        if state.ended {
            return 0;
        }
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

    #[cfg(test)]
    fn floating_is_conserved(&self) -> bool {
        let floating = |state| Self::floating_of(self.exclusive, state);
        let used: i64 = self.channels.iter().map(floating).sum();
        used + self.floating_free == self.floating_total
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
    fn an_ended_channel_gives_its_floating_credit_to_the_others() {
        let mut receiver = ReceiverCredits::new(2, 100, 50);
        // It announced a backlog, got all floating credit for it, and then ended.
        assert_eq!(receiver.on_data(0, 90, 1000), Ok(50));
        receiver.on_ended(0);
        assert_eq!(receiver.on_consumed(0, 90), 0, "it needs no more");
        assert_eq!(receiver.on_data(1, 90, 1000), Ok(50));
        assert!(receiver.floating_is_conserved());
    }

    #[test]
    fn a_smaller_share_takes_effect_when_credit_comes_back() {
        let mut receiver = ReceiverCredits::new(1, 100, 50);
        assert_eq!(receiver.on_data(0, 90, 1000), Ok(50));
        receiver.set_floating(0);
        assert_eq!(receiver.on_data(0, 60, 1000), Ok(0));
        assert_eq!(receiver.on_consumed(0, 60), 10, "up to the exclusive credit");
        assert!(receiver.floating_is_conserved());
    }

    #[test]
    fn data_without_credit_is_refused() {
        let mut receiver = ReceiverCredits::new(1, 100, 0);
        assert_eq!(receiver.on_data(0, 500, 0), Ok(0));
        assert_eq!(receiver.on_data(0, 1, 0), Err(OverdrawnChannel));
        assert!(receiver.on_consumed(0, 500) > 0, "the channel goes on after an oversized batch");
        assert_eq!(receiver.on_data(7, 1, 0), Err(OverdrawnChannel));
    }

    /// One step of the random schedule: a channel, and what happens on it.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The producer sends, if it may.
        Send(usize, usize),
        /// A grant that is under way arrives.
        Deliver(usize),
        /// The task takes a batch.
        Consume(usize),
        Share(usize),
        End(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let channel = 0..CHANNELS;
        prop_oneof![
            8 => (channel.clone(), 0usize..LARGEST).prop_map(|(c, size)| Step::Send(c, size)),
            6 => channel.clone().prop_map(Step::Deliver),
            6 => channel.clone().prop_map(Step::Consume),
            1 => (0usize..200).prop_map(Step::Share),
            1 => channel.prop_map(Step::End),
        ]
    }

    const CHANNELS: usize = 3;
    const LARGEST: usize = 250;

    proptest! {
        /// Grants travel for a while, shares change, channels end: what the consumer holds stays
        /// bounded, no credit is lost or made, and no channel stands still for good.
        #[test]
        fn credit_is_neither_lost_nor_made(steps in prop::collection::vec(step(), 1..400)) {
            let (exclusive, most_floating) = (100usize, 200usize);
            let mut receiver = ReceiverCredits::new(CHANNELS, exclusive, 120);
            let mut senders = [SenderCredit::new(receiver.initial_bytes()); CHANNELS];
            let mut travelling = [0u64; CHANNELS];
            let mut queued: Vec<std::collections::VecDeque<usize>> = vec![Default::default(); CHANNELS];
            let mut ended = [false; CHANNELS];
            for step in steps {
                match step {
                    Step::Send(c, size) if senders[c].may_send() && !ended[c] => {
                        let size = cost_bytes(size);
                        senders[c].on_sent(size);
                        queued[c].push_back(size);
                        let grant = receiver.on_data(c, size, 500);
                        prop_assert!(grant.is_ok(), "a producer within its balance is refused");
                        travelling[c] += grant.unwrap_or(0);
                    }
                    Step::Deliver(c) => senders[c].on_grant(std::mem::take(&mut travelling[c])),
                    Step::Consume(c) => {
                        if let Some(size) = queued[c].pop_front() {
                            let grant = receiver.on_consumed(c, size);
                            prop_assert!(grant == 0 || !ended[c]);
                            travelling[c] += grant;
                        }
                    }
                    Step::Share(bytes) => receiver.set_floating(bytes),
                    Step::End(c) => {
                        receiver.on_ended(c);
                        ended[c] = true;
                    }
                    Step::Send(..) => {}
                }
                prop_assert!(receiver.floating_is_conserved());
                let bound = CHANNELS * (exclusive + cost_bytes(LARGEST)) + most_floating;
                prop_assert!(receiver.held_bytes() <= bound as i64);
                for c in (0..CHANNELS).filter(|c| !ended[*c]) {
                    let known = senders[c].balance + travelling[c] as i64;
                    prop_assert_eq!(known, receiver.channels[c].outstanding);
                }
            }
            // Once everything is taken, every channel that has not ended may send.
            for c in 0..CHANNELS {
                while let Some(size) = queued[c].pop_front() {
                    travelling[c] += receiver.on_consumed(c, size);
                }
                senders[c].on_grant(travelling[c]);
                prop_assert!(ended[c] || senders[c].may_send(), "channel {} stands still", c);
            }
        }
    }
}
