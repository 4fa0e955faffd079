//! EXPLAIN of queries of every kind.

use expect_test::{Expect, expect};

use crate::run;

const TABLES: &str = "\
CREATE TABLE bids (auction INT, bidder INT, price DECIMAL(10, 2), at_time TIMESTAMP(3),
  WATERMARK FOR at_time AS at_time - INTERVAL '5' SECOND)
  WITH ('connector' = 'datagen', 'number-of-rows' = '1');
CREATE TABLE auctions (id INT NOT NULL, seller INT, category STRING, PRIMARY KEY (id) NOT ENFORCED)
  WITH ('connector' = 'filesystem', 'path' = '/nonexistent', 'format' = 'debezium-json');
CREATE TABLE totals (auction INT NOT NULL, total DECIMAL(38, 2), PRIMARY KEY (auction) NOT ENFORCED)
  WITH ('connector' = 'blackhole');
";

fn check(statement: &str, wanted: Expect) {
    let script = format!("{TABLES}{statement}");
    let text = match run(&script) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => error.render(&script),
    };
    wanted.assert_eq(&text);
}

macro_rules! plans {
    ($($name:ident: $statement:literal => $wanted:expr;)*) => {$(
        #[test]
        fn $name() {
            check($statement, $wanted);
        }
    )*};
}

plans! {
    filters_and_columns_reach_the_scan: "EXPLAIN SELECT auction + 1 AS a FROM bids WHERE price > 10" => expect![[""]];
    a_group_keeps_its_rows: "EXPLAIN CHANGELOG_MODE SELECT auction, COUNT(*) AS n, SUM(price) FILTER (WHERE bidder > 3) AS s FROM bids GROUP BY auction HAVING COUNT(*) > 1" => expect![[""]];
    a_window_forgets: "EXPLAIN CHANGELOG_MODE SELECT window_start, auction, MAX(price) AS m FROM TABLE(HOP(TABLE bids, DESCRIPTOR(at_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, auction" => expect![[""]];
    a_join_keeps_both_sides: "EXPLAIN CHANGELOG_MODE SELECT b.price, a.category FROM bids AS b LEFT JOIN auctions AS a ON b.auction = a.id" => expect![[""]];
    an_interval_join_forgets: "EXPLAIN CHANGELOG_MODE SELECT l.price, r.price FROM bids AS l JOIN bids AS r ON l.auction = r.auction AND l.at_time BETWEEN r.at_time - INTERVAL '10' SECOND AND r.at_time" => expect![[""]];
    a_top_list: "EXPLAIN CHANGELOG_MODE SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS n FROM bids) WHERE n <= 3" => expect![[""]];
    the_latest_row: "EXPLAIN CHANGELOG_MODE SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY at_time DESC) AS n FROM bids) WHERE n = 1" => expect![[""]];
    sums_over_rows: "EXPLAIN CHANGELOG_MODE SELECT auction, SUM(price) OVER (PARTITION BY auction ORDER BY at_time ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM bids" => expect![[""]];
    sets_of_rows: "EXPLAIN CHANGELOG_MODE SELECT auction FROM bids WHERE bidder = 1 UNION ALL SELECT id FROM auctions" => expect![[""]];
    rows_that_others_lack: "EXPLAIN CHANGELOG_MODE SELECT auction FROM bids EXCEPT SELECT id FROM auctions" => expect![[""]];
    a_query_in_a_condition: "EXPLAIN CHANGELOG_MODE SELECT price FROM bids WHERE auction IN (SELECT id FROM auctions WHERE category = 'art') AND NOT EXISTS (SELECT 1 FROM totals AS t WHERE t.auction = bids.auction)" => expect![[""]];
    a_semi_join: "EXPLAIN CHANGELOG_MODE SELECT price FROM bids WHERE auction IN (SELECT id FROM auctions WHERE category = 'art')" => expect![[""]];
    the_first_rows: "EXPLAIN CHANGELOG_MODE SELECT * FROM auctions ORDER BY seller DESC LIMIT 5" => expect![[""]];
    a_sink_with_a_key: "EXPLAIN CHANGELOG_MODE INSERT INTO totals SELECT id, COUNT(*) FROM auctions GROUP BY id" => expect![[""]];
    a_sink_with_another_key: "EXPLAIN CHANGELOG_MODE INSERT INTO totals SELECT seller, id FROM auctions" => expect![[""]];
    two_sinks: "EXPLAIN STATEMENT SET BEGIN INSERT INTO totals SELECT auction, price FROM bids; INSERT INTO totals SELECT id, seller FROM auctions; END" => expect![[""]];
    state_that_expires: "SET 'table.exec.state.ttl' = '1 h'; EXPLAIN SELECT DISTINCT auction FROM bids" => expect![[""]];
    the_job_as_json: "EXPLAIN JSON_EXECUTION_PLAN SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction" => expect![[""]];
    advice: "EXPLAIN PLAN_ADVICE SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction" => expect![[""]];
    no_advice: "EXPLAIN PLAN_ADVICE SELECT auction FROM bids" => expect![[""]];
    costs: "EXPLAIN ESTIMATED_COST SELECT auction, COUNT(*) AS n FROM bids WHERE price > 3 GROUP BY auction" => expect![[""]];
}
