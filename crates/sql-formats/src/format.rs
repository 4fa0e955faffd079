//! What a format is to a connector that reads.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{Array, ArrayRef, StructArray, cast::AsArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};
use hurtig_sql_common::{ChangelogMode, RowKind};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    cdc::{self, ChangeDecoder},
    column::Column,
    csv::{CsvOptions, decode::CsvDecoder},
    fault::DecodeError,
    json::{decode::JsonDecoder, value::Context},
    options::FormatOptions,
    raw::RawOptions,
};

/// A format cannot be as it is described. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TableFormatError(pub String);

impl From<ArrowError> for TableFormatError {
    fn from(error: ArrowError) -> Self {
        Self(format!("internal: {error}"))
    }
}

/// The formats that there are.
pub(crate) const IDENTIFIERS: [&str; 7] =
    ["canal-json", "csv", "debezium-json", "json", "maxwell-json", "ogg-json", "raw"];

pub(crate) fn unknown(identifier: &str) -> TableFormatError {
    TableFormatError(format!(
        "Could not find any format factory for identifier '{identifier}' in the classpath. \
         Available formats: {}.",
        IDENTIFIERS.join(", ")
    ))
}

/// How records follow each other in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One per line. A file can be read from any of its lines.
    Lines,
    /// One per line, but line ends between quotes are part of it: a file has to be read from its
    /// start.
    QuotedLines {
        /// What is between fields: a quote is one at the beginning of a field.
        delimiter: u8,
        /// The quote.
        quote: u8,
        /// What makes the next byte an ordinary one.
        escape: Option<u8>,
    },
}

/// What a decoder is to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedColumn {
    /// A physical column by its position in the table, or a field in it: positions in ROWs, from
    /// the outside in. NULL where a ROW on the way is.
    Physical {
        /// The column.
        column: usize,
        /// The way to the field; empty for the whole column.
        path: Vec<usize>,
    },
    /// Metadata of the format.
    Metadata(String),
}

/// A format for a table's columns.
#[derive(Clone, Debug)]
pub struct DecodingFormat {
    kind: Kind,
    columns: Arc<[(String, SqlDataType)]>,
}

#[derive(Clone, Debug)]
enum Kind {
    Json { options: JsonOptions },
    Csv(CsvOptions),
    Raw(RawOptions),
    Change(cdc::ChangeOptions),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonOptions {
    pub(crate) timestamp_format: crate::scalar::time::TimestampFormat,
    pub(crate) ignore_parse_errors: bool,
    pub(crate) fail_on_missing_field: bool,
}

impl JsonOptions {
    pub(crate) fn of(options: FormatOptions<'_>, may_fail: bool) -> Result<Self, TableFormatError> {
        let ignore_parse_errors = options.flag("ignore-parse-errors")?;
        let fail_on_missing_field = may_fail && options.flag("fail-on-missing-field")?;
        if ignore_parse_errors && fail_on_missing_field {
            return Err(TableFormatError(
                "fail-on-missing-field and ignore-parse-errors shouldn't both be true.".to_owned(),
            ));
        }
        let timestamp_format = options.timestamp_format()?;
        Ok(Self { timestamp_format, ignore_parse_errors, fail_on_missing_field })
    }

    pub(crate) fn context(self) -> Context {
        Context {
            timestamp_format: self.timestamp_format,
            ignore_parse_errors: self.ignore_parse_errors,
            fail_on_missing_field: self.fail_on_missing_field,
            scratch: Vec::new(),
        }
    }
}

/// A column that a decoder fills: by the names of the fields that lead to it.
#[derive(Clone, Debug)]
pub(crate) struct ReadColumn {
    pub(crate) path: Vec<String>,
    pub(crate) data_type: SqlDataType,
}

impl DecodingFormat {
    /// The format of that identifier, with its options among all of a table's, for the columns that
    /// are in the records.
    pub fn from_options(
        identifier: &str,
        columns: &[(String, SqlDataType)],
        all: &BTreeMap<String, String>,
    ) -> Result<Self, TableFormatError> {
        let options = FormatOptions { identifier, all };
        let kind = match identifier {
            "json" => {
                options.flag_or_none("decode.json-parser.enabled")?;
                Kind::Json { options: JsonOptions::of(options, true)? }
            }
            "csv" => Kind::Csv(CsvOptions::of(options)?),
            "raw" => Kind::Raw(RawOptions::of(options, columns)?),
            "debezium-json" | "canal-json" | "maxwell-json" | "ogg-json" => {
                Kind::Change(cdc::ChangeOptions::of(options)?)
            }
            other => return Err(unknown(other)),
        };
        let format = Self { kind, columns: columns.into() };
        // Types that cannot be are found now, not when the job runs.
        let all = (0..columns.len()).map(|column| DecodedColumn::Physical { column, path: vec![] });
        format.decoder(&all.collect::<Vec<_>>())?;
        Ok(format)
    }

    /// Which kinds of change its records are.
    #[must_use]
    pub fn changelog_mode(&self) -> ChangelogMode {
        match self.kind {
            Kind::Change(_) => ChangelogMode::ALL,
            _ => ChangelogMode::INSERT_ONLY,
        }
    }

    /// The metadata that records have, with its types.
    #[must_use]
    pub fn metadata(&self) -> Vec<(String, SqlDataType)> {
        match &self.kind {
            Kind::Change(options) => options.metadata(),
            _ => Vec::new(),
        }
    }

    /// True if records that are none are to be dropped (`ignore-parse-errors`).
    #[must_use]
    pub fn ignores_errors(&self) -> bool {
        match &self.kind {
            Kind::Json { options } => options.ignore_parse_errors,
            Kind::Csv(options) => options.ignore_parse_errors,
            Kind::Change(options) => options.json.ignore_parse_errors,
            Kind::Raw(_) => false,
        }
    }

    /// How records follow each other.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match &self.kind {
            Kind::Csv(options) => options.framing(),
            _ => Framing::Lines,
        }
    }

    /// What decodes records into these columns. Nothing else of a record is decoded.
    pub fn decoder(&self, wanted: &[DecodedColumn]) -> Result<Box<dyn Decoder>, TableFormatError> {
        let mut plan = Plan::of(&self.columns, wanted, !matches!(self.kind, Kind::Json { .. }))?;
        let inner: Box<dyn Decoder> = match &self.kind {
            Kind::Json { options } => Box::new(JsonDecoder::new(&plan.read, options.context())?),
            Kind::Csv(options) => {
                Box::new(CsvDecoder::new(options.clone(), &self.columns, &plan.read)?)
            }
            Kind::Raw(options) => options.decoder(&plan.read)?,
            Kind::Change(options) => {
                let decoder = ChangeDecoder::new(options, &plan.read, &plan.metadata)?;
                Box::new(decoder)
            }
        };
        let direct = plan.gives.iter().enumerate();
        if plan.read.len() + plan.metadata.len() == plan.gives.len()
            && direct.into_iter().all(|(index, (column, path))| index == *column && path.is_empty())
        {
            return Ok(inner);
        }
        Ok(Box::new(Derived { inner, gives: std::mem::take(&mut plan.gives) }))
    }
}

/// What is read, and how what is wanted comes from that.
struct Plan {
    read: Vec<ReadColumn>,
    metadata: Vec<String>,
    /// For each wanted column: a column that is read (metadata behind the others), and the way to
    /// a field in it.
    gives: Vec<(usize, Vec<usize>)>,
}

impl Plan {
    /// `whole`: the format reads whole columns only.
    fn of(
        columns: &[(String, SqlDataType)],
        wanted: &[DecodedColumn],
        whole: bool,
    ) -> Result<Self, TableFormatError> {
        let mut paths: Vec<Vec<usize>> = Vec::new();
        let mut metadata: Vec<String> = Vec::new();
        for column in wanted {
            match column {
                DecodedColumn::Physical { column, path } => {
                    let path = if whole { &[][..] } else { path };
                    paths.push([&[*column], path].concat());
                }
                DecodedColumn::Metadata(key) if !metadata.contains(key) => {
                    metadata.push(key.clone());
                }
                DecodedColumn::Metadata(_) => {}
            }
        }
        // What is inside of something that is read anyway comes from there.
        let all = paths.clone();
        paths.retain(|path| !all.iter().any(|other| other != path && path.starts_with(other)));
        let mut unique: Vec<Vec<usize>> = Vec::new();
        for path in paths {
            if !unique.contains(&path) {
                unique.push(path);
            }
        }
        let read = unique.iter().map(|path| named(columns, path)).collect::<Result<_, _>>()?;
        let mut gives = Vec::new();
        for column in wanted {
            gives.push(match column {
                DecodedColumn::Physical { column, path } => {
                    let full = [&[*column], path.as_slice()].concat();
                    let at = unique.iter().position(|path| full.starts_with(path));
                    let at =
                        at.ok_or_else(|| TableFormatError("internal: a lost column".to_owned()))?;
                    (at, full[unique[at].len()..].to_vec())
                }
                DecodedColumn::Metadata(key) => {
                    let at = metadata.iter().position(|known| known == key).unwrap_or(0);
                    (unique.len() + at, Vec::new())
                }
            });
        }
        Ok(Self { read, metadata, gives })
    }
}

/// The names and the type of the field that a path of positions leads to. A field of a ROW that may
/// be NULL may be NULL, too.
fn named(
    columns: &[(String, SqlDataType)],
    path: &[usize],
) -> Result<ReadColumn, TableFormatError> {
    let missing = || TableFormatError(format!("internal: there is no column {path:?}"));
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let (name, data_type) = columns.get(*first).ok_or_else(missing)?;
    let (mut names, mut data_type) = (vec![name.clone()], data_type.clone());
    for index in rest {
        let SqlTypeKind::Row(fields) = &data_type.kind else { return Err(missing()) };
        let field = fields.get(*index).ok_or_else(missing)?;
        names.push(field.name.clone());
        let nullable = data_type.nullable || field.data_type.nullable;
        data_type = SqlDataType { nullable, ..field.data_type.clone() };
    }
    Ok(ReadColumn { path: names, data_type })
}

/// Takes fields out of columns that are read whole.
struct Derived {
    inner: Box<dyn Decoder>,
    gives: Vec<(usize, Vec<usize>)>,
}

impl Decoder for Derived {
    fn decode(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        self.inner.decode(record)
    }

    fn rows(&self) -> usize {
        self.inner.rows()
    }

    fn finish(&mut self) -> Result<Decoded, TableFormatError> {
        let read = self.inner.finish()?;
        let gives = self.gives.iter().map(|(column, path)| field_of(&read.columns[*column], path));
        Ok(Decoded { columns: gives.collect::<Result<_, _>>()?, ..read })
    }
}

/// The field of a column of ROWs that a path leads to; NULL where a ROW is.
fn field_of(column: &ArrayRef, path: &[usize]) -> Result<ArrayRef, TableFormatError> {
    let mut array = column.clone();
    for index in path {
        let rows: &StructArray =
            array.as_struct_opt().filter(|rows| *index < rows.num_columns()).ok_or_else(|| {
                TableFormatError("internal: a field of what is no ROW".to_owned())
            })?;
        let field = rows.column(*index);
        let nulls = NullBuffer::union(rows.nulls(), field.nulls());
        if *field.data_type() == DataType::Null {
            array = field.clone();
            continue;
        }
        let data = field.to_data().into_builder().nulls(nulls).build()?;
        array = arrow_array::make_array(data);
    }
    Ok(array)
}

/// Decodes records into columns.
pub trait Decoder: Send {
    /// Adds the rows of a record. After an error it has added none.
    fn decode(&mut self, record: &[u8]) -> Result<(), DecodeError>;
    /// How many rows were added since the last [`Decoder::finish`].
    fn rows(&self) -> usize;
    /// The columns of the rows that were added.
    fn finish(&mut self) -> Result<Decoded, TableFormatError>;
}

/// Rows as columns.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The columns that were asked for.
    pub columns: Vec<ArrayRef>,
    /// How many rows.
    pub rows: usize,
    /// What the rows do; `None`: all are inserts.
    pub kinds: Option<Vec<RowKind>>,
}

impl Decoded {
    pub(crate) fn of(
        columns: &mut [Column],
        rows: usize,
        kinds: Option<Vec<RowKind>>,
    ) -> Result<Self, TableFormatError> {
        let columns = columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        Ok(Self { columns, rows, kinds })
    }
}
