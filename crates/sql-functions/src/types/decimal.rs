//! The types of decimal arithmetic: Flink's `LogicalTypeMerging`.

use hurtig_sql_parser::types::{SqlTypeKind, bounds::MAX_DECIMAL_PRECISION};

/// Digits behind the point that an adjusted type keeps at least.
const MINIMUM_ADJUSTED_SCALE: i32 = 6;
const MAX: i32 = MAX_DECIMAL_PRECISION as i32;

/// Precision and scale.
pub type Digits = (u8, u8);

fn adjusted(precision: i32, scale: i32) -> Digits {
    if precision <= MAX {
        return (precision.clamp(1, MAX) as u8, scale.clamp(0, MAX) as u8);
    }
    let whole = precision - scale;
    let kept = (MAX - whole).max(scale.min(MINIMUM_ADJUSTED_SCALE));
    (MAX as u8, kept as u8)
}

fn wide((precision, scale): Digits) -> (i32, i32) {
    (i32::from(precision), i32::from(scale))
}

/// Of a sum or difference.
#[must_use]
pub fn addition(left: Digits, right: Digits) -> Digits {
    let ((p1, s1), (p2, s2)) = (wide(left), wide(right));
    let scale = s1.max(s2);
    adjusted((p1 - s1).max(p2 - s2) + scale + 1, scale)
}

/// Of a product.
#[must_use]
pub fn multiplication(left: Digits, right: Digits) -> Digits {
    let ((p1, s1), (p2, s2)) = (wide(left), wide(right));
    adjusted(p1 + p2 + 1, s1 + s2)
}

/// Of a quotient.
#[must_use]
pub fn division(left: Digits, right: Digits) -> Digits {
    let ((p1, s1), (p2, s2)) = (wide(left), wide(right));
    let scale = (s1 + p2 + 1).max(6);
    adjusted(p1 - s1 + s2 + scale, scale)
}

/// Of a remainder.
#[must_use]
pub fn modulo(left: Digits, right: Digits) -> Digits {
    let ((p1, s1), (p2, s2)) = (wide(left), wide(right));
    let scale = s1.max(s2);
    adjusted((p1 - s1).min(p2 - s2) + scale, scale)
}

/// Of ROUND and TRUNCATE to so many digits behind the point.
#[must_use]
pub fn rounding(digits: Digits, round: i32) -> Digits {
    let (precision, scale) = wide(digits);
    if round >= scale {
        digits
    } else if round < 0 {
        ((1 + precision - scale).min(MAX) as u8, 0)
    } else {
        ((1 + precision - scale + round) as u8, round as u8)
    }
}

/// Of SUM.
#[must_use]
pub fn sum((_, scale): Digits) -> Digits {
    (MAX_DECIMAL_PRECISION, scale)
}

/// Of AVG and its like.
#[must_use]
pub fn average((_, scale): Digits) -> Digits {
    division((MAX_DECIMAL_PRECISION, scale), (20, 0))
}

/// As a type.
#[must_use]
pub fn kind((precision, scale): Digits) -> SqlTypeKind {
    SqlTypeKind::Decimal { precision, scale }
}
