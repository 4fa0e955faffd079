//! Fraud detection with a keyed process function.
//!
//!     cargo run --release --example fraud_detection -- --input transactions.csv
//!
//! A line of input is `time,account,cents`, the time in milliseconds since the Unix epoch. A small
//! transaction (below 1.00) tries whether a stolen card works; when a large one (above 500.00)
//! follows as the account's next within a minute, an alert is printed. Without `--input` some
//! transactions made up for the purpose are judged.
//!
//! The function keeps one value per account: the time of the last transaction if that was small. A
//! timer forgets it after a minute, so that state does not grow with accounts that went quiet.

use hurtig::{
    connectors::{CollectionSource, PrintSink, TextFileSource},
    prelude::*,
};

/// Money leaves an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The account.
    pub account: u64,
    /// The amount, in hundredths.
    pub cents: u64,
}

/// An account that needs a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alert {
    /// The account.
    pub account: u64,
    /// When the large transaction happened.
    pub time: i64,
}

const SMALL_CENTS: u64 = 100;
const LARGE_CENTS: u64 = 50_000;
const MINUTE_MS: i64 = 60_000;

/// Looks for a large transaction after a small one.
#[derive(Clone, Default)]
pub struct FraudDetector {
    small_at: Option<ValueState<i64>>,
}

impl KeyedProcessFunction<u64, Transaction, Alert> for FraudDetector {
    fn open(&mut self, context: &mut OpenContext<'_, u64>) -> Result<(), BoxError> {
        let small_at = ValueStateDescriptor::new("small-at");
        self.small_at = Some(context.state.value_state(&small_at)?);
        Ok(())
    }

    fn process(
        &mut self,
        transaction: Transaction,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<'_, Alert>,
    ) -> Result<(), BoxError> {
        let small_at = self.small_at.ok_or("not open")?;
        if let Some(time) = small_at.clear(context.state)? {
            context.delete_event_time_timer(time + MINUTE_MS);
            if transaction.cents > LARGE_CENTS && transaction.time <= time + MINUTE_MS {
                out.collect(Alert { account: transaction.account, time: transaction.time });
            }
        }
        if transaction.cents < SMALL_CENTS {
            small_at.update(context.state, transaction.time)?;
            context.register_event_time_timer(transaction.time + MINUTE_MS);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<'_, Alert>,
    ) -> Result<(), BoxError> {
        self.small_at.ok_or("not open")?.clear(context.state)?;
        Ok(())
    }
}

/// Event time for transactions that come in its order.
pub fn in_order() -> WatermarkStrategy<Transaction> {
    WatermarkStrategy::for_monotonous_timestamps()
        .with_timestamp_assigner(|transaction: &Transaction| transaction.time)
}

/// The alerts for a stream of transactions.
pub fn alerts(transactions: &DataStream<Transaction>) -> DataStream<Alert> {
    transactions
        .key_by(|transaction| transaction.account)
        .process(FraudDetector::default())
        .name("Fraud detector")
        .uid("fraud-detector")
}

/// One line of input.
pub fn parse_transaction(line: &str) -> Result<Transaction, BoxError> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let [time, account, cents] = fields[..] else {
        return Err(format!("expected time,account,cents, found {line:?}").into());
    };
    let wrong = |field: &str| format!("{field:?} is no number in {line:?}");
    Ok(Transaction {
        time: time.parse().map_err(|_| wrong(time))?,
        account: account.parse().map_err(|_| wrong(account))?,
        cents: cents.parse().map_err(|_| wrong(cents))?,
    })
}

fn main() -> Result<(), BoxError> {
    let parameters = ParameterTool::from_env()?;
    let env = StreamExecutionEnvironment::new();
    parameters.apply_to(&env)?;
    let transactions = match parameters.get("input") {
        Some(path) => env
            .from_source(
                TextFileSource::new(path),
                WatermarkStrategy::no_watermarks(),
                "Text files",
            )
            .try_map(|line: String| parse_transaction(&line))
            .assign_timestamps_and_watermarks(in_order()),
        None => {
            let transactions = CollectionSource::new(made_up_transactions())?;
            env.from_source(transactions, in_order(), "Made up")
        }
    };
    alerts(&transactions)
        .map(|alert| format!("account {} at {}", alert.account, alert.time))
        .sink_to(PrintSink::display());
    env.execute("fraud detection")?;
    Ok(())
}

/// Three accounts: the second is robbed, the third only looks like it.
pub fn made_up_transactions() -> Vec<Transaction> {
    let all = [
        (1_000, 1, 2_500),
        (2_000, 2, 50),
        (3_000, 3, 9),
        (20_000, 2, 70_000),
        (40_000, 1, 60_000),
        (64_000, 3, 80_000),
        (70_000, 2, 99_000),
    ];
    all.map(|(time, account, cents)| Transaction { time, account, cents }).to_vec()
}
