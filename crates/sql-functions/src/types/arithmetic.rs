//! The type of numeric arithmetic, as Calcite derives it with Flink's type system.

use hurtig_sql_parser::types::SqlTypeKind;

use super::{decimal, exact_digits, is_approximate, is_decimal};

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%` and MOD.
    Modulo,
}

/// The result's type, if both are numbers.
#[must_use]
pub fn result_kind(
    operation: Operation,
    left: &SqlTypeKind,
    right: &SqlTypeKind,
) -> Option<SqlTypeKind> {
    // The remainder is of exact numbers only.
    if operation == Operation::Modulo && (is_approximate(left) || is_approximate(right)) {
        return None;
    }
    if is_decimal(left) || is_decimal(right) {
        return match (exact_digits(left), exact_digits(right)) {
            (Some(left), Some(right)) => Some(decimal::kind(match operation {
                Operation::Add | Operation::Subtract => decimal::addition(left, right),
                Operation::Multiply => decimal::multiplication(left, right),
                Operation::Divide => decimal::division(left, right),
                Operation::Modulo => decimal::modulo(left, right),
            })),
            _ if is_approximate(left) || is_approximate(right) => Some(SqlTypeKind::Double),
            _ => None,
        };
    }
    match (is_approximate(left), is_approximate(right)) {
        // FLOAT and DOUBLE have the same precision to Calcite: the first stays.
        (true, true) => Some(left.clone()),
        (true, false) => exact_digits(right).map(|_| left.clone()),
        (false, true) => exact_digits(left).map(|_| right.clone()),
        (false, false) => {
            let (first, second) = (exact_digits(left)?, exact_digits(right)?);
            // The remainder is no larger than the divisor.
            if operation == Operation::Modulo {
                return Some(right.clone());
            }
            Some(if second.0 > first.0 { right.clone() } else { left.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> SqlTypeKind {
        SqlTypeKind::Decimal { precision, scale }
    }

    #[test]
    fn decimals_grow_as_in_flink() {
        use Operation::{Add, Divide, Modulo, Multiply};
        let of = |operation, left: &SqlTypeKind, right: &SqlTypeKind| {
            result_kind(operation, left, right).unwrap()
        };
        assert_eq!(of(Add, &decimal(10, 2), &decimal(5, 4)), decimal(13, 4));
        assert_eq!(of(Multiply, &decimal(10, 2), &decimal(5, 4)), decimal(16, 6));
        assert_eq!(of(Divide, &decimal(10, 2), &decimal(3, 0)), decimal(14, 6));
        assert_eq!(of(Divide, &decimal(10, 2), &SqlTypeKind::Int), decimal(21, 13));
        assert_eq!(of(Divide, &decimal(38, 2), &SqlTypeKind::BigInt), decimal(38, 6));
        assert_eq!(of(Modulo, &decimal(10, 2), &decimal(4, 1)), decimal(5, 2));
        assert_eq!(of(Multiply, &SqlTypeKind::Float, &SqlTypeKind::Double), SqlTypeKind::Float);
    }
}
