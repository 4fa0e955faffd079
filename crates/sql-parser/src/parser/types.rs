//! Data types.

use super::{Parsed, Parser};
use crate::{
    ast::IntervalUnit,
    error::SqlParseError,
    lexer::Symbol,
    types::{IntervalPrecisions, IntervalResolution, RowField, SqlDataType, SqlTypeKind, bounds},
};

impl Parser<'_> {
    /// A type with its nullability, and what of `ARRAY` and `MULTISET` stands behind it.
    pub fn data_type(&mut self) -> Parsed<SqlDataType> {
        self.nested(|parser| {
            let mut kind = parser.type_kind()?;
            loop {
                let nullable = parser.nullability()?;
                let element = SqlDataType { kind, nullable };
                kind = if parser.eat_word("ARRAY") {
                    SqlTypeKind::Array(Box::new(element))
                } else if parser.eat_word("MULTISET") {
                    SqlTypeKind::Multiset(Box::new(element))
                } else {
                    return Ok(element);
                };
                parser.grow()?;
            }
        })
    }

    fn nullability(&mut self) -> Parsed<bool> {
        if self.eat_words(&["NOT", "NULL"]) {
            return Ok(false);
        }
        // `NULL ON EMPTY` may follow a type in JSON_VALUE.
        if self.is_word("NULL") && !self.is_word_at(1, "ON") {
            self.bump();
        }
        Ok(true)
    }

    fn type_kind(&mut self) -> Parsed<SqlTypeKind> {
        let word = self.upper();
        let simple = match &*word {
            "BOOLEAN" => Some(SqlTypeKind::Boolean),
            "TINYINT" => Some(SqlTypeKind::TinyInt),
            "SMALLINT" => Some(SqlTypeKind::SmallInt),
            "INT" | "INTEGER" => Some(SqlTypeKind::Int),
            "BIGINT" => Some(SqlTypeKind::BigInt),
            "FLOAT" => Some(SqlTypeKind::Float),
            "DATE" => Some(SqlTypeKind::Date),
            "STRING" => Some(SqlTypeKind::Varchar(bounds::MAX_LENGTH)),
            "BYTES" => Some(SqlTypeKind::Varbinary(bounds::MAX_LENGTH)),
            "VARIANT" => Some(SqlTypeKind::Variant),
            _ => None,
        };
        if let Some(kind) = simple {
            self.bump();
            return Ok(kind);
        }
        match &*word {
            "REAL" => Err(SqlParseError::invalid(self.peek().span, "Type is not supported: REAL")
                .hint("FLOAT")),
            "DOUBLE" => {
                self.bump();
                self.eat_word("PRECISION");
                Ok(SqlTypeKind::Double)
            }
            "CHAR" | "CHARACTER" => {
                self.bump();
                let kind = if self.eat_word("VARYING") {
                    SqlTypeKind::Varchar(self.length(bounds::MAX_LENGTH)?)
                } else {
                    SqlTypeKind::Char(self.length(1)?)
                };
                self.charset()?;
                Ok(kind)
            }
            "VARCHAR" => {
                self.bump();
                let kind = SqlTypeKind::Varchar(self.length(bounds::MAX_LENGTH)?);
                self.charset()?;
                Ok(kind)
            }
            "BINARY" => {
                self.bump();
                Ok(if self.eat_word("VARYING") {
                    SqlTypeKind::Varbinary(self.length(bounds::MAX_LENGTH)?)
                } else {
                    SqlTypeKind::Binary(self.length(1)?)
                })
            }
            "VARBINARY" => {
                self.bump();
                Ok(SqlTypeKind::Varbinary(self.length(bounds::MAX_LENGTH)?))
            }
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal(),
            "TIME" => {
                self.bump();
                let precision = self.second_precision(bounds::DEFAULT_TIME_PRECISION)?;
                self.zone(false)?;
                Ok(SqlTypeKind::Time(precision))
            }
            "TIMESTAMP" => {
                self.bump();
                let precision = self.second_precision(bounds::DEFAULT_TIMESTAMP_PRECISION)?;
                let local = self.zone(true)?;
                Ok(if local {
                    SqlTypeKind::TimestampLtz(precision)
                } else {
                    SqlTypeKind::Timestamp(precision)
                })
            }
            "TIMESTAMP_LTZ" => {
                self.bump();
                let precision = self.second_precision(bounds::DEFAULT_TIMESTAMP_PRECISION)?;
                Ok(SqlTypeKind::TimestampLtz(precision))
            }
            "INTERVAL" => {
                self.bump();
                self.interval_type()
            }
            "ARRAY" | "MULTISET" => {
                self.bump();
                self.expect(Symbol::Less)?;
                let element = Box::new(self.data_type()?);
                self.expect(Symbol::Greater)?;
                Ok(if &*word == "ARRAY" {
                    SqlTypeKind::Array(element)
                } else {
                    SqlTypeKind::Multiset(element)
                })
            }
            "MAP" if self.is_symbol_at(1, Symbol::Less) => {
                self.bump();
                self.bump();
                let key = Box::new(self.data_type()?);
                self.expect(Symbol::Comma)?;
                let value = Box::new(self.data_type()?);
                self.expect(Symbol::Greater)?;
                Ok(SqlTypeKind::Map(key, value))
            }
            "ROW" => self.row_type(),
            "STRUCTURED" => self.structured_type(),
            "RAW" => {
                self.bump();
                self.expect(Symbol::LeftParen)?;
                let class = self.text()?;
                self.expect(Symbol::Comma)?;
                let serializer = self.text()?;
                self.expect(Symbol::RightParen)?;
                Ok(SqlTypeKind::Raw { class, serializer })
            }
            _ => Ok(SqlTypeKind::Named(self.object_name("a data type")?)),
        }
    }

    fn length(&mut self, default: u32) -> Parsed<u32> {
        if !self.eat(Symbol::LeftParen) {
            return Ok(default);
        }
        let at = self.peek().span;
        let length = self.unsigned_integer("a length")?;
        if length == 0 {
            let message = format!("a length is between 1 and {}", bounds::MAX_LENGTH);
            return Err(SqlParseError::invalid(at, message));
        }
        self.expect(Symbol::RightParen)?;
        Ok(length)
    }

    fn charset(&mut self) -> Parsed<()> {
        if self.eat_words(&["CHARACTER", "SET"]) {
            self.ident("a character set")?;
        }
        Ok(())
    }

    fn bounded(&mut self, what: &'static str, least: u8, most: u8) -> Parsed<u8> {
        let at = self.peek().span;
        let number = self.unsigned_integer(what)?;
        u8::try_from(number).ok().filter(|number| (least..=most).contains(number)).ok_or_else(
            || SqlParseError::invalid(at, format!("{what} is between {least} and {most}")),
        )
    }

    fn decimal(&mut self) -> Parsed<SqlTypeKind> {
        self.bump();
        let (mut precision, mut scale) = (bounds::DEFAULT_DECIMAL_PRECISION, 0);
        if self.eat(Symbol::LeftParen) {
            precision = self.bounded("a decimal's precision", 1, bounds::MAX_DECIMAL_PRECISION)?;
            if self.eat(Symbol::Comma) {
                scale = self.bounded("a decimal's scale", 0, precision)?;
            }
            self.expect(Symbol::RightParen)?;
        }
        Ok(SqlTypeKind::Decimal { precision, scale })
    }

    fn second_precision(&mut self, default: u8) -> Parsed<u8> {
        if !self.eat(Symbol::LeftParen) {
            return Ok(default);
        }
        let most = bounds::MAX_SECOND_PRECISION;
        let precision = self.bounded("the precision of a second", 0, most)?;
        self.expect(Symbol::RightParen)?;
        Ok(precision)
    }

    /// `WITHOUT TIME ZONE` or `WITH LOCAL TIME ZONE`. Whether it is the latter.
    fn zone(&mut self, local_allowed: bool) -> Parsed<bool> {
        if self.eat_words(&["WITHOUT", "TIME", "ZONE"]) {
            return Ok(false);
        }
        // WITH alone belongs to what is around the type.
        if !self.is_words(&["WITH", "LOCAL"]) && !self.is_words(&["WITH", "TIME", "ZONE"]) {
            return Ok(false);
        }
        let at = self.bump().span;
        let local = self.is_word("LOCAL");
        if !local_allowed || !local {
            let message = "there is no such type with a time zone";
            return Err(SqlParseError::syntax(at, message)
                .hint("TIMESTAMP WITH LOCAL TIME ZONE is the one with a zone"));
        }
        self.expect_words(&["LOCAL", "TIME", "ZONE"])?;
        Ok(true)
    }

    /// Fields and digits. A single number behind SECOND is that of its fraction, as in Flink's
    /// type strings.
    fn interval_type(&mut self) -> Parsed<SqlTypeKind> {
        let qualifier = self.interval_qualifier()?;
        let span = qualifier.span;
        let resolution = match (qualifier.first, qualifier.last) {
            (IntervalUnit::Year, None) => IntervalResolution::Year,
            (IntervalUnit::Year, Some(_)) => IntervalResolution::YearToMonth,
            (IntervalUnit::Month, _) => IntervalResolution::Month,
            (IntervalUnit::Day, None) => IntervalResolution::Day,
            (IntervalUnit::Day, Some(IntervalUnit::Hour)) => IntervalResolution::DayToHour,
            (IntervalUnit::Day, Some(IntervalUnit::Minute)) => IntervalResolution::DayToMinute,
            (IntervalUnit::Day, Some(_)) => IntervalResolution::DayToSecond,
            (IntervalUnit::Hour, None) => IntervalResolution::Hour,
            (IntervalUnit::Hour, Some(IntervalUnit::Minute)) => IntervalResolution::HourToMinute,
            (IntervalUnit::Hour, Some(_)) => IntervalResolution::HourToSecond,
            (IntervalUnit::Minute, None) => IntervalResolution::Minute,
            (IntervalUnit::Minute, Some(_)) => IntervalResolution::MinuteToSecond,
            (IntervalUnit::Second, _) => IntervalResolution::Second,
            (IntervalUnit::Quarter | IntervalUnit::Week, _) => {
                return Err(SqlParseError::invalid(span, "no interval type has this field"));
            }
        };
        let (mut leading, mut fraction) = (qualifier.leading, qualifier.fraction);
        if resolution == IntervalResolution::Second && fraction.is_none() {
            fraction = leading.take();
        }
        let (default, most) = if resolution.has_years() {
            (bounds::DEFAULT_YEAR_PRECISION, bounds::MAX_YEAR_PRECISION)
        } else {
            (bounds::DEFAULT_DAY_PRECISION, bounds::MAX_DAY_PRECISION)
        };
        let leading = leading.unwrap_or(default);
        if !(1..=most).contains(&leading) {
            let message = format!("an interval's first field has between 1 and {most} digits");
            return Err(SqlParseError::invalid(span, message));
        }
        let fraction = fraction.unwrap_or(bounds::DEFAULT_INTERVAL_SECOND_PRECISION);
        if fraction > bounds::MAX_SECOND_PRECISION {
            let most = bounds::MAX_SECOND_PRECISION;
            let message = format!("the precision of a second is between 0 and {most}");
            return Err(SqlParseError::invalid(span, message));
        }
        // What a resolution has no field for is always the same, so that equal types are equal.
        let leading =
            if resolution.has_years() || resolution.has_days() { leading } else { default };
        let fraction = if resolution.has_seconds() {
            fraction
        } else {
            bounds::DEFAULT_INTERVAL_SECOND_PRECISION
        };
        Ok(SqlTypeKind::Interval(resolution, IntervalPrecisions { leading, fraction }))
    }

    fn row_type(&mut self) -> Parsed<SqlTypeKind> {
        self.bump();
        if self.is_symbol(Symbol::NotEqual) {
            self.bump();
            return Ok(SqlTypeKind::Row(Vec::new()));
        }
        let close = if self.eat(Symbol::LeftParen) {
            Symbol::RightParen
        } else {
            self.expect(Symbol::Less)?;
            Symbol::Greater
        };
        let fields = if self.is_symbol(close) { Vec::new() } else { self.fields()? };
        self.expect(close)?;
        Ok(SqlTypeKind::Row(fields))
    }

    fn structured_type(&mut self) -> Parsed<SqlTypeKind> {
        self.bump();
        self.expect(Symbol::Less)?;
        let class = self.text()?;
        let fields = if self.eat(Symbol::Comma) { self.fields()? } else { Vec::new() };
        self.expect(Symbol::Greater)?;
        Ok(SqlTypeKind::Structured { class, fields })
    }

    fn fields(&mut self) -> Parsed<Vec<RowField>> {
        let mut fields = Vec::new();
        let mut names = std::collections::HashSet::new();
        loop {
            let name = self.ident("a field")?;
            if !names.insert(name.value.clone()) {
                let message = format!("the field `{}` is there twice", name.value);
                return Err(SqlParseError::invalid(name.span, message));
            }
            let data_type = self.data_type()?;
            let description = if self.is_text() { Some(self.text()?) } else { None };
            fields.push(RowField { name: name.value, data_type, description });
            if !self.eat(Symbol::Comma) {
                return Ok(fields);
            }
        }
    }
}
