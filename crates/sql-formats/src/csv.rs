//! CSV, as Jackson reads and writes it for Flink.
//!
//! - `decode`: a record is one line (or more, with line ends between quotes) of fields by position.
//! - `encode`: fields are quoted where Jackson quotes them.
//!
//! An empty field is an empty text, not NULL, unless `csv.null-literal` says so. Elements of arrays and
//! rows are separated within their field.

pub(crate) mod decode;
pub(crate) mod encode;

use crate::{
    format::{Framing, TableFormatError},
    options::FormatOptions,
};

/// The options of the format.
#[derive(Clone, Debug)]
pub(crate) struct CsvOptions {
    pub(crate) delimiter: u8,
    pub(crate) quote: Option<u8>,
    pub(crate) escape: Option<u8>,
    pub(crate) allow_comments: bool,
    pub(crate) ignore_parse_errors: bool,
    pub(crate) element_delimiter: String,
    pub(crate) null_literal: Option<String>,
    pub(crate) scientific_decimals: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            allow_comments: false,
            ignore_parse_errors: false,
            element_delimiter: ";".to_owned(),
            null_literal: None,
            scientific_decimals: true,
        }
    }
}

impl CsvOptions {
    pub(crate) fn of(options: FormatOptions<'_>) -> Result<Self, TableFormatError> {
        let disabled = options.flag("disable-quote-character")?;
        if disabled && options.text("quote-character").is_some() {
            return Err(TableFormatError(
                "Format cannot define a quote character and disabled quote character at the same \
                 time."
                    .to_owned(),
            ));
        }
        let delimiter = options.text("field-delimiter").map_or(Ok(","), |text| {
            if text.is_empty() { Err(single("field-delimiter", text)) } else { Ok(text) }
        })?;
        let quote = options.text("quote-character").unwrap_or("\"");
        let element_delimiter = options.text("array-element-delimiter").unwrap_or(";").to_owned();
        Ok(Self {
            delimiter: character("field-delimiter", &unescaped(delimiter))?,
            quote: if disabled { None } else { Some(character("quote-character", quote)?) },
            escape: match options.text("escape-character") {
                Some(text) => Some(character("escape-character", text)?),
                None => None,
            },
            allow_comments: options.flag("allow-comments")?,
            ignore_parse_errors: options.flag("ignore-parse-errors")?,
            element_delimiter,
            null_literal: options.text("null-literal").map(str::to_owned),
            scientific_decimals: options
                .flag_or_none("write-bigdecimal-in-scientific-notation")?
                .unwrap_or(true),
        })
    }

    pub(crate) fn framing(&self) -> Framing {
        match self.quote {
            Some(quote) => {
                let (delimiter, escape) = (self.delimiter, self.escape);
                Framing::QuotedLines { delimiter, quote, escape }
            }
            None => Framing::Lines,
        }
    }
}

fn single(key: &str, text: &str) -> TableFormatError {
    TableFormatError(format!(
        "Option 'csv.{key}' must be a string with single character, but was: {text}"
    ))
}

/// One character, which must be of one byte: fields are found by bytes.
fn character(key: &str, text: &str) -> Result<u8, TableFormatError> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(single(key, text)),
    }
}

/// As Java writes characters in its source: `\t`, `\u0001`.
fn unescaped(text: &str) -> String {
    match text {
        "\\t" => "\t".to_owned(),
        "\\n" => "\n".to_owned(),
        "\\r" => "\r".to_owned(),
        "\\b" => "\u{8}".to_owned(),
        "\\f" => "\u{c}".to_owned(),
        "\\\\" => "\\".to_owned(),
        _ => {
            let code = text.strip_prefix("\\u").and_then(|hex| u32::from_str_radix(hex, 16).ok());
            code.and_then(char::from_u32).map_or_else(|| text.to_owned(), String::from)
        }
    }
}
