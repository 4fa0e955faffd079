//! Schemas of streams, as DDL.

use hurtig_sql_parser::types::SqlDataType;

/// What the watermark of a stream's table is called when it is the stream's own.
pub(super) const SOURCE_WATERMARK: &str = "SOURCE_WATERMARK()";

/// The columns of a table that is made of a stream: Flink's `Schema`.
///
/// Physical columns that are not declared are those of the record's type ([`crate::values`]).
///
/// ```
/// use hurtig_sql::Schema;
///
/// let schema = Schema::new_builder()
///     .column_by_metadata("rowtime", "TIMESTAMP_LTZ(3)")
///     .column_by_expression("day", "CAST(rowtime AS DATE)")
///     .watermark("rowtime", "rowtime - INTERVAL '5' SECOND")
///     .primary_key(&["id"])
///     .build();
/// # let _ = schema;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSchema {
    physical: Vec<(String, String)>,
    derived: Vec<String>,
    watermark: Option<(String, String)>,
    primary_key: Vec<String>,
}

/// Builds a [`StreamSchema`].
#[derive(Clone, Debug, Default)]
pub struct SchemaBuilder(StreamSchema);

impl StreamSchema {
    /// A builder.
    #[must_use]
    pub fn new_builder() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// The names of the physical columns that are declared.
    pub(super) fn physical_names(&self) -> impl Iterator<Item = &str> {
        self.physical.iter().map(|(name, _)| name.as_str())
    }

    /// Whether the watermark is the stream's own.
    pub(super) fn keeps_watermark(&self) -> bool {
        let text = self.watermark.as_ref().map(|(_, text)| text.trim());
        text.is_some_and(|text| text.eq_ignore_ascii_case(SOURCE_WATERMARK))
    }

    /// The columns of CREATE TABLE; `of_type`: those of the record's type.
    pub(super) fn ddl(&self, of_type: &[(String, SqlDataType)]) -> String {
        let mut lines: Vec<String> = if self.physical.is_empty() {
            of_type.iter().map(|(name, of)| format!("{} {of}", quoted(name))).collect()
        } else {
            self.physical.iter().map(|(name, of)| format!("{} {of}", quoted(name))).collect()
        };
        lines.extend(self.derived.iter().cloned());
        if let Some((column, text)) = &self.watermark {
            let column = quoted(column);
            // Which rows are late is for the stream to say then; the time alone is kept.
            let text = if self.keeps_watermark() { &column } else { text };
            lines.push(format!("WATERMARK FOR {column} AS {text}"));
        }
        if !self.primary_key.is_empty() {
            let columns: Vec<String> = self.primary_key.iter().map(|one| quoted(one)).collect();
            lines.push(format!("PRIMARY KEY ({}) NOT ENFORCED", columns.join(", ")));
        }
        lines.join(",\n  ")
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl SchemaBuilder {
    /// A physical column: a field of the record, by name (of tuples `f0`, `f1` and so on).
    #[must_use]
    pub fn column(mut self, name: &str, data_type: &str) -> Self {
        self.0.physical.push((name.to_owned(), data_type.to_owned()));
        self
    }

    /// A computed column.
    #[must_use]
    pub fn column_by_expression(mut self, name: &str, expression: &str) -> Self {
        self.0.derived.push(format!("{} AS {expression}", quoted(name)));
        self
    }

    /// A metadata column. Streams have `rowtime`, the timestamps of records.
    #[must_use]
    pub fn column_by_metadata(mut self, name: &str, data_type: &str) -> Self {
        let key = if name == super::source::ROWTIME { "" } else { " FROM 'rowtime'" };
        self.0.derived.push(format!("{} {data_type} METADATA{key} VIRTUAL", quoted(name)));
        self
    }

    /// The event time and its watermark: an expression, or `SOURCE_WATERMARK()` for the stream's own.
    #[must_use]
    pub fn watermark(mut self, column: &str, expression: &str) -> Self {
        self.0.watermark = Some((column.to_owned(), expression.to_owned()));
        self
    }

    /// The primary key.
    #[must_use]
    pub fn primary_key(mut self, columns: &[&str]) -> Self {
        self.0.primary_key = columns.iter().map(|one| (*one).to_owned()).collect();
        self
    }

    /// The schema.
    #[must_use]
    pub fn build(self) -> StreamSchema {
        self.0
    }
}
