//! What the client has: which batches have arrived, so that none counts twice.
//!
//! Batches of one stream may come out of order after a change of the parallelism, so the numbers
//! beyond a gap are kept. They are few: no more than the windows of all sinks.

use std::collections::{BTreeMap, BTreeSet};

use hurtig_types::codec::{self, CodecError};

use super::{Answer, BatchId, BatchStream, Question};

/// The numbers of one stream that have arrived.
#[derive(Debug, Default)]
struct Numbers {
    /// All before this one.
    below: u64,
    /// And these.
    beyond: BTreeSet<u64>,
}

impl Numbers {
    /// False if it was there.
    fn insert(&mut self, number: u64) -> bool {
        if number < self.below || !self.beyond.insert(number) {
            return false;
        }
        while self.beyond.remove(&self.below) {
            self.below += 1;
        }
        true
    }
}

/// The client's side of the conversation with the coordinator. Streams are as many as there were
/// attempts of sinks.
#[derive(Debug, Default)]
pub struct Received {
    streams: BTreeMap<BatchStream, Numbers>,
    /// What the next question says.
    arrived: Vec<BatchId>,
}

impl Received {
    /// Asks for more, and says what has arrived. To be asked again if no answer comes.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn question(&self) -> Result<Vec<u8>, CodecError> {
        let question: &Question = &self.arrived;
        codec::encode(question)
    }

    /// The batches of an answer that are new, in order.
    ///
    /// # Errors
    /// If it is no such answer.
    pub fn accept(&mut self, answer: &[u8]) -> Result<Vec<Vec<u8>>, CodecError> {
        let answer: Answer = codec::decode(answer)?;
        self.arrived.clear();
        let mut fresh = Vec::new();
        for (id, batch) in answer {
            self.arrived.push(id);
            if self.streams.entry(id.stream).or_default().insert(id.number) {
                fresh.push(batch);
            }
        }
        Ok(fresh)
    }
}
