//! Expressions and calls of functions.

use super::{
    BuiltinCall, Ident, IntervalQualifier, Literal, ObjectName, OrderItem, OverClause,
    SelectQuantifier, SqlQuery,
};
use crate::{span::Span, types::SqlDataType};

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands. Parentheses around it are not part.
    pub span: Span,
}

impl Expr {
    /// An expression at a position.
    #[must_use]
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// The name, if it is one without points.
    #[must_use]
    pub fn as_ident(&self) -> Option<&Ident> {
        match &self.kind {
            ExprKind::Name(name) => match &*name.0 {
                [ident] => Some(ident),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExprKind {
    /// A column, a field of one, a variable of a pattern: `a`, `t.a`, `t.a.b`.
    Name(ObjectName),
    /// A constant.
    Literal(Literal),
    /// `- a`, `NOT a`.
    Unary(UnaryOperator, Box<Expr>),
    /// `a + b` and the like.
    Binary(Box<Expr>, BinaryOperator, Box<Expr>),
    /// Two or more with AND between them.
    And(Vec<Expr>),
    /// Two or more with OR between them.
    Or(Vec<Expr>),
    /// `a IS NULL` and the like.
    Is {
        /// What is looked at.
        operand: Box<Expr>,
        /// What it is to be.
        predicate: IsPredicate,
        /// IS NOT.
        negated: bool,
    },
    /// `a BETWEEN b AND c`
    Between {
        /// What is looked at.
        operand: Box<Expr>,
        /// NOT BETWEEN.
        negated: bool,
        /// The bounds may come in any order.
        symmetric: bool,
        /// One bound.
        low: Box<Expr>,
        /// The other.
        high: Box<Expr>,
    },
    /// `a LIKE b` and its relatives.
    Like {
        /// What is looked at.
        operand: Box<Expr>,
        /// Which of them.
        kind: LikeKind,
        /// NOT LIKE.
        negated: bool,
        /// The pattern.
        pattern: Box<Expr>,
        /// The character that makes the next one stand for itself.
        escape: Option<Box<Expr>>,
    },
    /// `a IN (b, c)`
    InList {
        /// What is looked for.
        operand: Box<Expr>,
        /// NOT IN.
        negated: bool,
        /// Where.
        list: Vec<Expr>,
    },
    /// `a IN (SELECT ...)`
    InQuery {
        /// What is looked for.
        operand: Box<Expr>,
        /// NOT IN.
        negated: bool,
        /// Where.
        query: Box<SqlQuery>,
    },
    /// `a > ALL (SELECT ...)`, `a = ANY (b, c)`
    Quantified {
        /// What is compared.
        operand: Box<Expr>,
        /// How.
        comparison: Comparison,
        /// With how many.
        quantifier: Quantifier,
        /// With what: a [`ExprKind::Query`], or a [`ExprKind::Row`] of the list.
        right: Box<Expr>,
    },
    /// `EXISTS (SELECT ...)`
    Exists(Box<SqlQuery>),
    /// `UNIQUE (SELECT ...)`
    Unique(Box<SqlQuery>),
    /// A query in parentheses: its only value, or a table where one is expected.
    Query(Box<SqlQuery>),
    /// `CASE ... END`
    Case {
        /// What the branches are compared with; without it they are conditions.
        operand: Option<Box<Expr>>,
        /// Conditions with results. A list of values before THEN is a row.
        branches: Vec<(Expr, Expr)>,
        /// The result if none holds.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(a AS t)`
    Cast {
        /// What fails.
        kind: CastKind,
        /// What is cast.
        operand: Box<Expr>,
        /// To which type.
        data_type: SqlDataType,
        /// Where the type stands.
        type_span: Span,
    },
    /// `ROW(a, b)`, or `(a, b)` if not explicit. Of one field only if explicit.
    Row {
        /// Whether ROW was written.
        explicit: bool,
        /// The fields.
        fields: Vec<Expr>,
    },
    /// `ARRAY[...]` or `ARRAY(SELECT ...)`
    Array(ArrayConstructor),
    /// `MAP[key, value, ...]`: as many of them as were written, which may be odd.
    Map(ArrayConstructor),
    /// `MULTISET[...]`
    Multiset(ArrayConstructor),
    /// `a[b]`: an element of an array, the value of a key, a field by name or number.
    Item(Box<Expr>, Box<Expr>),
    /// `f(x).b`: a field of something that is not a name.
    Field(Box<Expr>, Ident),
    /// `f(a, b)`
    Function(Box<FunctionCall>),
    /// A function with a syntax of its own.
    Builtin(Box<BuiltinCall>),
    /// `INTERVAL a DAY`: the unit times something computed.
    IntervalOf {
        /// A minus before it.
        negated: bool,
        /// How many.
        value: Box<Expr>,
        /// Of what.
        qualifier: IntervalQualifier,
    },
    /// `(a - b) DAY TO SECOND`: the difference of two times as an interval.
    IntervalBetween {
        /// What is subtracted from.
        left: Box<Expr>,
        /// What is subtracted.
        right: Box<Expr>,
        /// The interval's fields.
        qualifier: IntervalQualifier,
    },
    /// `t.*` and `*`, as an argument or an item of SELECT; empty for `*`.
    Wildcard(Vec<Ident>),
}

/// Operators before one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `NOT`
    Not,
}

/// Operators that compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `=` and the like.
    Compare(Comparison),
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `||`
    Concat,
    /// `IS DISTINCT FROM`
    IsDistinctFrom,
    /// `IS NOT DISTINCT FROM`
    IsNotDistinctFrom,
    /// `MEMBER OF`
    MemberOf,
    /// `SUBMULTISET OF`
    SubmultisetOf,
    /// `NOT SUBMULTISET OF`
    NotSubmultisetOf,
    /// `MULTISET UNION`, with or without DISTINCT.
    MultisetUnion(SelectQuantifier),
    /// `MULTISET INTERSECT`
    MultisetIntersect(SelectQuantifier),
    /// `MULTISET EXCEPT`
    MultisetExcept(SelectQuantifier),
    /// `OVERLAPS`, of two periods that are rows of two.
    Overlaps,
}

/// ANY or ALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// ANY, also written SOME.
    Any,
    /// ALL
    All,
}

/// What follows IS or IS NOT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IsPredicate {
    /// NULL
    Null,
    /// TRUE
    True,
    /// FALSE
    False,
    /// UNKNOWN
    Unknown,
    /// A SET: a multiset without duplicates.
    ASet,
    /// EMPTY: a multiset without elements.
    Empty,
    /// JSON, also written JSON VALUE.
    JsonValue,
    /// JSON OBJECT
    JsonObject,
    /// JSON ARRAY
    JsonArray,
    /// JSON SCALAR
    JsonScalar,
}

/// How a pattern is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LikeKind {
    /// LIKE
    Like,
    /// ILIKE
    ILike,
    /// RLIKE
    RLike,
    /// SIMILAR TO
    SimilarTo,
}

/// What a cast does with what cannot be cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CastKind {
    /// CAST fails.
    Cast,
    /// TRY_CAST gives NULL.
    TryCast,
}

/// What a collection is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ArrayConstructor {
    /// Of expressions.
    Elements(Vec<Expr>),
    /// Of a query's rows.
    Query(Box<SqlQuery>),
}

/// A call of a function with arguments between parentheses, or none at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionCall {
    /// The function.
    pub name: ObjectName,
    /// Whether parentheses were written: CURRENT_DATE has none.
    pub parentheses: bool,
    /// DISTINCT or ALL.
    pub quantifier: SelectQuantifier,
    /// The arguments. `COUNT(*)` has one [`ExprKind::Wildcard`].
    pub arguments: Vec<FunctionArgument>,
    /// ORDER BY within the parentheses.
    pub order_by: Vec<OrderItem>,
    /// IGNORE NULLS or RESPECT NULLS.
    pub null_treatment: Option<NullTreatment>,
    /// WITHIN DISTINCT (...)
    pub within_distinct: Vec<Expr>,
    /// WITHIN GROUP (ORDER BY ...)
    pub within_group: Vec<OrderItem>,
    /// FILTER (WHERE ...)
    pub filter: Option<Expr>,
    /// OVER ...
    pub over: Option<OverClause>,
}

impl FunctionCall {
    /// A call with expressions as arguments and nothing else.
    #[must_use]
    pub fn simple(name: ObjectName, arguments: Vec<Expr>) -> Self {
        let argument = |expr: Expr| {
            let span = expr.span;
            FunctionArgument { name: None, value: FunctionValue::Expr(expr), span }
        };
        Self {
            name,
            parentheses: true,
            quantifier: SelectQuantifier::None,
            arguments: arguments.into_iter().map(argument).collect(),
            order_by: Vec::new(),
            null_treatment: None,
            within_distinct: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            over: None,
        }
    }
}

/// IGNORE NULLS or RESPECT NULLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NullTreatment {
    /// IGNORE NULLS
    Ignore,
    /// RESPECT NULLS
    Respect,
}

/// An argument, perhaps by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FunctionArgument {
    /// The parameter, if it is named: `SIZE => ...`.
    pub name: Option<Ident>,
    /// The value.
    pub value: FunctionValue,
    /// Where it stands.
    pub span: Span,
}

/// What an argument is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FunctionValue {
    /// An expression.
    Expr(Expr),
    /// A table: `TABLE t PARTITION BY a ORDER BY b`, or a query in parentheses with either.
    Table(TableArgument),
    /// Names of columns: `DESCRIPTOR(a, b)`.
    Descriptor(Vec<Ident>),
    /// `MODEL m`
    Model(ObjectName),
    /// `DEFAULT`
    Default,
}

/// A table as an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableArgument {
    /// The table by name (after TABLE), or the query.
    pub source: Box<SqlQuery>,
    /// Columns that rows are distributed by.
    pub partition_by: Vec<Ident>,
    /// How the rows of a partition are ordered.
    pub order_by: Vec<OrderItem>,
    /// Where it stands.
    pub span: Span,
}
