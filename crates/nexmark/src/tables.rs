//! Section 2 of the specification: the tables that columns are looked up in.
//!
//! Built once per process, on first use, and never freed, so that text columns can be
//! `&'static str` views of them: making an event copies no text longer than 24 bytes. All text
//! is ASCII, hence any byte range of it is text too.
//!
//! Owns no rule about which entry a column takes; those are in [`crate::lazy`].

use std::fmt::Write;
use std::sync::LazyLock;

use compact_str::CompactString;

use crate::arithmetic::{GAMMA, hi, lo, mix64};

/// Length of the random text that most text columns are slices of.
pub(crate) const TEXT_LEN: u64 = 1 << 20;
/// Channels with a number for a name.
pub(crate) const COLD_CHANNELS: u64 = 10_000;
/// Channels that get half of the bids; they follow the cold ones in the table.
pub(crate) const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// First names of persons.
pub(crate) const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
/// Last names of persons.
pub(crate) const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
/// Cities of persons.
pub(crate) const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
/// States of persons, drawn independently of the city.
pub(crate) const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

const PRICE_STEPS: usize = 1024;
const EMPTY: CompactString = CompactString::const_new("");

static TEXT: LazyLock<String> = LazyLock::new(|| {
    (0..TEXT_LEN)
        .map(|j| mix64(j.wrapping_mul(GAMMA).wrapping_add(0x5_DEEC_E66D)))
        .map(|r| char::from(b'a' + hi(r, 26) as u8))
        .collect()
});
static URLS: LazyLock<UrlArena> = LazyLock::new(UrlArena::build);
static TABLES: LazyLock<Tables> = LazyLock::new(Tables::build);

/// A byte range of the random text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// One entry of the channel table; both strings are inline or static, so cloning is a copy.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: CompactString,
    pub(crate) url: CompactString,
}

/// All tables. Obtained once by whoever generates, so that the hot path checks no initialisation.
#[derive(Debug)]
pub(crate) struct Tables {
    text: &'static str,
    prices: [i64; PRICE_STEPS + 1],
    channels: Vec<Channel>,
    names: Vec<CompactString>,
}

/// The addresses of all channels in one string, channel after channel.
struct UrlArena {
    text: String,
    /// Where each address begins; one more entry than there are channels.
    starts: Vec<u32>,
}

impl Tables {
    /// The tables of this process, built if this is the first call.
    pub(crate) fn get() -> &'static Tables {
        &TABLES
    }

    fn build() -> Self {
        let mut prices = [0; PRICE_STEPS + 1];
        for (j, price) in prices.iter_mut().enumerate() {
            let exact = 10f64.powf(6.0 * j as f64 / PRICE_STEPS as f64) * 100.0;
            *price = (exact + 0.5).floor() as i64;
        }
        let channels = (0..COLD_CHANNELS as usize + HOT_CHANNELS.len())
            .map(|c| Channel { name: channel_name(c), url: static_text(url(c).0) })
            .collect();
        let names = FIRST_NAMES
            .iter()
            .flat_map(|first| LAST_NAMES.iter().map(move |last| (first, last)))
            .map(|(first, last)| CompactString::from(format!("{first} {last}")))
            .collect();
        Self { text: &TEXT, prices, channels, names }
    }

    /// The random text, from which all spans are cut.
    #[cfg(feature = "arrow")]
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// The letters of a span; empty for a span outside the text, which `slice` never makes.
    #[inline]
    pub(crate) fn letters(&self, span: Span) -> &'static str {
        let start = span.offset as usize;
        self.text.get(start..start + span.len as usize).unwrap_or_default()
    }

    /// A price in cents, log-uniform between 100 and 100000000.
    #[inline]
    pub(crate) fn price(&self, u: u32) -> i64 {
        let j = (u >> 22) as usize;
        let (low, high) = (self.prices[j], self.prices[j + 1]);
        low + (((high - low) * i64::from(u & 0x3F_FFFF)) >> 22)
    }

    /// Name and address of a channel; the last channel for a number beyond the table.
    #[inline]
    pub(crate) fn channel(&self, c: u64) -> &Channel {
        &self.channels[(c as usize).min(self.channels.len() - 1)]
    }

    /// All channels, in the order of their numbers.
    #[cfg(feature = "arrow")]
    pub(crate) fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// "First Last", by the positions of the two names.
    #[inline]
    pub(crate) fn name(&self, first: u64, last: u64) -> CompactString {
        let n = first as usize * LAST_NAMES.len() + last as usize;
        self.names.get(n).cloned().unwrap_or(EMPTY)
    }
}

impl UrlArena {
    fn build() -> Self {
        let count = COLD_CHANNELS + HOT_CHANNELS.len() as u64;
        let mut text = String::with_capacity(count as usize * 82);
        let mut starts = vec![0];
        for c in 0..count {
            let u = mix64((c + 1).wrapping_mul(GAMMA).wrapping_add(0xC0_FFEE));
            let o = hi(u, TEXT_LEN - 15) as usize;
            let (a, b, d) = (&TEXT[o..o + 5], &TEXT[o + 5..o + 10], &TEXT[o + 10..o + 15]);
            // Writing to a String cannot fail.
            let _ = write!(text, "https://www.nexmark.com/{a}/{b}/{d}/item.htm?query=1");
            if c < COLD_CHANNELS && lo(u, 10) > 0 {
                let id = (c as u32).reverse_bits().cast_signed().wrapping_abs();
                let _ = write!(text, "&channel_id={id}");
            }
            starts.push(text.len() as u32);
        }
        Self { text, starts }
    }
}

/// All channel addresses in one string; `url` gives the offset of each.
#[cfg(feature = "arrow")]
pub(crate) fn urls() -> &'static str {
    &URLS.text
}

/// The address of a channel of the table and its offset in the string of all addresses.
pub(crate) fn url(c: usize) -> (&'static str, u32) {
    let arena: &'static UrlArena = &URLS;
    let (start, end) = (arena.starts[c], arena.starts[c + 1]);
    (&arena.text[start as usize..end as usize], start)
}

/// A span of `len` letters (below 200) at an offset drawn from the low half of `r`.
#[inline]
pub(crate) fn slice(r: u64, len: u64) -> Span {
    Span { offset: lo(r, TEXT_LEN - len) as u32, len: len as u32 }
}

/// `text` without an allocation: short text is stored inline, long text by reference.
#[inline]
pub(crate) fn static_text(text: &'static str) -> CompactString {
    // const_new alone would copy short text byte by byte.
    if text.len() <= size_of::<CompactString>() {
        CompactString::new(text)
    } else {
        CompactString::const_new(text)
    }
}

fn channel_name(c: usize) -> CompactString {
    match c.checked_sub(COLD_CHANNELS as usize).and_then(|hot| HOT_CHANNELS.get(hot)) {
        Some(name) => CompactString::const_new(name),
        None => CompactString::from(format!("channel-{c}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_check_sums_of_the_specification() {
        let fnv = TEXT.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, v| {
            (h ^ u64::from(v)).wrapping_mul(0x100_0000_01B3)
        });
        assert!(TEXT.starts_with("ouilofvzwdxajqbezrjxpcczkhoabmqcndjtbumx"));
        assert_eq!(fnv, 0xd68e_3f0a_38fc_1f2c);
        assert_eq!(Tables::get().prices.iter().sum::<i64>(), 7_462_064_232);
    }

    #[test]
    fn the_one_id_without_a_positive_counterpart_stays_negative() {
        assert!(url(1).0.ends_with("&channel_id=-2147483648"));
    }

    #[test]
    fn table_strings_own_no_heap_memory() {
        let tables = Tables::get();
        for channel in &tables.channels {
            assert!(!channel.name.is_heap_allocated() && !channel.url.is_heap_allocated());
        }
        assert!(tables.names.iter().all(|name| !name.is_heap_allocated()));
    }
}
