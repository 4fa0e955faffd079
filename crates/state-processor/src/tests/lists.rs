//! What is read of state: all of it, once, however it is cut; and what is refused, by name.

use std::collections::BTreeSet;

use hurtig_state_api::{ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor};
use hurtig_state_heap::{KeyedStateStore, ListState, ValueState};
use hurtig_types::BoxError;

use super::sample::{KEYS, snapshot, wait};
use crate::{
    InspectOptions, KeyedStateReaderContext, KeyedStateReaderFunction, SavepointReader,
    StateProcessorError, inspect,
    keyed::{KeyedFiles, KeyedRecords},
    records::StateRecords,
};

fn reader() -> SavepointReader {
    SavepointReader::of(snapshot()).unwrap()
}

fn all<T: hurtig_types::Record>(records: crate::SavepointRecords<T>) -> Vec<T> {
    records.map(Result::unwrap).collect()
}

fn text(error: &StateProcessorError) -> String {
    error.chain_text()
}

#[test]
fn keyed_state_comes_once_however_it_is_cut() {
    let value = ValueStateDescriptor::<u64>::new("value");
    let mut seen = all(reader().read_keyed_state::<u32, u64>("all", &value).unwrap());
    seen.sort_unstable();
    let expected: Vec<(u32, u64)> = (0..KEYS).map(|key| (key, u64::from(key) * 10)).collect();
    assert_eq!(seen, expected);
    let files = KeyedFiles::new(&snapshot(), "all").unwrap();
    let records = KeyedRecords::<u32, u64>::new(files, &(&value).into()).unwrap();
    for at_least in [1, 2, 4, 7, 100] {
        let parts = records.parts(at_least);
        assert!(parts.len() >= at_least.min(16) as usize, "{parts:?}");
        let loaded = |part| wait(records.load(part)).unwrap();
        let mut seen: Vec<(u32, u64)> = parts.into_iter().flat_map(loaded).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected, "in {at_least}");
    }
    let list = ListStateDescriptor::<u32>::new("list");
    let lists = all(reader().read_keyed_state::<u32, Vec<u32>>("all", &list).unwrap());
    assert!(lists.len() == KEYS as usize && lists.iter().all(|(k, l)| *l == [*k, *k + 1]));
}

/// Reads everything of a key.
#[derive(Clone, Default)]
struct Everything(Option<(ValueState<u64>, ListState<u32>)>);

impl KeyedStateReaderFunction<u32, (u32, u64, u32, Vec<i64>)> for Everything {
    fn open(&mut self, state: &mut KeyedStateStore<u32>) -> Result<(), BoxError> {
        let value = state.value_state(&ValueStateDescriptor::new("value"))?;
        self.0 = Some((value, state.list_state(&ListStateDescriptor::new("list"))?));
        Ok(())
    }

    fn read_key(
        &mut self,
        context: &mut KeyedStateReaderContext<'_, u32>,
        out: &mut Vec<(u32, u64, u32, Vec<i64>)>,
    ) -> Result<(), BoxError> {
        let (value, list) = self.0.ok_or("open")?;
        let value = value.get(context.state)?.copied().unwrap_or_default();
        let sum = list.get(context.state)?.iter().sum();
        let timers = context.registered_event_time_timers().to_vec();
        out.push((*context.current_key(), value, sum, timers));
        Ok(())
    }
}

#[test]
fn a_function_sees_all_states_and_timers_of_a_key() {
    let mut seen = all(reader().read_keyed_states("all", Everything::default()).unwrap());
    seen.sort();
    let expected = (0..KEYS).map(|k| (k, u64::from(k) * 10, 2 * k + 1, vec![i64::from(k)]));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[test]
fn operator_state_and_slices_are_read() {
    let reader = reader();
    let split =
        all(reader.read_list_state("all", &ListStateDescriptor::<String>::new("split")).unwrap());
    assert_eq!(split[..4], ["0/0", "0/1", "0/2", "1/0"]);
    assert_eq!(split.len(), 9);
    let union =
        all(reader.read_union_state("all", &ListStateDescriptor::<String>::new("union")).unwrap());
    assert_eq!(union, ["of 0", "of 1", "of 2"]);
    let rules = MapStateDescriptor::<u8, bool>::new("rules");
    let rules = all(reader.read_broadcast_state("all", &rules).unwrap());
    assert_eq!(rules, [(1, true), (2, false)]);
    let slices = all(reader.read_window_slices::<u32, i64>("all").unwrap());
    let keys: BTreeSet<u32> = slices.iter().map(|slice| slice.key).collect();
    assert_eq!((slices.len(), keys.len()), (KEYS as usize, KEYS as usize));
    assert!(slices.iter().all(|s| s.start == 500 && s.accumulator == -i64::from(s.key)));
}

#[test]
fn what_cannot_be_read_is_named_with_the_difference() {
    let reader = reader();
    let value = ValueStateDescriptor::<u64>::new("value");
    let error = reader.read_keyed_state::<u32, u64>("al", &value).err().unwrap();
    assert_eq!(text(&error), r#"memory:///s has no operator "al"; it has "all""#);
    let other = ValueStateDescriptor::<u64>::new("valeu");
    let error = text(&reader.read_keyed_state::<u32, u64>("all", &other).err().unwrap());
    assert!(error.starts_with(r#"operator "all" has no state "valeu"; it has "value", "list""#));
    let error = text(&reader.read_keyed_state::<u64, u64>("all", &value).err().unwrap());
    for part in ["\"value\"", "\"all\"", "key was u32 and is u64 now"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    let list = ListStateDescriptor::<u64>::new("value");
    let error = text(&reader.read_keyed_state::<u32, Vec<u64>>("all", &list).err().unwrap());
    assert!(error.contains("it was Value state and is List state now"), "{error}");
    let union = ListStateDescriptor::<String>::new("split");
    let error = text(&reader.read_union_state("all", &union).err().unwrap());
    assert!(error.contains("it is list state, not union list state"), "{error}");
}

#[test]
fn a_report_counts_what_is_inside() {
    let options = InspectOptions { contents: true, verify: true };
    let report = wait(inspect(&snapshot(), options)).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let operator = &report.operators[0];
    assert_eq!((operator.keyed.count, operator.operator.count), (3, 3));
    let state = |name: &str| operator.states.iter().find(|state| state.name == name).unwrap();
    let contents = state("value").contents.unwrap();
    assert_eq!((contents.entries, contents.removals), (u64::from(KEYS), 0));
    assert_eq!(state("_timers").contents.unwrap().event_timers, u64::from(KEYS));
    assert_eq!(state("split").elements.unwrap().count, 9);
    let text = report.to_string();
    for part in ["savepoint 5 (canonical)", "uid \"all\"", "100 event-time timers", "9 elements"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert_eq!(serde_json::to_value(&report).unwrap()["operators"][0]["max-parallelism"], 16);
}
