//! The door: [`SavepointReader`].

use std::sync::Arc;

use hurtig_state_api::{Key, ListStateDescriptor, MapStateDescriptor};
use hurtig_storage::Stores;
use hurtig_types::{Record, RedistributionMode, TimeWindow, stable_hash};
use tokio::runtime::{Builder, Runtime};

use crate::{
    error::StateProcessorError,
    function::{FunctionRecords, KeyedStateReaderFunction},
    inspect::{InspectOptions, inspect},
    keyed::{KeyedFiles, KeyedRecords, KeyedStateSpec},
    lists::ListRecords,
    records::{SavepointRecords, StateRecords},
    report::SnapshotReport,
    snapshot::OpenSnapshot,
    windows::{PER_WINDOW, SliceRecords, WindowSlice},
};

/// Reads a checkpoint or savepoint, as records.
///
/// Operators are named by their uid; one without by its id in hexadecimal digits. What a call gives
/// is an iterator, and by [`SavepointRecords::into_source`] the source of a job.
///
/// The calls wait for files; they must not be made on a thread of an asynchronous executor.
///
/// ```no_run
/// use hurtig_state_api::ValueStateDescriptor;
/// use hurtig_state_processor::SavepointReader;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reader = SavepointReader::load("/savepoints/savepoint-ab12cd-0123456789ab")?;
/// let counts = ValueStateDescriptor::<u64>::new("count");
/// for record in reader.read_keyed_state::<String, u64>("word-count", &counts)? {
///     let (word, count) = record?;
///     println!("{word} {count}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SavepointReader {
    snapshot: OpenSnapshot,
    runtime: Arc<Runtime>,
}

impl SavepointReader {
    /// Opens a snapshot: the URL or path of its directory or its metadata file.
    ///
    /// # Errors
    /// If there is none, or its metadata is damaged or contradicts itself.
    pub fn load(path: &str) -> Result<Self, StateProcessorError> {
        Self::load_from(path, Arc::new(Stores::default()))
    }

    /// As [`SavepointReader::load`], from stores with options, such as those of S3.
    ///
    /// # Errors
    /// If there is none, or its metadata is damaged or contradicts itself.
    pub fn load_from(path: &str, stores: Arc<Stores>) -> Result<Self, StateProcessorError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let snapshot = runtime.block_on(OpenSnapshot::open(path, &stores))?;
        Ok(Self { snapshot, runtime: Arc::new(runtime) })
    }

    /// Reads a snapshot that was opened.
    ///
    /// # Errors
    /// If there are no means to read.
    pub fn of(snapshot: OpenSnapshot) -> Result<Self, StateProcessorError> {
        let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
        Ok(Self { snapshot, runtime })
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &OpenSnapshot {
        &self.snapshot
    }

    /// What is inside.
    ///
    /// # Errors
    /// If a file that has to be read for it cannot be.
    pub fn inspect(&self, options: InspectOptions) -> Result<SnapshotReport, StateProcessorError> {
        self.runtime.block_on(inspect(&self.snapshot, options))
    }

    fn records<T: Record>(&self, records: impl StateRecords<T>) -> SavepointRecords<T> {
        SavepointRecords::new(Arc::new(records), self.runtime.clone())
    }

    /// Key and value of one keyed state, each key once.
    ///
    /// # Errors
    /// If there is no such operator or state, or it is of another kind or type.
    pub fn read_keyed_state<K: Key, V: Record>(
        &self,
        uid: &str,
        state: impl Into<KeyedStateSpec<V>>,
    ) -> Result<SavepointRecords<(K, V)>, StateProcessorError> {
        let files = KeyedFiles::new(&self.snapshot, uid)?;
        Ok(self.records(KeyedRecords::new(files, &state.into())?))
    }

    /// What a function makes of all states and timers of each key. Whether the states are there as
    /// it registers them is known when reading begins.
    ///
    /// # Errors
    /// If there is no such operator.
    pub fn read_keyed_states<K: Key, O: Record>(
        &self,
        uid: &str,
        function: impl KeyedStateReaderFunction<K, O>,
    ) -> Result<SavepointRecords<O>, StateProcessorError> {
        let files = KeyedFiles::new(&self.snapshot, uid)?;
        Ok(self.records(FunctionRecords::new(files, function)))
    }

    /// The elements of a list state of an operator.
    ///
    /// # Errors
    /// If there is no such operator or state, or it is of another kind or type.
    pub fn read_list_state<T: Record>(
        &self,
        uid: &str,
        state: &ListStateDescriptor<T>,
    ) -> Result<SavepointRecords<T>, StateProcessorError> {
        let mode = RedistributionMode::SplitDistribute;
        Ok(self.records(ListRecords::new(&self.snapshot, uid, state.name(), mode)?))
    }

    /// The elements of all subtasks of a union list state of an operator.
    ///
    /// # Errors
    /// If there is no such operator or state, or it is of another kind or type.
    pub fn read_union_state<T: Record>(
        &self,
        uid: &str,
        state: &ListStateDescriptor<T>,
    ) -> Result<SavepointRecords<T>, StateProcessorError> {
        let mode = RedistributionMode::Union;
        Ok(self.records(ListRecords::new(&self.snapshot, uid, state.name(), mode)?))
    }

    /// The entries of a broadcast state of an operator.
    ///
    /// # Errors
    /// If there is no such operator or state, or it is of another kind or type.
    pub fn read_broadcast_state<UK: Record, UV: Record>(
        &self,
        uid: &str,
        state: &MapStateDescriptor<UK, UV>,
    ) -> Result<SavepointRecords<(UK, UV)>, StateProcessorError> {
        let mode = RedistributionMode::Broadcast;
        Ok(self.records(ListRecords::new(&self.snapshot, uid, state.name(), mode)?))
    }

    /// The slices of aligned event-time windows: `C` is the accumulator of the aggregation, or the
    /// `Vec` of the records for a window function over those.
    ///
    /// # Errors
    /// If there is no such operator, or it keeps no slices or others.
    pub fn read_window_slices<K: Key, C: Record>(
        &self,
        uid: &str,
    ) -> Result<SavepointRecords<WindowSlice<K, C>>, StateProcessorError> {
        let files = KeyedFiles::new(&self.snapshot, uid)?;
        Ok(self.records(SliceRecords::new(files)?))
    }

    /// State that a window function keeps per key and window (`window_state` of its context).
    ///
    /// # Errors
    /// If there is no such operator or state, or it is of another kind or type.
    pub fn read_window_state<K: Key, V: Record>(
        &self,
        uid: &str,
        state: impl Into<KeyedStateSpec<V>>,
    ) -> Result<SavepointRecords<((K, TimeWindow), V)>, StateProcessorError> {
        let mut spec = state.into();
        spec.name.insert_str(0, PER_WINDOW);
        let files = KeyedFiles::new(&self.snapshot, uid)?;
        let records = KeyedRecords::<(K, TimeWindow), V>::new(files, &spec)?;
        // A window's state is where its key is.
        Ok(self.records(records.hashed_by(|(key, _)| stable_hash(key))))
    }
}
