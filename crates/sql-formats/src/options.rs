//! Options of a format, as text.

use std::collections::BTreeMap;

use crate::{format::TableFormatError, scalar::time::TimestampFormat};

/// The options of one table that belong to one format: `json.ignore-parse-errors` and the like.
#[derive(Clone, Copy)]
pub(crate) struct FormatOptions<'a> {
    pub(crate) identifier: &'a str,
    pub(crate) all: &'a BTreeMap<String, String>,
}

impl<'a> FormatOptions<'a> {
    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.all.get(&format!("{}.{key}", self.identifier)).map(String::as_str)
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool, TableFormatError> {
        Ok(self.flag_or_none(key)?.unwrap_or(false))
    }

    pub(crate) fn flag_or_none(&self, key: &str) -> Result<Option<bool>, TableFormatError> {
        match self.text(key) {
            None => Ok(None),
            Some(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => Err(self.invalid(key, text, "true, false")),
        }
    }

    pub(crate) fn timestamp_format(&self) -> Result<TimestampFormat, TableFormatError> {
        const KEY: &str = "timestamp-format.standard";
        match self.text(KEY) {
            None | Some("SQL") => Ok(TimestampFormat::Sql),
            Some("ISO-8601") => Ok(TimestampFormat::Iso8601),
            Some(other) => Err(TableFormatError(format!(
                "Unsupported value '{other}' for {KEY}. Supported values are [SQL, ISO-8601]."
            ))),
        }
    }

    pub(crate) fn invalid(&self, key: &str, text: &str, supported: &str) -> TableFormatError {
        TableFormatError(format!(
            "Unsupported value '{text}' for option '{}.{key}'. Supported values are [{supported}].",
            self.identifier
        ))
    }
}
