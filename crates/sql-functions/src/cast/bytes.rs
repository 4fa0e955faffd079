//! Casts to BINARY and VARBINARY.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, StringArray, builder::BinaryBuilder};
use hurtig_sql_parser::types::SqlTypeKind;

use crate::{
    columns::{Evaluated, downcast},
    types::length_of,
};

/// Bytes of a text or of bytes, cut to the type's length; BINARY is filled with zeros.
pub(super) fn to_bytes(array: &ArrayRef, target: &SqlTypeKind) -> Evaluated {
    let length = length_of(target).unwrap_or(u32::MAX) as usize;
    let fill = matches!(target, SqlTypeKind::Binary(_));
    let mut builder = BinaryBuilder::with_capacity(array.len(), array.len() * 16);
    let mut append = |value: Option<&[u8]>| match value {
        Some(bytes) if bytes.len() > length => builder.append_value(&bytes[..length]),
        Some(bytes) if fill && bytes.len() < length => {
            let mut filled = bytes.to_vec();
            filled.resize(length, 0);
            builder.append_value(filled);
        }
        value => builder.append_option(value),
    };
    if let Ok(texts) = downcast::<StringArray>(array) {
        texts.iter().for_each(|text| append(text.map(str::as_bytes)));
    } else {
        downcast::<BinaryArray>(array)?.iter().for_each(append);
    }
    Ok(Arc::new(builder.finish()))
}
