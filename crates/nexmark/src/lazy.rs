//! Section 3 of the specification: what every column of event `i` is.
//!
//! Each record type has a lazy twin whose methods compute one column each. They are the only
//! definition of the columns: complete records and Arrow columns are both made from them, so
//! they cannot differ. A twin is a few words, built without looking at any table.
//!
//! The rules are for an index of the right kind; the twins do not check it, their makers in
//! [`crate::generator`] do. All arithmetic wraps, so every index is safe.

use std::hint::select_unpredictable;

use compact_str::CompactString;

use crate::arithmetic::{Words, hi, lo};
use crate::model::{Auction, Bid, Person};
use crate::tables::{
    CITIES, COLD_CHANNELS, FIRST_NAMES, HOT_CHANNELS, LAST_NAMES, STATES, Span, Tables, slice,
    static_text,
};

/// 2015-07-15T00:00:00Z
const BASE_TIMESTAMP_MS: i64 = 1_436_918_400_000;
const EVENTS_PER_MS: u64 = 10;
const EVENTS_PER_EPOCH: u64 = 50;
const AUCTIONS_PER_EPOCH: u64 = 3;
const FIRST_ID: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
/// Ids are rounded down to a multiple of this to make them hot.
const HOT_RATIO: u64 = 100;
/// Bids go to one of so many last auctions, or one of the next few.
const AUCTIONS_IN_FLIGHT: u64 = 100;
const ACTIVE_PERSONS: u64 = 1000;
/// Four groups of four digits, with a space between.
const CREDIT_CARD_LEN: usize = 19;
/// How many ids ahead a reference may point.
const LEAD: u64 = 10;

/// Event time of event `index`, in milliseconds since the epoch.
#[inline]
pub const fn timestamp_of(index: u64) -> i64 {
    BASE_TIMESTAMP_MS + (index / EVENTS_PER_MS) as i64
}

/// What all three kinds are computed from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    tables: &'static Tables,
    index: u64,
    epoch: u64,
    words: Words,
}

impl Origin {
    #[inline]
    fn new(tables: &'static Tables, index: u64) -> Self {
        let words = Words::of_event(index);
        Self { tables, index, epoch: index / EVENTS_PER_EPOCH, words }
    }

    #[inline]
    fn r(&self, k: u64) -> u64 {
        self.words.r(k)
    }

    /// A person among the last 1000, or one of the next 10.
    #[inline]
    fn active_person(&self, r: u64) -> u64 {
        let persons = self.epoch + 1;
        let active = persons.min(ACTIVE_PERSONS);
        persons - active + lo(r, active + LEAD)
    }

    /// A person of this epoch's hundred if `hot`, else an active one.
    #[inline]
    fn person_id(&self, hot: bool, hot_offset: u64, r: u64) -> i64 {
        let hot_person = self.epoch / HOT_RATIO * HOT_RATIO + hot_offset;
        (FIRST_ID + select_unpredictable(hot, hot_person, self.active_person(r))) as i64
    }

    /// Letters for the last column; their number varies by a fifth around `want`.
    #[inline]
    fn filler(r: u64, want: u64) -> Span {
        let delta = (want + 2) / 5;
        slice(r, want - delta + hi(r, 2 * delta))
    }
}

/// The columns of a person, each computed when asked for.
#[derive(Clone, Copy, Debug)]
pub struct LazyPerson(Origin);

/// The columns of an auction, each computed when asked for.
#[derive(Clone, Copy, Debug)]
pub struct LazyAuction(Origin);

/// The columns of a bid, each computed when asked for.
#[derive(Clone, Copy, Debug)]
pub struct LazyBid(Origin);

impl LazyPerson {
    /// `index % 50` must be 0 for the stream's own persons.
    #[inline]
    pub(crate) fn new(tables: &'static Tables, index: u64) -> Self {
        Self(Origin::new(tables, index))
    }

    /// See [`Person::id`].
    #[inline]
    pub fn id(&self) -> i64 {
        (FIRST_ID + self.0.epoch) as i64
    }

    /// See [`Person::name`].
    #[inline]
    pub fn name(&self) -> CompactString {
        let r = self.0.r(1);
        self.0.tables.name(hi(r, FIRST_NAMES.len() as u64), lo(r, LAST_NAMES.len() as u64))
    }

    /// See [`Person::email_address`].
    pub fn email_address(&self) -> CompactString {
        let (user, host) = (self.0.r(2), self.0.r(3));
        // At most 15 bytes, which are stored inline.
        let mut email = static_text(self.0.tables.letters(slice(user, 3 + hi(user, 4))));
        email.push('@');
        email.push_str(self.0.tables.letters(slice(host, 3 + hi(host, 2))));
        email.push_str(".com");
        email
    }

    /// See [`Person::credit_card`].
    pub fn credit_card(&self) -> CompactString {
        let r = self.0.r(4);
        let mut card = [b' '; CREDIT_CARD_LEN];
        for (group, digits) in card.chunks_mut(5).enumerate() {
            let mut number = (((r >> (48 - 16 * group)) & 0xFFFF) * 10_000) >> 16;
            for digit in digits.iter_mut().take(4).rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        CompactString::new(str::from_utf8(&card).unwrap_or_default())
    }

    /// See [`Person::city`].
    #[inline]
    pub fn city(&self) -> &'static str {
        CITIES[hi(self.0.r(5), CITIES.len() as u64) as usize]
    }

    /// See [`Person::state`].
    #[inline]
    pub fn state(&self) -> &'static str {
        STATES[lo(self.0.r(5), STATES.len() as u64) as usize]
    }

    /// See [`Person::date_time`].
    #[inline]
    pub fn date_time(&self) -> i64 {
        timestamp_of(self.0.index)
    }

    /// See [`Person::extra`].
    #[inline]
    pub fn extra(&self) -> &'static str {
        self.0.tables.letters(self.extra_span())
    }

    /// Where [`Self::extra`] lies in the random text.
    #[inline]
    pub(crate) fn extra_span(&self) -> Span {
        self.extra_span_after(&self.name(), &self.email_address(), self.city(), self.state())
    }

    /// The filler, given the texts whose lengths it makes up for.
    fn extra_span_after(&self, name: &str, email: &str, city: &str, state: &str) -> Span {
        let texts = name.len() + email.len() + CREDIT_CARD_LEN + city.len() + state.len();
        Origin::filler(self.0.r(6), 200 - (8 + texts as u64))
    }

    /// All columns.
    pub fn complete(&self) -> Person {
        let (name, email_address) = (self.name(), self.email_address());
        let (city, state) = (self.city(), self.state());
        let extra = self.extra_span_after(&name, &email_address, city, state);
        Person {
            id: self.id(),
            name,
            email_address,
            credit_card: self.credit_card(),
            city: static_text(city),
            state: static_text(state),
            date_time: self.date_time(),
            extra: static_text(self.0.tables.letters(extra)),
        }
    }
}

impl LazyAuction {
    /// `index % 50` must be 1 to 3 for the stream's own auctions.
    #[inline]
    pub(crate) fn new(tables: &'static Tables, index: u64) -> Self {
        Self(Origin::new(tables, index))
    }

    /// See [`Auction::id`].
    #[inline]
    pub fn id(&self) -> i64 {
        let offset = self.0.index % EVENTS_PER_EPOCH;
        // The sum is at least FIRST_ID, so the 1 never underflows.
        (FIRST_ID + AUCTIONS_PER_EPOCH * self.0.epoch + offset - 1) as i64
    }

    /// See [`Auction::item_name`].
    #[inline]
    pub fn item_name(&self) -> &'static str {
        self.0.tables.letters(self.item_name_span())
    }

    /// Where [`Self::item_name`] lies in the random text.
    #[inline]
    pub(crate) fn item_name_span(&self) -> Span {
        let r = self.0.r(4);
        slice(r, 3 + hi(r, 17))
    }

    /// See [`Auction::description`].
    #[inline]
    pub fn description(&self) -> &'static str {
        self.0.tables.letters(self.description_span())
    }

    /// Where [`Self::description`] lies in the random text.
    #[inline]
    pub(crate) fn description_span(&self) -> Span {
        let r = self.0.r(5);
        slice(r, 3 + hi(r, 97))
    }

    /// See [`Auction::initial_bid`].
    #[inline]
    pub fn initial_bid(&self) -> i64 {
        self.0.tables.price(self.0.r(2) as u32)
    }

    /// See [`Auction::reserve`].
    #[inline]
    pub fn reserve(&self) -> i64 {
        self.initial_bid() + self.0.tables.price(self.0.r(3) as u32)
    }

    /// See [`Auction::date_time`].
    #[inline]
    pub fn date_time(&self) -> i64 {
        timestamp_of(self.0.index)
    }

    /// See [`Auction::expires`].
    #[inline]
    pub fn expires(&self) -> i64 {
        // The time until about one hundred more auctions have begun, in milliseconds.
        let index = self.0.index;
        let horizon =
            (index.wrapping_add(1666) / EVENTS_PER_MS).wrapping_sub(index / EVENTS_PER_MS);
        self.date_time() + 1 + hi(self.0.r(3), horizon.wrapping_mul(2)) as i64
    }

    /// See [`Auction::seller`].
    #[inline]
    pub fn seller(&self) -> i64 {
        let r = self.0.r(1);
        self.0.person_id(hi(r, 4) > 0, 0, r)
    }

    /// See [`Auction::category`].
    #[inline]
    pub fn category(&self) -> i64 {
        (FIRST_CATEGORY + hi(self.0.r(2), 5)) as i64
    }

    /// See [`Auction::extra`].
    #[inline]
    pub fn extra(&self) -> &'static str {
        self.0.tables.letters(self.extra_span())
    }

    /// Where [`Self::extra`] lies in the random text.
    #[inline]
    pub(crate) fn extra_span(&self) -> Span {
        let texts = u64::from(self.item_name_span().len + self.description_span().len);
        Origin::filler(self.0.r(6), 500 - (48 + texts))
    }

    /// All columns.
    pub fn complete(&self) -> Auction {
        Auction {
            id: self.id(),
            item_name: static_text(self.item_name()),
            description: static_text(self.description()),
            initial_bid: self.initial_bid(),
            reserve: self.reserve(),
            date_time: self.date_time(),
            expires: self.expires(),
            seller: self.seller(),
            category: self.category(),
            extra: static_text(self.extra()),
        }
    }
}

impl LazyBid {
    /// `index % 50` must be 4 to 49 for the stream's own bids.
    #[inline]
    pub(crate) fn new(tables: &'static Tables, index: u64) -> Self {
        Self(Origin::new(tables, index))
    }

    /// See [`Bid::auction`].
    #[inline]
    pub fn auction(&self) -> i64 {
        let r = self.0.r(1);
        let last = AUCTIONS_PER_EPOCH * self.0.epoch + AUCTIONS_PER_EPOCH - 1;
        let first = last.saturating_sub(AUCTIONS_IN_FLIGHT);
        let hot = last / HOT_RATIO * HOT_RATIO;
        let any = first + lo(r, last - first + 1 + LEAD);
        (FIRST_ID + select_unpredictable(hi(r, 2) > 0, hot, any)) as i64
    }

    /// See [`Bid::bidder`].
    #[inline]
    pub fn bidder(&self) -> i64 {
        let r = self.0.r(2);
        self.0.person_id(hi(r, 4) > 0, 1, r)
    }

    /// See [`Bid::price`].
    #[inline]
    pub fn price(&self) -> i64 {
        self.0.tables.price((self.0.r(3) >> 32) as u32)
    }

    /// The channel's position in the table of channels.
    #[inline]
    pub(crate) fn channel_number(&self) -> u64 {
        let r = self.0.r(4);
        let hot = COLD_CHANNELS + hi(r, HOT_CHANNELS.len() as u64);
        select_unpredictable(lo(self.0.r(3), 2) > 0, hot, hi(r, COLD_CHANNELS))
    }

    /// See [`Bid::channel`].
    #[inline]
    pub fn channel(&self) -> &'static str {
        &self.0.tables.channel(self.channel_number()).name
    }

    /// See [`Bid::url`].
    #[inline]
    pub fn url(&self) -> &'static str {
        &self.0.tables.channel(self.channel_number()).url
    }

    /// See [`Bid::date_time`].
    #[inline]
    pub fn date_time(&self) -> i64 {
        timestamp_of(self.0.index)
    }

    /// See [`Bid::extra`].
    #[inline]
    pub fn extra(&self) -> &'static str {
        self.0.tables.letters(self.extra_span())
    }

    /// Where [`Self::extra`] lies in the random text.
    #[inline]
    pub(crate) fn extra_span(&self) -> Span {
        let r = self.0.r(5);
        slice(r, 54 + hi(r, 28))
    }

    /// All columns.
    #[inline]
    pub fn complete(&self) -> Bid {
        let channel = self.0.tables.channel(self.channel_number());
        Bid {
            auction: self.auction(),
            bidder: self.bidder(),
            price: self.price(),
            channel: channel.name.clone(),
            url: channel.url.clone(),
            date_time: self.date_time(),
            extra: static_text(self.extra()),
        }
    }
}
