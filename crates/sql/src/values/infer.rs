//! Which data types and columns Rust types are.

use hurtig_sql_common::columns::type_of_text;
use hurtig_sql_parser::types::SqlDataType;
use hurtig_types::schema::{Schema, schema_of};
use serde::de::DeserializeOwned;

use super::{RowValueError, types::MARK};

/// The data type that values of a Rust type have.
///
/// # Errors
/// If there is none.
pub fn data_type_of<T: DeserializeOwned>() -> Result<SqlDataType, RowValueError> {
    data_type(&schema_of::<T>()).map_err(|why| of_type::<T>(&why))
}

/// The columns of rows of a Rust type: the fields of a struct; `f0`, `f1` and so on of a tuple; `f0`
/// alone of everything else.
///
/// # Errors
/// If one of them has no data type.
pub fn columns_of<T: DeserializeOwned>() -> Result<Vec<(String, SqlDataType)>, RowValueError> {
    let typed = |name: String, schema: &Schema| {
        let data_type =
            data_type(schema).map_err(|why| of_type::<T>(&format!("field {name}: {why}")))?;
        Ok((name, data_type))
    };
    match schema_of::<T>() {
        Schema::Struct(fields) if marked(&fields).is_none() => {
            fields.iter().map(|(name, schema)| typed(name.clone(), schema)).collect()
        }
        Schema::Tuple(fields) if !fields.is_empty() => {
            let named = fields.iter().enumerate();
            named.map(|(index, schema)| typed(format!("f{index}"), schema)).collect()
        }
        other => Ok(vec![typed("f0".to_owned(), &other)?]),
    }
}

fn of_type<T>(why: &str) -> RowValueError {
    RowValueError(format!("{} is no type of SQL: {why}", std::any::type_name::<T>()))
}

/// The type that the field's name says, of types of [`super::types`].
fn marked(fields: &[(String, Schema)]) -> Option<&str> {
    match fields {
        [(name, _)] => name.strip_prefix(MARK),
        _ => None,
    }
}

fn data_type(schema: &Schema) -> Result<SqlDataType, String> {
    let text = text(schema)?;
    type_of_text(&text).map_err(|error| error.to_string())
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The type as SQL; the height of a schema is bounded where it is traced.
fn text(schema: &Schema) -> Result<String, String> {
    if let Schema::Option(inner) = schema {
        let inner = text(inner)?;
        return Ok(inner.strip_suffix(" NOT NULL").map_or(inner.clone(), str::to_owned));
    }
    let kind = match schema {
        Schema::Scalar(name) => scalar(name)?.to_owned(),
        Schema::Sequence(element) if **element == Schema::Scalar("u8".to_owned()) => {
            "BYTES".to_owned()
        }
        Schema::Sequence(element) | Schema::Array(element, _) => {
            format!("ARRAY<{}>", text(element)?)
        }
        Schema::Map(key, value) => format!("MAP<{}, {}>", text(key)?, text(value)?),
        Schema::Struct(fields) => match marked(fields) {
            Some(data_type) => data_type.to_owned(),
            None => {
                let fields = fields
                    .iter()
                    .map(|(name, field)| Ok(format!("{} {}", quoted(name), text(field)?)));
                format!("ROW<{}>", fields.collect::<Result<Vec<_>, String>>()?.join(", "))
            }
        },
        Schema::Tuple(fields) if !fields.is_empty() => {
            let fields = fields
                .iter()
                .enumerate()
                .map(|(index, field)| Ok(format!("f{index} {}", text(field)?)));
            format!("ROW<{}>", fields.collect::<Result<Vec<_>, String>>()?.join(", "))
        }
        Schema::Enum(variants)
            if variants.iter().all(|(_, content)| *content == Schema::Tuple(Vec::new())) =>
        {
            "STRING".to_owned()
        }
        Schema::Enum(_) => return Err("an enum whose variants have content".to_owned()),
        Schema::Enclosing(_) => return Err("it contains itself".to_owned()),
        Schema::Opaque(name) => return Err(format!("the structure of {name} cannot be found out")),
        other => return Err(format!("{other} has no columns")),
    };
    Ok(format!("{kind} NOT NULL"))
}

fn scalar(name: &str) -> Result<&'static str, String> {
    Ok(match name {
        "bool" => "BOOLEAN",
        "i8" => "TINYINT",
        "i16" | "u8" => "SMALLINT",
        "i32" | "u16" => "INT",
        "i64" | "u32" => "BIGINT",
        "u64" => "DECIMAL(20, 0)",
        "f32" => "FLOAT",
        "f64" => "DOUBLE",
        "string" | "char" => "STRING",
        "bytes" => "BYTES",
        other => return Err(format!("{other} is too large")),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::values::{Date, Decimal, Timestamp};

    #[derive(Serialize, Deserialize)]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Serialize, Deserialize)]
    struct Order {
        id: i64,
        item: Option<String>,
        at: Timestamp,
        tags: Vec<Option<String>>,
        counts: BTreeMap<String, u32>,
        place: (f64, Option<Date>),
        price: Option<Decimal>,
        colour: Colour,
        raw: Vec<u8>,
    }

    #[test]
    fn fields_are_columns() {
        let columns = columns_of::<Order>().unwrap();
        let shown: Vec<String> = columns.iter().map(|(name, of)| format!("{name} {of}")).collect();
        assert_eq!(
            shown,
            [
                "id BIGINT NOT NULL",
                "item STRING",
                "at TIMESTAMP(3) NOT NULL",
                "tags ARRAY<STRING> NOT NULL",
                "counts MAP<STRING NOT NULL, BIGINT NOT NULL> NOT NULL",
                "place ROW<`f0` DOUBLE NOT NULL, `f1` DATE> NOT NULL",
                "price DECIMAL(38, 18)",
                "colour STRING NOT NULL",
                "raw BYTES NOT NULL",
            ]
        );
        let scalar = columns_of::<Option<i32>>().unwrap();
        assert_eq!(format!("{} {}", scalar[0].0, scalar[0].1), "f0 INT");
    }

    #[test]
    fn what_is_no_value_of_sql_says_why() {
        #[derive(Serialize, Deserialize)]
        enum Event {
            Login,
            Paid(u64),
        }
        #[derive(Serialize, Deserialize)]
        struct Tree {
            children: Vec<Tree>,
        }
        let error = columns_of::<(i32, Event)>().unwrap_err().to_string();
        assert!(error.contains("field f1: an enum whose variants have content"), "{error}");
        let error = columns_of::<Tree>().unwrap_err().to_string();
        assert!(error.contains("field children: it contains itself"), "{error}");
        let error = data_type_of::<u128>().unwrap_err().to_string();
        assert!(error.contains("u128 is too large"), "{error}");
    }
}
