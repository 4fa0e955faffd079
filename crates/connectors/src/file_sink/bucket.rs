//! Which bucket, a directory below the base, a record goes to.

use hurtig_types::BoxError;

/// What a bucket may depend on besides the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketContext {
    /// The record's event time in milliseconds, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Wall time in milliseconds.
    pub processing_time_ms: i64,
}

/// Assigns records to buckets. Every writer has a copy of its own.
pub trait BucketAssigner<T>: Clone + Send + Sync + 'static {
    /// Appends the bucket of `element` to `bucket`, which is empty: a relative path, or nothing
    /// for the base directory itself.
    fn bucket_id(
        &mut self,
        element: &T,
        context: &BucketContext,
        bucket: &mut String,
    ) -> Result<(), BoxError>;
}

impl<T, F> BucketAssigner<T> for F
where
    F: Fn(&T, &BucketContext, &mut String) + Clone + Send + Sync + 'static,
{
    fn bucket_id(
        &mut self,
        element: &T,
        context: &BucketContext,
        bucket: &mut String,
    ) -> Result<(), BoxError> {
        self(element, context, bucket);
        Ok(())
    }
}

/// All records go to the base directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasePathBucketAssigner;

impl<T> BucketAssigner<T> for BasePathBucketAssigner {
    fn bucket_id(&mut self, _: &T, _: &BucketContext, _: &mut String) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Buckets by processing time, as `yyyy-MM-dd--HH` or another pattern.
///
/// A pattern consists of `yyyy`, `MM`, `dd`, `HH`, `mm`, `ss` and characters that are no letters;
/// letters stand between apostrophes. Times are UTC, or at a fixed offset from it: time zones with
/// rules are a matter of data that changes.
#[derive(Clone, Debug)]
pub struct DateTimeBucketAssigner {
    pattern: Vec<Field>,
    offset_ms: i64,
    /// The last answer, and the second for which it was given.
    last: Option<(i64, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Text(String),
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern for buckets: {problem}")]
pub struct PatternError {
    pattern: String,
    problem: String,
}

impl Default for DateTimeBucketAssigner {
    fn default() -> Self {
        use Field::*;
        let text = |text: &str| Text(text.to_owned());
        let pattern = vec![Year, text("-"), Month, text("-"), Day, text("--"), Hour];
        Self { pattern, offset_ms: 0, last: None }
    }
}

impl DateTimeBucketAssigner {
    /// One bucket per hour.
    pub fn new() -> Self {
        Self::default()
    }

    /// Buckets of that pattern.
    pub fn with_format(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { pattern: parse(pattern)?, ..Self::default() })
    }

    /// Times are so many minutes ahead of UTC.
    #[must_use]
    pub fn with_offset_minutes(mut self, minutes: i32) -> Self {
        self.offset_ms = i64::from(minutes) * 60_000;
        self
    }

    fn format(&self, second: i64, out: &mut String) {
        use std::fmt::Write;
        let (days, time) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        for field in &self.pattern {
            // Writing to a string cannot fail.
            let _ = match field {
                Field::Year => write!(out, "{year:04}"),
                Field::Month => write!(out, "{month:02}"),
                Field::Day => write!(out, "{day:02}"),
                Field::Hour => write!(out, "{:02}", time / 3600),
                Field::Minute => write!(out, "{:02}", time / 60 % 60),
                Field::Second => write!(out, "{:02}", time % 60),
                Field::Text(text) => out.write_str(text),
            };
        }
    }
}

fn parse(pattern: &str) -> Result<Vec<Field>, PatternError> {
    let fail = |problem: String| PatternError { pattern: pattern.to_owned(), problem };
    let fields = [
        ("yyyy", Field::Year),
        ("MM", Field::Month),
        ("dd", Field::Day),
        ("HH", Field::Hour),
        ("mm", Field::Minute),
        ("ss", Field::Second),
    ];
    let (mut parsed, mut rest) = (Vec::new(), pattern);
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let quoted = rest[1..].split_once('\'');
            let (text, behind) = quoted.ok_or_else(|| fail("an apostrophe is open".to_owned()))?;
            parsed.push(Field::Text(text.to_owned()));
            rest = behind;
        } else if first.is_alphabetic() {
            let run = rest.len() - rest.trim_start_matches(first).len();
            let known = fields.iter().find(|(letters, _)| *letters == &rest[..run]);
            let (_, field) = known.ok_or_else(|| fail(format!("{:?} is unknown", &rest[..run])))?;
            parsed.push(field.clone());
            rest = &rest[run..];
        } else {
            let end = rest.find(|c: char| c == '\'' || c.is_alphabetic()).unwrap_or(rest.len());
            parsed.push(Field::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    Ok(parsed)
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March, so that leap days are last; 400 years have 146097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

impl<T> BucketAssigner<T> for DateTimeBucketAssigner {
    fn bucket_id(
        &mut self,
        _: &T,
        context: &BucketContext,
        bucket: &mut String,
    ) -> Result<(), BoxError> {
        let second = (context.processing_time_ms + self.offset_ms).div_euclid(1000);
        if let Some((known, text)) = &self.last
            && *known == second
        {
            bucket.push_str(text);
            return Ok(());
        }
        self.format(second, bucket);
        self.last = Some((second, bucket.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(assigner: &mut DateTimeBucketAssigner, processing_time_ms: i64) -> String {
        let context = BucketContext { timestamp_ms: None, processing_time_ms };
        let mut bucket = String::new();
        assigner.bucket_id(&0u8, &context, &mut bucket).unwrap();
        bucket
    }

    #[test]
    fn hours_of_the_calendar_are_buckets() {
        let mut hours = DateTimeBucketAssigner::new();
        for (ms, expected) in [
            (0, "1970-01-01--00"),
            (-1, "1969-12-31--23"),
            (951_782_399_999, "2000-02-28--23"),
            (951_782_400_000, "2000-02-29--00"),
            (951_868_800_000, "2000-03-01--00"),
            (1_709_164_800_000, "2024-02-29--00"),
            (4_107_542_400_000, "2100-03-01--00"),
        ] {
            assert_eq!(bucket(&mut hours, ms), expected);
            assert_eq!(bucket(&mut hours, ms), expected, "from memory");
        }
        let mut east = DateTimeBucketAssigner::new().with_offset_minutes(90);
        assert_eq!(bucket(&mut east, 22 * 3_600_000 + 1_800_000), "1970-01-02--00");
    }

    #[test]
    fn patterns_are_what_they_say_or_an_error() {
        let pattern = "'day='yyyyMMdd/HH:mm.ss";
        let mut by_second = DateTimeBucketAssigner::with_format(pattern).unwrap();
        assert_eq!(bucket(&mut by_second, 86_399_000), "day=19700101/23:59.59");
        let problem = |pattern| DateTimeBucketAssigner::with_format(pattern).unwrap_err().problem;
        assert_eq!(problem("yyyy-MMM"), "\"MMM\" is unknown");
        assert_eq!(problem("yyyy'x"), "an apostrophe is open");
    }
}
