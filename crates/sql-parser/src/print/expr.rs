//! Expressions.

use std::fmt::{self, Display};

use super::{commas, precedence as level, word};
use crate::ast::{
    ArrayConstructor, BinaryOperator, CastKind, Comparison, Expr, ExprKind, IsPredicate, LikeKind,
    Literal, Quantifier, SelectQuantifier, UnaryOperator,
};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.write(f)
    }
}

/// An expression where an operator stands that binds so strongly.
struct Operand<'a>(&'a Expr, u8);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.kind.level() < self.1 { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

impl ExprKind {
    /// How strongly it holds together.
    fn level(&self) -> u8 {
        match self {
            Self::Or(_) => level::OR,
            Self::And(_) => level::AND,
            Self::Unary(UnaryOperator::Not, _) => level::NOT,
            Self::Unary(..) => level::SIGN,
            Self::Is { .. } => level::IS,
            Self::Binary(_, operator, _) => level::of_binary(*operator),
            Self::Quantified { .. } => level::COMPARE,
            Self::Between { .. }
            | Self::Like { .. }
            | Self::InList { .. }
            | Self::InQuery { .. } => level::LIKE,
            _ => level::HIGHEST,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
            Self::Unary(operator, operand) => write_unary(f, *operator, operand),
            Self::Binary(left, operator, right) => {
                let binding = level::of_binary(*operator);
                write!(f, "{} {operator} {}", Operand(left, binding), Operand(right, binding + 1))
            }
            Self::And(operands) => write_chain(f, operands, " AND ", level::AND),
            Self::Or(operands) => write_chain(f, operands, " OR ", level::OR),
            Self::Is { operand, predicate, negated } => {
                let operand = Operand(operand, level::IS);
                write!(f, "{operand} IS {}{predicate}", word(*negated, "NOT "))
            }
            Self::Between { operand, negated, symmetric, low, high } => {
                let (operand, not) = (Operand(operand, level::LIKE), word(*negated, "NOT "));
                let symmetric = word(*symmetric, "SYMMETRIC ");
                let (low, high) = (Operand(low, level::LIKE + 1), Operand(high, level::LIKE + 1));
                write!(f, "{operand} {not}BETWEEN {symmetric}{low} AND {high}")
            }
            Self::Like { operand, kind, negated, pattern, escape } => {
                let (operand, not) = (Operand(operand, level::LIKE), word(*negated, "NOT "));
                write!(f, "{operand} {not}{kind} {}", Operand(pattern, level::LIKE + 1))?;
                match escape {
                    Some(escape) => write!(f, " ESCAPE {}", Operand(escape, level::HIGHEST)),
                    None => Ok(()),
                }
            }
            Self::InList { operand, negated, list } => {
                let (operand, not) = (Operand(operand, level::LIKE), word(*negated, "NOT "));
                write!(f, "{operand} {not}IN ({})", commas(list))
            }
            Self::InQuery { operand, negated, query } => {
                let (operand, not) = (Operand(operand, level::LIKE), word(*negated, "NOT "));
                write!(f, "{operand} {not}IN ({query})")
            }
            Self::Quantified { operand, comparison, quantifier, right } => {
                let operand = Operand(operand, level::COMPARE);
                write!(f, "{operand} {comparison} {quantifier} ")?;
                match &right.kind {
                    Self::Row { explicit: false, fields } => write!(f, "({})", commas(fields)),
                    _ => right.fmt(f),
                }
            }
            Self::Exists(query) => write!(f, "EXISTS ({query})"),
            Self::Unique(query) => write!(f, "UNIQUE ({query})"),
            Self::Query(query) => write!(f, "({query})"),
            Self::Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
            Self::Cast { kind, operand, data_type, .. } => {
                let name = match kind {
                    CastKind::Cast => "CAST",
                    CastKind::TryCast => "TRY_CAST",
                };
                write!(f, "{name}({operand} AS {data_type})")
            }
            Self::Row { explicit, fields } => {
                write!(f, "{}({})", word(*explicit, "ROW"), commas(fields))
            }
            Self::Array(content) => write!(f, "ARRAY{content}"),
            Self::Map(content) => write!(f, "MAP{content}"),
            Self::Multiset(content) => write!(f, "MULTISET{content}"),
            Self::Item(base, index) => write!(f, "{}[{index}]", Operand(base, level::HIGHEST)),
            Self::Field(base, field) => {
                // Without parentheses the field would be part of the name or number.
                let number = matches!(&base.kind, Self::Literal(Literal::Number(..)));
                if number || matches!(base.kind, Self::Name(_)) {
                    write!(f, "({base}).{field}")
                } else {
                    write!(f, "{}.{field}", Operand(base, level::HIGHEST))
                }
            }
            Self::Function(call) => call.fmt(f),
            Self::Builtin(call) => call.fmt(f),
            Self::IntervalOf { negated, value, qualifier } => {
                write!(f, "INTERVAL {}({value}) {qualifier}", word(*negated, "-"))
            }
            Self::IntervalBetween { left, right, qualifier } => {
                let left = Operand(left, level::ADD);
                write!(f, "({left} - {}) {qualifier}", Operand(right, level::ADD + 1))
            }
            Self::Wildcard(qualifier) => {
                for part in qualifier {
                    write!(f, "{part}.")?;
                }
                f.write_str("*")
            }
        }
    }
}

fn write_unary(f: &mut fmt::Formatter<'_>, operator: UnaryOperator, operand: &Expr) -> fmt::Result {
    match operator {
        UnaryOperator::Not => write!(f, "NOT {}", Operand(operand, level::NOT)),
        UnaryOperator::Plus => write!(f, "+{}", Operand(operand, level::SIGN)),
        // Two of them would begin a comment.
        UnaryOperator::Minus if matches!(operand.kind, ExprKind::Unary(..)) => {
            write!(f, "- {}", Operand(operand, level::SIGN))
        }
        UnaryOperator::Minus => write!(f, "-{}", Operand(operand, level::SIGN)),
    }
}

fn write_chain(
    f: &mut fmt::Formatter<'_>,
    operands: &[Expr],
    between: &str,
    level: u8,
) -> fmt::Result {
    for (index, operand) in operands.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        Operand(operand, level + 1).fmt(f)?;
    }
    Ok(())
}

impl fmt::Display for ArrayConstructor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elements(elements) => write!(f, "[{}]", commas(elements)),
            Self::Query(query) => write!(f, "({query})"),
        }
    }
}

impl fmt::Display for BinaryOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compare(comparison) => return comparison.fmt(f),
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Concat => "||",
            Self::IsDistinctFrom => "IS DISTINCT FROM",
            Self::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            Self::MemberOf => "MEMBER OF",
            Self::SubmultisetOf => "SUBMULTISET OF",
            Self::NotSubmultisetOf => "NOT SUBMULTISET OF",
            Self::MultisetUnion(quantifier) => {
                return write!(f, "MULTISET UNION{}", quantifier.behind());
            }
            Self::MultisetIntersect(quantifier) => {
                return write!(f, "MULTISET INTERSECT{}", quantifier.behind());
            }
            Self::MultisetExcept(quantifier) => {
                return write!(f, "MULTISET EXCEPT{}", quantifier.behind());
            }
            Self::Overlaps => "OVERLAPS",
        })
    }
}

impl SelectQuantifier {
    /// With a blank before it.
    pub(super) fn behind(self) -> &'static str {
        match self {
            Self::None => "",
            Self::All => " ALL",
            Self::Distinct => " DISTINCT",
        }
    }

    /// With a blank behind it.
    pub(super) fn before(self) -> &'static str {
        match self {
            Self::None => "",
            Self::All => "ALL ",
            Self::Distinct => "DISTINCT ",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Quantifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "ANY",
            Self::All => "ALL",
        })
    }
}

impl fmt::Display for IsPredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "NULL",
            Self::True => "TRUE",
            Self::False => "FALSE",
            Self::Unknown => "UNKNOWN",
            Self::ASet => "A SET",
            Self::Empty => "EMPTY",
            Self::JsonValue => "JSON VALUE",
            Self::JsonObject => "JSON OBJECT",
            Self::JsonArray => "JSON ARRAY",
            Self::JsonScalar => "JSON SCALAR",
        })
    }
}

impl fmt::Display for LikeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::RLike => "RLIKE",
            Self::SimilarTo => "SIMILAR TO",
        })
    }
}
