//! Real pauses: the processes under test are real, and so is time.

use std::{thread, time::Duration};

use hurtig_env::Clock;

/// Blocks the thread.
pub fn pause(duration: Duration) {
    let clock = Clock::system();
    let end = clock.monotonic() + duration;
    loop {
        let left = end.saturating_sub(clock.monotonic());
        if left.is_zero() {
            return;
        }
        // May return early.
        thread::park_timeout(left);
    }
}
