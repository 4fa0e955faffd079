//! Changes of valid inputs, from a seed: what a fuzzer does, without its feedback.

/// Bytes that decoders stumble over: ends of ranges, and continuation bits of varints.
const PROMISING: [u8; 8] = [0, 1, 2, 0x7F, 0x80, 0x81, 0xFE, 0xFF];
/// Most changes of one input.
const MOST_CHANGES: u64 = 6;
/// Most bytes that one change adds.
const MOST_ADDED: u64 = 24;

/// Draws changes; equal seeds draw equal ones.
#[derive(Clone, Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        match self.below(2) {
            0 => PROMISING[self.below(PROMISING.len() as u64) as usize],
            _ => self.next() as u8,
        }
    }

    /// One of the inputs, changed in a few places; at times bytes that are made up.
    pub fn mutated(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        if corpus.is_empty() || self.below(16) == 0 {
            let length = self.below(64);
            return (0..length).map(|_| self.byte()).collect();
        }
        let mut bytes = corpus[self.below(corpus.len() as u64) as usize].clone();
        for _ in 0..=self.below(MOST_CHANGES) {
            self.change(&mut bytes, corpus);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let length = bytes.len() as u64;
        let at = self.below(length + 1) as usize;
        match self.below(10) {
            0..=3 if at < bytes.len() => bytes[at] = self.byte(),
            4 | 5 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            6 => bytes.truncate(at),
            7 => {
                let added = 1 + self.below(MOST_ADDED);
                let added: Vec<u8> = (0..added).map(|_| self.byte()).collect();
                bytes.splice(at..at, added);
            }
            8 => {
                let end = at + self.below(length - at as u64 + 1) as usize;
                bytes.drain(at..end);
            }
            // The end of one input behind the beginning of another.
            9 => {
                let other = &corpus[self.below(corpus.len() as u64) as usize];
                let from = self.below(other.len() as u64 + 1) as usize;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {}
        }
    }
}
