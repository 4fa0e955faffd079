//! Functions with a syntax of their own.

use super::{Expr, FunctionCall, Ident, OrderItem, TimeUnit};
use crate::types::SqlDataType;

/// A call of a function whose arguments are separated by words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BuiltinCall {
    /// `EXTRACT(YEAR FROM a)`
    Extract {
        /// What of it.
        unit: TimeUnit,
        /// Of which time.
        operand: Expr,
    },
    /// `FLOOR(a TO DAY)` and CEIL; without a unit they are plain functions.
    Round {
        /// CEIL, not FLOOR.
        up: bool,
        /// What is rounded.
        operand: Expr,
        /// To which unit.
        unit: TimeUnit,
    },
    /// `TIMESTAMPADD(DAY, a, b)`
    TimestampAdd {
        /// Of what.
        unit: TimeUnit,
        /// How many.
        count: Expr,
        /// To which time.
        operand: Expr,
    },
    /// `TIMESTAMPDIFF(DAY, a, b)`
    TimestampDiff {
        /// In which unit.
        unit: TimeUnit,
        /// From here.
        from: Expr,
        /// To there.
        to: Expr,
    },
    /// `POSITION(a IN b FROM c)`
    Position {
        /// What is looked for.
        needle: Expr,
        /// Where.
        haystack: Expr,
        /// From which character on.
        from: Option<Expr>,
    },
    /// `OVERLAY(a PLACING b FROM c FOR d)`
    Overlay {
        /// What is replaced in.
        operand: Expr,
        /// By what.
        placing: Expr,
        /// From which character on.
        from: Expr,
        /// How many of them.
        length: Option<Expr>,
    },
    /// `TRIM(LEADING a FROM b)`
    Trim {
        /// At which ends.
        side: TrimSide,
        /// What is removed; blanks without it.
        characters: Option<Expr>,
        /// From what.
        operand: Expr,
    },
    /// `RUNNING f(a)` or `FINAL f(a)`, in a pattern's measures.
    Semantics {
        /// FINAL, not RUNNING.
        is_final: bool,
        /// The function.
        call: FunctionCall,
    },
    /// `JSON_EXISTS(a, path TRUE ON ERROR)`
    JsonExists {
        /// Document and path.
        input: JsonPathInput,
        /// TRUE, FALSE, UNKNOWN or ERROR.
        on_error: Option<JsonBehavior>,
    },
    /// `JSON_VALUE(a, path RETURNING t ...)`
    JsonValue {
        /// Document and path.
        input: JsonPathInput,
        /// The type of the result.
        returning: Option<SqlDataType>,
        /// What instead of a value, in the order that was written.
        behaviors: Vec<(JsonBehavior, JsonEmptyOrError)>,
    },
    /// `JSON_QUERY(a, path WITH WRAPPER ...)`
    JsonQuery {
        /// Document and path.
        input: JsonPathInput,
        /// The type of the result.
        returning: Option<SqlDataType>,
        /// Whether results are put into an array.
        wrapper: Option<JsonWrapper>,
        /// What instead of a value, in the order that was written.
        behaviors: Vec<(JsonBehavior, JsonEmptyOrError)>,
    },
    /// `JSON_OBJECT(KEY a VALUE b NULL ON NULL)`
    JsonObject {
        /// The fields.
        entries: Vec<JsonEntry>,
        /// What is done with NULL.
        on_null: Option<JsonNullClause>,
    },
    /// `JSON_ARRAY(a, b ABSENT ON NULL)`
    JsonArray {
        /// The elements.
        elements: Vec<Expr>,
        /// What is done with NULL.
        on_null: Option<JsonNullClause>,
    },
    /// `JSON_OBJECTAGG(KEY a VALUE b)`
    JsonObjectAgg {
        /// The field of a row.
        entry: JsonEntry,
        /// What is done with NULL.
        on_null: Option<JsonNullClause>,
        /// FILTER (WHERE ...)
        filter: Option<Expr>,
    },
    /// `JSON_ARRAYAGG(a)`
    JsonArrayAgg {
        /// The element of a row.
        element: Expr,
        /// The order of the elements.
        order_by: Vec<OrderItem>,
        /// What is done with NULL.
        on_null: Option<JsonNullClause>,
        /// FILTER (WHERE ...)
        filter: Option<Expr>,
    },
}

/// Ends of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrimSide {
    /// Both, unless another is named.
    Both,
    /// The beginning.
    Leading,
    /// The end.
    Trailing,
}

/// A document, a path in it, and what the path's variables stand for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonPathInput {
    /// The document.
    pub document: Expr,
    /// The path.
    pub path: Expr,
    /// `PASSING a AS x`
    pub passing: Vec<(Expr, Ident)>,
}

/// What a JSON function gives instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JsonBehavior {
    /// It fails.
    Error,
    /// NULL
    Null,
    /// A value.
    Default(Expr),
    /// `[]`
    EmptyArray,
    /// `{}`
    EmptyObject,
    /// TRUE
    True,
    /// FALSE
    False,
    /// UNKNOWN
    Unknown,
}

/// When it does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonEmptyOrError {
    /// The path leads nowhere.
    Empty,
    /// The document or the path is wrong.
    Error,
}

/// Whether the results of a path are put into an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonWrapper {
    /// Never.
    Without,
    /// If it is not one array or object.
    Conditional,
    /// Always.
    Unconditional,
}

/// A field of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonEntry {
    /// The name.
    pub key: Expr,
    /// The value.
    pub value: Expr,
}

/// What a JSON constructor does with NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonNullClause {
    /// NULL ON NULL: it is there.
    Null,
    /// ABSENT ON NULL: it is left out.
    Absent,
}
