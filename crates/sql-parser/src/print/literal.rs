//! Constants and intervals.

use std::fmt;

use super::{TextLiteral, word};
use crate::ast::{IntervalLiteral, IntervalQualifier, IntervalUnit, Literal, TimeUnit};

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(text, _) => f.write_str(text),
            Self::Text(text) => TextLiteral(text).fmt(f),
            Self::Binary(bytes) => {
                f.write_str("X'")?;
                for byte in bytes {
                    write!(f, "{byte:02X}")?;
                }
                f.write_str("'")
            }
            Self::Boolean(true) => f.write_str("TRUE"),
            Self::Boolean(false) => f.write_str("FALSE"),
            Self::Unknown => f.write_str("UNKNOWN"),
            Self::Null => f.write_str("NULL"),
            Self::Date(text) => write!(f, "DATE {}", TextLiteral(text)),
            Self::Time(text) => write!(f, "TIME {}", TextLiteral(text)),
            Self::Timestamp(text) => write!(f, "TIMESTAMP {}", TextLiteral(text)),
            Self::TimestampLtz(text) => {
                write!(f, "TIMESTAMP WITH LOCAL TIME ZONE {}", TextLiteral(text))
            }
            Self::Interval(interval) => interval.fmt(f),
        }
    }
}

impl fmt::Display for IntervalLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = TextLiteral(&self.text);
        write!(f, "INTERVAL {}{text} {}", word(self.negated, "-"), self.qualifier)
    }
}

impl fmt::Display for IntervalQualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.first.word())?;
        match (self.leading, self.fraction, self.last) {
            (Some(leading), Some(fraction), None) => write!(f, "({leading}, {fraction})")?,
            (Some(leading), _, _) => write!(f, "({leading})")?,
            (None, _, _) => {}
        }
        if let Some(last) = self.last {
            write!(f, " TO {}", last.word())?;
            if let (IntervalUnit::Second, Some(fraction)) = (last, self.fraction) {
                write!(f, "({fraction})")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
