//! PRINTF: Java's `String.format`, without dates and explicit indices.

use arrow_array::{
    ArrayRef,
    cast::AsArray,
    types::{Float64Type, Int64Type},
};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    call::{Builtin, Call, Resolved, Want, pure},
    cast::{Mode, Printer, cast_column},
    java,
    types::{STRING, is_decimal, is_integer, is_numeric},
};

/// The widest field: beyond it a format is taken for wrong.
const MAX_WIDTH: usize = 1 << 16;

pub(super) const FUNCTIONS: &[Builtin] = &[pure("PRINTF", "PRINTF(format[, obj]*)", printf)];

/// A place for a value in a format.
struct Place {
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

enum Part {
    Text(String),
    Value(Place),
}

/// Reads a format; `None` if it is wrong.
fn parse(format: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = rest.next_if(|c| "-#+ 0,(".contains(*c)) {
            flags.push(flag);
        }
        let mut number = || {
            let mut digits = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits
        };
        let width = number();
        let width = if width.is_empty() { 0 } else { width.parse().ok()? };
        let precision = match rest.next_if_eq(&'.') {
            None => None,
            Some(_) => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                Some(digits.parse().ok()?)
            }
        };
        if width > MAX_WIDTH || precision.is_some_and(|precision| precision > MAX_WIDTH) {
            return None;
        }
        match rest.next()? {
            '%' => text.push('%'),
            'n' => text.push('\n'),
            conversion if "dsSxXofeEbc".contains(conversion) => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Value(Place { flags, width, precision, conversion }));
            }
            _ => return None,
        }
    }
    parts.push(Part::Text(text));
    Some(parts)
}

/// A value as the conversions see it.
enum Given {
    Null,
    Integer(i64),
    /// Its value, and its text.
    Number(f64, String),
    Boolean(bool),
    Text(String),
}

fn show(place: &Place, given: &Given, out: &mut String) -> Option<()> {
    let signed = |negative: bool, digits: String| {
        let sign = match negative {
            true => "-",
            false if place.flags.contains('+') => "+",
            false if place.flags.contains(' ') => " ",
            false => "",
        };
        let missing = place.width.saturating_sub(sign.len() + digits.len());
        let zeros = if place.flags.contains('0') { "0".repeat(missing) } else { String::new() };
        format!("{sign}{zeros}{digits}")
    };
    let text = match (place.conversion, given) {
        ('b', Given::Null) => "false".to_owned(),
        ('b', Given::Boolean(value)) => value.to_string(),
        ('b', _) => "true".to_owned(),
        (_, Given::Null) => cut("null", place),
        ('d', Given::Integer(value)) => {
            signed(*value < 0, grouped(place, value.unsigned_abs().to_string()))
        }
        ('x', Given::Integer(value)) => signed(false, format!("{value:x}")),
        ('X', Given::Integer(value)) => signed(false, format!("{value:X}")),
        ('o', Given::Integer(value)) => signed(false, format!("{value:o}")),
        ('f', Given::Number(value, _)) => {
            let digits = java::print_fixed(value.abs(), place.precision.unwrap_or(6));
            signed(*value < 0.0, grouped(place, digits))
        }
        ('e' | 'E', Given::Number(value, _)) => {
            let text = format!("{:.*e}", place.precision.unwrap_or(6), value.abs());
            let (mantissa, exponent) = text.split_once('e')?;
            let exponent: i32 = exponent.parse().ok()?;
            let sign = if exponent < 0 { '-' } else { '+' };
            let digits = format!("{mantissa}e{sign}{:02}", exponent.abs());
            signed(
                *value < 0.0,
                if place.conversion == 'E' { digits.to_uppercase() } else { digits },
            )
        }
        ('c', Given::Integer(value)) => char::from_u32(u32::try_from(*value).ok()?)?.to_string(),
        ('c', Given::Text(text)) if text.chars().count() == 1 => text.clone(),
        ('s' | 'S', given) => {
            let text = match given {
                Given::Text(text) | Given::Number(_, text) => text.clone(),
                Given::Integer(value) => value.to_string(),
                Given::Boolean(value) => value.to_string(),
                Given::Null => "null".to_owned(),
            };
            let text = cut(&text, place);
            if place.conversion == 'S' { text.to_uppercase() } else { text }
        }
        _ => return None,
    };
    let missing = place.width.saturating_sub(text.encode_utf16().count());
    if place.flags.contains('-') {
        out.push_str(&text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(&text);
    }
    Some(())
}

/// No more characters than the precision.
fn cut(text: &str, place: &Place) -> String {
    text.chars().take(place.precision.unwrap_or(usize::MAX)).collect()
}

/// With `,` between thousands, if that is asked for.
fn grouped(place: &Place, digits: String) -> String {
    if !place.flags.contains(',') {
        return digits;
    }
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn printf(call: &Call<'_>) -> Resolved {
    call.count(1, usize::MAX)?;
    let mut arguments = call.types();
    arguments[0] = call.want(0, Want::Text)?;
    let types = arguments.clone();
    Ok(call.settled(arguments, SqlDataType::nullable(STRING), move |c| {
        let mode = Mode { context: c.context, gives_null: true };
        let (mut columns, mut originals) = (Vec::new(), Vec::new());
        for (index, data_type) in types.iter().enumerate().skip(1) {
            let (array, constant) = c.raw(index)?;
            let target = match &data_type.kind {
                kind if is_integer(kind) => SqlTypeKind::BigInt,
                // A decimal is no number to Flink here, only a text.
                kind if is_numeric(kind) && !is_decimal(kind) => SqlTypeKind::Double,
                kind => kind.clone(),
            };
            let target = SqlDataType::nullable(target);
            let array: ArrayRef = cast_column(array, data_type, &target, mode)?;
            columns.push((array, target, constant));
            originals.push(c.raw(index)?.0);
        }
        // As they are: FLOAT and DECIMAL have texts of their own.
        let printers = originals.iter().zip(&types[1..]);
        let printers = printers.map(|(array, data_type)| Printer::new(array, data_type, c.context));
        let printers = printers.collect::<Result<Vec<_>, EvalError>>()?;
        let given = |index: usize, row: usize| -> Option<Given> {
            let (array, data_type, constant) = columns.get(index)?;
            let row = if *constant { 0 } else { row };
            if printers[index].is_null(row) {
                return Some(Given::Null);
            }
            Some(match data_type.kind {
                SqlTypeKind::BigInt => Given::Integer(array.as_primitive::<Int64Type>().value(row)),
                SqlTypeKind::Double => {
                    let mut text = String::new();
                    printers[index].print(row, &mut text);
                    Given::Number(array.as_primitive::<Float64Type>().value(row), text)
                }
                SqlTypeKind::Boolean => Given::Boolean(array.as_boolean().value(row)),
                _ => {
                    let mut text = String::new();
                    printers[index].print(row, &mut text);
                    Given::Text(text)
                }
            })
        };
        let formats = c.texts(0)?;
        c.make_texts(|row| {
            let mut out = String::new();
            let mut next = 0;
            // A wrong format, or a value that does not fit its conversion, gives NULL.
            for part in parse(formats.get(row)?)? {
                match part {
                    Part::Text(text) => out.push_str(&text),
                    Part::Value(place) => {
                        show(&place, &given(next, row)?, &mut out)?;
                        next += 1;
                    }
                }
            }
            Some(out)
        })
    }))
}
