//! The records of the stream: persons, auctions, bids, and the event that is one of them.
//!
//! Columns keep the order and the meaning of `queries/ddl.sql`, in snake case. BIGINT columns
//! are `i64`, timestamps are milliseconds since the epoch. Text is inline (up to 24 bytes) or a
//! reference to static tables when it comes from the generator; deserialised records own theirs.
//!
//! Persons and auctions are boxed in [`Event`]: 46 of 50 events are bids, and an event in a
//! queue should be no larger than a bid. There is no behaviour here beyond telling the kinds
//! apart.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Someone who sells or bids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Unique; from 1000 upwards.
    pub id: i64,
    /// First and last name.
    pub name: CompactString,
    /// Like `abc@def.com`.
    pub email_address: CompactString,
    /// Four groups of four digits.
    pub credit_card: CompactString,
    /// One of ten cities.
    pub city: CompactString,
    /// Two letters, one of six states.
    pub state: CompactString,
    /// Event time in milliseconds since the epoch.
    pub date_time: i64,
    /// Filler: brings the record to about 200 bytes.
    pub extra: CompactString,
}

/// An item on sale.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Auction {
    /// Unique; from 1000 upwards.
    pub id: i64,
    /// 3 to 19 letters.
    pub item_name: CompactString,
    /// 3 to 99 letters.
    pub description: CompactString,
    /// In cents.
    pub initial_bid: i64,
    /// In cents, above `initial_bid`.
    pub reserve: i64,
    /// Event time in milliseconds since the epoch.
    pub date_time: i64,
    /// When the auction ends, in milliseconds since the epoch; after `date_time`.
    pub expires: i64,
    /// A [`Person::id`], possibly of one of the next ten persons to come.
    pub seller: i64,
    /// 10 to 14.
    pub category: i64,
    /// Filler: brings the record to about 500 bytes.
    pub extra: CompactString,
}

/// An offer for an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bid {
    /// An [`Auction::id`], possibly of one of the next ten auctions to come.
    pub auction: i64,
    /// A [`Person::id`], possibly of one of the next ten persons to come.
    pub bidder: i64,
    /// In cents.
    pub price: i64,
    /// Where the bid was made.
    pub channel: CompactString,
    /// The address of the channel.
    pub url: CompactString,
    /// Event time in milliseconds since the epoch.
    pub date_time: i64,
    /// Filler of 54 to 81 letters.
    pub extra: CompactString,
}

/// The three kinds of events; the discriminant is the column `event_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum EventKind {
    /// A new person.
    Person = 0,
    /// A new auction.
    Auction = 1,
    /// A bid.
    Bid = 2,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// A new person.
    Person(Box<Person>),
    /// A new auction.
    Auction(Box<Auction>),
    /// A bid.
    Bid(Bid),
}

impl EventKind {
    /// The kind of the event with this index: of 50 events 1 person, 3 auctions, 46 bids.
    #[inline]
    pub const fn of_index(index: u64) -> Self {
        match index % 50 {
            0 => Self::Person,
            1..=3 => Self::Auction,
            _ => Self::Bid,
        }
    }

    /// How many indices from this one on are those of bids, up to the next event of another kind.
    #[inline]
    pub const fn bids_from(index: u64) -> u64 {
        match Self::of_index(index) {
            Self::Bid => 50 - index % 50,
            Self::Person | Self::Auction => 0,
        }
    }
}

impl Event {
    /// Event time in milliseconds since the epoch.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match self {
            Self::Person(person) => person.date_time,
            Self::Auction(auction) => auction.date_time,
            Self::Bid(bid) => bid.date_time,
        }
    }

    /// Which of the three it is.
    #[inline]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Person(_) => EventKind::Person,
            Self::Auction(_) => EventKind::Auction,
            Self::Bid(_) => EventKind::Bid,
        }
    }

    /// The person, if it is one.
    #[inline]
    pub fn as_person(&self) -> Option<&Person> {
        match self {
            Self::Person(person) => Some(person),
            _ => None,
        }
    }

    /// The auction, if it is one.
    #[inline]
    pub fn as_auction(&self) -> Option<&Auction> {
        match self {
            Self::Auction(auction) => Some(auction),
            _ => None,
        }
    }

    /// The bid, if it is one.
    #[inline]
    pub fn as_bid(&self) -> Option<&Bid> {
        match self {
            Self::Bid(bid) => Some(bid),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_no_larger_than_a_bid() {
        assert_eq!(size_of::<Event>(), size_of::<Bid>());
    }
}
