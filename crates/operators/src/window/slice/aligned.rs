//! Aligned windows, and the slices that they consist of.

use hurtig_types::{MIN_TIMESTAMP, TimeWindow};

/// Size, slide and offset of aligned windows, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignedWindows {
    size: i64,
    pub(super) slide: i64,
    offset: i64,
    pub(super) slice: i64,
}

impl AlignedWindows {
    /// Windows of `size` that begin every `slide`, at `offset + n * slide`.
    pub fn new(size: i64, slide: i64, offset: i64) -> Result<Self, String> {
        if size <= 0 || slide <= 0 || offset.unsigned_abs() >= slide.unsigned_abs() {
            return Err(format!(
                "windows need size > 0, slide > 0 and |offset| < slide; got size {size} ms, slide {slide} ms, offset {offset} ms"
            ));
        }
        Ok(Self { size, slide, offset, slice: gcd(size, slide) })
    }

    /// One window over all of event time, which ends with the stream.
    pub fn end_of_stream() -> Self {
        Self { size: 0, slide: 0, offset: 0, slice: 0 }
    }

    pub(super) fn is_end_of_stream(&self) -> bool {
        self.size == 0
    }

    pub(super) fn slice_start(&self, timestamp: i64) -> i64 {
        if self.is_end_of_stream() {
            return MIN_TIMESTAMP;
        }
        TimeWindow::start_of(timestamp, self.offset, self.slice)
    }

    /// End of the first window that contains the slice.
    pub(super) fn first_end(&self, slice_start: i64) -> i64 {
        if self.is_end_of_stream() {
            return i64::MAX;
        }
        let last_slice_end = slice_start.saturating_add(self.slice);
        // The earliest window that still contains the slice ends at or after the slice's end.
        let start_of_earliest = TimeWindow::start_of(
            last_slice_end.saturating_sub(self.size).saturating_sub(1),
            self.offset,
            self.slide,
        );
        start_of_earliest.saturating_add(self.slide).saturating_add(self.size)
    }

    /// End of the last window that contains the timestamp.
    pub(super) fn last_end(&self, timestamp: i64) -> i64 {
        if self.is_end_of_stream() {
            return i64::MAX;
        }
        TimeWindow::start_of(timestamp, self.offset, self.slide).saturating_add(self.size)
    }

    pub(super) fn window_ending_at(&self, end: i64) -> TimeWindow {
        if self.is_end_of_stream() {
            return TimeWindow::new(MIN_TIMESTAMP, end);
        }
        TimeWindow::new(end.saturating_sub(self.size), end)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_window_ends_agree_with_the_definition() {
        for (size, slide, offset) in [(10, 10, 0), (10, 2, 0), (10, 4, 1), (3, 7, 2), (10, 10, -3)]
        {
            let windows = AlignedWindows::new(size, slide, offset).unwrap();
            for timestamp in -40..40 {
                let slice = windows.slice_start(timestamp);
                assert!(slice <= timestamp && timestamp < slice + windows.slice);
                let starts = (-100..100).map(|n| offset + n * slide);
                let ends: Vec<i64> = starts
                    .filter(|start| *start <= slice && slice + windows.slice <= start + size)
                    .map(|start| start + size)
                    .collect();
                if let (Some(first), Some(last)) = (ends.first(), ends.last()) {
                    let case = (size, slide, offset, timestamp);
                    assert_eq!(windows.first_end(slice), *first, "{case:?}");
                    assert_eq!(windows.last_end(timestamp), *last, "{case:?}");
                }
            }
        }
    }

    #[test]
    fn impossible_windows_are_refused() {
        assert!(AlignedWindows::new(0, 1, 0).unwrap_err().contains("size > 0"));
        assert!(AlignedWindows::new(5, 5, 5).is_err());
    }
}
