//! What lists promise, against a map and through captures.

use std::collections::HashMap;

use hurtig_types::stable_hash;
use proptest::prelude::*;

use super::*;
use crate::capture::Block;

const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: 6 };

type Model = HashMap<u16, Vec<Vec<u8>>>;

fn lists(range: KeyGroupRange) -> AppendLists<u16> {
    AppendLists::new(range, 7, stable_hash::<u16>, 1)
}

fn content(lists: &AppendLists<u16>) -> Model {
    let rows = |hash, key| lists.rows(hash, key).map(<[u8]>::to_vec).collect();
    lists.keys().map(|(hash, key)| (*key, rows(hash, key))).collect()
}

/// What a chain of captures, cut over two subtasks, amounts to.
fn restored(chain: &[Block]) -> Model {
    let cut = |start, end| {
        let mut lists = lists(KeyGroupRange { start, end });
        chain.iter().rev().for_each(|block| lists.restore(block).unwrap());
        content(&lists)
    };
    let (mut all, rest) = (cut(0, 2), cut(3, 6));
    all.extend(rest);
    all
}

proptest! {
    /// Captures, whole and of changes, taken in slices while lists grow, restore what they were
    /// when they began.
    #[test]
    fn captures_are_of_the_moment_in_which_they_begin(
        steps in prop::collection::vec((0u8..12, 0u16..400, any::<u16>()), 0..1200),
    ) {
        let mut lists = lists(RANGE);
        let mut model = Model::new();
        // Blocks of the last whole capture and the changes since, with what they amount to.
        let mut chain: Vec<Block> = Vec::new();
        let mut last = None;
        let mut under_way: Option<(u32, Vec<Block>, Model)> = None;
        for (what, key, value) in steps {
            // Some keys have long lists.
            let key = if what % 2 == 0 { key } else { key % 16 };
            let hash = stable_hash(&key).unwrap();
            match what {
                0..=6 => {
                    let rows = vec![vec![value as u8; usize::from(value % 300)]; usize::from(value % 3) + 1];
                    lists.add(hash, &key, rows.iter().map(Vec::as_slice)).unwrap();
                    model.entry(key).or_default().extend(rows);
                }
                7 if under_way.is_none() => {
                    let since = last.filter(|_| value % 4 > 0);
                    if since.is_none() {
                        chain.clear();
                    }
                    under_way = Some((lists.begin_capture(since), Vec::new(), model.clone()));
                }
                8 if value % 16 == 0 => {
                    // Given up: the next capture reaches back further.
                    lists.cancel_capture();
                    under_way = None;
                    last = None;
                }
                _ => {
                    let Some((number, mut blocks, expected)) = under_way.take() else { continue };
                    match lists.next_block(usize::from(value) % 2000 + 1).unwrap() {
                        Some(block) => {
                            blocks.push(block);
                            under_way = Some((number, blocks, expected));
                        }
                        None => {
                            chain.extend(blocks);
                            last = Some(number);
                            prop_assert_eq!(restored(&chain), expected);
                        }
                    }
                }
            }
        }
        prop_assert_eq!(content(&lists), model);
    }
}

#[test]
fn a_capture_goes_on_while_its_table_grows() {
    let mut lists = lists(RANGE);
    let add = |lists: &mut AppendLists<u16>, keys: std::ops::Range<u16>| {
        for key in keys {
            lists.add(stable_hash(&key).unwrap(), &key, std::iter::once(&[1_u8; 50][..])).unwrap();
        }
    };
    add(&mut lists, 0..1000);
    let expected = content(&lists);
    lists.begin_capture(None);
    let (mut blocks, mut next) = (Vec::new(), 1000);
    while let Some(block) = lists.next_block(500).unwrap() {
        blocks.push(block);
        // Grows fast enough that each key group moves its entries while it is visited.
        add(&mut lists, next..(next + 100).min(20_000));
        add(&mut lists, 0..1000);
        next = (next + 100).min(20_000);
    }
    assert_eq!(next, 20_000, "the table has grown");
    assert_eq!(restored(&blocks), expected);
}

#[test]
fn looking_for_few_changes_takes_breaks() {
    let mut lists = AppendLists::new(KeyGroupRange { start: 0, end: 0 }, 1, stable_hash::<u32>, 1);
    let hash_of = |key: &u32| stable_hash(key).unwrap();
    let row = || std::iter::once(&b"row"[..]);
    (0..100_000u32).for_each(|key| lists.add(hash_of(&key), &key, row()).unwrap());
    let first = lists.begin_capture(None);
    while lists.next_block(1 << 20).unwrap().is_some() {}
    lists.add(hash_of(&7), &7, row()).unwrap();
    lists.begin_capture(Some(first));
    let (mut pieces, mut found) = (0, 0);
    while let Some(block) = lists.next_block(1 << 14).unwrap() {
        pieces += 1;
        found += block.count;
    }
    assert_eq!(found, 1);
    let looks = (1 << 14) / BYTES_PER_LOOK + 1;
    assert!(pieces >= 100_000 / looks, "{pieces} pieces");
}

#[test]
fn removals_and_cut_lists_are_refused() {
    let mut first = lists(RANGE);
    first.add(stable_hash(&7_u16).unwrap(), &7, [&b"one"[..], b"two"].into_iter()).unwrap();
    first.begin_capture(None);
    let mut whole = first.next_block(1000).unwrap().unwrap();
    while whole.count == 0 {
        whole = first.next_block(1000).unwrap().unwrap();
    }
    for length in 0..whole.bytes.len() {
        let cut = Block { bytes: whole.bytes[..length].to_vec(), ..whole.clone() };
        lists(RANGE).restore(&cut).unwrap_err();
    }
    let removal = Block { kind: BlockKind::Removals, ..whole };
    let refused = lists(RANGE).restore(&removal).unwrap_err().to_string();
    assert!(refused.contains("a list that only grows was removed"), "{refused}");
}
