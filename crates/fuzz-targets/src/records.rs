//! Records of high availability: what a leader finds in its store, whoever wrote it.

use hurtig_high_availability::fuzzing;

/// All kinds of records from any bytes. The first byte says which.
pub fn records(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    if let Some(again) = fuzzing::decode(*which, bytes) {
        let once_more = fuzzing::decode(*which, &again);
        assert_eq!(once_more.as_ref(), Some(&again), "what was read is written and read again");
    }
}

/// One of each kind.
pub fn samples() -> Vec<Vec<u8>> {
    let kinds = fuzzing::samples().into_iter().enumerate();
    kinds.map(|(kind, bytes)| [vec![kind as u8], bytes].concat()).collect()
}
