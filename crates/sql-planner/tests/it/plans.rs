//! The planner's decisions as texts: decorrelation, push-down, pruning, changes, keys.

use expect_test::{Expect, expect};
use hurtig_env::Clock;
use hurtig_sql_common::{ChangelogMode, RowKind, SqlContext};
use hurtig_sql_planner::{
    PlannerSettings,
    catalog::{CatalogEntry, Catalogs, ObjectPath, TableRef},
    optimize::optimize,
    stream::{
        ExecNode, ExplainOptions, ScanFilter, SinkTraits, SourceTraits, StreamPlanResult,
        StreamPlanner, TableTraits, explain, upsert_keys,
    },
};

use crate::support::Planner;

const TABLES: &str = "
CREATE TABLE a (id INT NOT NULL, x INT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('changes' = 'I');
CREATE TABLE events (
  kind INT, who ROW<id INT, name STRING>, what ROW<id INT, born TIMESTAMP(3), part ROW<n INT, m INT>>,
  ts AS CASE WHEN kind = 0 THEN TIMESTAMP '2020-01-01 00:00:00' ELSE what.born END, WATERMARK FOR ts AS ts
) WITH ('changes' = 'I', 'takes' = 'kind');
CREATE TABLE b (id INT NOT NULL, y INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('changes' = 'I,UB,UA,D');
CREATE TABLE u (id INT NOT NULL, z INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('changes' = 'I,UA,D');
CREATE TABLE keyed (id INT NOT NULL, n BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('changes' = 'I,UA,D');
CREATE TABLE appended (id INT, n BIGINT) WITH ('changes' = 'I');
CREATE TABLE retracted (id INT, n BIGINT) WITH ('changes' = 'I,UB,UA,D');
";

/// Tables whose changes are an option.
struct Tables<'a>(&'a Catalogs);

fn mode(text: &str) -> ChangelogMode {
    text.split(',').fold(ChangelogMode::default(), |mode, kind| {
        mode.with(match kind {
            "I" => RowKind::Insert,
            "UB" => RowKind::UpdateBefore,
            "UA" => RowKind::UpdateAfter,
            _ => RowKind::Delete,
        })
    })
}

impl TableTraits for Tables<'_> {
    fn source(&self, table: &TableRef, fields: &[&str]) -> StreamPlanResult<SourceTraits> {
        let mode = mode(&table.options["changes"]);
        let primary_key = table.table.primary_key.as_ref().and_then(|key| {
            let name = |column: &String| {
                let (position, _) = table.table.column(column)?;
                let field = table.columns.iter().position(|one| *one == position)?;
                let name = table.schema.field(field).name();
                fields.contains(&name.as_str()).then(|| name.clone())
            };
            key.columns.iter().map(name).collect::<Option<Vec<String>>>()
        });
        let normalize = mode.has(RowKind::UpdateAfter) && !mode.has(RowKind::UpdateBefore);
        let (makes_watermarks, reads_nested) = (true, true);
        Ok(SourceTraits { mode, primary_key, normalize, makes_watermarks, reads_nested })
    }

    fn takes_filter(&self, table: &TableRef, filter: &ScanFilter) -> StreamPlanResult<bool> {
        let column = table.schema.field(filter.field.field).name();
        Ok(table.options.get("takes").is_some_and(|taken| *taken == plain(column)))
    }

    fn sink(&self, table: &str) -> StreamPlanResult<SinkTraits> {
        let name = table.trim_matches('`').rsplit(['.', '`']).next().unwrap_or_default();
        let path = ObjectPath {
            catalog: self.0.current_catalog().to_owned(),
            database: self.0.current_database().to_owned(),
            name: name.to_owned(),
        };
        let Ok(Some((CatalogEntry::Table(table), _))) = self.0.entry(&path) else {
            panic!("no table {table}");
        };
        let columns: Vec<String> = table.columns.iter().map(|one| one.name.clone()).collect();
        let key = table.primary_key.iter().flat_map(|key| &key.columns);
        let position = |name: &String| columns.iter().position(|one| one == name).unwrap();
        let taken = mode(&table.options["changes"]);
        Ok(SinkTraits {
            name: path.to_string(),
            primary_key: key.map(position).collect(),
            columns,
            // A sink that takes updates by key takes no rows before them.
            accepts: Box::new(move |offered| {
                [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter, RowKind::Delete]
                    .into_iter()
                    .filter(|kind| taken.has(*kind) && offered.has(*kind))
                    .fold(ChangelogMode::default(), ChangelogMode::with)
            }),
        })
    }
}

/// The streaming plan of a statement, or why there is none.
fn planned(statement: &str) -> Result<ExecNode, String> {
    let mut planner = Planner::new();
    planner.script(TABLES).unwrap();
    let bound = planner.bound(statement).map_err(|error| error.to_string())?;
    let optimized = optimize(bound).map_err(|error| error.to_string())?;
    let tables = Tables(&planner.catalogs);
    let settings = PlannerSettings::new(SqlContext::new(Clock::starting_at(0)));
    let streams = StreamPlanner { tables: &tables, settings: &settings };
    streams.plan(&optimized, false).map_err(|error| error.to_string())
}

/// Column names without the numbers that make them unique.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut skips = false;
    for c in text.chars() {
        skips = c == '#' || skips && c.is_ascii_digit();
        if !skips {
            out.push(c);
        }
    }
    out
}

/// The optimised logical plan of a query.
fn optimized(query: &str, wanted: Expect) {
    let mut planner = Planner::new();
    planner.script(TABLES).unwrap();
    let plan = planner.bound(query).and_then(optimize);
    wanted.assert_eq(&match plan {
        Ok(plan) => plain(&format!("{}\n", plan.display_indent())),
        Err(error) => format!("error: {error}"),
    });
}

/// The kinds of change of each node.
fn changes(statement: &str, wanted: Expect) {
    let options = ExplainOptions { changelog: true, ..ExplainOptions::default() };
    wanted.assert_eq(&match planned(statement) {
        Ok(node) => explain(&node, options),
        Err(error) => format!("error: {error}"),
    });
}

/// The upsert keys of each node, the root's first.
fn keys(query: &str, wanted: Expect) {
    fn write(node: &ExecNode, depth: usize, out: &mut String) {
        let name = |column: &usize| plain(node.schema.field(*column).name());
        let key = |key: Vec<usize>| {
            format!("{{{}}}", key.iter().map(name).collect::<Vec<_>>().join(", "))
        };
        let keys: Vec<String> = upsert_keys(node).into_iter().map(key).collect();
        let line = format!("{}{}: {}", "  ".repeat(depth), node.name(), keys.join(" "));
        out.push_str(line.trim_end());
        out.push('\n');
        node.inputs.iter().for_each(|input| write(input, depth + 1, out));
    }
    wanted.assert_eq(&match planned(query) {
        Ok(node) => {
            let mut text = String::new();
            write(&node, 0, &mut text);
            text
        }
        Err(error) => format!("error: {error}"),
    });
}

macro_rules! decisions {
    ($of:ident: $($name:ident: $statement:literal => $wanted:expr;)*) => {$(
        #[test]
        fn $name() {
            $of($statement, $wanted);
        }
    )*};
}

decisions! { optimized:
    in_becomes_a_semi_join: "SELECT x FROM a WHERE id IN (SELECT y FROM b)" => expect![[r#"
        Projection: x AS x
          LeftSemi Join: id = y
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Projection: y AS y
              TableScan: default_catalog.default_database.b projection=[y]
    "#]];
    not_in_minds_nulls: "SELECT x FROM a WHERE x NOT IN (SELECT y FROM b)" => expect![[r#"
        Projection: x AS x
          LeftAnti Join:  Filter: x = y IS NOT FALSE
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[x, ts]
            Projection: y AS y
              TableScan: default_catalog.default_database.b projection=[y]
    "#]];
    not_in_of_what_is_never_null: "SELECT x FROM a WHERE id NOT IN (SELECT id FROM b)" => expect![[r#"
        Projection: x AS x
          LeftAnti Join: id = id
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Projection: id AS id
              TableScan: default_catalog.default_database.b projection=[id]
    "#]];
    exists_takes_its_conditions_along: "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = a.id AND b.y > a.x)" => expect![[r#"
        Projection: x AS x
          LeftSemi Join: id = id Filter: y > x
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Projection: id, y
              TableScan: default_catalog.default_database.b projection=[id, y]
    "#]];
    a_value_of_a_query: "SELECT x, (SELECT MAX(y) FROM b) AS m FROM a" => expect![[r#"
        Projection: x AS x, EXPR$0 AS m
          Left Join:
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[x, ts]
            Projection: MAX AS EXPR$0
              Aggregate: groupBy=[[]], aggr=[[MAX(y) AS MAX]]
                Projection: y
                  TableScan: default_catalog.default_database.b projection=[y]
    "#]];
    a_correlated_count_is_zero: "SELECT x, (SELECT COUNT(*) FROM b WHERE b.id = a.id) AS n FROM a" => expect![[r#"
        Projection: x AS x, CASE WHEN EXPR$0 IS NULL THEN Int64(0) FieldMetadata { inner: {"hurtig.type": "BIGINT NOT NULL"} } ELSE EXPR$0 END AS n
          Left Join: id = id
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Projection: COUNT AS EXPR$0, id
              Projection: COUNT, id
                Aggregate: groupBy=[[id]], aggr=[[COUNT() AS COUNT]]
                  TableScan: default_catalog.default_database.b projection=[id]
    "#]];
    all_is_an_anti_join: "SELECT x FROM a WHERE x > ALL (SELECT y FROM b)" => expect![[r#"
        Projection: x AS x
          LeftAnti Join:  Filter: x > y IS NOT TRUE
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[x, ts]
            Projection: y AS y
              TableScan: default_catalog.default_database.b projection=[y]
    "#]];
    a_filter_goes_to_its_side: "SELECT a.x, b.y FROM a JOIN b ON a.id = b.id WHERE a.x > 1 AND b.y < 2 AND a.x <> b.y" => expect![[r#"
        Projection: x AS x, y AS y
          Inner Join: id = id Filter: x != y
            Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
              Watermark: Watermark ts ts
                TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Filter: y < Int32(2) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
              TableScan: default_catalog.default_database.b projection=[id, y]
    "#]];
    a_filter_stays_above_the_side_that_may_be_missing: "SELECT a.x, b.y FROM a LEFT JOIN b ON a.id = b.id WHERE a.x > 1 AND b.y IS NULL" => expect![[r#"
        Projection: x AS x, y AS y
          Filter: y IS NULL
            Left Join: id = id
              Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
                Watermark: Watermark ts ts
                  TableScan: default_catalog.default_database.a projection=[id, x, ts]
              TableScan: default_catalog.default_database.b projection=[id, y]
    "#]];
    conditions_of_a_left_join_go_to_its_right: "SELECT a.x, b.y FROM a LEFT JOIN b ON a.id = b.id AND a.x > 1 AND b.y > 2" => expect![[r#"
        Projection: x AS x, y AS y
          Left Join: id = id Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Filter: y > Int32(2) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
              TableScan: default_catalog.default_database.b projection=[id, y]
    "#]];
    a_filter_passes_an_aggregate_by_its_keys: "SELECT * FROM (SELECT x, COUNT(*) AS n FROM a GROUP BY x) WHERE x > 1 AND n > 2" => expect![[r#"
        Projection: x AS x, n AS n
          Projection: x AS x, COUNT AS n
            Filter: COUNT > Int64(2) FieldMetadata { inner: {"hurtig.type": "BIGINT NOT NULL"} }
              Aggregate: groupBy=[[x]], aggr=[[COUNT() AS COUNT]]
                Projection: x AS x
                  Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
                    Watermark: Watermark ts ts
                      TableScan: default_catalog.default_database.a projection=[x, ts]
    "#]];
    a_filter_passes_a_union: "SELECT * FROM (SELECT x FROM a UNION ALL SELECT y FROM b) AS t(v) WHERE v > 1" => expect![[r#"
        Projection: x AS v
          Union
            Projection: x AS x
              Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
                Watermark: Watermark ts ts
                  TableScan: default_catalog.default_database.a projection=[x, ts]
            Projection: y AS y
              Filter: y > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
                TableScan: default_catalog.default_database.b projection=[y]
    "#]];
    a_filter_stays_above_a_limit: "SELECT * FROM (SELECT x FROM a LIMIT 3) WHERE x > 1" => expect![[r#"
        Projection: x AS x
          Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
            Limit: skip=0, fetch=3
              Projection: x AS x
                Watermark: Watermark ts ts
                  TableScan: default_catalog.default_database.a projection=[x, ts]
    "#]];
    a_filter_stays_above_what_differs_each_time: "SELECT * FROM (SELECT x, RAND() AS r FROM a) WHERE x > 1 AND r > 0.5" => expect![[r#"
        Projection: x AS x, r AS r
          Filter: r > Float64(0.5) FieldMetadata { inner: {"hurtig.type": "DOUBLE NOT NULL"} }
            Projection: x AS x, RAND() AS r
              Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
                Watermark: Watermark ts ts
                  TableScan: default_catalog.default_database.a projection=[x, ts]
    "#]];
    a_filter_stays_above_a_window: "SELECT * FROM (SELECT x, window_start FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) WHERE x > 1" => expect![[r#"
        Projection: x AS x, window_start AS window_start
          Projection: x AS x, window_start AS window_start
            Filter: x > Int32(1) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
              Window: Window(WindowTable { kind: Tumble { size_ms: 60000, offset_ms: 0 }, event_time: true }) ts
                Watermark: Watermark ts ts
                  TableScan: default_catalog.default_database.a projection=[x, ts]
    "#]];
    commas_become_a_join: "SELECT a.x FROM a, b WHERE a.id = b.id AND b.y = 3" => expect![[r#"
        Projection: x AS x
          Inner Join: id = id
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[id, x, ts]
            Filter: y = Int32(3) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
              TableScan: default_catalog.default_database.b projection=[id, y]
    "#]];
    constants_are_computed_once: "SELECT x FROM a WHERE x > 1 + 2 * 3 AND 1 = 1" => expect![[r#"
        Projection: x AS x
          Filter: x > Int32(7) FieldMetadata { inner: {"hurtig.type": "INT NOT NULL"} }
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[x, ts]
    "#]];
    nobody_needs_the_columns: "SELECT COUNT(*) FROM a" => expect![[r#"
        Projection: COUNT AS EXPR$0
          Aggregate: groupBy=[[]], aggr=[[COUNT() AS COUNT]]
            Watermark: Watermark ts ts
              TableScan: default_catalog.default_database.a projection=[ts]
    "#]];
    a_correlated_limit_is_refused: "SELECT (SELECT y FROM b WHERE b.id = a.id LIMIT 1) FROM a" => expect!["error: a correlated query with LIMIT needs ORDER BY"];
}

decisions! { changes:
    an_aggregate_of_new_rows_never_deletes: "SELECT x, COUNT(*) AS n FROM a GROUP BY x" => expect![[r#"
        Calc(select=[x, COUNT AS n], changelogMode=[I,UA])
        +- GroupAggregate(groupBy=[x], select=[x, COUNT(*) AS COUNT], changelogMode=[I,UA])
           +- Exchange(distribution=[hash[x]], changelogMode=[I])
              +- Calc(select=[x], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
    "#]];
    an_aggregate_of_changes_deletes: "SELECT y, COUNT(*) AS n FROM b GROUP BY y" => expect![[r#"
        Calc(select=[y, COUNT AS n], changelogMode=[I,UA,D])
        +- GroupAggregate(groupBy=[y], select=[y, COUNT(*) AS COUNT], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[y]], changelogMode=[I,UB,UA,D])
              +- Calc(select=[y], changelogMode=[I,UB,UA,D])
                 +- TableSourceScan(table=[[default_catalog.default_database.b]], fields=[y], changelogMode=[I,UB,UA,D])
    "#]];
    an_aggregate_of_an_aggregate_wants_the_rows_before: "SELECT n, COUNT(*) FROM (SELECT x, COUNT(*) AS n FROM a GROUP BY x) GROUP BY n" => expect![[r#"
        Calc(select=[n, COUNT AS EXPR$1], changelogMode=[I,UA,D])
        +- GroupAggregate(groupBy=[n], select=[n, COUNT(*) AS COUNT], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[n]], changelogMode=[I,UB,UA])
              +- Calc(select=[COUNT AS n], changelogMode=[I,UB,UA])
                 +- GroupAggregate(groupBy=[x], select=[x, COUNT(*) AS COUNT], changelogMode=[I,UB,UA])
                    +- Exchange(distribution=[hash[x]], changelogMode=[I])
                       +- Calc(select=[x], changelogMode=[I])
                          +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
    "#]];
    updates_by_key_are_completed: "SELECT z, COUNT(*) AS n FROM u GROUP BY z" => expect![[r#"
        Calc(select=[z, COUNT AS n], changelogMode=[I,UA,D])
        +- GroupAggregate(groupBy=[z], select=[z, COUNT(*) AS COUNT], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[z]], changelogMode=[I,UB,UA,D])
              +- Calc(select=[z], changelogMode=[I,UB,UA,D])
                 +- ChangelogNormalize(key=[id], changelogMode=[I,UB,UA,D])
                    +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
                       +- TableSourceScan(table=[[default_catalog.default_database.u]], fields=[z, id], changelogMode=[I,UA,D])
    "#]];
    updates_by_key_pass: "SELECT id, z + 1 AS z FROM u" => expect![[r#"
        Calc(select=[id, z + 1 AS z], changelogMode=[I,UA,D])
        +- ChangelogNormalize(key=[id], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.u]], fields=[id, z], changelogMode=[I,UA,D])
    "#]];
    a_filter_of_updates_wants_the_rows_before: "SELECT id, z FROM u WHERE z > 3" => expect![[r#"
        Calc(select=[id, z], where=[z > 3], changelogMode=[I,UB,UA,D])
        +- ChangelogNormalize(key=[id], changelogMode=[I,UB,UA,D])
           +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.u]], fields=[id, z], changelogMode=[I,UA,D])
    "#]];
    a_filter_of_the_key_does_not: "SELECT id, z FROM u WHERE id > 3" => expect![[r#"
        Calc(select=[id, z], where=[id > 3], changelogMode=[I,UA,D])
        +- ChangelogNormalize(key=[id], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.u]], fields=[id, z], changelogMode=[I,UA,D])
    "#]];
    an_inner_join_by_both_keys: "SELECT b.y, u.z FROM b JOIN u ON b.id = u.id" => expect![[r#"
        Calc(select=[y, z], changelogMode=[I,UA,D])
        +- Join(joinType=[InnerJoin], where=[id = id], changelogMode=[I,UA,D])
           :- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
           :  +- TableSourceScan(table=[[default_catalog.default_database.b]], fields=[id, y], dropUpdateBefore=[true], changelogMode=[I,UA,D])
           +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
              +- ChangelogNormalize(key=[id], changelogMode=[I,UA,D])
                 +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
                    +- TableSourceScan(table=[[default_catalog.default_database.u]], fields=[id, z], changelogMode=[I,UA,D])
    "#]];
    a_join_by_another_column: "SELECT b.y, u.z FROM b JOIN u ON b.y = u.z" => expect![[r#"
        Calc(select=[y, z], changelogMode=[I,UB,UA,D])
        +- Join(joinType=[InnerJoin], where=[y = z], changelogMode=[I,UB,UA,D])
           :- Exchange(distribution=[hash[y]], changelogMode=[I,UB,UA,D])
           :  +- TableSourceScan(table=[[default_catalog.default_database.b]], fields=[y], changelogMode=[I,UB,UA,D])
           +- Exchange(distribution=[hash[z]], changelogMode=[I,UB,UA,D])
              +- Calc(select=[z], changelogMode=[I,UB,UA,D])
                 +- ChangelogNormalize(key=[id], changelogMode=[I,UB,UA,D])
                    +- Exchange(distribution=[hash[id]], changelogMode=[I,UA,D])
                       +- TableSourceScan(table=[[default_catalog.default_database.u]], fields=[z, id], changelogMode=[I,UA,D])
    "#]];
    an_outer_join_deletes: "SELECT x, n FROM a LEFT JOIN (SELECT x AS k, MAX(id) AS n FROM a GROUP BY x) ON x = k" => expect![[r#"
        Calc(select=[x, n], changelogMode=[I,UA,D])
        +- Join(joinType=[LeftOuterJoin], where=[x = k], changelogMode=[I,UA,D])
           :- Exchange(distribution=[hash[x]], changelogMode=[I])
           :  +- Calc(select=[x, ts], changelogMode=[I])
           :     +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
           +- Exchange(distribution=[hash[k]], changelogMode=[I,UA])
              +- Calc(select=[x AS k, MAX AS n], changelogMode=[I,UA])
                 +- GroupAggregate(groupBy=[x], select=[x, MAX(id) AS MAX], changelogMode=[I,UA])
                    +- Exchange(distribution=[hash[x]], changelogMode=[I])
                       +- Calc(select=[x, id], changelogMode=[I])
                          +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[id, x, ts], watermark=[ts], changelogMode=[I])
    "#]];
    a_keyed_sink_wants_no_rows_before: "INSERT INTO keyed SELECT id, COUNT(*) FROM a GROUP BY id" => expect![[r#"
        Sink(table=[default_catalog.default_database.keyed], fields=[id, n], changelogMode=[NONE])
        +- Calc(select=[id, COUNT AS n], changelogMode=[I,UA])
           +- GroupAggregate(groupBy=[id], select=[id, COUNT(*) AS COUNT], changelogMode=[I,UA])
              +- Exchange(distribution=[hash[id]], changelogMode=[I])
                 +- Calc(select=[id], changelogMode=[I])
                    +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[id, ts], watermark=[ts], changelogMode=[I])
    "#]];
    a_sink_of_another_key_puts_rows_in_order: "INSERT INTO keyed SELECT y, id FROM b" => expect![[r#"
        Sink(table=[default_catalog.default_database.keyed], fields=[id, n], upsertMaterialize=[true], changelogMode=[NONE])
        +- Exchange(distribution=[hash[id]], changelogMode=[I,UB,UA,D])
           +- Calc(select=[y AS id, CAST(id AS BIGINT) AS n], changelogMode=[I,UB,UA,D])
              +- TableSourceScan(table=[[default_catalog.default_database.b]], fields=[id, y], changelogMode=[I,UB,UA,D])
    "#]];
    a_sink_without_a_key_wants_all: "INSERT INTO retracted SELECT x, COUNT(*) FROM a GROUP BY x" => expect![[r#"
        Sink(table=[default_catalog.default_database.retracted], fields=[id, n], changelogMode=[NONE])
        +- Calc(select=[x AS id, COUNT AS n], changelogMode=[I,UB,UA])
           +- GroupAggregate(groupBy=[x], select=[x, COUNT(*) AS COUNT], changelogMode=[I,UB,UA])
              +- Exchange(distribution=[hash[x]], changelogMode=[I])
                 +- Calc(select=[x], changelogMode=[I])
                    +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
    "#]];
    a_sink_that_appends_takes_no_updates: "INSERT INTO appended SELECT x, COUNT(*) FROM a GROUP BY x" => expect!["error: Table sink 'default_catalog.default_database.appended' doesn't support consuming update changes which is produced by node Calc(select=[x AS id, COUNT AS n])"];
    a_sink_that_appends_takes_no_deletes: "INSERT INTO appended SELECT id, y FROM b" => expect!["error: Table sink 'default_catalog.default_database.appended' doesn't support consuming update and delete changes which is produced by node Calc(select=[id, CAST(y AS BIGINT) AS n])"];
    a_window_takes_no_updates_over_rows: "SELECT SUM(z) OVER (PARTITION BY id ORDER BY PROCTIME()) FROM u" => expect!["error: OverNode doesn't support consuming update and delete changes which is produced by node Calc(select=[id, z, PROCTIME() AS $f])"];
}

decisions! { keys:
    the_key_of_a_table_follows_its_columns: "SELECT y, id AS k FROM b" => expect![[r#"
        Calc: {k}
          TableSourceScan: {id}
    "#]];
    a_key_that_is_not_selected_is_lost: "SELECT y FROM b" => expect![[r#"
        Calc:
          TableSourceScan:
    "#]];
    groups_are_keys: "SELECT x, s, COUNT(*) FROM a GROUP BY x, s" => expect![[r#"
        Calc: {x, s}
          GroupAggregate: {x, s}
            Calc:
              TableSourceScan:
    "#]];
    a_join_by_unique_sides: "SELECT b.id, u.id, y, z FROM b JOIN u ON b.id = u.id" => expect![[r#"
        Calc: {id} {id, id0} {id0}
          Join: {id} {id, id} {id}
            TableSourceScan: {id}
            ChangelogNormalize: {id}
              TableSourceScan: {id}
    "#]];
    a_left_join_keeps_the_left_key: "SELECT b.id, y, z FROM b LEFT JOIN u ON b.id = u.id" => expect![[r#"
        Calc: {id}
          Join: {id} {id, id}
            TableSourceScan: {id}
            ChangelogNormalize: {id}
              TableSourceScan: {id}
    "#]];
    a_join_of_many_with_one: "SELECT a.id, b.id, y FROM a JOIN b ON a.x = b.id" => expect![[r#"
        Calc:
          Join:
            Calc:
              TableSourceScan:
            TableSourceScan: {id}
    "#]];
    the_number_of_a_top_list: "SELECT * FROM (SELECT id, x, ROW_NUMBER() OVER (PARTITION BY x ORDER BY id) AS n FROM a) WHERE n <= 2" => expect![[r#"
        Calc: {x, n}
          Rank: {x, ROW_NUMBER}
            Calc:
              TableSourceScan:
    "#]];
    the_first_of_each: "SELECT * FROM (SELECT id, x, ROW_NUMBER() OVER (PARTITION BY x ORDER BY ts) AS n FROM a) WHERE n = 1" => expect![[r#"
        Calc: {x}
          Deduplicate: {x}
            Calc:
              TableSourceScan:
    "#]];
    rows_of_a_union_have_none: "SELECT id FROM b UNION ALL SELECT id FROM u" => expect![[r#"
        Union:
          Calc: {id}
            TableSourceScan: {id}
          Calc: {id}
            ChangelogNormalize: {id}
              TableSourceScan: {id}
    "#]];
    different_rows: "SELECT DISTINCT x, s FROM a" => expect![[r#"
        GroupAggregate: {x, s}
          Calc:
            TableSourceScan:
    "#]];
}

#[test]
fn sources_read_what_is_needed_and_give_the_rows_that_are() {
    // The fields, and the branch of the time that rows of this kind take.
    changes(
        "SELECT what.id, what.part.m, ts FROM events WHERE kind = 1",
        expect![[r#"
        Calc(select=[what.id AS id, what.part.m AS m, what.born AS ts], changelogMode=[I])
        +- TableSourceScan(table=[[default_catalog.default_database.events]], fields=[what.id, what.part.m, what.born], filter=[kind = 1], watermark=[what.born], changelogMode=[I])
    "#]],
    );
    // Whole, since somebody wants it whole; a field of another column.
    changes(
        "SELECT what, who.name FROM events WHERE kind = 0 AND what.id > 3",
        expect![[r#"
        Calc(select=[what, who.name AS name], where=[FIELD(what, 'id') > 3], changelogMode=[I])
        +- TableSourceScan(table=[[default_catalog.default_database.events]], fields=[who.name, what], filter=[kind = 0], watermark=[TIMESTAMP '2020-01-01 00:00:00.000'], changelogMode=[I])
    "#]],
    );
    // The field with all in it is read, and what is in it comes with it.
    changes(
        "SELECT what.part, what.part.n FROM events",
        expect![[r#"
        Calc(select=[what.part AS part, FIELD(what.part, 'n') AS n], changelogMode=[I])
        +- TableSourceScan(table=[[default_catalog.default_database.events]], fields=[kind, what.part, what.born], watermark=[CASE WHEN kind = 0 THEN TIMESTAMP '2020-01-01 00:00:00.000' ELSE what.born END], changelogMode=[I])
    "#]],
    );
    // A condition on another column, or that a column is not something, stays.
    changes(
        "SELECT kind FROM events WHERE kind <> 2 AND who.id = 1",
        expect![[r#"
        Calc(select=[kind], where=[(kind != 2) AND (who.id = 1)], changelogMode=[I])
        +- TableSourceScan(table=[[default_catalog.default_database.events]], fields=[kind, who.id, what.born], watermark=[CASE WHEN kind = 0 THEN TIMESTAMP '2020-01-01 00:00:00.000' ELSE what.born END], changelogMode=[I])
    "#]],
    );
    // Rows are counted, also where nobody looks at them.
    changes(
        "SELECT COUNT(*) FROM events WHERE kind = 1",
        expect![[r#"
        Calc(select=[COUNT AS EXPR$0], changelogMode=[I,UA])
        +- GroupAggregate(select=[COUNT(*) AS COUNT], changelogMode=[I,UA])
           +- Exchange(distribution=[single], changelogMode=[I])
              +- Calc(select=[1 AS kind], changelogMode=[I])
                 +- TableSourceScan(table=[[default_catalog.default_database.events]], fields=[what.born], filter=[kind = 1], watermark=[what.born], changelogMode=[I])
    "#]],
    );
}

#[test]
fn calcs_are_one_where_nothing_is_computed_twice_or_too_early() {
    changes(
        "SELECT y + 1 FROM (SELECT x + 1 AS y FROM a)",
        expect![[r#"
        Calc(select=[(x + 1) + 1 AS EXPR$0], changelogMode=[I])
        +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
    "#]],
    );
    changes(
        "SELECT y + 1, y + 2 FROM (SELECT x + 1 AS y FROM a)",
        expect![[r#"
        Calc(select=[y + 1 AS EXPR$0, y + 2 AS EXPR$1], changelogMode=[I])
        +- Calc(select=[x + 1 AS y], changelogMode=[I])
           +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
    "#]],
    );
    // The division must not see what is filtered out below.
    changes(
        "SELECT x FROM (SELECT x, 10 / x AS d FROM a WHERE x <> 0) WHERE d > 2",
        expect![[r#"
        Calc(select=[x], where=[(x != 0) AND ((10 / x) > 2)], changelogMode=[I])
        +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[x, ts], watermark=[ts], changelogMode=[I])
    "#]],
    );
    changes(
        "SELECT r FROM (SELECT RAND() AS r FROM a) WHERE r < 0.5",
        expect![[r#"
        Calc(select=[r], where=[r < 0.5], changelogMode=[I])
        +- Calc(select=[RAND() AS r], changelogMode=[I])
           +- TableSourceScan(table=[[default_catalog.default_database.a]], fields=[ts], watermark=[ts], changelogMode=[I])
    "#]],
    );
}
