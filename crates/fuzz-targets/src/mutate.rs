//! Changes of valid inputs, from a seed: what a fuzzer does, without its feedback.

/// Bytes that decoders stumble over: ends of ranges, and continuation bits of varints.
const PROMISING: [u8; 8] = [0, 1, 2, 0x7F, 0x80, 0x81, 0xFE, 0xFF];
/// Words of SQL at the ends of ranges, and such that change what is around them.
const PROMISING_WORDS: [&str; 28] = [
    "NULL",
    "0",
    "-1",
    "2147483647",
    "-2147483648",
    "9223372036854775807",
    "1e308",
    "0.1",
    "''",
    "*",
    "(",
    ")",
    "NOT",
    "DISTINCT",
    "CAST(NULL AS INT)",
    "ARRAY[1]",
    "MAP['a', 1]",
    "ROW(1, 'a')",
    "INTERVAL '1' DAY",
    "TIMESTAMP '2024-01-01 00:00:00'",
    "DATE '0001-01-01'",
    "PROCTIME()",
    "COUNT(*)",
    "(SELECT 1)",
    "x'00'",
    "99999999999999999999999999999999999999",
    "TRUE",
    "'é'",
];
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

    /// One of the texts, with a few of its words changed, moved, or taken from the others.
    pub fn mutated_words(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let of_one = |mutator: &mut Self| {
            let text = &corpus[mutator.below(corpus.len() as u64) as usize];
            words(text)
        };
        if corpus.is_empty() {
            return Vec::new();
        }
        let mut text = of_one(self);
        for _ in 0..=self.below(MOST_CHANGES) {
            let at = self.below(text.len() as u64 + 1) as usize;
            let end = (at + self.below(12) as usize).min(text.len());
            match self.below(8) {
                0 => drop(text.drain(at..end)),
                1 => {
                    let copied = text[at..end].to_vec();
                    let to = self.below(text.len() as u64 + 1) as usize;
                    text.splice(to..to, copied);
                }
                2 if at < text.len() => {
                    let to = self.below(text.len() as u64) as usize;
                    text.swap(at, to);
                }
                3 if at < text.len() => {
                    let word = PROMISING_WORDS[self.below(PROMISING_WORDS.len() as u64) as usize];
                    text[at] = word.as_bytes();
                }
                4 => {
                    let word = PROMISING_WORDS[self.below(PROMISING_WORDS.len() as u64) as usize];
                    text.insert(at, word.as_bytes());
                }
                _ => {
                    let other = of_one(self);
                    let from = self.below(other.len() as u64 + 1) as usize;
                    let to = (from + self.below(16) as usize).min(other.len());
                    text.splice(at..end, other[from..to].iter().copied());
                }
            }
        }
        text.join(&b' ')
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

/// The words of a text: names, numbers, quoted texts, and single other characters.
fn words(text: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let length = match first {
            byte if byte.is_ascii_whitespace() => 0,
            quote @ (b'\'' | b'`') => {
                let end = rest[1..].iter().position(|byte| byte == quote);
                end.map_or(rest.len(), |end| end + 2)
            }
            byte if is_word(byte) => {
                rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len())
            }
            _ => 1,
        };
        if length > 0 {
            words.push(&rest[..length]);
        }
        rest = &rest[length.max(1)..];
    }
    words
}
