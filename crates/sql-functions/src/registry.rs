//! Functions by name.
//!
//! Names are in capitals; operators have their symbols. A function with a syntax of its own has
//! positional arguments here, in this order; words of its syntax are constant texts:
//!
//! | syntax | name and arguments |
//! |---|---|
//! | `a + b`, `- a`, `a <> b`, `a \|\| b` | `+`, `-` (of one or two), `<>` (also for `!=`), `\|\|` |
//! | `a % b` | `%`; `MOD(a, b)` is the same |
//! | `a AND b OR NOT c` | `AND` and `OR` of two or more, `NOT` |
//! | `a IS NULL`, `IS NOT TRUE`, ... | `IS NULL`, `IS NOT NULL`, `IS [NOT] TRUE`, `IS [NOT] FALSE`, `IS [NOT] UNKNOWN` |
//! | `a IS [NOT] DISTINCT FROM b` | `IS DISTINCT FROM`, `IS NOT DISTINCT FROM` |
//! | `a IS JSON [VALUE]`, `IS JSON OBJECT`, ... | `IS JSON VALUE`, `IS JSON OBJECT`, `IS JSON ARRAY`, `IS JSON SCALAR`; negated by `NOT` |
//! | `a BETWEEN [SYMMETRIC] b AND c` | `BETWEEN`, `BETWEEN SYMMETRIC` of `a, b, c`; negated by `NOT` |
//! | `a IN (b, c)` | `IN` of `a, b, c`; negated by `NOT` |
//! | `a LIKE b ESCAPE c` | `LIKE`, `SIMILAR TO` of `a, b[, c]`; negated by `NOT` |
//! | `EXTRACT(YEAR FROM a)` | `EXTRACT('YEAR', a)` |
//! | `FLOOR(a TO DAY)`, `CEIL(a TO DAY)` | `FLOOR(a, 'DAY')`, `CEIL(a, 'DAY')` |
//! | `TIMESTAMPADD(DAY, a, b)`, `TIMESTAMPDIFF(DAY, a, b)` | the unit as a text first |
//! | `POSITION(a IN b FROM c)` | `POSITION(a, b[, c])` |
//! | `OVERLAY(a PLACING b FROM c FOR d)` | `OVERLAY(a, b, c[, d])` |
//! | `SUBSTRING(a FROM b FOR c)` | `SUBSTRING(a, b[, c])` |
//! | `TRIM(LEADING a FROM b)` | `TRIM('LEADING', a, b)`; `BOTH` and `' '` if not written |
//! | `a[b]` | `ITEM(a, b)` |
//! | `a.b` | `FIELD(a, 'b')` |
//! | `ROW(a, b)`, `(a, b)`; `ARRAY[a, b]`; `MAP[a, b]` | `ROW`, `ARRAY`, `MAP` |
//! | `INTERVAL a DAY` | `INTERVAL(a, 'DAY')` |
//! | `(a - b) DAY` | `MINUS_DATE(a, b, 'DAY')`, the unit being the qualifier's first |
//! | `(a, b) OVERLAPS (c, d)` | `OVERLAPS(a, b, c, d)` |
//! | `JSON_EXISTS(a, p TRUE ON ERROR)` | `JSON_EXISTS(a, p[, 'TRUE'])` |
//! | `JSON_VALUE(a, p RETURNING t DEFAULT d ON EMPTY ...)` | `JSON_VALUE(a, p[, 't', empty, d, error, e])`: the type's text (default `STRING`), `'NULL'`, `'ERROR'` or `'DEFAULT'` on empty, its value or NULL, the same on error |
//! | `JSON_QUERY(a, p RETURNING t WITH WRAPPER ...)` | `JSON_QUERY(a, p[, 't', wrapper, empty, error])`: `'WITHOUT'`, `'CONDITIONAL'` or `'UNCONDITIONAL'`, then `'NULL'`, `'ERROR'`, `'EMPTY ARRAY'` or `'EMPTY OBJECT'` twice |
//! | `JSON_OBJECT(KEY k VALUE v ... NULL ON NULL)` | `JSON_OBJECT('NULL', k, v, ...)`, or `'ABSENT'`; default `'NULL'` |
//! | `JSON_ARRAY(v, ... ABSENT ON NULL)` | `JSON_ARRAY('ABSENT', v, ...)`, or `'NULL'`; default `'ABSENT'` |
//! | `CURRENT_DATE`, `NOW()` | by name, without arguments |
//! | `JSON_OBJECTAGG(KEY k VALUE v NULL ON NULL)` | aggregate `JSON_OBJECTAGG_NULL_ON_NULL(k, v)` (default) or `JSON_OBJECTAGG_ABSENT_ON_NULL` |
//! | `JSON_ARRAYAGG(v ABSENT ON NULL)` | aggregate `JSON_ARRAYAGG_ABSENT_ON_NULL(v)` (default) or `JSON_ARRAYAGG_NULL_ON_NULL` |
//! | `JSON_ARRAYAGG(JSON_OBJECT(...))` | the same with `_OF_JSON` behind it, also of `JSON_OBJECTAGG`: the values are JSON |
//! | `STDDEV_POP(v) OVER w`, ... | aggregates `$OVER_STDDEV_POP`, `$OVER_STDDEV_SAMP`, `$OVER_VAR_POP` and `$OVER_VAR_SAMP` |
//! | `COUNT(*)` | aggregate `COUNT` without arguments |
//! | `ARRAY_AGG(a IGNORE NULLS)`, `FIRST_VALUE(a IGNORE NULLS)` | `ARRAY_AGG` keeps NULLs; `ARRAY_AGG_IGNORE_NULLS` does not. `FIRST_VALUE` and `LAST_VALUE` never see NULLs |
//!
//! A value of JSON_OBJECT and JSON_ARRAY that is itself a call of JSON_OBJECT, JSON_ARRAY or JSON is
//! not a text but JSON. Types do not show it, so the first argument tells the values, counted from 0:
//! `'NULL,0,2'`.
//!
//! No functions here: `CAST` is [`cast`](crate::cast()), and `CASE` is the planner's, since branches that are not taken must
//! not fail. It may plan IF, IFNULL, COALESCE and NULLIF as CASE too; they are here for constants
//! and columns.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use crate::{
    aggregates,
    api::{ScalarFunction, SqlAggregateFunction},
    call::Builtin,
    functions,
};

static SCALARS: LazyLock<HashMap<&'static str, &'static Builtin>> =
    LazyLock::new(|| functions::all().map(|one| (one.name, one)).collect());

/// The function of that name, in any case of letters.
#[must_use]
pub fn lookup_scalar(name: &str) -> Option<Arc<dyn ScalarFunction>> {
    let found: &'static Builtin = SCALARS.get(&*name.to_uppercase())?;
    Some(Arc::new(found))
}

/// The aggregate function of that name, in any case of letters.
#[must_use]
pub fn lookup_aggregate(name: &str) -> Option<Arc<dyn SqlAggregateFunction>> {
    let found = aggregates::find(&name.to_uppercase())?;
    Some(Arc::new(found))
}

/// A function for people: SHOW FUNCTIONS, suggestions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionEntry {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// True if it is an aggregate.
    pub is_aggregate: bool,
}

/// All functions that can be called by name, sorted by it.
#[must_use]
pub fn functions() -> Vec<FunctionEntry> {
    let scalars = functions::all().map(|one| (one.name, one.signature, false));
    let aggregates = aggregates::all().map(|one| (one.name, one.signature, true));
    // Operators and helpers of the planner have no name that could be written.
    let written = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let named = scalars.chain(aggregates).filter(|(name, _, _)| written(name));
    let sorted: BTreeMap<_, _> =
        named.map(|(name, signature, kind)| (name, (signature, kind))).collect();
    let entry = |(name, (signature, is_aggregate))| FunctionEntry { name, signature, is_aggregate };
    sorted.into_iter().map(entry).collect()
}
