//! From messages to rows with their kinds.

use hurtig_sql_common::RowKind;

use super::{
    ChangeOptions, Dialect,
    metadata::{MetadataColumn, Place},
};
use crate::{
    column::Column,
    fault::{DecodeError, Fault, FaultKind},
    format::{Decoded, Decoder, ReadColumn, TableFormatError},
    json::{
        cursor::Cursor,
        value::{Context, Reader},
    },
};

/// Decodes messages.
pub(crate) struct ChangeDecoder {
    options: ChangeOptions,
    context: Context,
    names: Vec<String>,
    readers: Vec<Reader>,
    columns: Vec<Column>,
    metadata: Vec<MetadataColumn>,
    kinds: Vec<RowKind>,
}

/// Where the value of a key is, if it is there and not null.
type At = Option<usize>;

/// Finds the values of keys in the object at a position. Of equal keys the last one counts.
fn find<const N: usize>(record: &[u8], at: usize, keys: [&str; N]) -> Result<[At; N], Fault> {
    let mut found = [None; N];
    each_entry(record, at, |name, value| {
        if let Some(index) = keys.iter().position(|key| key.as_bytes() == name) {
            found[index] = value;
        }
    })?;
    Ok(found)
}

/// Calls `entry` with every key of an object and where its value is (`None`: null).
fn each_entry(record: &[u8], at: usize, mut entry: impl FnMut(&[u8], At)) -> Result<(), Fault> {
    let mut cursor = Cursor { bytes: record, at };
    if cursor.peek()? != b'{' {
        return Err(cursor.fault(FaultKind::Value("object")));
    }
    cursor.at += 1;
    let (mut first, mut scratch) = (true, Vec::new());
    while let Some(key) = cursor.next_key(first)? {
        first = false;
        let is_null = cursor.peek()? == b'n';
        let value = (!is_null).then_some(cursor.at);
        cursor.skip(1)?;
        if key.escaped {
            scratch.clear();
            key.unescape(&mut scratch)?;
            entry(&scratch, value);
        } else {
            entry(key.bytes, value);
        }
    }
    Ok(())
}

/// The positions of the elements of the array at a position.
fn elements(record: &[u8], at: usize) -> Result<Vec<usize>, Fault> {
    let mut cursor = Cursor { bytes: record, at };
    if cursor.peek()? != b'[' {
        return Err(cursor.fault(FaultKind::Value("array")));
    }
    cursor.at += 1;
    let mut found = Vec::new();
    while cursor.next_element(found.is_empty())? {
        found.push(cursor.at);
        cursor.skip(1)?;
    }
    Ok(found)
}

/// The text at a position.
fn text(record: &[u8], at: At, missing: &'static str) -> Result<String, Fault> {
    let at = at.ok_or(FaultKind::Change(missing).at(0))?;
    let mut cursor = Cursor { bytes: record, at };
    if cursor.peek()? != b'"' {
        return Err(cursor.fault(FaultKind::Change(missing)));
    }
    let mut out = Vec::new();
    cursor.text()?.unescape(&mut out)?;
    String::from_utf8(out).map_err(|_| FaultKind::Utf8.at(at))
}

const NO_BEFORE: &str = "the \"before\" field of an UPDATE or DELETE message is null; if you are \
    using Debezium Postgres Connector, please check the Postgres table has been set REPLICA \
    IDENTITY to FULL level";

impl ChangeDecoder {
    pub(crate) fn new(
        options: &ChangeOptions,
        read: &[ReadColumn],
        metadata: &[String],
    ) -> Result<Self, TableFormatError> {
        let readers = read.iter().map(|column| Reader::new(&column.data_type));
        let columns = read.iter().map(|column| Column::new(&column.data_type));
        let metadata = metadata.iter().map(|key| MetadataColumn::new(options.dialect, key));
        Ok(Self {
            context: options.json.context(),
            options: options.clone(),
            names: read.iter().filter_map(|column| column.path.first().cloned()).collect(),
            readers: readers.collect::<Result<_, _>>().map_err(TableFormatError)?,
            columns: columns
                .collect::<Result<_, _>>()
                .map_err(|e| TableFormatError(e.to_string()))?,
            metadata: metadata.collect::<Result<_, _>>()?,
            kinds: Vec::new(),
        })
    }

    fn read(&mut self, record: &[u8]) -> Result<(), Fault> {
        std::str::from_utf8(record).map_err(|e| FaultKind::Utf8.at(e.valid_up_to()))?;
        match self.options.dialect {
            Dialect::Debezium | Dialect::Ogg => self.before_and_after(record),
            Dialect::Canal => self.canal(record),
            Dialect::Maxwell => self.maxwell(record),
        }
    }

    /// Messages that hold both rows in full: Debezium's and Ogg's.
    fn before_and_after(&mut self, record: &[u8]) -> Result<(), Fault> {
        let payload = if self.options.schema_include {
            let [payload] = find(record, 0, ["payload"])?;
            payload.ok_or(FaultKind::Change("the field \"payload\" is missing").at(0))?
        } else {
            0
        };
        let (key, missing, unknown) = match self.options.dialect {
            Dialect::Ogg => {
                ("op_type", "the field \"op_type\" is missing", "unknown \"op_type\" value")
            }
            _ => ("op", "the field \"op\" is missing", "unknown \"op\" value"),
        };
        let [before, after, op] = find(record, payload, ["before", "after", key])?;
        let op = text(record, op, missing)?;
        let no_after = || FaultKind::Change("the field \"after\" is missing").at(payload);
        let no_before = || FaultKind::Change(NO_BEFORE).at(payload);
        match (self.options.dialect, op.as_str()) {
            (Dialect::Debezium, "c" | "r") | (Dialect::Ogg, "I") => {
                let after = after.ok_or_else(no_after)?;
                self.row(record, payload, after, None, RowKind::Insert)
            }
            (Dialect::Debezium, "u") | (Dialect::Ogg, "U") => {
                let before = before.ok_or_else(no_before)?;
                let after = after.ok_or_else(no_after)?;
                self.row(record, payload, before, None, RowKind::UpdateBefore)?;
                self.row(record, payload, after, None, RowKind::UpdateAfter)
            }
            (Dialect::Debezium, "d") | (Dialect::Ogg, "D") => {
                let before = before.ok_or_else(no_before)?;
                self.row(record, payload, before, None, RowKind::Delete)
            }
            _ => Err(FaultKind::Change(unknown).at(payload)),
        }
    }

    fn canal(&mut self, record: &[u8]) -> Result<(), Fault> {
        let keys = ["data", "old", "type", "database", "table"];
        let [data, old, kind, database, table] = find(record, 0, keys)?;
        let wanted = |pattern: &Option<regex::Regex>, at, missing| match pattern {
            Some(pattern) => text(record, at, missing).map(|name| pattern.is_match(&name)),
            None => Ok(true),
        };
        if !wanted(&self.options.database, database, "the field \"database\" is missing")?
            || !wanted(&self.options.table, table, "the field \"table\" is missing")?
        {
            return Ok(());
        }
        let kind = text(record, kind, "the field \"type\" is missing")?;
        let no_data = || FaultKind::Change("the field \"data\" is missing").at(0);
        let rows = || elements(record, data.ok_or_else(no_data)?);
        match kind.as_str() {
            "INSERT" => self.all(record, rows()?, RowKind::Insert),
            "DELETE" => self.all(record, rows()?, RowKind::Delete),
            "UPDATE" => {
                let no_old = || FaultKind::Change("the field \"old\" is missing").at(0);
                let olds = elements(record, old.ok_or_else(no_old)?)?;
                for (nth, after) in rows()?.into_iter().enumerate() {
                    let old = *olds.get(nth).ok_or_else(no_old)?;
                    self.row(record, 0, old, Some(after), RowKind::UpdateBefore)?;
                    self.row(record, 0, after, None, RowKind::UpdateAfter)?;
                }
                Ok(())
            }
            // The table was created: nothing of its content has changed.
            "CREATE" => Ok(()),
            _ => Err(FaultKind::Change("unknown \"type\" value").at(0)),
        }
    }

    fn maxwell(&mut self, record: &[u8]) -> Result<(), Fault> {
        let [data, old, kind] = find(record, 0, ["data", "old", "type"])?;
        let kind = text(record, kind, "the field \"type\" is missing")?;
        let no_data = || FaultKind::Change("the field \"data\" is missing").at(0);
        let data = || data.ok_or_else(no_data);
        match kind.as_str() {
            "insert" => self.row(record, 0, data()?, None, RowKind::Insert),
            "delete" => self.row(record, 0, data()?, None, RowKind::Delete),
            "update" => {
                let no_old = || FaultKind::Change("the field \"old\" is missing").at(0);
                let (old, data) = (old.ok_or_else(no_old)?, data()?);
                self.row(record, 0, old, Some(data), RowKind::UpdateBefore)?;
                self.row(record, 0, data, None, RowKind::UpdateAfter)
            }
            _ => Err(FaultKind::Change("unknown \"type\" value").at(0)),
        }
    }

    fn all(&mut self, record: &[u8], rows: Vec<usize>, kind: RowKind) -> Result<(), Fault> {
        rows.into_iter().try_for_each(|at| self.row(record, 0, at, None, kind))
    }

    /// Adds the row of the object at a position. What it has not is taken from `others`, the row
    /// after the change, if that is given.
    fn row(
        &mut self,
        record: &[u8],
        payload: usize,
        at: usize,
        others: Option<usize>,
        kind: RowKind,
    ) -> Result<(), Fault> {
        let mut values: Vec<At> = vec![None; self.names.len()];
        for at in others.into_iter().chain([at]) {
            each_entry(record, at, |name, value| {
                for (index, _) in
                    self.names.iter().enumerate().filter(|(_, known)| known.as_bytes() == name)
                {
                    values[index] = value;
                }
            })?;
        }
        for (index, value) in values.into_iter().enumerate() {
            let column = &mut self.columns[index];
            let read = match value {
                None => column.append_null().map_err(|kind| kind.at(at)),
                Some(at) => {
                    let mut cursor = Cursor { bytes: record, at };
                    self.readers[index].read_nullable(&mut cursor, column, &mut self.context, 1)
                }
            };
            read.map_err(|fault| fault.in_field(index))?;
        }
        self.append_metadata(record, payload)?;
        self.kinds.push(kind);
        Ok(())
    }

    fn append_metadata(&mut self, record: &[u8], payload: usize) -> Result<(), Fault> {
        for one in &mut self.metadata {
            let field = one.metadata.field;
            let at = match one.metadata.place {
                Place::Root if !self.options.schema_include => None,
                Place::Root => find(record, 0, [field])?[0],
                Place::Payload => find(record, payload, [field])?[0],
                Place::Source => match find(record, payload, ["source"])?[0] {
                    Some(source) => find(record, source, [field])?[0],
                    None => None,
                },
            };
            one.append(record, at, &mut self.context)?;
        }
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.kinds.truncate(rows);
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.metadata.iter_mut().for_each(|one| one.column.truncate(rows));
    }
}

impl Decoder for ChangeDecoder {
    fn decode(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        if record.is_empty() {
            return Ok(());
        }
        let before = self.kinds.len();
        self.read(record).map_err(|fault| {
            self.truncate(before);
            let field = fault.field.and_then(|field| self.names.get(usize::from(field)));
            let what = format!("Corrupt {} JSON message", self.options.dialect.name());
            fault.explain(&what, record, field.map(String::as_str))
        })
    }

    fn rows(&self) -> usize {
        self.kinds.len()
    }

    fn finish(&mut self) -> Result<Decoded, TableFormatError> {
        let rows = self.kinds.len();
        let kinds = std::mem::take(&mut self.kinds);
        let mut decoded = Decoded::of(&mut self.columns, rows, Some(kinds))?;
        for one in &mut self.metadata {
            decoded.columns.push(one.column.finish()?);
        }
        Ok(decoded)
    }
}
