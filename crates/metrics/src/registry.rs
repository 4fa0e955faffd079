//! The registry of a process: groups of metrics, as a tree of scopes.
//!
//! Registration takes a lock and a few allocations, once per metric; afterwards the metric's owner
//! updates it without the registry. [`MetricGroup::close`] forgets a group with everything inside,
//! when its task or job has ended.
//!
//! Invariants: a name of a group is one metric, whoever asks for it; a closed group takes nothing
//! more; there are never more than [`MOST_METRICS`] metrics.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    Counter, Gauge, GaugeValue, Histogram, Meter, MetricSample, MetricValue, MetricsQuery,
    MetricsSnapshot, ScopeFormats, ScopeKind, TimeCounter,
    rate::TimeShare,
    scope::{Scope, SharedScope},
};

/// Most metrics and groups of a process. Those beyond work, but are not reported; that is said once.
pub const MOST_METRICS: usize = 500_000;
/// Most bytes of a name or of a variable's value; what is longer is cut.
const MOST_NAME_BYTES: usize = 1024;

/// Whose latencies are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatencyGranularity {
    /// All sources together.
    Single,
    /// Each source.
    #[default]
    Operator,
    /// Each subtask of each source.
    Subtask,
}

/// How latencies are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyOptions {
    /// `metrics.latency.granularity`.
    pub granularity: LatencyGranularity,
    /// `metrics.latency.history-size`: samples that are kept of each.
    pub history_size: usize,
}

impl Default for LatencyOptions {
    fn default() -> Self {
        Self { granularity: LatencyGranularity::default(), history_size: 128 }
    }
}

/// Settings of a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricOptions {
    /// `metrics.scope.*`.
    pub formats: ScopeFormats,
    /// `metrics.latency.*`.
    pub latency: LatencyOptions,
}

type MonotonicClock = Arc<dyn Fn() -> Duration + Send + Sync>;

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Computed(Arc<dyn Fn() -> Option<GaugeValue> + Send + Sync>),
    TimeShare(TimeShare),
    Load(TimeShare),
    TimeTotal(TimeCounter),
    Meter(Meter),
    Histogram(Histogram),
}

impl Metric {
    /// Nothing if a computed gauge has no value, or panics.
    fn value(&self, now: Duration) -> Option<MetricValue> {
        let long = |value: i64| MetricValue::Gauge(GaugeValue::Long(value));
        Some(match self {
            Self::Counter(counter) => MetricValue::Count(counter.get()),
            Self::Gauge(gauge) => long(gauge.get()),
            Self::Computed(compute) => {
                // User code: a panic in it must not end the reporter.
                let value = catch_unwind(AssertUnwindSafe(|| compute())).ok()??;
                MetricValue::Gauge(value)
            }
            Self::TimeShare(share) => long(share.ms_per_second(now).round() as i64),
            Self::Load(share) => MetricValue::Gauge(GaugeValue::Double(share.per_second(now))),
            Self::TimeTotal(time) => long(time.total_at(now).as_millis() as i64),
            Self::Meter(meter) => {
                MetricValue::Rate { count: meter.count(), per_second: meter.per_second(now) }
            }
            Self::Histogram(histogram) => MetricValue::Distribution(histogram.snapshot()),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ChildKey {
    Group(String, Option<String>),
    Scoped(ScopeKind, String),
}

struct Entry {
    scope: SharedScope,
    parent: Option<(u64, ChildKey)>,
    children: BTreeMap<ChildKey, u64>,
    metrics: BTreeMap<Cow<'static, str>, Metric>,
}

#[derive(Default)]
struct State {
    groups: BTreeMap<u64, Entry>,
    next: u64,
    /// Metrics and groups.
    size: usize,
    told: bool,
}

impl State {
    fn has_room(&mut self, most: usize) -> bool {
        if self.size < most {
            return true;
        }
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(most, "too many metrics: those that follow are not reported");
        }
        false
    }

    /// Takes a group out with all inside. What computed gauges hold is dropped by the caller, outside
    /// the lock.
    fn remove(&mut self, id: u64) -> Vec<Entry> {
        let (mut doomed, mut removed) = (vec![id], Vec::new());
        while let Some(id) = doomed.pop() {
            let Some(entry) = self.groups.remove(&id) else { continue };
            self.size -= entry.metrics.len() + 1;
            doomed.extend(entry.children.values());
            if let Some((parent, key)) = &entry.parent
                && let Some(parent) = self.groups.get_mut(parent)
            {
                parent.children.remove(key);
            }
            removed.push(entry);
        }
        removed
    }
}

struct Inner {
    options: MetricOptions,
    clock: MonotonicClock,
    most: usize,
    state: Mutex<State>,
}

/// All metrics of a process. Cloning is cheap.
#[derive(Clone)]
pub struct MetricRegistry(Arc<Inner>);

impl Default for MetricRegistry {
    /// A registry for which no time passes, so that it knows no rates. For tests.
    fn default() -> Self {
        Self::new(MetricOptions::default(), || Duration::ZERO)
    }
}

impl fmt::Debug for MetricRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricRegistry").field("size", &self.0.state.lock().size).finish()
    }
}

impl MetricRegistry {
    /// A registry that asks `clock`, which must not go back, for the time since some moment.
    pub fn new(
        options: MetricOptions,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::bounded(options, Arc::new(clock), MOST_METRICS)
    }

    fn bounded(options: MetricOptions, clock: MonotonicClock, most: usize) -> Self {
        Self(Arc::new(Inner { options, clock, most, state: Mutex::default() }))
    }

    /// Its settings.
    pub fn options(&self) -> &MetricOptions {
        &self.0.options
    }

    /// The group of a JobManager.
    pub fn job_manager(&self, host: &str) -> MetricGroup {
        self.root(ScopeKind::JobManager, &[("host", host)])
    }

    /// The group of a TaskManager.
    pub fn task_manager(&self, host: &str, tm_id: &str) -> MetricGroup {
        self.root(ScopeKind::TaskManager, &[("host", host), ("tm_id", tm_id)])
    }

    fn root(&self, kind: ScopeKind, values: &[(&str, &str)]) -> MetricGroup {
        let scope = Arc::new(Scope::scoped(&self.0.options.formats, kind, None, values));
        let mut state = self.0.state.lock();
        let known = state.groups.iter().find(|(_, entry)| entry.scope == scope);
        let id = match known.map(|(id, _)| *id) {
            Some(id) => id,
            None => self.insert(&mut state, scope.clone(), None),
        };
        MetricGroup { registry: self.clone(), id, scope }
    }

    fn insert(
        &self,
        state: &mut State,
        scope: SharedScope,
        parent: Option<(u64, ChildKey)>,
    ) -> u64 {
        state.next += 1;
        let id = state.next;
        if state.has_room(self.0.most) {
            state.size += 1;
            if let Some((parent, key)) = &parent
                && let Some(parent) = state.groups.get_mut(parent)
            {
                parent.children.insert(key.clone(), id);
            }
            let (children, metrics) = (BTreeMap::new(), BTreeMap::new());
            state.groups.insert(id, Entry { scope, parent, children, metrics });
        }
        id
    }

    /// Takes readings for rates. To be called every [`crate::rate::SPACING`].
    pub fn read_rates(&self) {
        let now = (self.0.clock)();
        let state = self.0.state.lock();
        for metric in state.groups.values().flat_map(|entry| entry.metrics.values()) {
            match metric {
                Metric::Meter(meter) => meter.read(now),
                Metric::TimeShare(share) | Metric::Load(share) => share.read(now),
                _ => {}
            }
        }
    }

    /// The metrics that a query asks for, as they are now; in the order of registration of their
    /// groups.
    pub fn snapshot(&self, query: &MetricsQuery) -> MetricsSnapshot {
        let (mut scopes, mut metrics) = (Vec::new(), Vec::new());
        {
            let state = self.0.state.lock();
            for entry in state.groups.values() {
                if entry.metrics.is_empty() || !query.matches(&entry.scope) {
                    continue;
                }
                let wanted = entry.metrics.iter().filter(|(name, _)| query.wants(name));
                let number = scopes.len() as u32;
                let before = metrics.len();
                metrics.extend(wanted.map(|(name, m)| (number, name.clone(), m.clone())));
                if metrics.len() > before {
                    scopes.push(entry.scope.clone());
                }
            }
        }
        // Outside the lock: gauges may be computed by user code, which may register metrics.
        let now = (self.0.clock)();
        let samples = metrics.into_iter().filter_map(|(scope, name, metric)| {
            Some(MetricSample { scope, name, value: metric.value(now)? })
        });
        MetricsSnapshot { metrics: samples.collect(), scopes }
    }
}

fn cut(name: &str) -> &str {
    if name.len() <= MOST_NAME_BYTES {
        return name;
    }
    // Characters have at most four bytes.
    let fits = (MOST_NAME_BYTES - 3..=MOST_NAME_BYTES).rev().find(|at| name.is_char_boundary(*at));
    &name[..fits.unwrap_or(0)]
}

/// One scope. Asking twice for the same name gives the same metric; asking for another kind under
/// a name that is taken gives a fresh metric that is not reported. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct MetricGroup {
    registry: MetricRegistry,
    id: u64,
    scope: SharedScope,
}

impl MetricGroup {
    /// A group of a registry of its own, for tests.
    pub fn detached() -> Self {
        MetricRegistry::default().task_manager("localhost", "detached")
    }

    /// The registry that it belongs to.
    pub fn registry(&self) -> &MetricRegistry {
        &self.registry
    }

    /// Its scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A group inside this one.
    pub fn group(&self, name: &str) -> MetricGroup {
        self.child(ChildKey::Group(cut(name).to_owned(), None))
    }

    /// A group inside this one whose name is a variable with a value: a label for reporters that
    /// know labels. Flink's `addGroup(key, value)`.
    pub fn group_with(&self, name: &str, value: &str) -> MetricGroup {
        self.child(ChildKey::Group(cut(name).to_owned(), Some(cut(value).to_owned())))
    }

    /// The group of one of the engine's scopes inside this one; `identity` tells it from others of
    /// its kind.
    pub fn scoped(
        &self,
        kind: ScopeKind,
        identity: &str,
        variables: &[(&str, &str)],
    ) -> MetricGroup {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, cut(value))).collect();
        let formats = &self.registry.0.options.formats;
        let scope = || Scope::scoped(formats, kind, Some(&self.scope), &variables);
        self.child_with(ChildKey::Scoped(kind, identity.to_owned()), scope)
    }

    fn child(&self, key: ChildKey) -> MetricGroup {
        let ChildKey::Group(name, value) = &key else { return self.clone() };
        let scope = self.scope.group(name, value.as_deref());
        self.child_with(key, || scope)
    }

    fn child_with(&self, key: ChildKey, scope: impl FnOnce() -> Scope) -> MetricGroup {
        let mut state = self.registry.0.state.lock();
        let known = state.groups.get(&self.id).and_then(|entry| entry.children.get(&key));
        if let Some((id, entry)) = known.and_then(|id| Some((*id, state.groups.get(id)?))) {
            return MetricGroup { registry: self.registry.clone(), id, scope: entry.scope.clone() };
        }
        let scope = Arc::new(scope());
        // Inside a closed group nothing is kept.
        let id = match state.groups.contains_key(&self.id) {
            true => self.registry.insert(&mut state, scope.clone(), Some((self.id, key))),
            false => 0,
        };
        MetricGroup { registry: self.registry.clone(), id, scope }
    }

    fn get_or_insert(&self, name: Cow<'static, str>, fresh: Metric) -> Metric {
        let name = match name.len() > MOST_NAME_BYTES {
            true => Cow::Owned(cut(&name).to_owned()),
            false => name,
        };
        let most = self.registry.0.most;
        let mut state = self.registry.0.state.lock();
        if let Some(known) = state.groups.get(&self.id).and_then(|entry| entry.metrics.get(&name)) {
            return known.clone();
        }
        if state.has_room(most)
            && let Some(entry) = state.groups.get_mut(&self.id)
        {
            entry.metrics.insert(name, fresh.clone());
            state.size += 1;
        }
        fresh
    }

    /// The counter of that name.
    pub fn counter(&self, name: impl Into<Cow<'static, str>>) -> Counter {
        match self.get_or_insert(name.into(), Metric::Counter(Counter::default())) {
            Metric::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// Registers a counter that exists, under a name of this group.
    pub fn register_counter(&self, name: impl Into<Cow<'static, str>>, counter: &Counter) {
        self.get_or_insert(name.into(), Metric::Counter(counter.clone()));
    }

    /// The gauge of that name, which is set by who has it.
    pub fn gauge(&self, name: impl Into<Cow<'static, str>>) -> Gauge {
        match self.get_or_insert(name.into(), Metric::Gauge(Gauge::default())) {
            Metric::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// A gauge whose value is computed when somebody asks, on the asker's thread; `compute` must
    /// not wait. It is kept until the group is closed: let it hold no more than it must.
    pub fn computed<V: Into<GaugeValue>>(
        &self,
        name: impl Into<Cow<'static, str>>,
        compute: impl Fn() -> V + Send + Sync + 'static,
    ) {
        self.computed_option(name, move || Some(compute()));
    }

    /// The same for a gauge that has no value at times: then it is not reported.
    pub fn computed_option<V: Into<GaugeValue>>(
        &self,
        name: impl Into<Cow<'static, str>>,
        compute: impl Fn() -> Option<V> + Send + Sync + 'static,
    ) {
        let compute = Arc::new(move || compute().map(Into::into));
        self.get_or_insert(name.into(), Metric::Computed(compute));
    }

    /// The meter of that name.
    pub fn meter(&self, name: impl Into<Cow<'static, str>>) -> Meter {
        self.rate_of(name, &Counter::default())
    }

    /// A meter of what a counter counts.
    pub fn rate_of(&self, name: impl Into<Cow<'static, str>>, counter: &Counter) -> Meter {
        let fresh = Meter::new(counter.clone(), (self.registry.0.clock)());
        match self.get_or_insert(name.into(), Metric::Meter(fresh.clone())) {
            Metric::Meter(meter) => meter,
            _ => fresh,
        }
    }

    /// A gauge of how many milliseconds of each second were spent in a state.
    pub fn time_share(&self, name: impl Into<Cow<'static, str>>, time: &TimeCounter) {
        let time = time.clone();
        self.time_share_of(name, move |now| time.total_at(now));
    }

    /// The same for a time that `spent` computes, until a reading of the registry's clock.
    pub fn time_share_of(
        &self,
        name: impl Into<Cow<'static, str>>,
        spent: impl Fn(Duration) -> Duration + Send + Sync + 'static,
    ) {
        let share = TimeShare::new(Arc::new(spent), (self.registry.0.clock)());
        self.get_or_insert(name.into(), Metric::TimeShare(share));
    }

    /// A gauge of how many seconds of a time that `spent` tells pass in one second: of CPU time, the
    /// cores that are busy.
    pub fn core_load(
        &self,
        name: impl Into<Cow<'static, str>>,
        spent: Arc<dyn Fn() -> Duration + Send + Sync>,
    ) {
        let share = TimeShare::new(Arc::new(move |_| spent()), (self.registry.0.clock)());
        self.get_or_insert(name.into(), Metric::Load(share));
    }

    /// A gauge of the milliseconds that were spent in a state in all.
    pub fn time_total(&self, name: impl Into<Cow<'static, str>>, time: &TimeCounter) {
        self.get_or_insert(name.into(), Metric::TimeTotal(time.clone()));
    }

    /// The histogram of that name.
    pub fn histogram(&self, name: impl Into<Cow<'static, str>>) -> Histogram {
        self.histogram_of(name, Histogram::default())
    }

    /// The histogram of that name, or else this one.
    pub fn histogram_of(
        &self,
        name: impl Into<Cow<'static, str>>,
        histogram: Histogram,
    ) -> Histogram {
        match self.get_or_insert(name.into(), Metric::Histogram(histogram.clone())) {
            Metric::Histogram(known) => known,
            _ => histogram,
        }
    }

    /// Forgets all metrics of this group and of those inside it, for good: what is registered here
    /// afterwards is not reported.
    pub fn close(&self) {
        let removed = self.registry.0.state.lock().remove(self.id);
        drop(removed);
    }
}

#[cfg(test)]
mod tests;
