//! A configuration file's text as a list of keys and values with their lines.
//!
//! A file is one YAML mapping. Keys may be nested, flat, or both: `a: {b: 1}` is `a.b: 1`. Values
//! are plain: a text, a number, a word; a list of those becomes the text `x;y;z`. What plain
//! values mean is decided by the option, not by YAML: they stay the text that was written.
//!
//! Bytes are hostile: size, depth and number of entries are bounded, the parser builds no tree, and
//! aliases are refused, so a small file cannot become a large one. Nothing is dropped in silence: a
//! key without a value, a second document or a duplicate key is an error.

use std::{collections::BTreeMap, sync::Arc};

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span};

use crate::{
    error::{ConfigError, ConfigOrigin},
    value::ConfigValue,
};

/// Most bytes of a file.
pub(crate) const MOST_BYTES: usize = 1 << 20;
/// Most levels of nesting.
const MOST_LEVELS: usize = 32;
/// Most keys of a file.
const MOST_ENTRIES: usize = 10_000;
/// Most bytes of a key, put together from its levels.
const MOST_KEY_BYTES: usize = 512;

/// A key and its value as they stand in a file.
#[derive(Debug)]
pub(crate) struct YamlEntry {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: ConfigOrigin,
}

struct Reader<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> {
    events: I,
    path: Arc<str>,
    entries: Vec<YamlEntry>,
    lines: BTreeMap<String, usize>,
}

fn options() -> Options {
    let mut options = Options::default();
    options.disallow_directives = true;
    options.flow_nesting_limit = MOST_LEVELS;
    options.block_nesting_limit = MOST_LEVELS;
    options.set_emit_comments(false);
    options
}

/// Reads a file's text; `path` is what errors call it.
pub(crate) fn read(text: &str, path: &str) -> Result<Vec<YamlEntry>, ConfigError> {
    let path: Arc<str> = path.into();
    if text.len() > MOST_BYTES {
        let text = format!("the file has {} bytes; at most {MOST_BYTES} are read", text.len());
        return Err(ConfigError::Limit { path, text });
    }
    let events = Parser::new_from_str_with_options(text, options());
    let mut reader = Reader { events, path, entries: Vec::new(), lines: BTreeMap::new() };
    reader.stream()?;
    Ok(reader.entries)
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<'a, I> {
    fn error(&self, at: &Marker, text: impl Into<String>) -> ConfigError {
        let (line, column) = (at.line(), at.col() + 1);
        ConfigError::Yaml { path: self.path.clone(), line, column, text: text.into() }
    }

    fn next(&mut self) -> Result<(Event<'a>, Marker), ConfigError> {
        match self.events.next() {
            Some(Ok((event, span))) if event.tag().is_some() => {
                Err(self.error(&span.start, "tags are not allowed"))
            }
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(self.error(error.marker(), error.info())),
            None => Ok((Event::StreamEnd, Marker::new(0, 1, 0))),
        }
    }

    fn stream(&mut self) -> Result<(), ConfigError> {
        let mut documents = 0;
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.error(&at, "a configuration is one document"));
                    }
                }
                Event::MappingStart(..) => self.mapping("")?,
                // A file of comments only.
                Event::Scalar(text, style, ..) if is_null(&text, style) => {}
                Event::StreamStart | Event::DocumentEnd => {}
                _ => return Err(self.error(&at, "a configuration begins with a key")),
            }
        }
    }

    /// The rest of a mapping below `prefix`. Recursion is bounded by the parser's nesting limits.
    fn mapping(&mut self, prefix: &str) -> Result<(), ConfigError> {
        loop {
            let (event, key_at) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, style, ..) if !is_null(&text, style) => text,
                _ => return Err(self.error(&key_at, "a key must be a text")),
            };
            let key = if prefix.is_empty() { key.into_owned() } else { format!("{prefix}.{key}") };
            if key.len() > MOST_KEY_BYTES {
                let text = format!("a key is longer than {MOST_KEY_BYTES} bytes");
                return Err(self.error(&key_at, text));
            }
            let (event, at) = self.next()?;
            match event {
                Event::MappingStart(..) => self.mapping(&key)?,
                Event::SequenceStart(..) => {
                    let list = self.sequence(&key)?;
                    self.add(key, list.to_text(), &key_at)?;
                }
                Event::Scalar(text, style, ..) if is_null(&text, style) => {
                    let text = format!("{key} has no value; give it one or remove the line");
                    return Err(self.error(&key_at, text));
                }
                Event::Scalar(text, ..) => self.add(key, text.into_owned(), &key_at)?,
                Event::Alias(..) => {
                    return Err(self.error(&at, "aliases are not allowed; write the value again"));
                }
                _ => return Err(self.error(&at, format!("{key} needs a value"))),
            }
        }
    }

    fn sequence(&mut self, key: &str) -> Result<Vec<String>, ConfigError> {
        let mut list = Vec::new();
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok(list),
                Event::Scalar(text, style, ..) if !is_null(&text, style) => {
                    list.push(text.into_owned());
                }
                _ => {
                    let text = format!("the list {key} may hold plain values only");
                    return Err(self.error(&at, text));
                }
            }
        }
    }

    fn add(&mut self, key: String, value: String, at: &Marker) -> Result<(), ConfigError> {
        let origin = ConfigOrigin::File { path: self.path.clone(), line: at.line() };
        if let Some(first) = self.lines.insert(key.clone(), at.line()) {
            return Err(ConfigError::Duplicate { key, first, origin });
        }
        if self.entries.len() == MOST_ENTRIES {
            let text = format!("the file has more than {MOST_ENTRIES} keys");
            return Err(ConfigError::Limit { path: self.path.clone(), text });
        }
        self.entries.push(YamlEntry { key, value, origin });
        Ok(())
    }
}
