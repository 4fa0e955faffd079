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
    filters_and_columns_reach_the_scan: "EXPLAIN SELECT auction + 1 AS a FROM bids WHERE price > 10" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: +(auction#0, Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }) AS a#4
          Filter: CAST(price#2) > Decimal128(10.00,12,2) FieldMetadata { inner: {"hurtig.type": "DECIMAL(12, 2) NOT NULL"} }
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction + 1 AS a], where=[CAST(price AS DECIMAL(12, 2)) > 10.00])
        +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == Optimized Execution Plan ==
        Calc(select=[auction + 1 AS a], where=[CAST(price AS DECIMAL(12, 2)) > 10.00])
        +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
    "#]];
    a_group_keeps_its_rows: "EXPLAIN CHANGELOG_MODE SELECT auction, COUNT(*) AS n, SUM(price) FILTER (WHERE bidder > 3) AS s FROM bids GROUP BY auction HAVING COUNT(*) > 1" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#4 AS auction#8, COUNT#5 AS n#9, SUM#6 AS s#10
          Filter: COUNT#5 > Int64(1) FieldMetadata { inner: {"hurtig.type": "BIGINT NOT NULL"} }
            Aggregate: groupBy=[[auction#4]], aggr=[[COUNT() AS COUNT#5, SUM(price#2) FILTER (WHERE $f#7) AS SUM#6]]
              Projection: auction#0 AS auction#4, price#2, bidder#1 > Int32(3) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} } AS $f#7
                Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                  TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction, COUNT AS n, SUM AS s], where=[COUNT > 1], changelogMode=[I,UB,UA])
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT, SUM(price) FILTER $f AS SUM], changelogMode=[I,UB,UA])
           +- Exchange(distribution=[hash[auction]], changelogMode=[I])
              +- Calc(select=[auction, price, bidder > 3 AS $f], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, bidder, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])

        == Optimized Execution Plan ==
        Calc(select=[auction, COUNT AS n, SUM AS s], where=[COUNT > 1])
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT, SUM(price) FILTER $f AS SUM])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction, price, bidder > 3 AS $f])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, bidder, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT, SUM(price) FILTER $f AS SUM]): a row a group, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    a_window_forgets: "EXPLAIN CHANGELOG_MODE SELECT window_start, auction, MAX(price) AS m FROM TABLE(HOP(TABLE bids, DESCRIPTOR(at_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end, auction" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: window_start#7 AS window_start#11, auction#9 AS auction#12, MAX#10 AS m#13
          Aggregate: groupBy=[[window_start#7, window_end#8, auction#9]], aggr=[[MAX(price#2) AS MAX#10]]
            Projection: window_start#4 AS window_start#7, window_end#5 AS window_end#8, auction#0 AS auction#9, price#2
              Window: Window(WindowTable { kind: Hop { size_ms: 10000, slide_ms: 2000, offset_ms: 0 }, event_time: true }) at_time#3
                Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                  TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[window_start, auction, MAX AS m], changelogMode=[I])
        +- WindowAggregate(groupBy=[auction], window=[HOP(size=[10000 ms], slide=[2000 ms]), time_col=[at_time]], select=[auction, MAX(price) AS MAX, start('w$) AS window_start, end('w$) AS window_end], changelogMode=[I])
           +- Exchange(distribution=[hash[auction]], changelogMode=[I])
              +- Calc(select=[auction, price, at_time], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])

        == Optimized Execution Plan ==
        Calc(select=[window_start, auction, MAX AS m])
        +- WindowAggregate(groupBy=[auction], window=[HOP(size=[10000 ms], slide=[2000 ms]), time_col=[at_time]], select=[auction, MAX(price) AS MAX, start('w$) AS window_start, end('w$) AS window_end])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction, price, at_time])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        WindowAggregate(groupBy=[auction], window=[HOP(size=[10000 ms], slide=[2000 ms]), time_col=[at_time]], select=[auction, MAX(price) AS MAX, start('w$) AS window_start, end('w$) AS window_end]): a row a group and window, until the window is over
    "#]];
    a_join_keeps_both_sides: "EXPLAIN CHANGELOG_MODE SELECT b.price, a.category FROM bids AS b LEFT JOIN auctions AS a ON b.auction = a.id" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: price#2 AS price#7, category#6 AS category#8
          Left Join: auction#0 = id#4
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids
            TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        Calc(select=[price, category], changelogMode=[I,UA,D])
        +- Join(joinType=[LeftOuterJoin], where=[auction = id], changelogMode=[I,UA,D])
           :- Exchange(distribution=[hash[auction]], changelogMode=[I])
           :  +- Calc(select=[auction, price, at_time], changelogMode=[I])
           :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])
           +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, category], dropUpdateBefore=[true], changelogMode=[I,UA,D])

        == Optimized Execution Plan ==
        Calc(select=[price, category])
        +- Join(joinType=[LeftOuterJoin], where=[auction = id])
           :- Exchange(distribution=[hash[auction]])
           :  +- Calc(select=[auction, price, at_time])
           :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
           +- Exchange(distribution=[hash[id]])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, category], dropUpdateBefore=[true])

        == State ==
        Join(joinType=[LeftOuterJoin], where=[auction = id]): all rows of both inputs, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    an_interval_join_forgets: "EXPLAIN CHANGELOG_MODE SELECT l.price, r.price FROM bids AS l JOIN bids AS r ON l.auction = r.auction AND l.at_time BETWEEN r.at_time - INTERVAL '10' SECOND AND r.at_time" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: price#2 AS price#8, price#6 AS price0#9
          Inner Join: auction#0 = auction#4 Filter: at_time#3 >= -(at_time#7, DurationMillisecond("10000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} }) AND at_time#3 <= at_time#7
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids
            Watermark: Watermark at_time#7 -(at_time#7, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[price, price AS price0], changelogMode=[I])
        +- IntervalJoin(joinType=[InnerJoin], windowBounds=[isRowTime=true, leftLowerBound=-10000, leftUpperBound=0], where=[auction = auction], changelogMode=[I])
           :- Exchange(distribution=[hash[auction]], changelogMode=[I])
           :  +- Calc(select=[auction, price, at_time], changelogMode=[I])
           :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])
           +- Exchange(distribution=[hash[auction]], changelogMode=[I])
              +- Calc(select=[auction, price, at_time], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])

        == Optimized Execution Plan ==
        Calc(select=[price, price AS price0])
        +- IntervalJoin(joinType=[InnerJoin], windowBounds=[isRowTime=true, leftLowerBound=-10000, leftUpperBound=0], where=[auction = auction])
           :- Exchange(distribution=[hash[auction]])
           :  +- Calc(select=[auction, price, at_time])
           :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction, price, at_time])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        IntervalJoin(joinType=[InnerJoin], windowBounds=[isRowTime=true, leftLowerBound=-10000, leftUpperBound=0], where=[auction = auction]): the rows of both inputs of 10000 ms
    "#]];
    a_top_list: "EXPLAIN CHANGELOG_MODE SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS n FROM bids) WHERE n <= 3" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#5 AS auction#10, price#7 AS price#11
          Filter: n#9 <= Int64(3) FieldMetadata { inner: {"hurtig.type": "BIGINT NOT NULL"} }
            Projection: auction#0 AS auction#5, bidder#1 AS bidder#6, price#2 AS price#7, at_time#3 AS at_time#8, ROW_NUMBER#4 AS n#9
              Over: Over(OverNode { partition: 1, order: [(false, false)], functions: [Ranking { name: "ROW_NUMBER", arguments: 0 }] }) auction#0 price#2
                Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                  TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction, price], changelogMode=[I,UA,D])
        +- Rank(strategy=[AppendFastStrategy], rankType=[ROW_NUMBER], rankRange=[rankStart=1, rankEnd=3], partitionBy=[auction], orderBy=[price DESC], rankNumber=[false], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[auction]], changelogMode=[I])
              +- Calc(select=[auction, price, at_time], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])

        == Optimized Execution Plan ==
        Calc(select=[auction, price])
        +- Rank(strategy=[AppendFastStrategy], rankType=[ROW_NUMBER], rankRange=[rankStart=1, rankEnd=3], partitionBy=[auction], orderBy=[price DESC], rankNumber=[false])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction, price, at_time])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        Rank(strategy=[AppendFastStrategy], rankType=[ROW_NUMBER], rankRange=[rankStart=1, rankEnd=3], partitionBy=[auction], orderBy=[price DESC], rankNumber=[false]): 3 rows a partition, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    the_latest_row: "EXPLAIN CHANGELOG_MODE SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY at_time DESC) AS n FROM bids) WHERE n = 1" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#5 AS auction#10, price#7 AS price#11
          Filter: n#9 = Int64(1) FieldMetadata { inner: {"hurtig.type": "BIGINT NOT NULL"} }
            Projection: auction#0 AS auction#5, bidder#1 AS bidder#6, price#2 AS price#7, at_time#3 AS at_time#8, ROW_NUMBER#4 AS n#9
              Over: Over(OverNode { partition: 1, order: [(false, false)], functions: [Ranking { name: "ROW_NUMBER", arguments: 0 }] }) auction#0 at_time#3
                Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                  TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction, price], changelogMode=[I,UA,D])
        +- Deduplicate(keep=[LastRow], key=[auction], order=[at_time], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[auction]], changelogMode=[I])
              +- Calc(select=[auction, price, at_time], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])

        == Optimized Execution Plan ==
        Calc(select=[auction, price])
        +- Deduplicate(keep=[LastRow], key=[auction], order=[at_time])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction, price, at_time])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        Deduplicate(keep=[LastRow], key=[auction], order=[at_time]): a row a key, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    sums_over_rows: "EXPLAIN CHANGELOG_MODE SELECT auction, SUM(price) OVER (PARTITION BY auction ORDER BY at_time ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM bids" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#0 AS auction#5, SUM#4 AS s#6
          Over: Over(OverNode { partition: 1, order: [(true, true)], functions: [Aggregate(OverRange { rows: true, preceding: Some(2) })] }) auction#0 at_time#3 SUM(price#2)
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction, SUM AS s], changelogMode=[I])
        +- OverNode(partitionBy=[auction], orderBy=[at_time ASC], orderedBy=[rowtime], select=[SUM(price) AS SUM], changelogMode=[I])
           +- Exchange(distribution=[hash[auction]], changelogMode=[I])
              +- Calc(select=[auction, price, at_time], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])

        == Optimized Execution Plan ==
        Calc(select=[auction, SUM AS s])
        +- OverNode(partitionBy=[auction], orderBy=[at_time ASC], orderedBy=[rowtime], select=[SUM(price) AS SUM])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction, price, at_time])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        OverNode(partitionBy=[auction], orderBy=[at_time ASC], orderedBy=[rowtime], select=[SUM(price) AS SUM]): rows of each partition, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    sets_of_rows: "EXPLAIN CHANGELOG_MODE SELECT auction FROM bids WHERE bidder = 1 UNION ALL SELECT id FROM auctions" => expect![[r#"
        == Abstract Syntax Tree ==
        Union
          Projection: auction#0 AS auction#4
            Filter: bidder#1 = Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
              Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                TableScan: default_catalog.default_database.bids
          Projection: id#5 AS id#8
            TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        Union(union=[auction], changelogMode=[I,UA,D])
        :- Calc(select=[auction], where=[bidder = 1], changelogMode=[I])
        :  +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, bidder, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])
        +- Calc(select=[id AS auction], changelogMode=[I,UA,D])
           +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id], dropUpdateBefore=[true], changelogMode=[I,UA,D])

        == Optimized Execution Plan ==
        Union(union=[auction])
        :- Calc(select=[auction], where=[bidder = 1])
        :  +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, bidder, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
        +- Calc(select=[id AS auction])
           +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id], dropUpdateBefore=[true])
    "#]];
    rows_that_others_lack: "EXPLAIN CHANGELOG_MODE SELECT auction FROM bids EXCEPT SELECT id FROM auctions" => expect![[r#"
        == Abstract Syntax Tree ==
        SetOperation: SetOperation { except: true, all: false }
          Projection: auction#0 AS auction#4
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids
          Projection: id#5 AS id#8
            TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        SetOperation(type=[EXCEPT], changelogMode=[I,D])
        :- Exchange(distribution=[hash[auction]], changelogMode=[I])
        :  +- Calc(select=[auction], changelogMode=[I])
        :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])
        +- Exchange(distribution=[hash[auction]], changelogMode=[I,UB,UA,D])
           +- Calc(select=[id AS auction], changelogMode=[I,UB,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id], changelogMode=[I,UB,UA,D])

        == Optimized Execution Plan ==
        SetOperation(type=[EXCEPT])
        :- Exchange(distribution=[hash[auction]])
        :  +- Calc(select=[auction])
        :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
        +- Exchange(distribution=[hash[auction]])
           +- Calc(select=[id AS auction])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id])

        == State ==
        SetOperation(type=[EXCEPT]): a count a row, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    a_query_in_a_condition: "EXPLAIN CHANGELOG_MODE SELECT price FROM bids WHERE auction IN (SELECT id FROM auctions WHERE category = 'art') AND NOT EXISTS (SELECT 1 FROM auctions AS t WHERE t.seller = bids.bidder)" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: price#2 AS price#12
          Filter: auction#0 IN (<subquery>) AND NOT EXISTS (<subquery>)
            Subquery:
              Projection: id#4 AS id#7
                Filter: category#6 = Utf8("art") FieldMetadata { inner: {"hurtig.type": "STRING NOT NULL"} }
                  TableScan: default_catalog.default_database.auctions
            Subquery:
              Projection: Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} } AS EXPR$0#11
                Filter: seller#9 = outer_ref(bidder#1)
                  TableScan: default_catalog.default_database.auctions
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[price], changelogMode=[I,UB,UA,D])
        +- Join(joinType=[LeftAntiJoin], where=[bidder = seller], changelogMode=[I,UB,UA,D])
           :- Exchange(distribution=[hash[bidder]], changelogMode=[I,UB,UA,D])
           :  +- Join(joinType=[LeftSemiJoin], where=[auction = id], changelogMode=[I,UB,UA,D])
           :     :- Exchange(distribution=[hash[auction]], changelogMode=[I])
           :     :  +- Calc(select=[auction, bidder, price, at_time], changelogMode=[I])
           :     :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, bidder, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])
           :     +- Exchange(distribution=[hash[id]], changelogMode=[I,UB,UA,D])
           :        +- Calc(select=[id], where=[category = 'art'], changelogMode=[I,UB,UA,D])
           :           +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, category], changelogMode=[I,UB,UA,D])
           +- Exchange(distribution=[hash[seller]], changelogMode=[I,UB,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[seller], changelogMode=[I,UB,UA,D])

        == Optimized Execution Plan ==
        Calc(select=[price])
        +- Join(joinType=[LeftAntiJoin], where=[bidder = seller])
           :- Exchange(distribution=[hash[bidder]])
           :  +- Join(joinType=[LeftSemiJoin], where=[auction = id])
           :     :- Exchange(distribution=[hash[auction]])
           :     :  +- Calc(select=[auction, bidder, price, at_time])
           :     :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, bidder, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
           :     +- Exchange(distribution=[hash[id]])
           :        +- Calc(select=[id], where=[category = 'art'])
           :           +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, category])
           +- Exchange(distribution=[hash[seller]])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[seller])

        == State ==
        Join(joinType=[LeftAntiJoin], where=[bidder = seller]): all rows of both inputs, for ever: it never shrinks, unless table.exec.state.ttl is set
        Join(joinType=[LeftSemiJoin], where=[auction = id]): all rows of both inputs, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    a_semi_join: "EXPLAIN CHANGELOG_MODE SELECT price FROM bids WHERE auction IN (SELECT id FROM auctions WHERE category = 'art')" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: price#2 AS price#8
          Filter: auction#0 IN (<subquery>)
            Subquery:
              Projection: id#4 AS id#7
                Filter: category#6 = Utf8("art") FieldMetadata { inner: {"hurtig.type": "STRING NOT NULL"} }
                  TableScan: default_catalog.default_database.auctions
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[price], changelogMode=[I,UB,UA,D])
        +- Join(joinType=[LeftSemiJoin], where=[auction = id], changelogMode=[I,UB,UA,D])
           :- Exchange(distribution=[hash[auction]], changelogMode=[I])
           :  +- Calc(select=[auction, price, at_time], changelogMode=[I])
           :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'], changelogMode=[I])
           +- Exchange(distribution=[hash[id]], changelogMode=[I,UB,UA,D])
              +- Calc(select=[id], where=[category = 'art'], changelogMode=[I,UB,UA,D])
                 +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, category], changelogMode=[I,UB,UA,D])

        == Optimized Execution Plan ==
        Calc(select=[price])
        +- Join(joinType=[LeftSemiJoin], where=[auction = id])
           :- Exchange(distribution=[hash[auction]])
           :  +- Calc(select=[auction, price, at_time])
           :     +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
           +- Exchange(distribution=[hash[id]])
              +- Calc(select=[id], where=[category = 'art'])
                 +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, category])

        == State ==
        Join(joinType=[LeftSemiJoin], where=[auction = id]): all rows of both inputs, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    the_first_rows: "EXPLAIN CHANGELOG_MODE SELECT * FROM auctions ORDER BY seller DESC LIMIT 5" => expect![[r#"
        == Abstract Syntax Tree ==
        Limit: skip=0, fetch=5
          Sort: seller#4 DESC NULLS LAST
            Projection: id#0 AS id#3, seller#1 AS seller#4, category#2 AS category#5
              TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        SortLimit(orderBy=[seller DESC], offset=[0], fetch=[5], strategy=[RetractStrategy], changelogMode=[I,UA,D])
        +- Exchange(distribution=[single], changelogMode=[I,UB,UA,D])
           +- Calc(select=[id, seller, category], changelogMode=[I,UB,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, seller, category], changelogMode=[I,UB,UA,D])

        == Optimized Execution Plan ==
        SortLimit(orderBy=[seller DESC], offset=[0], fetch=[5], strategy=[RetractStrategy])
        +- Exchange(distribution=[single])
           +- Calc(select=[id, seller, category])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, seller, category])

        == State ==
        SortLimit(orderBy=[seller DESC], offset=[0], fetch=[5], strategy=[RetractStrategy]): all rows, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    a_sink_with_a_key: "EXPLAIN CHANGELOG_MODE INSERT INTO totals SELECT id, COUNT(*) FROM auctions GROUP BY id" => expect![[r#"
        == Abstract Syntax Tree ==
        Sink: Sink { table: Full { catalog: "default_catalog", schema: "default_database", table: "totals" }, overwrite: false }
          Projection: id#5 AS auction#7, CAST(EXPR$1#6) AS total#8
            Projection: id#3 AS id#5, COUNT#4 AS EXPR$1#6
              Aggregate: groupBy=[[id#3]], aggr=[[COUNT() AS COUNT#4]]
                Projection: id#0 AS id#3
                  TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total], changelogMode=[NONE])
        +- Calc(select=[id AS auction, CAST(COUNT AS DECIMAL(38, 2)) AS total], changelogMode=[I,UA,D])
           +- GroupAggregate(groupBy=[id], select=[id, COUNT(*) AS COUNT], changelogMode=[I,UA,D])
              +- Exchange(distribution=[hash[id]], changelogMode=[I,UB,UA,D])
                 +- Calc(select=[id], changelogMode=[I,UB,UA,D])
                    +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id], changelogMode=[I,UB,UA,D])

        == Optimized Execution Plan ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total])
        +- Calc(select=[id AS auction, CAST(COUNT AS DECIMAL(38, 2)) AS total])
           +- GroupAggregate(groupBy=[id], select=[id, COUNT(*) AS COUNT])
              +- Exchange(distribution=[hash[id]])
                 +- Calc(select=[id])
                    +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id])

        == State ==
        GroupAggregate(groupBy=[id], select=[id, COUNT(*) AS COUNT]): a row a group, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    a_sink_with_another_key: "EXPLAIN CHANGELOG_MODE INSERT INTO totals SELECT seller, id FROM auctions" => expect![[r#"
        == Abstract Syntax Tree ==
        Sink: Sink { table: Full { catalog: "default_catalog", schema: "default_database", table: "totals" }, overwrite: false }
          Projection: seller#3 AS auction#5, CAST(id#4) AS total#6
            Projection: seller#1 AS seller#3, id#0 AS id#4
              TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total], upsertMaterialize=[true], changelogMode=[NONE])
        +- Exchange(distribution=[hash[auction]], changelogMode=[I,UB,UA,D])
           +- Calc(select=[seller AS auction, CAST(id AS DECIMAL(38, 2)) AS total], changelogMode=[I,UB,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, seller], changelogMode=[I,UB,UA,D])

        == Optimized Execution Plan ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total], upsertMaterialize=[true])
        +- Exchange(distribution=[hash[auction]])
           +- Calc(select=[seller AS auction, CAST(id AS DECIMAL(38, 2)) AS total])
              +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, seller])

        == State ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total], upsertMaterialize=[true]): the rows of each primary key, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    two_sinks: "EXPLAIN STATEMENT SET BEGIN INSERT INTO totals SELECT auction, price FROM bids; INSERT INTO totals SELECT id, seller FROM auctions; END" => expect![[r#"
        == Abstract Syntax Tree ==
        Sink: Sink { table: Full { catalog: "default_catalog", schema: "default_database", table: "totals" }, overwrite: false }
          Projection: auction#4 AS auction#6, CAST(price#5) AS total#7
            Projection: auction#0 AS auction#4, price#2 AS price#5
              Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                TableScan: default_catalog.default_database.bids
        Sink: Sink { table: Full { catalog: "default_catalog", schema: "default_database", table: "totals" }, overwrite: false }
          Projection: id#3 AS auction#5, CAST(seller#4) AS total#6
            Projection: id#0 AS id#3, seller#1 AS seller#4
              TableScan: default_catalog.default_database.auctions

        == Optimized Physical Plan ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total])
        +- Calc(select=[auction, CAST(price AS DECIMAL(38, 2)) AS total])
           +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        Sink(table=[default_catalog.default_database.totals], fields=[auction, total])
        +- Calc(select=[id AS auction, CAST(seller AS DECIMAL(38, 2)) AS total])
           +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, seller], dropUpdateBefore=[true])

        == Optimized Execution Plan ==
        Sink(table=[default_catalog.default_database.totals], fields=[auction, total])
        +- Calc(select=[auction, CAST(price AS DECIMAL(38, 2)) AS total])
           +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        Sink(table=[default_catalog.default_database.totals], fields=[auction, total])
        +- Calc(select=[id AS auction, CAST(seller AS DECIMAL(38, 2)) AS total])
           +- TableSourceScan(table=[[default_catalog.default_database.auctions]], fields=[id, seller], dropUpdateBefore=[true])
    "#]];
    state_that_expires: "SET 'table.exec.state.ttl' = '1 h'; EXPLAIN SELECT DISTINCT auction FROM bids" => expect![[r#"
        == Abstract Syntax Tree ==
        Distinct:
          Projection: auction#0 AS auction#4
            Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
              TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        GroupAggregate(groupBy=[auction], select=[auction])
        +- Exchange(distribution=[hash[auction]])
           +- Calc(select=[auction])
              +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == Optimized Execution Plan ==
        GroupAggregate(groupBy=[auction], select=[auction])
        +- Exchange(distribution=[hash[auction]])
           +- Calc(select=[auction])
              +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        GroupAggregate(groupBy=[auction], select=[auction]): a row a group, until table.exec.state.ttl
    "#]];
    the_job_as_json: "EXPLAIN JSON_EXECUTION_PLAN SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#4 AS auction#6, COUNT#5 AS n#7
          Aggregate: groupBy=[[auction#4]], aggr=[[COUNT() AS COUNT#5]]
            Projection: auction#0 AS auction#4
              Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction, COUNT AS n])
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == Optimized Execution Plan ==
        Calc(select=[auction, COUNT AS n])
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT]): a row a group, for ever: it never shrinks, unless table.exec.state.ttl is set

        == Physical Execution Plan ==
        {"nodes":[{"contents":"TableSourceScan","id":0,"pact":"Data Source","parallelism":1,"type":"TableSourceScan"},{"contents":"Calc","id":1,"pact":"Operator","parallelism":1,"predecessors":[{"id":0,"ship_strategy":"FORWARD","side":"first"}],"type":"Calc"},{"contents":"GroupAggregate","id":2,"pact":"Operator","parallelism":1,"predecessors":[{"id":1,"ship_strategy":"HASH","side":"first"}],"type":"GroupAggregate"},{"contents":"Calc","id":3,"pact":"Operator","parallelism":1,"predecessors":[{"id":2,"ship_strategy":"FORWARD","side":"first"}],"type":"Calc"},{"contents":"Sink: Collect","id":4,"pact":"Data Sink","parallelism":1,"predecessors":[{"id":3,"ship_strategy":"FORWARD","side":"first"}],"type":"Sink: Collect"}]}
    "#]];
    advice: "EXPLAIN PLAN_ADVICE SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#4 AS auction#6, COUNT#5 AS n#7
          Aggregate: groupBy=[[auction#4]], aggr=[[COUNT() AS COUNT#5]]
            Projection: auction#0 AS auction#4
              Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan With Advice ==
        Calc(select=[auction, COUNT AS n])
        +- GroupAggregate(advice=[1], groupBy=[auction], select=[auction, COUNT(*) AS COUNT])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        advice[1]: [ADVICE] You might want to enable local-global two-phase optimization by configuring ('table.optimizer.agg-phase-strategy' to 'TWO_PHASE').

        == Optimized Execution Plan ==
        Calc(select=[auction, COUNT AS n])
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT]): a row a group, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
    no_advice: "EXPLAIN PLAN_ADVICE SELECT auction FROM bids" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#0 AS auction#4
          Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
            TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan With Advice ==
        Calc(select=[auction])
        +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        No available advice...

        == Optimized Execution Plan ==
        Calc(select=[auction])
        +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])
    "#]];
    costs: "EXPLAIN ESTIMATED_COST SELECT auction, COUNT(*) AS n FROM bids WHERE price > 3 GROUP BY auction" => expect![[r#"
        == Abstract Syntax Tree ==
        Projection: auction#4 AS auction#6, COUNT#5 AS n#7
          Aggregate: groupBy=[[auction#4]], aggr=[[COUNT() AS COUNT#5]]
            Projection: auction#0 AS auction#4
              Filter: CAST(price#2) > Decimal128(3.00,12,2) FieldMetadata { inner: {"hurtig.type": "DECIMAL(12, 2) NOT NULL"} }
                Watermark: Watermark at_time#3 -(at_time#3, DurationMillisecond("5000") FieldMetadata { inner: {"hurtig.type": "INTERVAL SECOND(3) NOT NULL"} })
                  TableScan: default_catalog.default_database.bids

        == Optimized Physical Plan ==
        Calc(select=[auction, COUNT AS n]): rowcount = 5.0E6, cumulative cost = {1.6E8 rows, 3.1E8 cpu, 2.8E9 io, 2.0E8 network, 6.0E7 memory}
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT]): rowcount = 5.0E6, cumulative cost = {1.6E8 rows, 3.0E8 cpu, 2.8E9 io, 2.0E8 network, 6.0E7 memory}
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction], where=[CAST(price AS DECIMAL(12, 2)) > 3.00]): rowcount = 5.0E7, cumulative cost = {1.5E8 rows, 2.0E8 cpu, 2.8E9 io, 0.0 network, 0.0 memory}
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000']): rowcount = 1.0E8, cumulative cost = {1.0E8 rows, 0.0 cpu, 2.8E9 io, 0.0 network, 0.0 memory}

        == Optimized Execution Plan ==
        Calc(select=[auction, COUNT AS n])
        +- GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT])
           +- Exchange(distribution=[hash[auction]])
              +- Calc(select=[auction], where=[CAST(price AS DECIMAL(12, 2)) > 3.00])
                 +- TableSourceScan(table=[[default_catalog.default_database.bids]], fields=[auction, price, at_time], watermark=[at_time - INTERVAL '+0 00:00:05.000'])

        == State ==
        GroupAggregate(groupBy=[auction], select=[auction, COUNT(*) AS COUNT]): a row a group, for ever: it never shrinks, unless table.exec.state.ttl is set
    "#]];
}
