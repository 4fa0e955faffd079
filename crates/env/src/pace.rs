//! How many records to handle in one go.
//!
//! A call into operators cannot be interrupted: cancellation, timers, mail and barriers wait for
//! its end. User code that takes a millisecond for a record would hold them up for a second with a
//! batch of a thousand. So the number of records per call follows the time that calls take: it
//! begins low, doubles while calls are short, and falls when one was long.

use std::time::Duration;

/// A call should not take longer.
const LONGEST_CALL: Duration = Duration::from_millis(20);
/// Records of the first call.
const FIRST_CALL: usize = 64;

/// Number of records per call. See the module documentation.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    limit: usize,
    most: usize,
}

impl Pace {
    /// A pace that never asks for more than `most` records.
    pub fn new(most: usize) -> Self {
        Self { limit: FIRST_CALL.min(most), most }
    }

    /// Most records of the next call, at least one.
    #[inline]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// True if calls are as large as they may get, and so short that nobody need look at them.
    pub fn is_full(&self) -> bool {
        self.limit == self.most
    }

    /// A call has taken so long.
    #[inline]
    pub fn note(&mut self, took: Duration) {
        if took > LONGEST_CALL {
            let times = took.as_micros() / LONGEST_CALL.as_micros() + 1;
            self.limit = (self.limit / usize::try_from(times).unwrap_or(usize::MAX)).max(1);
        } else if took < LONGEST_CALL / 4 {
            self.limit = (self.limit * 2).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_records_follows_the_time_they_take() {
        let mut pace = Pace::new(1000);
        assert_eq!(pace.limit(), 64);
        for _ in 0..10 {
            pace.note(Duration::from_micros(10));
        }
        assert!(pace.is_full());
        // A millisecond for each record.
        for _ in 0..10 {
            pace.note(Duration::from_millis(pace.limit() as u64));
        }
        assert!(pace.limit() <= 20 && pace.limit() >= 2, "{}", pace.limit());
        pace.note(Duration::from_secs(100));
        assert_eq!(pace.limit(), 1);
    }
}
