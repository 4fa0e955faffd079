//! Rules that change while a stream flows, by the broadcast state pattern.
//!
//!     cargo run --release --example broadcast_rules -- --readings readings.csv --rules rules.csv
//!
//! A line of readings is `time,sensor,value`, one of rules `time,rule,above,for_ms`, or `time,rule`
//! to take the rule away; times in milliseconds since the Unix epoch. A sensor whose readings stay
//! above a rule's bound for so long raises an alarm, once until it falls below. Every subtask knows
//! all rules, and each has the sensors that are its. Without the arguments some are made up.

use hurtig::{
    connectors::{CollectionSource, PrintSink, TextFileSource},
    prelude::*,
};

/// What a sensor said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// Which sensor.
    pub sensor: String,
    /// The value.
    pub value: f64,
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Values above this count.
    pub above: f64,
    /// For so long, in milliseconds.
    pub for_ms: i64,
}

/// A rule comes, changes or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// Which rule.
    pub rule: String,
    /// What it asks for from now on; `None` if it goes.
    pub bound: Option<Bound>,
}

/// A sensor was above a bound for too long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// Which sensor.
    pub sensor: String,
    /// Which rule.
    pub rule: String,
    /// When the time was over.
    pub time: i64,
}

/// Since when a sensor has been above a rule's bound, and whether that has been told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Since {
    time: i64,
    told: bool,
}

fn rules() -> MapStateDescriptor<String, Bound> {
    MapStateDescriptor::new("rules")
}

/// Applies all rules to each sensor.
///
/// Nothing says which of two streams is read first. So a reading waits until event time has come to
/// it on both: rules of its time and before are known by then.
#[derive(Clone, Default)]
pub struct ApplyRules {
    rules: Option<BroadcastState<String, Bound>>,
    waiting: Option<MapState<i64, f64>>,
    since: Option<MapState<String, Since>>,
}

impl KeyedBroadcastProcessFunction<String, Reading, RuleChange, Alarm> for ApplyRules {
    fn open(
        &mut self,
        context: &mut KeyedBroadcastOpenContext<'_, String>,
    ) -> Result<(), BoxError> {
        self.rules = Some(context.broadcast.broadcast_state(&rules())?);
        self.waiting = Some(context.state.map_state(&MapStateDescriptor::new("waiting"))?);
        self.since = Some(context.state.map_state(&MapStateDescriptor::new("since"))?);
        Ok(())
    }

    fn process_element(
        &mut self,
        reading: Reading,
        context: &mut KeyedReadOnlyContext<'_, '_, String>,
        _: &mut Collector<'_, Alarm>,
    ) -> Result<(), BoxError> {
        self.waiting.ok_or("not open")?.put(context.state, reading.time, reading.value)?;
        context.register_event_time_timer(reading.time);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        change: RuleChange,
        context: &mut KeyedBroadcastContext<'_, String>,
        _: &mut Collector<'_, Alarm>,
    ) -> Result<(), BoxError> {
        let (Some(rules), Some(since)) = (self.rules, self.since) else { return Ok(()) };
        match change.bound {
            Some(bound) => drop(rules.put(context.broadcast, change.rule.clone(), bound)?),
            None => drop(rules.remove(context.broadcast, &change.rule)?),
        }
        // What a rule has seen so far does not count for another bound.
        context.apply_to_keyed_state(&since, |_, state| {
            since.remove(state, &change.rule)?;
            Ok(())
        })
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedReadOnlyContext<'_, '_, String>,
        out: &mut Collector<'_, Alarm>,
    ) -> Result<(), BoxError> {
        let (Some(rules), Some(since)) = (self.rules, self.since) else { return Ok(()) };
        let value = self.waiting.ok_or("not open")?.remove(context.state, &time)?;
        let sensor = context.current_key().clone();
        for (rule, bound) in rules.entries(context.broadcast)? {
            if value.is_none_or(|value| value <= bound.above) {
                since.remove(context.state, rule)?;
                continue;
            }
            let first = || Since { time, told: false };
            let since = since.get_or_insert_with(context.state, rule.clone(), first)?;
            if !since.told && time - since.time >= bound.for_ms {
                since.told = true;
                out.collect(Alarm { sensor: sensor.clone(), rule: rule.clone(), time });
            }
        }
        Ok(())
    }
}

/// Event time for readings, which come in its order.
pub fn readings_in_order() -> WatermarkStrategy<Reading> {
    WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|reading: &Reading| reading.time)
}

/// Event time for changes of rules, which come in its order.
pub fn changes_in_order() -> WatermarkStrategy<RuleChange> {
    WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|change: &RuleChange| change.time)
}

/// The alarms of readings under changing rules.
pub fn alarms(
    readings: &DataStream<Reading>,
    changes: &DataStream<RuleChange>,
) -> DataStream<Alarm> {
    readings
        .key_by(|reading| reading.sensor.clone())
        .connect_broadcast(&changes.broadcast_state(&rules()))
        .process(ApplyRules::default())
        .name("Apply rules")
        .uid("apply-rules")
}

fn number<N: std::str::FromStr>(field: &str, line: &str) -> Result<N, BoxError> {
    field.parse().map_err(|_| format!("{field:?} is no number in {line:?}").into())
}

/// One line of readings.
pub fn parse_reading(line: &str) -> Result<Reading, BoxError> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let [time, sensor, value] = fields[..] else {
        return Err(format!("expected time,sensor,value, found {line:?}").into());
    };
    let (time, value) = (number(time, line)?, number(value, line)?);
    Ok(Reading { time, sensor: sensor.to_owned(), value })
}

/// One line of rules.
pub fn parse_change(line: &str) -> Result<RuleChange, BoxError> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let (time, rule, bound) = match fields[..] {
        [time, rule] => (time, rule, None),
        [time, rule, above, for_ms] => {
            let (above, for_ms) = (number(above, line)?, number(for_ms, line)?);
            (time, rule, Some(Bound { above, for_ms }))
        }
        _ => return Err(format!("expected time,rule,above,for_ms, found {line:?}").into()),
    };
    Ok(RuleChange { time: number(time, line)?, rule: rule.to_owned(), bound })
}

fn main() -> Result<(), BoxError> {
    let parameters = ParameterTool::from_env()?;
    let env = StreamExecutionEnvironment::new();
    parameters.apply_to(&env)?;
    let lines = |path: &str| {
        let source = TextFileSource::new(path);
        env.from_source(source, WatermarkStrategy::no_watermarks(), "Text files")
    };
    let readings = match parameters.get("readings") {
        Some(path) => lines(path)
            .try_map(|line: String| parse_reading(&line))
            .assign_timestamps_and_watermarks(readings_in_order()),
        None => {
            let source = CollectionSource::new(made_up_readings())?;
            env.from_source(source, readings_in_order(), "Readings")
        }
    };
    let changes = match parameters.get("rules") {
        Some(path) => lines(path)
            .try_map(|line: String| parse_change(&line))
            .assign_timestamps_and_watermarks(changes_in_order()),
        None => {
            let source = CollectionSource::new(made_up_changes())?;
            env.from_source(source, changes_in_order(), "Rules")
        }
    };
    alarms(&readings, &changes)
        .map(|alarm| format!("{}: {} since too long by {}", alarm.time, alarm.sensor, alarm.rule))
        .sink_to(PrintSink::display());
    env.execute("broadcast rules")?;
    Ok(())
}

/// One reading of each of three sensors per second, for a minute: the oven is hot for all of it, the
/// kettle for ten seconds, the cellar never.
pub fn made_up_readings() -> Vec<Reading> {
    let seconds = 0..60;
    seconds
        .flat_map(|second| {
            let kettle = if (20..30).contains(&second) { 95.0 } else { 20.0 };
            [("oven", 180.0), ("kettle", kettle), ("cellar", 12.0)].map(|(sensor, value)| Reading {
                time: second * 1_000,
                sensor: sensor.to_owned(),
                value,
            })
        })
        .collect()
}

/// One rule for all of the time.
pub fn made_up_changes() -> Vec<RuleChange> {
    let bound = Some(Bound { above: 90.0, for_ms: 15_000 });
    vec![RuleChange { time: 0, rule: "hot".to_owned(), bound }]
}
