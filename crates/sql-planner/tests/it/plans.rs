//! The planner's decisions as texts: decorrelation, push-down, pruning, changes, keys.

use expect_test::{Expect, expect};
use hurtig_sql_common::{ChangelogMode, RowKind};
use hurtig_sql_planner::{
    catalog::{CatalogEntry, Catalogs, ObjectPath, TableRef},
    optimize::optimize,
    stream::{
        ExecNode, ExplainOptions, SinkTraits, SourceTraits, StreamPlanResult, StreamPlanner,
        TableTraits, explain, upsert_keys,
    },
};

use crate::support::Planner;

const TABLES: &str = "
CREATE TABLE a (id INT NOT NULL, x INT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('changes' = 'I');
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
        Ok(SourceTraits { mode, primary_key, normalize, makes_watermarks: true })
    }

    fn sink(&self, table: &str) -> StreamPlanResult<SinkTraits> {
        let name = table.trim_matches('`').rsplit(['.', '`']).next().unwrap_or_default();
        let path = ObjectPath {
            catalog: self.0.current_catalog().to_owned(),
            database: self.0.current_database().to_owned(),
            name: name.to_owned(),
        };
        let Some((CatalogEntry::Table(table), _)) = self.0.entry(&path) else {
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
    let streams = StreamPlanner { tables: &tables, two_phase: false };
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
        let key = |key: Vec<usize>| format!("{{{}}}", key.iter().map(name).collect::<Vec<_>>().join(", "));
        let keys: Vec<String> = upsert_keys(node).into_iter().map(key).collect();
        out.push_str(&format!("{}{}: {}\n", "  ".repeat(depth), node.name(), keys.join(" ")));
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
    in_becomes_a_semi_join: "SELECT x FROM a WHERE id IN (SELECT y FROM b)" => expect![[""]];
    not_in_minds_nulls: "SELECT x FROM a WHERE x NOT IN (SELECT y FROM b)" => expect![[""]];
    not_in_of_what_is_never_null: "SELECT x FROM a WHERE id NOT IN (SELECT id FROM b)" => expect![[""]];
    exists_takes_its_conditions_along: "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = a.id AND b.y > a.x)" => expect![[""]];
    a_value_of_a_query: "SELECT x, (SELECT MAX(y) FROM b) AS m FROM a" => expect![[""]];
    a_correlated_count_is_zero: "SELECT x, (SELECT COUNT(*) FROM b WHERE b.id = a.id) AS n FROM a" => expect![[""]];
    all_is_an_anti_join: "SELECT x FROM a WHERE x > ALL (SELECT y FROM b)" => expect![[""]];
    a_filter_goes_to_its_side: "SELECT a.x, b.y FROM a JOIN b ON a.id = b.id WHERE a.x > 1 AND b.y < 2 AND a.x <> b.y" => expect![[""]];
    a_filter_stays_above_the_side_that_may_be_missing: "SELECT a.x, b.y FROM a LEFT JOIN b ON a.id = b.id WHERE a.x > 1 AND b.y IS NULL" => expect![[""]];
    conditions_of_a_left_join_go_to_its_right: "SELECT a.x, b.y FROM a LEFT JOIN b ON a.id = b.id AND a.x > 1 AND b.y > 2" => expect![[""]];
    a_filter_passes_an_aggregate_by_its_keys: "SELECT * FROM (SELECT x, COUNT(*) AS n FROM a GROUP BY x) WHERE x > 1 AND n > 2" => expect![[""]];
    a_filter_passes_a_union: "SELECT * FROM (SELECT x FROM a UNION ALL SELECT y FROM b) AS t(v) WHERE v > 1" => expect![[""]];
    a_filter_stays_above_a_limit: "SELECT * FROM (SELECT x FROM a LIMIT 3) WHERE x > 1" => expect![[""]];
    a_filter_stays_above_what_differs_each_time: "SELECT * FROM (SELECT x, RAND() AS r FROM a) WHERE x > 1 AND r > 0.5" => expect![[""]];
    a_filter_stays_above_a_window: "SELECT * FROM (SELECT x, window_start FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) WHERE x > 1" => expect![[""]];
    commas_become_a_join: "SELECT a.x FROM a, b WHERE a.id = b.id AND b.y = 3" => expect![[""]];
    constants_are_computed_once: "SELECT x FROM a WHERE x > 1 + 2 * 3 AND 1 = 1" => expect![[""]];
    nobody_needs_the_columns: "SELECT COUNT(*) FROM a" => expect![[""]];
    a_correlated_limit_is_refused: "SELECT (SELECT y FROM b WHERE b.id = a.id LIMIT 1) FROM a" => expect![[""]];
}

decisions! { changes:
    an_aggregate_of_new_rows_never_deletes: "SELECT x, COUNT(*) AS n FROM a GROUP BY x" => expect![[""]];
    an_aggregate_of_changes_deletes: "SELECT y, COUNT(*) AS n FROM b GROUP BY y" => expect![[""]];
    an_aggregate_of_an_aggregate_wants_the_rows_before: "SELECT n, COUNT(*) FROM (SELECT x, COUNT(*) AS n FROM a GROUP BY x) GROUP BY n" => expect![[""]];
    updates_by_key_are_completed: "SELECT z, COUNT(*) AS n FROM u GROUP BY z" => expect![[""]];
    updates_by_key_pass: "SELECT id, z + 1 AS z FROM u" => expect![[""]];
    a_filter_of_updates_wants_the_rows_before: "SELECT id, z FROM u WHERE z > 3" => expect![[""]];
    a_filter_of_the_key_does_not: "SELECT id, z FROM u WHERE id > 3" => expect![[""]];
    an_inner_join_by_both_keys: "SELECT b.y, u.z FROM b JOIN u ON b.id = u.id" => expect![[""]];
    a_join_by_another_column: "SELECT b.y, u.z FROM b JOIN u ON b.y = u.z" => expect![[""]];
    an_outer_join_deletes: "SELECT x, n FROM a LEFT JOIN (SELECT x AS k, MAX(id) AS n FROM a GROUP BY x) ON x = k" => expect![[""]];
    a_keyed_sink_wants_no_rows_before: "INSERT INTO keyed SELECT id, COUNT(*) FROM a GROUP BY id" => expect![[""]];
    a_sink_of_another_key_puts_rows_in_order: "INSERT INTO keyed SELECT y, id FROM b" => expect![[""]];
    a_sink_without_a_key_wants_all: "INSERT INTO retracted SELECT x, COUNT(*) FROM a GROUP BY x" => expect![[""]];
    a_sink_that_appends_takes_no_updates: "INSERT INTO appended SELECT x, COUNT(*) FROM a GROUP BY x" => expect![[""]];
    a_sink_that_appends_takes_no_deletes: "INSERT INTO appended SELECT id, y FROM b" => expect![[""]];
    a_window_takes_no_updates_over_rows: "SELECT SUM(z) OVER (PARTITION BY id ORDER BY PROCTIME()) FROM u" => expect![[""]];
}

decisions! { keys:
    the_key_of_a_table_follows_its_columns: "SELECT y, id AS k FROM b" => expect![[""]];
    a_key_that_is_not_selected_is_lost: "SELECT y FROM b" => expect![[""]];
    groups_are_keys: "SELECT x, s, COUNT(*) FROM a GROUP BY x, s" => expect![[""]];
    a_join_by_unique_sides: "SELECT b.id, u.id, y, z FROM b JOIN u ON b.id = u.id" => expect![[""]];
    a_left_join_keeps_the_left_key: "SELECT b.id, y, z FROM b LEFT JOIN u ON b.id = u.id" => expect![[""]];
    a_join_of_many_with_one: "SELECT a.id, b.id, y FROM a JOIN b ON a.x = b.id" => expect![[""]];
    the_number_of_a_top_list: "SELECT * FROM (SELECT id, x, ROW_NUMBER() OVER (PARTITION BY x ORDER BY id) AS n FROM a) WHERE n <= 2" => expect![[""]];
    the_first_of_each: "SELECT * FROM (SELECT id, x, ROW_NUMBER() OVER (PARTITION BY x ORDER BY ts) AS n FROM a) WHERE n = 1" => expect![[""]];
    rows_of_a_union_have_none: "SELECT id FROM b UNION ALL SELECT id FROM u" => expect![[""]];
    different_rows: "SELECT DISTINCT x, s FROM a" => expect![[""]];
}
