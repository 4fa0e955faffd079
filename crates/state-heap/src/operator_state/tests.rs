//! Lists and maps through snapshots.

use super::*;

fn restore(states: Vec<ListStateData>, metas: Vec<StateMeta>) -> OperatorRestore {
    let checkpoint_id = CheckpointId(7);
    OperatorRestore { checkpoint_id, operator_states: states, metas, ..OperatorRestore::default() }
}

fn descriptor() -> ListStateDescriptor<u64> {
    ListStateDescriptor::new("numbers")
}

fn snapshot(store: &OperatorStateStore) -> OperatorRestore {
    restore(store.snapshot().unwrap(), store.metas().cloned().collect())
}

#[test]
fn lists_and_maps_come_back() {
    let mut store = OperatorStateStore::default();
    assert!(!store.is_restored());
    let numbers = store.list_state(&descriptor()).unwrap();
    let all = store.union_list_state(&ListStateDescriptor::<String>::new("all")).unwrap();
    let rules = store.broadcast_state(&MapStateDescriptor::<String, u8>::new("rules")).unwrap();
    numbers.add_all(&mut store, [1, 2]).unwrap();
    numbers.add(&mut store, 3).unwrap();
    all.update(&mut store, vec!["a".to_owned()]).unwrap();
    rules.put(&mut store, "b".to_owned(), 4).unwrap();
    assert_eq!(rules.put(&mut store, "b".to_owned(), 5), Ok(Some(4)));
    *rules.get_mut(&mut store, &"b".to_owned()).unwrap().unwrap() += 1;

    let mut store = OperatorStateStore::restored_from(Some(&snapshot(&store)), 0);
    assert_eq!(store.restored_checkpoint_id(), Some(CheckpointId(7)));
    // Handles are given in the order of registration.
    let numbers = store.list_state(&descriptor()).unwrap();
    let rules = store.broadcast_state(&MapStateDescriptor::<String, u8>::new("rules")).unwrap();
    let all = store.union_list_state(&ListStateDescriptor::<String>::new("all")).unwrap();
    assert_eq!(numbers.clear(&mut store).unwrap(), [1, 2, 3]);
    assert_eq!(all.get(&store).unwrap(), ["a"]);
    assert_eq!(rules.entries(&store).unwrap().collect::<Vec<_>>(), [(&"b".to_owned(), &6)]);
    assert_eq!(rules.remove(&mut store, &"b".to_owned()), Ok(Some(6)));
    assert_eq!(rules.is_empty(&store), Ok(true));
}

#[test]
fn pieces_of_a_list_come_together() {
    let piece = |n: u64| ListStateData {
        name: "numbers".to_owned(),
        mode: RedistributionMode::SplitDistribute,
        elements: vec![codec::encode(&n).unwrap()],
    };
    let restore = restore(vec![piece(1), piece(2)], Vec::new());
    let mut store = OperatorStateStore::restored_from(Some(&restore), 0);
    let numbers = store.list_state(&descriptor()).unwrap();
    assert_eq!(numbers.get(&store).unwrap(), [1, 2]);
}

#[test]
fn what_nobody_registers_is_kept() {
    let mut store = OperatorStateStore::default();
    let numbers = store.list_state(&descriptor()).unwrap();
    numbers.add(&mut store, 1).unwrap();
    let all = store.union_list_state(&ListStateDescriptor::<u8>::new("all")).unwrap();
    all.add(&mut store, 1).unwrap();
    let saved = snapshot(&store);
    let first = OperatorStateStore::restored_from(Some(&saved), 0);
    assert_eq!(snapshot(&first).operator_states, saved.operator_states);
    let second = OperatorStateStore::restored_from(Some(&saved), 1);
    let names = |restore: OperatorRestore| -> Vec<String> {
        restore.operator_states.into_iter().map(|data| data.name).collect()
    };
    assert_eq!(names(snapshot(&second)), ["numbers"], "or the union would grow");
}

#[test]
fn changes_are_refused_by_name() {
    let mut store = OperatorStateStore::default();
    store.list_state(&descriptor()).unwrap();
    let saved = snapshot(&store);
    let restored = || OperatorStateStore::restored_from(Some(&saved), 0);
    let other = restored().list_state(&ListStateDescriptor::<String>::new("numbers"));
    assert_eq!(
        other.err().unwrap().to_string(),
        "state \"numbers\" cannot be restored: its type has changed: value was u64 and is string \
         now"
    );
    let other = restored().union_list_state(&descriptor());
    assert!(other.err().unwrap().to_string().contains("SplitDistribute"));
    let map = MapStateDescriptor::<u64, u64>::new("numbers");
    assert!(restored().broadcast_state(&map).err().unwrap().to_string().contains("OperatorList"));
    let ttl = StateTtlConfig::new(std::time::Duration::from_secs(1));
    assert!(restored().list_state(&descriptor().enable_time_to_live(ttl)).is_err());
    let mut twice = restored();
    twice.list_state(&descriptor()).unwrap();
    assert!(twice.union_list_state(&descriptor()).is_err());
}
