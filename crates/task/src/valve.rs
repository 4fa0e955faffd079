//! The watermark valve: combines the watermarks and statuses of several channels into one, as Flink
//! 2.3's `StatusWatermarkValve`. Pure.
//!
//! - The output watermark is the minimum over the channels that are *aligned*: active, and not
//!   behind the last output (a channel that comes back from idleness stays out until it has caught
//!   up).
//! - The output is idle when all channels are. When the last active channel goes idle and it held
//!   the output back, the maximum over all channels is emitted first, since nobody waits any more.
//!
//! Invariant: output watermarks never decrease.

use hurtig_types::{MIN_TIMESTAMP, StreamStatus, Watermark};

#[derive(Clone, Copy, Debug)]
struct Channel {
    watermark: i64,
    active: bool,
    aligned: bool,
}

/// What the valve lets through, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValveOutput {
    /// The combined status changed to active: comes before the watermark.
    pub became_active: bool,
    /// A new combined watermark.
    pub watermark: Option<Watermark>,
    /// The combined status changed to idle: comes after the watermark.
    pub became_idle: bool,
}

/// The valve over a fixed number of channels.
#[derive(Clone, Debug)]
pub struct WatermarkValve {
    channels: Vec<Channel>,
    last_output: i64,
    active: bool,
}

impl WatermarkValve {
    /// A valve whose channels are all active and have announced nothing.
    pub fn new(channels: usize) -> Self {
        let fresh = Channel { watermark: MIN_TIMESTAMP, active: true, aligned: true };
        Self { channels: vec![fresh; channels], last_output: MIN_TIMESTAMP, active: true }
    }

    /// The last combined watermark.
    pub fn current(&self) -> i64 {
        self.last_output
    }

    /// A watermark has arrived on a channel. Those of idle channels, and those that go back, are
    /// ignored.
    pub fn on_watermark(&mut self, channel: usize, watermark: Watermark) -> ValveOutput {
        let mut output = ValveOutput::default();
        let last_output = self.last_output;
        let Some(state) = self.channels.get_mut(channel) else {
            return output;
        };
        if !self.active || !state.active || watermark.0 <= state.watermark {
            return output;
        }
        let held_back = state.aligned && state.watermark == last_output;
        state.watermark = watermark.0;
        let joined = !state.aligned && watermark.0 >= last_output;
        state.aligned |= joined;
        // Only the channel that held the output back can let it advance.
        if held_back || joined {
            output.watermark = self.advance_to_minimum();
        }
        output
    }

    /// A channel went idle or came back.
    pub fn on_status(&mut self, channel: usize, status: StreamStatus) -> ValveOutput {
        let mut output = ValveOutput::default();
        let last_output = self.last_output;
        let Some(state) = self.channels.get_mut(channel) else {
            return output;
        };
        match status {
            StreamStatus::Idle if state.active => {
                let held_back = state.watermark == last_output;
                state.active = false;
                state.aligned = false;
                if self.channels.iter().all(|c| !c.active) {
                    if held_back {
                        let maximum = self.channels.iter().map(|c| c.watermark).max();
                        output.watermark = maximum.and_then(|w| self.advance_to(w));
                    }
                    self.active = false;
                    output.became_idle = true;
                } else if held_back {
                    output.watermark = self.advance_to_minimum();
                }
            }
            StreamStatus::Active if !state.active => {
                state.active = true;
                state.aligned = state.watermark >= last_output;
                if !self.active {
                    self.active = true;
                    output.became_active = true;
                }
            }
            _ => {}
        }
        output
    }

    fn advance_to_minimum(&mut self) -> Option<Watermark> {
        let aligned = self.channels.iter().filter(|c| c.aligned);
        aligned.map(|c| c.watermark).min().and_then(|w| self.advance_to(w))
    }

    fn advance_to(&mut self, watermark: i64) -> Option<Watermark> {
        (watermark > self.last_output).then(|| {
            self.last_output = watermark;
            Watermark(watermark)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a script of `channel:watermark`, `channel:idle`, `channel:active` and returns what
    /// came out.
    fn run(channels: usize, script: &str) -> String {
        let mut valve = WatermarkValve::new(channels);
        let mut seen = Vec::new();
        for step in script.split_whitespace() {
            let (channel, what) = step.split_once(':').unwrap();
            let channel = channel.parse().unwrap();
            let out = match what {
                "idle" => valve.on_status(channel, StreamStatus::Idle),
                "active" => valve.on_status(channel, StreamStatus::Active),
                time => valve.on_watermark(channel, Watermark(time.parse().unwrap())),
            };
            if out.became_active {
                seen.push("active".to_owned());
            }
            seen.extend(out.watermark.map(|w| w.0.to_string()));
            if out.became_idle {
                seen.push("idle".to_owned());
            }
        }
        seen.join(" ")
    }

    #[test]
    fn the_minimum_passes() {
        assert_eq!(run(1, "0:5 0:3 0:7"), "5 7");
        assert_eq!(run(2, "0:5 1:3 1:9 0:20"), "3 5 9");
    }

    #[test]
    fn an_idle_channel_holds_nobody_back() {
        assert_eq!(run(2, "0:5 1:idle 0:8"), "5 8");
        assert_eq!(run(3, "0:5 1:7 2:idle"), "5");
    }

    #[test]
    fn all_idle_flushes_the_maximum_then_goes_idle() {
        assert_eq!(run(2, "0:5 1:3 0:idle 1:idle"), "3 5 idle");
        assert_eq!(run(2, "0:5 1:3 1:idle 0:idle"), "3 5 idle");
    }

    #[test]
    fn a_channel_that_comes_back_catches_up_before_it_counts() {
        assert_eq!(run(2, "0:5 1:idle 0:10 1:active 1:7 0:12 1:11 0:13 1:20"), "5 10 12 13");
        assert_eq!(run(1, "0:5 0:idle 0:7 0:active 0:8"), "5 idle active 8");
    }
}
