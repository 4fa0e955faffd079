//! What user functions write to.
//!
//! Records are collected into a batch, which goes on when it is full and at the end of the call.
//! An error of an operator further on is kept until the end of the call: user code need not see it.

use std::{any::Any, marker::PhantomData};

use hurtig_operator_api::Output;
use hurtig_types::{Batch, BoxedPayload, FlowError, FlowResult, Record, SideTag};

/// Most records of a collected batch.
pub const COLLECTED_RECORDS: usize = 1024;

/// Names a side output and its type.
#[derive(Debug)]
pub struct OutputTag<T> {
    tag: SideTag,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        Self { tag: self.tag.clone(), types: PhantomData }
    }
}

impl<T> OutputTag<T> {
    /// A side output of that name.
    pub fn new(name: &str) -> Self {
        Self { tag: SideTag::new(name), types: PhantomData }
    }

    /// The tag without its type.
    pub fn tag(&self) -> &SideTag {
        &self.tag
    }
}

/// Takes the records that a user function emits.
pub struct Collector<'a, T: Record> {
    values: Vec<T>,
    timestamps: Vec<i64>,
    /// The timestamp that emitted records get, if the stream has any.
    timestamp: Option<i64>,
    side: Vec<Box<dyn SideBuffer>>,
    out: &'a mut dyn Output,
    error: Option<FlowError>,
}

/// Records for one side output, collected like those for the main output.
trait SideBuffer: Any {
    fn tag(&self) -> &SideTag;
    /// Takes what is collected.
    fn take(&mut self) -> BoxedPayload;
    fn as_any(&mut self) -> &mut dyn Any;
}

struct TypedSide<X> {
    tag: SideTag,
    batch: Batch<X>,
}

impl<X: Record> SideBuffer for TypedSide<X> {
    fn tag(&self) -> &SideTag {
        &self.tag
    }

    fn take(&mut self) -> BoxedPayload {
        std::mem::take(&mut self.batch).boxed()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<'a, T: Record> Collector<'a, T> {
    /// A collector in front of an output.
    pub fn new(out: &'a mut dyn Output) -> Self {
        Self {
            values: Vec::new(),
            timestamps: Vec::new(),
            timestamp: None,
            side: Vec::new(),
            out,
            error: None,
        }
    }

    /// Sets the timestamp of the records that follow.
    #[inline]
    pub fn set_timestamp(&mut self, timestamp: Option<i64>) {
        if timestamp.is_some() != self.timestamp.is_some() && !self.values.is_empty() {
            self.flush();
        }
        self.timestamp = timestamp;
    }

    /// Emits a record.
    #[inline]
    pub fn collect(&mut self, value: T) {
        self.values.push(value);
        if let Some(timestamp) = self.timestamp {
            self.timestamps.push(timestamp);
        }
        if self.values.len() >= COLLECTED_RECORDS {
            self.flush();
        }
    }

    /// Emits records one after the other.
    #[inline]
    pub fn collect_all(&mut self, values: impl IntoIterator<Item = T>) {
        let values = values.into_iter();
        if values.size_hint().1.is_none_or(|most| most > COLLECTED_RECORDS) {
            values.for_each(|value| self.collect(value));
            return;
        }
        self.values.extend(values);
        if let Some(timestamp) = self.timestamp {
            self.timestamps.resize(self.values.len(), timestamp);
        }
        if self.values.len() >= COLLECTED_RECORDS {
            self.flush();
        }
    }

    /// Emits a record with a timestamp of its own.
    pub fn collect_with_timestamp(&mut self, value: T, timestamp: i64) {
        let before = self.timestamp;
        self.set_timestamp(Some(timestamp));
        self.collect(value);
        self.set_timestamp(before);
    }

    /// Emits a record on a side output.
    pub fn output<X: Record>(&mut self, tag: &OutputTag<X>, value: X) {
        let index = match self.side.iter().position(|side| *side.tag() == tag.tag) {
            Some(index) => index,
            None => {
                let batch = Batch::<X>::default();
                self.side.push(Box::new(TypedSide { tag: tag.tag.clone(), batch }));
                self.side.len() - 1
            }
        };
        let Some(side) = self.side[index].as_any().downcast_mut::<TypedSide<X>>() else {
            self.error.get_or_insert_with(|| {
                let problem = format!("side output {} is used with two types", tag.tag);
                FlowError::user(problem)
            });
            return;
        };
        if side.batch.timestamps.is_some() != self.timestamp.is_some()
            && !side.batch.values.is_empty()
        {
            self.flush_side(index);
            return self.output(tag, value);
        }
        side.batch.values.push(value);
        if let Some(timestamp) = self.timestamp {
            side.batch.timestamps.get_or_insert_default().push(timestamp);
        }
        if side.batch.values.len() >= COLLECTED_RECORDS {
            self.flush_side(index);
        }
    }

    fn flush_side(&mut self, index: usize) {
        let side = &mut self.side[index];
        let batch = side.take();
        if self.error.is_none()
            && let Err(error) = self.out.emit_side(side.tag(), batch)
        {
            self.error = Some(error);
        }
    }

    /// True if the caller should stop emitting for now.
    pub fn is_blocked(&self) -> bool {
        self.out.is_blocked()
    }

    #[cold]
    fn flush(&mut self) {
        let values = std::mem::take(&mut self.values);
        let timestamps = std::mem::take(&mut self.timestamps);
        if values.is_empty() || self.error.is_some() {
            return;
        }
        let timestamps = (!timestamps.is_empty()).then_some(timestamps);
        if let Err(error) = self.out.emit(Batch::from_parts(values, timestamps).boxed()) {
            self.error = Some(error);
        }
    }

    /// Emits what is collected; the first error of an operator further on is returned here.
    pub fn finish(mut self) -> FlowResult {
        self.flush();
        for index in 0..self.side.len() {
            self.flush_side(index);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
