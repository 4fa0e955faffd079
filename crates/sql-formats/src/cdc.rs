//! Messages of change data capture: `debezium-json`, `canal-json`, `maxwell-json`, `ogg-json`.
//!
//! A message is looked through twice: once for where its parts are (rows before and after, the kind
//! of change, metadata), then each part is read into columns. An update gives two rows.

mod decode;
mod encode;
mod metadata;

use hurtig_sql_parser::types::SqlDataType;
use regex::Regex;

pub(crate) use self::{decode::ChangeDecoder, encode::ChangeEncoder};
use crate::{
    format::{JsonOptions, TableFormatError},
    options::FormatOptions,
};

/// Whose messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Debezium,
    Canal,
    Maxwell,
    Ogg,
}

impl Dialect {
    fn name(self) -> &'static str {
        match self {
            Self::Debezium => "Debezium",
            Self::Canal => "Canal",
            Self::Maxwell => "Maxwell",
            Self::Ogg => "Ogg",
        }
    }
}

/// The options of a format.
#[derive(Clone, Debug)]
pub(crate) struct ChangeOptions {
    pub(crate) dialect: Dialect,
    pub(crate) json: JsonOptions,
    /// The message is in the field `payload`, beside its schema.
    schema_include: bool,
    /// Messages of other databases and tables are left out.
    database: Option<Regex>,
    table: Option<Regex>,
}

impl ChangeOptions {
    pub(crate) fn of(options: FormatOptions<'_>) -> Result<Self, TableFormatError> {
        let dialect = match options.identifier {
            "debezium-json" => Dialect::Debezium,
            "canal-json" => Dialect::Canal,
            "ogg-json" => Dialect::Ogg,
            _ => Dialect::Maxwell,
        };
        let pattern = |key: &str| {
            let Some(text) = options.text(key).filter(|_| dialect == Dialect::Canal) else {
                return Ok(None);
            };
            let whole = Regex::new(&format!("^(?:{text})$"));
            whole.map(Some).map_err(|e| TableFormatError(format!("Invalid pattern for {key}: {e}")))
        };
        Ok(Self {
            dialect,
            json: JsonOptions::of(options, false)?,
            schema_include: dialect == Dialect::Debezium && options.flag("schema-include")?,
            database: pattern("database.include")?,
            table: pattern("table.include")?,
        })
    }

    /// The metadata of the messages.
    pub(crate) fn metadata(&self) -> Vec<(String, SqlDataType)> {
        metadata::all(self.dialect)
            .iter()
            .map(|one| (one.key.to_owned(), one.data_type()))
            .collect()
    }
}
