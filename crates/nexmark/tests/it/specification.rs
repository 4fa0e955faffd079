//! The check sums of section 5 and the test vectors of section 6 of the specification.

use hurtig_nexmark::{Event, EventKind, NexmarkGenerator};
use serde_json::{Value, json};

/// One row of the table of section 5.
#[derive(Debug, PartialEq)]
struct CheckSums {
    persons: u64,
    auctions: u64,
    bids: u64,
    sum_auction: i64,
    sum_bidder: i64,
    sum_price: i64,
    sum_channel_len: usize,
    sum_extra_len: usize,
    fnv: u64,
}

impl CheckSums {
    const EMPTY: Self = Self {
        persons: 0,
        auctions: 0,
        bids: 0,
        sum_auction: 0,
        sum_bidder: 0,
        sum_price: 0,
        sum_channel_len: 0,
        sum_extra_len: 0,
        fnv: 0xcbf2_9ce4_8422_2325,
    };

    fn number(&mut self, v: i64) {
        self.fnv = (self.fnv ^ v as u64).wrapping_mul(0x100_0000_01B3);
    }

    fn text(&mut self, text: &str) {
        text.bytes().for_each(|v| self.number(i64::from(v)));
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::Person(p) => {
                self.persons += 1;
                self.number(p.id);
                for text in [&p.name, &p.email_address, &p.credit_card, &p.city, &p.state] {
                    self.text(text);
                }
                self.number(p.date_time);
                self.text(&p.extra);
            }
            Event::Auction(a) => {
                self.auctions += 1;
                self.number(a.id);
                self.text(&a.item_name);
                self.text(&a.description);
                for v in [a.initial_bid, a.reserve, a.date_time, a.expires, a.seller, a.category] {
                    self.number(v);
                }
                self.text(&a.extra);
            }
            Event::Bid(b) => {
                self.bids += 1;
                self.sum_auction += b.auction;
                self.sum_bidder += b.bidder;
                self.sum_price += b.price;
                self.sum_channel_len += b.channel.len();
                self.sum_extra_len += b.extra.len();
                for v in [b.auction, b.bidder, b.price] {
                    self.number(v);
                }
                self.text(&b.channel);
                self.text(&b.url);
                self.number(b.date_time);
                self.text(&b.extra);
            }
        }
    }
}

#[rustfmt::skip]
const ROWS: [(u64, CheckSums); 5] = [
    (1, CheckSums { persons: 1, fnv: 0x6ef1_fd50_03f9_5230, ..CheckSums::EMPTY }),
    (50, CheckSums {
        persons: 1, auctions: 3, bids: 46, sum_auction: 46152, sum_bidder: 46081,
        sum_price: 325_506_115, sum_channel_len: 419, sum_extra_len: 3105,
        fnv: 0x43e6_5a27_1e0c_595c,
    }),
    (1000, CheckSums {
        persons: 20, auctions: 60, bids: 920, sum_auction: 929_579, sum_bidder: 923_233,
        sum_price: 6_580_039_691, sum_channel_len: 8158, sum_extra_len: 62177,
        fnv: 0x32a9_163c_216d_0a0f,
    }),
    (100_000, CheckSums {
        persons: 2000, auctions: 6000, bids: 92000, sum_auction: 363_716_596,
        sum_bidder: 172_129_553, sum_price: 660_880_181_392, sum_channel_len: 821_125,
        sum_extra_len: 6_213_172, fnv: 0x68ee_d69f_5fc9_b522,
    }),
    (1_000_000, CheckSums {
        persons: 20000, auctions: 60000, bids: 920_000, sum_auction: 28_477_008_103,
        sum_bidder: 9_975_619_324, sum_price: 6_663_674_003_656, sum_channel_len: 8_226_011,
        sum_extra_len: 62_109_151, fnv: 0x307c_4cc9_81d9_f87f,
    }),
];

#[test]
fn the_first_million_events_have_the_check_sums_of_the_specification() {
    let mut sums = CheckSums::EMPTY;
    let mut rows = ROWS.iter();
    let mut row = rows.next();
    for (i, event) in (1..).zip(NexmarkGenerator::new(0, 1, Some(1_000_000)).unwrap()) {
        sums.add(&event);
        if let Some((events, expected)) = row
            && i == *events
        {
            assert_eq!(sums, *expected, "after {events} events");
            row = rows.next();
        }
    }
    assert!(row.is_none(), "the stream ended early");
}

/// An event as a line of `vectors.jsonl`.
fn vector(index: u64, event: &Event) -> Value {
    match event {
        Event::Person(p) => json!({"event": index, "event_type": 0, "person": {
            "id": p.id, "name": p.name, "emailAddress": p.email_address,
            "creditCard": p.credit_card, "city": p.city, "state": p.state,
            "dateTime": p.date_time, "extra": p.extra,
        }}),
        Event::Auction(a) => json!({"event": index, "event_type": 1, "auction": {
            "id": a.id, "itemName": a.item_name, "description": a.description,
            "initialBid": a.initial_bid, "reserve": a.reserve, "dateTime": a.date_time,
            "expires": a.expires, "seller": a.seller, "category": a.category, "extra": a.extra,
        }}),
        Event::Bid(b) => json!({"event": index, "event_type": 2, "bid": {
            "auction": b.auction, "bidder": b.bidder, "price": b.price, "channel": b.channel,
            "url": b.url, "dateTime": b.date_time, "extra": b.extra,
        }}),
    }
}

#[test]
fn events_equal_the_test_vectors() {
    let generator = NexmarkGenerator::new(0, 1, None).unwrap();
    let lines = include_str!("../../testdata/vectors.jsonl").lines();
    let vectors: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(vectors.len(), 7);
    for expected in vectors {
        let index = expected["event"].as_u64().unwrap();
        assert_eq!(vector(index, &generator.event(index)), expected);
    }
}

#[test]
fn typed_access_gives_the_same_records() {
    let generator = NexmarkGenerator::new(0, 1, None).unwrap();
    for index in (0..200).chain(46_750..46_800) {
        let event = generator.event(index);
        assert_eq!(event.kind(), generator.kind(index));
        assert_eq!(event.timestamp(), generator.timestamp(index));
        assert_eq!(event.as_person(), generator.person(index).as_ref());
        assert_eq!(event.as_auction(), generator.auction(index).as_ref());
        assert_eq!(event.as_bid(), generator.bid(index).as_ref());
    }
}

#[test]
fn text_from_the_generator_owns_no_heap_memory() {
    for event in NexmarkGenerator::new(0, 1, Some(10_000)).unwrap() {
        let texts = match &event {
            Event::Person(p) => {
                vec![&p.name, &p.email_address, &p.credit_card, &p.city, &p.state, &p.extra]
            }
            Event::Auction(a) => vec![&a.item_name, &a.description, &a.extra],
            Event::Bid(b) => vec![&b.channel, &b.url, &b.extra],
        };
        assert!(texts.iter().all(|text| !text.is_heap_allocated()), "{event:?}");
    }
}

#[test]
fn records_survive_serialisation() {
    for event in NexmarkGenerator::new(0, 1, Some(100)).unwrap() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}

#[test]
fn every_index_has_an_event() {
    let generator = NexmarkGenerator::new(0, 1, None).unwrap();
    let bits = (0..64).map(|bit| 1 << bit);
    let indices = bits.flat_map(|bit: u64| bit.saturating_sub(60)..bit.saturating_add(60));
    for index in indices.chain(u64::MAX - 2000..=u64::MAX) {
        let event = generator.event(index);
        assert_eq!(event.timestamp(), generator.timestamp(index));
        if let Event::Auction(auction) = event {
            assert!(auction.expires > auction.date_time && auction.reserve > auction.initial_bid);
        }
    }
    assert_eq!(generator.kind(50), EventKind::Person);
}
