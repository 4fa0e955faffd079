//! State descriptors: how an operator names the state it needs, whatever backend holds it.
//!
//! State is identified by (operator id, state name). A descriptor carries the name and, where the
//! kind of state needs it, the function that combines values; the type of the values is part of
//! the descriptor's own type.

use std::{fmt, marker::PhantomData, sync::Arc};

use hurtig_types::Record;

mod ttl;

pub use ttl::{
    IncrementalCleanup, StateTtlConfig, StateVisibility, TtlTimeCharacteristic, UpdateType,
};

/// What can be a key: an ordinary record that can be compared. Keys are hashed through the record
/// codec (see `hurtig_types::key_group`), so two equal keys must encode equally.
pub trait Key: Record + Eq {}
impl<K: Record + Eq> Key for K {}

/// Incremental aggregation, as Flink 2.3's `AggregateFunction`.
pub trait AggregateFunction<I>: Send + Sync + 'static {
    /// The intermediate result: what state holds.
    type Accumulator: Record;
    /// The result.
    type Output: Record;
    /// An aggregate of nothing.
    fn create_accumulator(&self) -> Self::Accumulator;
    /// Adds one value.
    fn add(&self, accumulator: &mut Self::Accumulator, value: &I);
    /// The result so far.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Output;
    /// The result of an accumulator that is no longer needed.
    fn final_result(&self, accumulator: Self::Accumulator) -> Self::Output {
        self.result(&accumulator)
    }
    /// Adds another aggregate; needed where windows merge or share slices.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator);
}

macro_rules! plain_descriptor {
    ($(#[$doc:meta])* $name:ident<$($param:ident),+>) => {
        $(#[$doc])*
        pub struct $name<$($param),+> {
            name: String,
            ttl: Option<StateTtlConfig>,
            types: PhantomData<fn() -> ($($param,)+)>,
        }

        impl<$($param),+> $name<$($param),+> {
            /// State of that name.
            pub fn new(name: &str) -> Self {
                Self { name: name.to_owned(), ttl: None, types: PhantomData }
            }

            /// The name.
            pub fn name(&self) -> &str {
                &self.name
            }

            /// Gives the state a time to live; keyed state only.
            #[must_use]
            pub fn enable_time_to_live(mut self, ttl: StateTtlConfig) -> Self {
                self.ttl = ttl.is_enabled().then_some(ttl);
                self
            }

            /// The time to live, if there is one.
            pub fn ttl(&self) -> Option<&StateTtlConfig> {
                self.ttl.as_ref()
            }
        }

        impl<$($param),+> Clone for $name<$($param),+> {
            fn clone(&self) -> Self {
                Self { name: self.name.clone(), ttl: self.ttl, types: PhantomData }
            }
        }

        impl<$($param),+> fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.name)
            }
        }
    };
}

plain_descriptor!(
    /// One value per key.
    ValueStateDescriptor<V>
);
plain_descriptor!(
    /// A list of values per key.
    ListStateDescriptor<V>
);
plain_descriptor!(
    /// A map per key.
    MapStateDescriptor<UK, UV>
);

/// One value per key, combined from all that were added.
pub struct ReducingStateDescriptor<V> {
    name: String,
    ttl: Option<StateTtlConfig>,
    /// Combines the value so far with a new one.
    pub reduce: Arc<dyn Fn(&mut V, V) + Send + Sync>,
}

impl<V> ReducingStateDescriptor<V> {
    /// State of that name, combined by `reduce`.
    pub fn new(name: &str, reduce: impl Fn(&mut V, V) + Send + Sync + 'static) -> Self {
        Self { name: name.to_owned(), ttl: None, reduce: Arc::new(reduce) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the state a time to live; keyed state only.
    #[must_use]
    pub fn enable_time_to_live(mut self, ttl: StateTtlConfig) -> Self {
        self.ttl = ttl.is_enabled().then_some(ttl);
        self
    }

    /// The time to live, if there is one.
    pub fn ttl(&self) -> Option<&StateTtlConfig> {
        self.ttl.as_ref()
    }
}

/// One accumulator per key, aggregated from all values that were added.
pub struct AggregatingStateDescriptor<A> {
    name: String,
    ttl: Option<StateTtlConfig>,
    /// The aggregation.
    pub aggregate: Arc<A>,
}

impl<A> AggregatingStateDescriptor<A> {
    /// State of that name, aggregated by `aggregate`.
    pub fn new(name: &str, aggregate: A) -> Self {
        Self { name: name.to_owned(), ttl: None, aggregate: Arc::new(aggregate) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the state a time to live; keyed state only.
    #[must_use]
    pub fn enable_time_to_live(mut self, ttl: StateTtlConfig) -> Self {
        self.ttl = ttl.is_enabled().then_some(ttl);
        self
    }

    /// The time to live, if there is one.
    pub fn ttl(&self) -> Option<&StateTtlConfig> {
        self.ttl.as_ref()
    }
}
