//! The type that values of several types have in common.

use hurtig_sql_parser::types::{
    IntervalResolution, RowField, SqlDataType, SqlTypeKind, bounds::MAX_DECIMAL_PRECISION,
};

use super::{can_implicitly_cast, exact_digits, is_approximate, is_decimal, length_of, of};

/// The least restrictive type: CASE, COALESCE, set operations, IN, ARRAY. `None`: there is none. Of
/// NULLs alone it is the type NULL.
#[must_use]
pub fn common_type(types: &[SqlDataType]) -> Option<SqlDataType> {
    let nullable = types.iter().any(|one| one.nullable || one.kind == SqlTypeKind::Null);
    let mut kinds = types.iter().map(|one| &one.kind).filter(|kind| **kind != SqlTypeKind::Null);
    let Some(first) = kinds.next() else {
        return types.first().map(|_| SqlDataType::nullable(SqlTypeKind::Null));
    };
    let common = kinds.try_fold(first.clone(), |common, kind| common_kind(&common, kind))?;
    Some(of(common, nullable))
}

/// The same as Calcite has it, for what the planner unifies: CASE, IN, set operations, ARRAY. Dates, times
/// and timestamps have nothing in common, and of the two kinds of
/// timestamps, and of FLOAT and DOUBLE, the first one stays.
#[must_use]
pub fn least_restrictive(types: &[SqlDataType]) -> Option<SqlDataType> {
    let class = |kind: &SqlTypeKind| match kind {
        SqlTypeKind::Date => 1,
        Time(_) => 2,
        Timestamp(_) | TimestampLtz(_) => 3,
        _ => 0,
    };
    use SqlTypeKind::{Time, Timestamp, TimestampLtz};
    let mut kinds = types.iter().map(|one| &one.kind).filter(|kind| **kind != SqlTypeKind::Null);
    let first = kinds.next();
    if let Some(first) = first
        && class(first) > 0
        && kinds.any(|other| class(other) > 0 && class(other) != class(first))
    {
        return None;
    }
    let common = common_type(types)?;
    let approximate = types.iter().map(|one| &one.kind).find(|kind| is_approximate(kind));
    let has_decimal = types.iter().any(|one| is_decimal(&one.kind));
    Some(match (first, &common.kind) {
        // Both have the same precision to Calcite.
        (_, SqlTypeKind::Double) if approximate == Some(&SqlTypeKind::Float) && !has_decimal => {
            of(SqlTypeKind::Float, common.nullable)
        }
        (Some(Timestamp(_)), TimestampLtz(precision)) => of(Timestamp(*precision), common.nullable),
        _ => common,
    })
}

fn common_kind(left: &SqlTypeKind, right: &SqlTypeKind) -> Option<SqlTypeKind> {
    use SqlTypeKind::{
        Array, Binary, Char, Double, Interval, Map, Multiset, Row, Time, Timestamp, TimestampLtz,
        Varbinary, Varchar,
    };
    if left == right {
        return Some(left.clone());
    }
    let length = || Some(length_of(left)?.max(length_of(right)?));
    match (left, right) {
        // Texts of different lengths vary.
        (Char(_) | Varchar(_), Char(_) | Varchar(_)) => Some(Varchar(length()?)),
        (Binary(_) | Varbinary(_), Binary(_) | Varbinary(_)) => Some(Varbinary(length()?)),
        (Time(a), Time(b)) => Some(Time(*a.max(b))),
        (Timestamp(a), Timestamp(b)) => Some(Timestamp(*a.max(b))),
        (Timestamp(a) | TimestampLtz(a), Timestamp(b) | TimestampLtz(b)) => {
            Some(TimestampLtz(*a.max(b)))
        }
        (Interval(a, digits), Interval(b, others)) => {
            let resolution = common_resolution(*a, *b)?;
            let mut digits = *digits;
            digits.leading = digits.leading.max(others.leading);
            digits.fraction = digits.fraction.max(others.fraction);
            Some(Interval(resolution, digits))
        }
        (Array(a), Array(b)) => Some(Array(Box::new(common_of(a, b)?))),
        (Multiset(a), Multiset(b)) => Some(Multiset(Box::new(common_of(a, b)?))),
        (Map(key, value), Map(other_key, other_value)) => Some(Map(
            Box::new(common_of(key, other_key)?),
            Box::new(common_of(value, other_value)?),
        )),
        (Row(fields), Row(others)) if fields.len() == others.len() => {
            let fields = fields.iter().zip(others).map(|(field, other)| {
                let data_type = common_of(&field.data_type, &other.data_type)?;
                Some(RowField { data_type, ..field.clone() })
            });
            Some(Row(fields.collect::<Option<_>>()?))
        }
        _ if is_approximate(left) || is_approximate(right) => {
            let numbers = super::is_numeric(left) && super::is_numeric(right);
            let widest = matches!((left, right), (Double, _) | (_, Double))
                || is_decimal(left)
                || is_decimal(right);
            numbers.then_some(if widest { Double } else { SqlTypeKind::Float })
        }
        _ => match (exact_digits(left), exact_digits(right)) {
            (Some((p1, s1)), Some((p2, s2))) if is_decimal(left) || is_decimal(right) => {
                let whole = (p1 - s1).max(p2 - s2).min(MAX_DECIMAL_PRECISION);
                let scale = s1.max(s2).min(MAX_DECIMAL_PRECISION - whole);
                Some(super::decimal::kind((whole + scale, scale)))
            }
            (Some(a), Some(b)) => Some(if b.0 > a.0 { right.clone() } else { left.clone() }),
            _ => castable(left, right),
        },
    }
}

fn castable(left: &SqlTypeKind, right: &SqlTypeKind) -> Option<SqlTypeKind> {
    let (a, b) = (SqlDataType::nullable(left.clone()), SqlDataType::nullable(right.clone()));
    if can_implicitly_cast(&a, &b) {
        Some(right.clone())
    } else {
        can_implicitly_cast(&b, &a).then(|| left.clone())
    }
}

fn common_of(left: &SqlDataType, right: &SqlDataType) -> Option<SqlDataType> {
    common_type(&[left.clone(), right.clone()])
}

fn common_resolution(a: IntervalResolution, b: IntervalResolution) -> Option<IntervalResolution> {
    use IntervalResolution as R;
    const TIMES: [[Option<R>; 4]; 4] = [
        [Some(R::Day), Some(R::DayToHour), Some(R::DayToMinute), Some(R::DayToSecond)],
        [None, Some(R::Hour), Some(R::HourToMinute), Some(R::HourToSecond)],
        [None, None, Some(R::Minute), Some(R::MinuteToSecond)],
        [None, None, None, Some(R::Second)],
    ];
    if a.is_year_month() != b.is_year_month() {
        return None;
    }
    if a.is_year_month() {
        return Some(if a == b { a } else { R::YearToMonth });
    }
    let place = |wanted: R| {
        (0..4)
            .flat_map(|row| (0..4).map(move |column| (row, column)))
            .find(|(row, column)| TIMES[*row][*column] == Some(wanted))
    };
    let ((first, last), (other_first, other_last)) = (place(a)?, place(b)?);
    TIMES[first.min(other_first)][last.max(other_last)]
}

#[cfg(test)]
mod tests {
    use hurtig_sql_parser::SqlParser;

    use super::*;

    #[test]
    fn the_least_restrictive_type_is_flinks() {
        let cases = [
            ("CHAR(4) NOT NULL | CHAR(3) NOT NULL", "VARCHAR(4) NOT NULL"),
            ("DOUBLE | DECIMAL(21, 13) | INT NOT NULL", "DOUBLE"),
            ("INT | BIGINT NOT NULL", "BIGINT"),
            ("DECIMAL(10, 2) | INT", "DECIMAL(12, 2)"),
            ("FLOAT | BIGINT", "FLOAT"),
            ("TIMESTAMP(3) | TIMESTAMP_LTZ(6)", "TIMESTAMP_LTZ(6)"),
            ("ARRAY<INT> | ARRAY<DOUBLE NOT NULL>", "ARRAY<DOUBLE>"),
            ("INTERVAL DAY(2) | INTERVAL HOUR TO MINUTE", "INTERVAL DAY(2) TO MINUTE"),
            ("INT | STRING", "-"),
            ("DATE | INT", "-"),
        ];
        for (text, expected) in cases {
            let parser = SqlParser::default();
            let types: Vec<_> =
                text.split(" | ").map(|one| parser.data_type(one).unwrap()).collect();
            let common = common_type(&types).map_or("-".to_owned(), |one| one.to_string());
            assert_eq!(common, expected, "{text}");
        }
    }
}
