//! What of an object is wanted.

use std::collections::HashMap;

use super::{
    cursor::{Cursor, RawText},
    value::{Context, Reader},
};
use crate::{
    column::Column,
    fault::{Fault, FaultKind},
};

/// Keys whose order is remembered, and the longest ones that are.
const REMEMBERED_KEYS: usize = 256;
const REMEMBERED_KEY_BYTES: usize = 256;

/// The wanted fields of an object.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    targets: Vec<Target>,
    by_name: HashMap<Box<[u8]>, u32>,
    /// The keys of earlier objects by their position, with the field of each.
    order: Vec<(Box<[u8]>, Option<u32>)>,
}

/// Where a field goes.
#[derive(Debug)]
pub(crate) enum Target {
    /// Into the column of that position.
    Column(usize, Reader),
    /// Its own fields go into columns beside those of the object.
    Fields(Box<Shape>),
}

impl Shape {
    /// Adds a field. A name that is there already stays.
    pub(crate) fn add(&mut self, name: &str, target: Target) {
        let next = self.targets.len() as u32;
        if *self.by_name.entry(name.as_bytes().into()).or_insert(next) == next {
            self.targets.push(target);
        }
    }

    /// The fields of the field of that name, which it gets if it has none.
    pub(crate) fn fields_of(&mut self, name: &str) -> Option<&mut Shape> {
        self.add_if_missing(name);
        let index = *self.by_name.get(name.as_bytes())?;
        match &mut self.targets[index as usize] {
            Target::Fields(shape) => Some(shape),
            Target::Column(..) => None,
        }
    }

    fn add_if_missing(&mut self, name: &str) {
        if !self.by_name.contains_key(name.as_bytes()) {
            self.add(name, Target::Fields(Box::default()));
        }
    }

    /// The field of a key, the `nth` of its object.
    #[inline]
    fn find(
        &mut self,
        nth: usize,
        key: RawText<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<u32>, Fault> {
        if let Some((known, field)) = self.order.get(nth)
            && **known == *key.bytes
        {
            return Ok(*field);
        }
        let field = if key.escaped {
            scratch.clear();
            key.unescape(scratch)?;
            self.by_name.get(scratch.as_slice()).copied()
        } else {
            self.by_name.get(key.bytes).copied()
        };
        if nth < REMEMBERED_KEYS && key.bytes.len() <= REMEMBERED_KEY_BYTES {
            let entry = (key.bytes.into(), field);
            if nth < self.order.len() {
                self.order[nth] = entry;
            } else if nth == self.order.len() {
                self.order.push(entry);
            }
        }
        Ok(field)
    }

    /// Reads an object whose opening brace is next into columns that have `before` rows each. What
    /// it has not, stays missing.
    pub(crate) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut [Column],
        before: usize,
        context: &mut Context,
        depth: usize,
    ) -> Result<(), Fault> {
        let depth = cursor.deeper(depth)?;
        cursor.at += 1;
        let (mut nth, mut missing) = (0, self.targets.len());
        while let Some(key) = cursor.next_key(nth == 0)? {
            // As in Flink, nothing counts once all fields were there.
            let field =
                if missing == 0 { None } else { self.find(nth, key, &mut context.scratch)? };
            nth += 1;
            let Some(field) = field else {
                cursor.skip(depth)?;
                continue;
            };
            missing -= 1;
            let named =
                |fault: Fault| if depth == 1 { fault.in_field(field as usize) } else { fault };
            match &mut self.targets[field as usize] {
                Target::Column(index, reader) => {
                    let column = &mut columns[*index];
                    if column.len() > before {
                        column.truncate(before);
                    }
                    reader.read_nullable(cursor, column, context, depth).map_err(named)?;
                }
                Target::Fields(shape) => {
                    shape.read_nested(cursor, columns, before, context, depth).map_err(named)?;
                }
            }
        }
        if missing > 0 && context.fail_on_missing_field {
            return Err(cursor.fault(FaultKind::Missing));
        }
        Ok(())
    }

    /// Reads the fields of a field, which may be NULL.
    fn read_nested(
        &mut self,
        cursor: &mut Cursor<'_>,
        columns: &mut [Column],
        before: usize,
        context: &mut Context,
        depth: usize,
    ) -> Result<(), Fault> {
        if cursor.take_null()? {
            return Ok(());
        }
        let start = cursor.at;
        let read = if cursor.peek()? == b'{' {
            self.read(cursor, columns, before, context, depth)
        } else {
            Err(cursor.fault(FaultKind::Value("object")))
        };
        if let Err(fault) = read {
            if !context.ignore_parse_errors {
                return Err(fault);
            }
            self.forget(columns, before);
            cursor.at = start;
            cursor.skip(depth)?;
        }
        Ok(())
    }

    fn forget(&self, columns: &mut [Column], before: usize) {
        for target in &self.targets {
            match target {
                Target::Column(index, _) => columns[*index].truncate(before),
                Target::Fields(shape) => shape.forget(columns, before),
            }
        }
    }
}
