//! A join of two streams, by `connect` and a keyed function over both.
//!
//!     cargo run --release --example stream_join -- --orders orders.csv --payments payments.csv
//!
//! A line of orders is `time,order,item`, one of payments `time,order,cents`; times in
//! milliseconds since the Unix epoch, at most five seconds out of order. Each order is joined with
//! its payment, whichever comes first. What has found no partner after ten minutes of event time
//! is reported and forgotten, so that state does not grow for ever. Without the arguments a few
//! orders are made up.

use hurtig::{
    connectors::{PrintSink, TextFileSource},
    prelude::*,
};

const TEN_MINUTES_MS: i64 = 600_000;

/// Somebody ordered something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The order.
    pub order: u64,
    /// What.
    pub item: String,
}

/// Somebody paid for an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The order.
    pub order: u64,
    /// How much, in hundredths.
    pub cents: u64,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// It was paid.
    Paid {
        /// The order.
        order: u64,
        /// What.
        item: String,
        /// How much.
        cents: u64,
    },
    /// Nobody paid for it in time.
    Unpaid(u64),
    /// Somebody paid for an order that is not known.
    PaymentWithoutOrder(u64),
}

/// Joins orders and payments of one order number.
#[derive(Clone, Default)]
struct Join {
    order: Option<ValueState<Order>>,
    payment: Option<ValueState<Payment>>,
}

impl Join {
    fn states(&self) -> Result<(ValueState<Order>, ValueState<Payment>), BoxError> {
        Ok((self.order.ok_or("not open")?, self.payment.ok_or("not open")?))
    }
}

fn paid(order: Order, payment: &Payment) -> Outcome {
    Outcome::Paid { order: order.order, item: order.item, cents: payment.cents }
}

impl KeyedCoProcessFunction<u64, Order, Payment, Outcome> for Join {
    fn open(&mut self, context: &mut OpenContext<'_, u64>) -> Result<(), BoxError> {
        self.order = Some(context.state.value_state(&ValueStateDescriptor::new("order"))?);
        self.payment = Some(context.state.value_state(&ValueStateDescriptor::new("payment"))?);
        Ok(())
    }

    fn process1(
        &mut self,
        order: Order,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<'_, Outcome>,
    ) -> Result<(), BoxError> {
        let (orders, payments) = self.states()?;
        match payments.clear(context.state)? {
            Some(payment) => {
                context.delete_event_time_timer(payment.time + TEN_MINUTES_MS);
                out.collect(paid(order, &payment));
            }
            None => {
                context.register_event_time_timer(order.time + TEN_MINUTES_MS);
                orders.update(context.state, order)?;
            }
        }
        Ok(())
    }

    fn process2(
        &mut self,
        payment: Payment,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<'_, Outcome>,
    ) -> Result<(), BoxError> {
        let (orders, payments) = self.states()?;
        match orders.clear(context.state)? {
            Some(order) => {
                context.delete_event_time_timer(order.time + TEN_MINUTES_MS);
                out.collect(paid(order, &payment));
            }
            None => {
                context.register_event_time_timer(payment.time + TEN_MINUTES_MS);
                payments.update(context.state, payment)?;
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<'_, Outcome>,
    ) -> Result<(), BoxError> {
        let (orders, payments) = self.states()?;
        if let Some(order) = orders.clear(context.state)? {
            out.collect(Outcome::Unpaid(order.order));
        }
        if let Some(payment) = payments.clear(context.state)? {
            out.collect(Outcome::PaymentWithoutOrder(payment.order));
        }
        Ok(())
    }
}

/// What becomes of each order.
pub fn outcomes(orders: &DataStream<Order>, payments: &DataStream<Payment>) -> DataStream<Outcome> {
    let disorder = Duration::from_secs(5);
    let orders = orders.assign_timestamps_and_watermarks(
        WatermarkStrategy::for_bounded_out_of_orderness(disorder)
            .with_timestamp_assigner(|order: &Order| order.time),
    );
    let payments = payments.assign_timestamps_and_watermarks(
        WatermarkStrategy::for_bounded_out_of_orderness(disorder)
            .with_timestamp_assigner(|payment: &Payment| payment.time),
    );
    orders
        .connect(&payments)
        .key_by(|order| order.order, |payment| payment.order)
        .process(Join::default())
        .name("Join of orders and payments")
}

/// The three fields of a line.
fn fields(line: &str) -> Result<(i64, u64, &str), BoxError> {
    let mut fields = line.splitn(3, ',').map(str::trim);
    match (fields.next(), fields.next(), fields.next()) {
        (Some(time), Some(order), Some(rest)) => {
            let wrong = |field: &str| format!("{field:?} is no number in {line:?}");
            let time = time.parse().map_err(|_| wrong(time))?;
            Ok((time, order.parse().map_err(|_| wrong(order))?, rest))
        }
        _ => Err(format!("expected three fields, found {line:?}").into()),
    }
}

/// One line of orders.
pub fn parse_order(line: &str) -> Result<Order, BoxError> {
    let (time, order, item) = fields(line)?;
    Ok(Order { time, order, item: item.to_owned() })
}

/// One line of payments.
pub fn parse_payment(line: &str) -> Result<Payment, BoxError> {
    let (time, order, cents) = fields(line)?;
    let cents = cents.parse().map_err(|_| format!("{cents:?} is no number in {line:?}"))?;
    Ok(Payment { time, order, cents })
}

fn lines(env: &StreamExecutionEnvironment, path: &str, name: &str) -> DataStream<String> {
    env.from_source(TextFileSource::new(path), WatermarkStrategy::no_watermarks(), name)
}

fn main() -> Result<(), BoxError> {
    let parameters = ParameterTool::from_env()?;
    let env = StreamExecutionEnvironment::new();
    parameters.apply_to(&env)?;
    let (orders, payments) = match (parameters.get("orders"), parameters.get("payments")) {
        (None, None) => {
            let (orders, payments) = made_up();
            (env.from_collection(orders), env.from_collection(payments))
        }
        _ => (
            lines(&env, parameters.required("orders")?, "Orders")
                .try_map(|line: String| parse_order(&line)),
            lines(&env, parameters.required("payments")?, "Payments")
                .try_map(|line: String| parse_payment(&line)),
        ),
    };
    outcomes(&orders, &payments)
        .map(|outcome| format!("{outcome:?}"))
        .sink_to(PrintSink::display());
    env.execute("stream join")?;
    Ok(())
}

/// Three orders, of which one is never paid, and a payment too many.
pub fn made_up() -> (Vec<Order>, Vec<Payment>) {
    let orders = [(1_000, 1, "boots"), (2_000, 2, "lamp"), (90_000, 3, "tent")];
    let payments = [(1_500, 1, 9_900), (60_000, 3, 24_900), (61_000, 7, 100)];
    (
        orders.map(|(time, order, item)| Order { time, order, item: item.to_owned() }).to_vec(),
        payments.map(|(time, order, cents)| Payment { time, order, cents }).to_vec(),
    )
}
