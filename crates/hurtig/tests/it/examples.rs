//! The examples compute what they promise.

use std::collections::BTreeMap;

use hurtig::{connectors::CollectionSource, prelude::*};

#[allow(dead_code)] // `main` runs only as an example
#[path = "../../examples/windowed_click_counts.rs"]
mod windowed_click_counts;

#[allow(dead_code)]
#[path = "../../examples/fraud_detection.rs"]
mod fraud_detection;

#[allow(dead_code)]
#[path = "../../examples/top_n.rs"]
mod top_n;

#[allow(dead_code)]
#[path = "../../examples/stream_join.rs"]
mod stream_join;

#[allow(dead_code)]
#[path = "../../examples/exactly_once_files.rs"]
mod exactly_once_files;

#[allow(dead_code)]
#[path = "../../examples/broadcast_rules.rs"]
mod broadcast_rules;

#[test]
fn clicks_are_counted_in_every_window_that_holds_them() {
    use windowed_click_counts::{PageCount, click_counts, made_up_clicks};
    let env = StreamExecutionEnvironment::new();
    let clicks = made_up_clicks();
    let (counts, _) = click_counts(&env.from_collection(clicks.clone()));
    let mut counts = counts.execute_and_collect("clicks").unwrap();
    counts.sort();
    let mut expected: BTreeMap<(i64, String), u64> = BTreeMap::new();
    for click in clicks {
        let first = click.time.div_euclid(10_000) * 10_000 + 10_000;
        for window_end in (0..6).map(|n| first + n * 10_000) {
            *expected.entry((window_end, click.page.clone())).or_default() += 1;
        }
    }
    let expected: Vec<_> = expected
        .into_iter()
        .map(|((window_end, page), clicks)| PageCount { window_end, page, clicks })
        .collect();
    assert_eq!(counts, expected);
    assert!(windowed_click_counts::parse_click("12,anna").unwrap_err().to_string().contains("12"));
}

#[test]
fn fraud_is_a_large_transaction_within_a_minute_of_a_small_one() {
    use fraud_detection::{Transaction, alerts, in_order, made_up_transactions};
    let mut transactions = made_up_transactions();
    // A minute and a bit later the small one is forgotten.
    let pairs = [(100_000, 4, 1), (160_001, 4, 60_000), (170_000, 5, 99), (230_000, 5, 50_001)];
    let more = pairs.map(|(time, account, cents)| Transaction { time, account, cents });
    transactions.extend(more);
    for parallelism in [1, 3] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism);
        let source = CollectionSource::new(transactions.clone()).unwrap();
        let transactions = env.from_source(source, in_order(), "Transactions");
        let mut found = alerts(&transactions).execute_and_collect("fraud").unwrap();
        found.sort();
        let found: Vec<_> = found.iter().map(|alert| (alert.account, alert.time)).collect();
        assert_eq!(found, [(2, 20_000), (5, 230_000)]);
    }
}

#[test]
fn the_most_clicked_pages_of_each_minute_are_ranked() {
    use top_n::{made_up_clicks, top_n};
    let clicks = made_up_clicks();
    let mut counts: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    for (time, page) in &clicks {
        let end = time.div_euclid(60_000) * 60_000 + 60_000;
        *counts.entry(end).or_default().entry(page.clone()).or_default() += 1;
    }
    let mut expected = Vec::new();
    for (window_end, pages) in counts {
        let mut pages: Vec<_> = pages.into_iter().collect();
        pages.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for (index, (page, clicks)) in pages.into_iter().take(2).enumerate() {
            expected.push(top_n::Place { window_end, rank: index + 1, page, clicks });
        }
    }
    for parallelism in [1, 2] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism);
        let places = top_n(&env.from_collection(clicks.clone()), 2);
        let mut places = places.execute_and_collect("top n").unwrap();
        places.sort();
        assert_eq!(places, expected);
    }
}

#[test]
fn orders_meet_their_payments_whichever_comes_first() {
    use stream_join::{Outcome, made_up, outcomes};
    let (orders, payments) = made_up();
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    let (orders, payments) = (env.from_collection(orders), env.from_collection(payments));
    let mut found = outcomes(&orders, &payments).execute_and_collect("join").unwrap();
    found.sort();
    let paid = |order, item: &str, cents| Outcome::Paid { order, item: item.to_owned(), cents };
    let expected = [
        paid(1, "boots", 9_900),
        paid(3, "tent", 24_900),
        Outcome::Unpaid(2),
        Outcome::PaymentWithoutOrder(7),
    ];
    assert_eq!(found, expected);
}

#[test]
fn sales_are_written_once_though_the_job_fails() {
    use exactly_once_files::{SALES, made_up_sale, run};
    let mut expected: BTreeMap<(u32, i64), u64> = BTreeMap::new();
    for sale in (0..SALES).map(made_up_sale) {
        *expected.entry((sale.shop, sale.time / 3_600_000 * 3_600_000)).or_default() += sale.cents;
    }
    let expected =
        expected.into_iter().map(|((shop, hour), cents)| format!("{shop},{hour},{cents}"));
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("sales");
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2).set_auto_watermark_interval_ms(5);
    let restarts = run(&env, output.to_str().unwrap(), true).unwrap();
    assert_eq!(restarts, 1);
    let mut lines = Vec::new();
    for day in output.read_dir().unwrap().map(|day| day.unwrap()) {
        assert!(day.file_name().to_str().unwrap().starts_with("day="), "{day:?} is left");
        for file in day.path().read_dir().unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort();
    assert_eq!(lines, expected);
}

#[test]
fn rules_reach_every_sensor_wherever_it_is() {
    use broadcast_rules::{
        Alarm, alarms, changes_in_order, made_up_changes, made_up_readings, parse_change,
        parse_reading, readings_in_order,
    };
    for parallelism in [1, 3] {
        let env = StreamExecutionEnvironment::new();
        env.set_parallelism(parallelism);
        let readings = CollectionSource::new(made_up_readings()).unwrap();
        let readings = env.from_source(readings, readings_in_order(), "Readings");
        let changes = CollectionSource::new(made_up_changes()).unwrap();
        let changes = env.from_source(changes, changes_in_order(), "Rules");
        let found = alarms(&readings, &changes).execute_and_collect("rules").unwrap();
        let alarm = |sensor: &str, rule: &str, time| Alarm {
            sensor: sensor.to_owned(),
            rule: rule.to_owned(),
            time,
        };
        assert_eq!(found, [alarm("oven", "hot", 15_000)]);
    }
    assert!(parse_reading("1,oven").unwrap_err().to_string().contains("oven"));
    assert_eq!(parse_change("7,hot").unwrap().bound, None);
}
