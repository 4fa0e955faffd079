//! Which windows times fall into.
//!
//! Windows of fixed places consist of *slices*: spans that every window holds whole or not at all. A
//! row is aggregated once, into its slice, however many windows overlap there.
//!
//! | windows | slices | windows of the slice that ends at `e` end at |
//! |---|---|---|
//! | tumble | the windows | `e` |
//! | hop | of gcd(size, slide) | each multiple of the slide from there, while they hold the slice |
//! | cumulate | of the step | `e`, and each step up to the end of the largest |

use crate::config::WindowSpec;

fn floor(time: i64, offset: i64, size: i64) -> i64 {
    let since = time.saturating_sub(offset);
    time.saturating_sub(since.rem_euclid(size))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl WindowSpec {
    /// Checks that sizes are possible.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fine = match *self {
            Self::Tumble { size_ms, .. } => size_ms > 0,
            Self::Hop { size_ms, slide_ms, .. } => size_ms > 0 && slide_ms > 0,
            Self::Cumulate { size_ms, step_ms, .. } => {
                step_ms > 0 && size_ms >= step_ms && size_ms % step_ms == 0
            }
            Self::Session { gap_ms } => gap_ms > 0,
        };
        if fine { Ok(()) } else { Err(format!("there are no such windows: {self:?}")) }
    }

    /// The slice of a time: its start and end. Not of sessions.
    pub(crate) fn slice_of(&self, time: i64) -> (i64, i64) {
        let (size, offset) = match *self {
            Self::Tumble { size_ms, offset_ms } => (size_ms, offset_ms),
            Self::Hop { size_ms, slide_ms, offset_ms } => (gcd(size_ms, slide_ms), offset_ms),
            Self::Cumulate { step_ms, offset_ms, .. } => (step_ms, offset_ms),
            Self::Session { gap_ms } => return (time, time.saturating_add(gap_ms)),
        };
        let start = floor(time, offset, size);
        (start, start.saturating_add(size))
    }

    /// The end of the first window that holds the slice and ends after `after`; `None` if all of them
    /// end before.
    pub(crate) fn next_end(&self, (start, end): (i64, i64), after: i64) -> Option<i64> {
        match *self {
            Self::Tumble { .. } | Self::Session { .. } => (end > after).then_some(end),
            Self::Hop { size_ms, slide_ms, offset_ms } => {
                // Windows start at offset + n * slide, hold the slice from `end - size` to `start`.
                let earliest = end.max(after.saturating_add(1)).saturating_sub(size_ms);
                let first =
                    floor(earliest.saturating_sub(1), offset_ms, slide_ms).saturating_add(slide_ms);
                (first <= start).then(|| first.saturating_add(size_ms))
            }
            Self::Cumulate { size_ms, step_ms, offset_ms } => {
                let largest = floor(start, offset_ms, size_ms).saturating_add(size_ms);
                let next = if end > after {
                    end
                } else {
                    floor(after, offset_ms, step_ms).saturating_add(step_ms)
                };
                (next <= largest).then_some(next)
            }
        }
    }

    /// The start of the window that ends there.
    pub(crate) fn start_of(&self, end: i64) -> i64 {
        match *self {
            Self::Tumble { size_ms, .. } | Self::Hop { size_ms, .. } => end.saturating_sub(size_ms),
            Self::Cumulate { size_ms, offset_ms, .. } => {
                floor(end.saturating_sub(1), offset_ms, size_ms)
            }
            Self::Session { gap_ms } => end.saturating_sub(gap_ms),
        }
    }

    /// All windows of a time, as Flink's TVFs give them: hops the latest first, cumulating ones the
    /// smallest first.
    pub(crate) fn windows_of(&self, time: i64, out: &mut Vec<(i64, i64)>) {
        let slice = self.slice_of(time);
        let first = out.len();
        let mut after = i64::MIN;
        while let Some(end) = self.next_end(slice, after) {
            let start = self.start_of(end);
            // A hop that is smaller than its slide has gaps.
            if start <= time && time < end {
                out.push((start, end));
            }
            after = end;
        }
        if matches!(self, Self::Hop { .. }) {
            out[first..].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(spec: WindowSpec, time: i64) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        spec.windows_of(time, &mut all);
        all.sort_unstable();
        all
    }

    #[test]
    fn windows_are_those_of_the_definition() {
        for (size, slide, offset) in [(10, 10, 0), (10, 5, 0), (10, 4, 1), (9, 6, -2), (4, 4, 3)] {
            let spec = WindowSpec::Hop { size_ms: size, slide_ms: slide, offset_ms: offset };
            for time in -50..50 {
                let starts = (-40..40).map(|n| offset + n * slide);
                let wanted: Vec<_> = starts
                    .filter(|start| *start <= time && time < start + size)
                    .map(|start| (start, start + size))
                    .collect();
                assert_eq!(ends(spec, time), wanted, "{spec:?} at {time}");
            }
        }
    }

    #[test]
    fn cumulating_windows_share_their_start() {
        let spec = WindowSpec::Cumulate { size_ms: 30, step_ms: 10, offset_ms: 5 };
        assert_eq!(ends(spec, 17), [(5, 25), (5, 35)]);
        assert_eq!(ends(spec, 4), [(-25, 5)]);
        assert_eq!(ends(spec, 5), [(5, 15), (5, 25), (5, 35)]);
    }

    #[test]
    fn impossible_windows_are_refused() {
        assert!(WindowSpec::Tumble { size_ms: 0, offset_ms: 0 }.check().is_err());
        assert!(WindowSpec::Cumulate { size_ms: 25, step_ms: 10, offset_ms: 0 }.check().is_err());
    }
}
