//! Every kind of keyed state, without times to live.

use hurtig_state_api::{
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, ValueStateDescriptor,
};

use super::*;

fn store() -> KeyedStateStore<u32> {
    KeyedStateStore::new(KeyGroupRange { start: 0, end: 127 }, 128, 0)
}

#[test]
fn state_belongs_to_the_current_key() {
    let mut store = store();
    let count = store.value_state(&ValueStateDescriptor::<u64>::new("count")).unwrap();
    assert_eq!(count.get(&mut store), Err(StateError::NoKey));
    store.set_current_key(1, 10);
    count.update(&mut store, 5).unwrap();
    store.set_current_key(2, 20);
    assert_eq!(count.get(&mut store), Ok(None));
    *count.get_or_insert_with(&mut store, || 1).unwrap() += 1;
    store.set_current_key(1, 10);
    assert_eq!(count.clear(&mut store), Ok(Some(5)));
    store.set_current_key(2, 20);
    assert_eq!(count.get(&mut store), Ok(Some(&2)));
}

#[test]
fn a_name_has_one_type() {
    let mut store = store();
    store.value_state(&ValueStateDescriptor::<u64>::new("s")).unwrap();
    store.value_state(&ValueStateDescriptor::<u64>::new("s")).unwrap();
    let clash = store.list_state(&ListStateDescriptor::<u64>::new("s"));
    assert_eq!(clash.err(), Some(StateError::Mismatch { name: "s".to_owned() }));
}

#[test]
fn every_kind_of_state_adds_up_and_clears() {
    let mut store = store();
    let list = store.list_state(&ListStateDescriptor::<u8>::new("list")).unwrap();
    let map = store.map_state(&MapStateDescriptor::<String, u8>::new("map")).unwrap();
    let descriptor = ReducingStateDescriptor::<u8>::new("max", |a, b| *a = (*a).max(b));
    let max = store.reducing_state(&descriptor).unwrap();
    store.set_current_key(7, 7);
    list.add(&mut store, 1).unwrap();
    list.add(&mut store, 2).unwrap();
    assert_eq!(list.get(&mut store).unwrap(), [1, 2]);
    assert_eq!(list.clear(&mut store).unwrap(), [1, 2]);
    map.put(&mut store, "a".into(), 3).unwrap();
    assert_eq!(map.get(&mut store, "a").unwrap(), Some(&3));
    assert_eq!(map.remove(&mut store, "a").unwrap(), Some(3));
    max.add(&mut store, 4).unwrap();
    max.add(&mut store, 9).unwrap();
    max.add(&mut store, 5).unwrap();
    assert_eq!(max.get(&mut store).unwrap(), Some(&9));
}

#[test]
fn a_list_that_only_grows_is_a_list_in_snapshots() {
    let mut first = store();
    let list = first.append_list_state("rows").unwrap();
    assert!(first.value_state(&ValueStateDescriptor::<u32>::new("rows")).is_err());
    assert!(first.append_list_state("rows").is_ok());
    let set_key = |store: &mut KeyedStateStore<u32>, key: u32| {
        store.set_current_key(stable_hash(&key).unwrap(), key);
    };
    for key in [1, 2, 1] {
        set_key(&mut first, key);
        list.add(&mut first, [&b"a row"[..], b""].into_iter()).unwrap();
    }
    first.begin_capture(None);
    let (mut grows, mut any) = (store(), store());
    while let Some((meta, block)) = first.next_block(1 << 16).unwrap() {
        grows.restore(meta, block.clone());
        any.restore(meta, block);
    }
    let list = grows.append_list_state("rows").unwrap();
    let mut lengths = |key| {
        set_key(&mut grows, key);
        list.get(&mut grows).unwrap().map(<[u8]>::len).collect::<Vec<_>>()
    };
    assert_eq!([lengths(1), lengths(2), lengths(3)], [vec![5, 0, 5, 0], vec![5, 0], vec![]]);
    let meta = any.metas().next().unwrap();
    assert_eq!((meta.kind, &*meta.schema), (StateKind::List, "[bytes] by u32"));
}
