//! The part files that are open, and which of them end when; pure: what a file is, its user knows.
//!
//! At most one file is open per bucket. A bucket without an open file is forgotten, so buckets that
//! are not written to any more cost nothing.
//!
//! Bounds: no more than [`Limits::open_parts`] files are open; a file more ends the one that was
//! written to least recently. No more than [`Limits::buffered_bytes`] are held in memory; beyond,
//! the file that holds most ends, whatever the policy says.

use std::collections::HashMap;

use super::policy::{PartFileInfo, RollingPolicy};

/// Bounds of one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most files that are open.
    pub open_parts: usize,
    /// Most bytes in memory.
    pub buffered_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_parts: 512, buffered_bytes: 128 << 20 }
    }
}

/// A file that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<F> {
    /// What policies look at.
    pub info: PartFileInfo,
    /// The file.
    pub file: F,
}

/// The open files by bucket.
#[derive(Clone, Debug)]
pub struct Parts<F> {
    open: Vec<Part<F>>,
    by_bucket: HashMap<String, usize>,
}

impl<F> Default for Parts<F> {
    fn default() -> Self {
        Self { open: Vec::new(), by_bucket: HashMap::new() }
    }
}

impl<F> Parts<F> {
    /// Where the file of a bucket is. Holds until a file ends.
    pub fn find(&self, bucket: &str) -> Option<usize> {
        self.by_bucket.get(bucket).copied()
    }

    /// The file at a place that [`Parts::find`] or [`Parts::open`] gave.
    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut Part<F>> {
        self.open.get_mut(at)
    }

    /// Opens the file of a bucket that has none.
    pub fn open(&mut self, part: Part<F>) -> usize {
        let at = self.open.len();
        let before = self.by_bucket.insert(part.info.bucket.clone(), at);
        debug_assert_eq!(before, None, "a bucket has one open file");
        self.open.push(part);
        at
    }

    /// The file that must end before another is opened.
    pub fn make_room(&mut self, limits: &Limits) -> Option<Part<F>> {
        if self.open.len() < limits.open_parts.max(1) {
            return None;
        }
        let indices = 0..self.open.len();
        let oldest = indices.min_by_key(|at| self.open[*at].info.last_update_time_ms)?;
        Some(self.end(oldest))
    }

    /// Ends the file at a place.
    pub fn end(&mut self, at: usize) -> Part<F> {
        let part = self.open.swap_remove(at);
        self.by_bucket.remove(&part.info.bucket);
        if let Some(moved) = self.open.get(at)
            && let Some(place) = self.by_bucket.get_mut(&moved.info.bucket)
        {
            *place = at;
        }
        part
    }

    /// Ends the files for which `ends` holds, by bucket.
    pub fn end_if(&mut self, ends: impl Fn(&PartFileInfo) -> bool) -> Vec<Part<F>> {
        let mut ended = Vec::new();
        for at in (0..self.open.len()).rev() {
            if ends(&self.open[at].info) {
                ended.push(self.end(at));
            }
        }
        ended.sort_by(|a, b| a.info.bucket.cmp(&b.info.bucket));
        ended
    }

    /// Ends what the policy wants to have ended at a checkpoint; everything, `if_all`.
    pub fn on_checkpoint<T, P: RollingPolicy<T>>(
        &mut self,
        policy: &P,
        if_all: bool,
    ) -> Vec<Part<F>> {
        self.end_if(|info| if_all || policy.should_roll_on_checkpoint(info))
    }

    /// Ends what the policy wants to have ended by now.
    pub fn on_processing_time<T, P: RollingPolicy<T>>(
        &mut self,
        policy: &P,
        now_ms: i64,
    ) -> Vec<Part<F>> {
        self.end_if(|info| policy.should_roll_on_processing_time(info, now_ms))
    }

    /// Ends files until no more than the limit is in memory; `held` says what one holds.
    pub fn relieve(&mut self, limits: &Limits, held: impl Fn(&F) -> usize) -> Vec<Part<F>> {
        let mut sizes: Vec<_> =
            self.open.iter().map(|part| (held(&part.file), part.info.bucket.clone())).collect();
        let mut total: usize = sizes.iter().map(|(size, _)| size).sum();
        sizes.sort_unstable();
        let mut ended = Vec::new();
        while total > limits.buffered_bytes
            && let Some((size, bucket)) = sizes.pop()
            && size > 0
        {
            total -= size;
            let at = self.find(&bucket);
            ended.extend(at.map(|at| self.end(at)));
        }
        ended
    }

    /// The open files.
    pub fn iter(&self) -> impl Iterator<Item = &Part<F>> {
        self.open.iter()
    }

    /// The open files, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Part<F>> {
        self.open.iter_mut()
    }

    /// Takes all out.
    pub fn drain(&mut self) -> impl Iterator<Item = Part<F>> + '_ {
        self.by_bucket.clear();
        self.open.drain(..)
    }
}

/// Why a bucket cannot be a directory below the base.
pub fn bucket_problem(bucket: &str) -> Option<&'static str> {
    if bucket.is_empty() {
        return None;
    }
    for segment in bucket.split('/') {
        match segment {
            "" => return Some("it has an empty segment"),
            "." | ".." => return Some("it leads elsewhere"),
            hidden if hidden.starts_with('.') => return Some("a segment begins with a dot"),
            odd if odd.contains(['\\', '\0']) => return Some("it has a character that is refused"),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
