//! What a table promises, against a map and through captures.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn looking_for_few_changes_takes_breaks() {
    let mut table = KeyedTable::new(KeyGroupRange { start: 0, end: 0 }, 1);
    let hash_of = |key: &u32| hurtig_types::stable_hash(key).unwrap();
    (0..100_000u32).for_each(|key| table.insert(hash_of(&key), &key, 0u32));
    let first = table.begin_capture(None);
    while table.next_block(1 << 20).unwrap().is_some() {}
    table.insert(hash_of(&7), &7, 1);
    table.begin_capture(Some(first));
    let (mut pieces, mut found) = (0, 0);
    while let Some(block) = table.next_block(1 << 14).unwrap() {
        pieces += 1;
        found += block.count;
    }
    assert_eq!(found, 1);
    let looks = (1 << 14) / BYTES_PER_LOOK + 1;
    assert!(pieces >= 100_000 / looks, "{pieces} pieces");
}

#[test]
fn what_changes_during_a_capture_comes_in_pieces_too() {
    let mut table = KeyedTable::new(KeyGroupRange { start: 0, end: 1 }, 2);
    let hash_of = |key: &u32| hurtig_types::stable_hash(key).unwrap();
    let text = "x".repeat(100);
    (0..20_000u32).for_each(|key| table.insert(hash_of(&key), &key, text.clone()));
    table.begin_capture(None);
    (0..20_000u32).for_each(|key| table.insert(hash_of(&key), &key, String::new()));
    let mut restored = KeyedTable::<u32, String>::new(KeyGroupRange { start: 0, end: 1 }, 2);
    while let Some(block) = table.next_block(1000).unwrap() {
        assert!(block.bytes.len() < crate::capture::CHANGED_BYTES + 200);
        restored.restore(&block).unwrap();
    }
    assert_eq!(restored.len(), 20_000);
    assert!(restored.iter().all(|(_, _, value)| *value == text));
}

#[test]
fn key_groups_grow_one_after_the_other() {
    const GROUPS: u32 = 64;
    let mut table = KeyedTable::new(KeyGroupRange { start: 0, end: GROUPS - 1 }, GROUPS);
    let (mut grown, mut most) = (Vec::new(), 0);
    for key in 0..GROUPS * 20_000 {
        let hash = hurtig_types::stable_hash(&key).unwrap();
        let index = table.group_index(hash);
        let before = table.groups[index].capacity();
        table.insert(hash, &key, ());
        if before >= STAGGERED_FROM && table.groups[index].capacity() > before {
            grown.push(key);
            grown.retain(|earlier| key - earlier < 4096);
            most = most.max(grown.len());
        }
    }
    // All of them, if each grew when it is full.
    assert!(most <= GROUPS as usize / 2, "{most} within one batch");
}

proptest! {
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec((0u8..4, 0u16..40, any::<i32>()), 0..300)) {
        let mut table = KeyedTable::new(KeyGroupRange { start: 0, end: 6 }, 7);
        let mut model = HashMap::new();
        for (what, key, value) in steps {
            let hash = hurtig_types::stable_hash(&key).unwrap();
            match what {
                0 => {
                    table.insert(hash, &key, value);
                    model.insert(key, value);
                }
                1 => prop_assert_eq!(table.remove(hash, &key), model.remove(&key)),
                2 => {
                    *table.get_or_insert_with(hash, &key, || 0).0 ^= value;
                    *model.entry(key).or_insert(0) ^= value;
                }
                _ => prop_assert_eq!(table.get(hash, &key), model.get(&key)),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        let seen: HashMap<u16, i32> = table.iter().map(|(_, k, v)| (*k, *v)).collect();
        prop_assert_eq!(&seen, &model);
        prop_assert_eq!(table.into_entries().count(), model.len());
    }

    /// Captures, whole and of changes, taken in slices while the table changes, restore what
    /// it was when they began.
    #[test]
    fn captures_are_of_the_moment_in_which_they_begin(
        steps in prop::collection::vec((0u8..12, 0u16..400, any::<u16>()), 0..1200),
    ) {
        let range = KeyGroupRange { start: 0, end: 6 };
        let mut table = KeyedTable::<u16, u16>::new(range, 7);
        table.track_removals();
        let mut model = HashMap::new();
        // Blocks of the last whole capture and the changes since, with what they amount to.
        let mut chain: Vec<Block> = Vec::new();
        let mut last = None;
        let mut under_way: Option<(u32, Vec<Block>, HashMap<u16, u16>)> = None;
        for (what, key, value) in steps {
            let hash = hurtig_types::stable_hash(&key).unwrap();
            match what {
                0..=4 => {
                    table.insert(hash, &key, value);
                    model.insert(key, value);
                }
                5 => prop_assert_eq!(table.remove(hash, &key), model.remove(&key)),
                6 => {
                    if let Some(known) = table.get_mut(hash, &key) {
                        *known ^= value;
                    }
                    if let Some(known) = model.get_mut(&key) {
                        *known ^= value;
                    }
                }
                7 if under_way.is_none() => {
                    let since = last.filter(|_| value % 4 > 0);
                    if since.is_none() {
                        chain.clear();
                    }
                    let number = table.begin_capture(since);
                    under_way = Some((number, Vec::new(), model.clone()));
                }
                8 if value % 16 == 0 => {
                    // Given up: the next capture reaches back further.
                    table.cancel_capture();
                    under_way = None;
                    last = None;
                }
                _ => {
                    let Some((number, mut blocks, expected)) = under_way.take() else {
                        continue;
                    };
                    match table.next_block(usize::from(value) % 200 + 1).unwrap() {
                        Some(block) => {
                            blocks.push(block);
                            under_way = Some((number, blocks, expected));
                        }
                        None => {
                            chain.extend(blocks);
                            last = Some(number);
                            table.forget_removals_before(number);
                            let mut restored = KeyedTable::<u16, u16>::new(range, 7);
                            for block in &chain {
                                restored.restore(block).unwrap();
                            }
                            let restored: HashMap<u16, u16> =
                                restored.iter().map(|(_, k, v)| (*k, *v)).collect();
                            prop_assert_eq!(restored, expected);
                        }
                    }
                }
            }
        }
    }
}
