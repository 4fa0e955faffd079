//! Removing what has expired, little by little.

use hurtig_state_api::Key;

use super::{KeyedTable, touch};
use crate::ttl::{Expired, Expiring};

/// Looks at so many buckets, from where the last call ended, and removes what expired at
/// `horizon_ms` or earlier. A table that grows meanwhile may have some passed over or looked at
/// twice: they have their turn in the next round.
pub(crate) fn sweep<K: Key, V: Expiring>(
    table: &mut KeyedTable<K, V>,
    buckets: usize,
    horizon_ms: i64,
) {
    for _ in 0..buckets {
        let (index, bucket) = table.sweep;
        let Some(group) = table.groups.get_mut(index) else {
            table.sweep = (0, 0);
            continue;
        };
        if bucket >= group.num_buckets() {
            table.sweep = (index + 1, 0);
            continue;
        }
        table.sweep.1 += 1;
        let Some(entry) = group.get_bucket_mut(bucket) else { continue };
        match entry.value.expired(horizon_ms) {
            Expired::Nothing => {}
            Expired::Part => {
                touch(entry, table.epoch, index, &mut table.capture);
                entry.value.drop_expired(horizon_ms);
            }
            Expired::All => {
                touch(entry, table.epoch, index, &mut table.capture);
                let Ok(found) = group.get_bucket_entry(bucket) else { continue };
                let (entry, _) = found.remove();
                table.len -= 1;
                if let Some(removals) = &mut table.removals {
                    removals.add(table.epoch, index, &entry.key);
                }
            }
        }
    }
}
