//! What a format is to a connector that writes.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::RecordBatch;
use hurtig_sql_common::{ChangelogMode, RowKind};
use hurtig_sql_parser::types::SqlDataType;

use crate::{
    cdc,
    csv::{CsvOptions, encode::CsvEncoder},
    format::{TableFormatError, unknown},
    json::encode::{JsonEncodeOptions, JsonEncoder},
    options::FormatOptions,
    raw::{RawEncoder, RawOptions},
};

/// A format for the columns of a sink.
#[derive(Clone, Debug)]
pub struct EncodingFormat(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Json(Arc<JsonEncodeOptions>),
    Csv(Arc<CsvOptions>),
    Raw(RawOptions),
    Change(cdc::Dialect, Arc<JsonEncodeOptions>),
}

/// Appends the rows of one batch as bytes, without line ends.
pub trait RowEncoder {
    /// One row. After an error a part of it may be there.
    fn encode(&self, row: usize, kind: RowKind, out: &mut Vec<u8>) -> Result<(), TableFormatError>;
}

impl EncodingFormat {
    /// The format of that identifier, with its options among all of a table's, for columns.
    pub fn from_options(
        identifier: &str,
        columns: &[(String, SqlDataType)],
        all: &BTreeMap<String, String>,
    ) -> Result<Self, TableFormatError> {
        let options = FormatOptions { identifier, all };
        let json = || JsonEncodeOptions::of(options).map(Arc::new);
        Ok(Self(match identifier {
            "json" => Kind::Json(json()?),
            "csv" => Kind::Csv(Arc::new(CsvOptions::of(options)?)),
            "raw" => Kind::Raw(RawOptions::of(options, columns)?),
            "debezium-json" => {
                if options.flag("schema-include")? {
                    return Err(TableFormatError(
                        "Debezium JSON serialization doesn't support 'debezium-json.schema-include' \
                         option been set to true."
                            .to_owned(),
                    ));
                }
                Kind::Change(cdc::Dialect::Debezium, json()?)
            }
            "canal-json" => Kind::Change(cdc::Dialect::Canal, json()?),
            "maxwell-json" => Kind::Change(cdc::Dialect::Maxwell, json()?),
            "ogg-json" => Kind::Change(cdc::Dialect::Ogg, json()?),
            other => return Err(unknown(other)),
        }))
    }

    /// Which kinds of change it can write.
    #[must_use]
    pub fn changelog_mode(&self) -> ChangelogMode {
        match self.0 {
            Kind::Change(..) => ChangelogMode::ALL,
            _ => ChangelogMode::INSERT_ONLY,
        }
    }

    /// What ends a record in a file.
    #[must_use]
    pub fn record_end(&self) -> &'static [u8] {
        b"\n"
    }

    /// What writes the rows of a batch.
    pub fn encoder<'a>(
        &self,
        rows: &'a RecordBatch,
    ) -> Result<Box<dyn RowEncoder + 'a>, TableFormatError> {
        Ok(match &self.0 {
            Kind::Json(options) => Box::new(JsonEncoder::new(rows, options.clone())?),
            Kind::Csv(options) => Box::new(CsvEncoder::new(rows, options.clone())?),
            Kind::Raw(options) => Box::new(RawEncoder::new(rows, options)?),
            Kind::Change(dialect, options) => {
                let inner = JsonEncoder::new(rows, options.clone())?;
                Box::new(cdc::ChangeEncoder { dialect: *dialect, inner })
            }
        })
    }
}
