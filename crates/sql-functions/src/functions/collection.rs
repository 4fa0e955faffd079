//! Arrays, maps and rows: making them, reading them, and what they have.

use std::{collections::HashSet, sync::Arc};

use arrow_array::{Array, ArrayRef, StructArray, cast::AsArray, types::Int32Type};
use arrow_schema::DataType;
use hurtig_sql_common::{EvalError, columns::arrow_type};
use hurtig_sql_parser::types::{RowField, SqlDataType, SqlTypeKind};

use super::lists::{Encoded, NULL, Place, as_result, gather, make_lists, make_maps};
use crate::{
    api::CallError,
    call::{Builtin, Call, Resolved, Want, pure},
    columns::{Columns, Evaluated},
    types::{
        self, STRING, can_implicitly_cast, common_type, is_integer, is_text, least_restrictive, of,
    },
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("ROW", "ROW(value1, ...)", row),
    pure("ARRAY", "ARRAY[value1, ...]", array),
    pure("MAP", "MAP[key1, value1, ...]", map),
    pure("ITEM", "collection[index]", item),
    pure("FIELD", "row.field", |call| {
        call.count(2, 2)?;
        field(call)
    }),
    pure("CARDINALITY", "CARDINALITY(collection)", cardinality),
    pure("ELEMENT", "ELEMENT(array)", element),
    pure("MAP_KEYS", "MAP_KEYS(map)", |call| map_part(call, true)),
    pure("MAP_VALUES", "MAP_VALUES(map)", |call| map_part(call, false)),
    pure("MAP_ENTRIES", "MAP_ENTRIES(map)", map_entries),
    pure("MAP_UNION", "MAP_UNION(map1, ...)", map_union),
    pure("MAP_FROM_ARRAYS", "MAP_FROM_ARRAYS(keys, values)", map_from_arrays),
    pure("ARRAY_CONTAINS", "ARRAY_CONTAINS(array, value)", |call| {
        look_for(call, SqlTypeKind::Boolean, |c, places| {
            c.make_booleans(|row| places(row).map(|(found, _)| found.is_some()))
        })
    }),
    pure("ARRAY_POSITION", "ARRAY_POSITION(array, value)", |call| {
        look_for(call, SqlTypeKind::Int, |c, places| {
            c.make_numbers::<Int32Type>(|row| match places(row) {
                Some((found, false)) => Some(found.map_or(0, |place| place as i32 + 1)),
                _ => None,
            })
        })
    }),
    pure("ARRAY_REMOVE", "ARRAY_REMOVE(array, value)", |call| {
        with_element(call, |row, list, values, encoded, needle, out| {
            let wanted = encoded.bytes(needle(row));
            out.extend(
                list.map(|place| (values, place)).filter(|place| encoded.bytes(*place) != wanted),
            );
        })
    }),
    pure("ARRAY_APPEND", "ARRAY_APPEND(array, value)", |call| {
        with_element(call, |row, list, values, _, needle, out| {
            out.extend(list.map(|place| (values, place)));
            out.push(needle(row));
        })
    }),
    pure("ARRAY_PREPEND", "ARRAY_PREPEND(array, value)", |call| {
        with_element(call, |row, list, values, _, needle, out| {
            out.push(needle(row));
            out.extend(list.map(|place| (values, place)));
        })
    }),
    pure("ARRAY_DISTINCT", "ARRAY_DISTINCT(array)", |call| {
        of_arrays(call, 1, 1, |lists, encoded, out| distinct(lists[0].clone(), encoded, out))
    }),
    pure("ARRAY_REVERSE", "ARRAY_REVERSE(array)", |call| {
        of_arrays(call, 1, 1, |lists, _, out| out.extend(lists[0].iter().rev()))
    }),
    pure("ARRAY_CONCAT", "ARRAY_CONCAT(array1, ...)", |call| {
        of_arrays(call, 1, usize::MAX, |lists, _, out| out.extend(lists.iter().flatten()))
    }),
    pure("ARRAY_UNION", "ARRAY_UNION(array1, array2)", |call| {
        of_arrays(call, 2, 2, |lists, encoded, out| distinct(lists.concat(), encoded, out))
    }),
    pure("ARRAY_EXCEPT", "ARRAY_EXCEPT(array1, array2)", |call| {
        of_arrays(call, 2, 2, |lists, encoded, out| {
            let other: HashSet<_> = lists[1].iter().map(|place| encoded.bytes(*place)).collect();
            let kept = lists[0].iter().filter(|place| !other.contains(encoded.bytes(**place)));
            distinct(kept.copied().collect(), encoded, out);
        })
    }),
    pure("ARRAY_INTERSECT", "ARRAY_INTERSECT(array1, array2)", |call| {
        of_arrays(call, 2, 2, |lists, encoded, out| {
            let other: HashSet<_> = lists[1].iter().map(|place| encoded.bytes(*place)).collect();
            let kept = lists[0].iter().filter(|place| other.contains(encoded.bytes(**place)));
            distinct(kept.copied().collect(), encoded, out);
        })
    }),
    pure("ARRAY_SLICE", "ARRAY_SLICE(array, start[, end])", array_slice),
    pure("ARRAY_SORT", "ARRAY_SORT(array[, ascending[, null_first]])", array_sort),
    pure("ARRAY_MAX", "ARRAY_MAX(array)", |call| array_extreme(call, true)),
    pure("ARRAY_MIN", "ARRAY_MIN(array)", |call| array_extreme(call, false)),
    pure("ARRAY_JOIN", "ARRAY_JOIN(array, delimiter[, null_replacement])", array_join),
];

fn element_of<'a>(call: &'a Call<'_>, index: usize) -> Result<&'a SqlDataType, CallError> {
    match call.kind(index) {
        SqlTypeKind::Array(element) => Ok(element),
        _ => Err(call.mismatch()),
    }
}

fn array_of(element: SqlDataType) -> SqlTypeKind {
    SqlTypeKind::Array(Box::new(element))
}

fn arrow_of(data_type: &SqlDataType) -> Result<DataType, EvalError> {
    arrow_type(data_type).map_err(|error| EvalError::Internal(error.to_string()))
}

fn row(call: &Call<'_>) -> Resolved {
    let fields = call.types().into_iter().enumerate().map(|(index, data_type)| RowField {
        name: format!("EXPR${index}"),
        data_type,
        description: None,
    });
    let result = SqlDataType::not_null(SqlTypeKind::Row(fields.collect()));
    let arrow = arrow_type(&result).map_err(|error| CallError(error.to_string()))?;
    Ok(call.settled(call.types(), result, move |c| {
        let DataType::Struct(fields) = &arrow else {
            return Err(EvalError::Internal("a row is no struct".to_owned()));
        };
        let columns = fields.iter().enumerate();
        let columns =
            columns.map(|(index, field)| crate::cast::relabel(&c.full(index)?, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, None, c.rows)?))
    }))
}

fn array(call: &Call<'_>) -> Resolved {
    call.count(1, usize::MAX)?;
    let element = least_restrictive(&call.types()).filter(|one| one.kind != SqlTypeKind::Null);
    let element = element.ok_or_else(|| CallError("Parameters must be of the same type".into()))?;
    let result = SqlDataType::not_null(array_of(element.clone()));
    let label = result.clone();
    Ok(call.settled(vec![element; call.len()], result, move |c| {
        let (sources, constants) = sources(c, 0..c.len())?;
        make_lists(c.rows, &label, &sources, |row, out| {
            out.extend(
                constants
                    .iter()
                    .enumerate()
                    .map(|(index, constant)| (index, if *constant { 0 } else { row })),
            );
            Ok(true)
        })
    }))
}

/// Arguments as sources of elements, and which are constants.
fn sources(
    c: &Columns<'_>,
    indices: impl Iterator<Item = usize>,
) -> Result<(Vec<ArrayRef>, Vec<bool>), EvalError> {
    let raw = indices.map(|index| c.raw(index).map(|(array, constant)| (array.clone(), constant)));
    Ok(raw.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

fn map(call: &Call<'_>) -> Resolved {
    let types = call.types();
    let keys: Vec<_> = types.iter().step_by(2).cloned().collect();
    let values: Vec<_> = types.iter().skip(1).step_by(2).cloned().collect();
    if keys.is_empty() || keys.len() != values.len() {
        return Err(CallError("Map constructor must have an even number of arguments".into()));
    }
    let different = || CallError("Parameters must be of the same type".to_owned());
    // A NULL beside other values has no type that they could share.
    let is_null = |one: &SqlDataType| one.kind == SqlTypeKind::Null;
    if types.len() > 2 && types.iter().any(is_null) {
        return Err(different());
    }
    let key = least_restrictive(&keys).ok_or_else(different)?;
    let value = least_restrictive(&values).ok_or_else(different)?;
    let arguments =
        (0..call.len()).map(|index| if index % 2 == 0 { key.clone() } else { value.clone() });
    let arguments = arguments.collect();
    let result = SqlDataType::not_null(SqlTypeKind::Map(Box::new(key), Box::new(value)));
    let label = result.clone();
    Ok(call.settled(arguments, result, move |c| {
        let (keys, key_constants) = sources(c, (0..c.len()).step_by(2))?;
        let (values, value_constants) = sources(c, (1..c.len()).step_by(2))?;
        make_maps(c.rows, &label, &keys, &values, |row, out| {
            let at = |constant: bool| if constant { 0 } else { row };
            out.extend((0..keys.len()).map(|index| {
                ((index, at(key_constants[index])), (index, at(value_constants[index])))
            }));
            Ok(true)
        })
    }))
}

fn item(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    match call.kind(0) {
        SqlTypeKind::Array(element) => {
            if !is_integer(call.kind(1)) {
                return Err(call.mismatch());
            }
            if *call.kind(1) != SqlTypeKind::Int {
                return Err(CallError("Integer expression type expected.".to_owned()));
            }
            if let Some(index) = call.literal_int(1).filter(|index| *index < 1) {
                return Err(CallError(format!(
                    "Array element access needs an index starting at 1 but was {index}."
                )));
            }
            let mut arguments = call.types();
            arguments[1].kind = SqlTypeKind::Int;
            let result = SqlDataType::nullable(element.kind.clone());
            let label = result.clone();
            Ok(call.settled(arguments, result, move |c| {
                let (lists, values) = c.lists(0)?;
                let index = c.numbers::<Int32Type>(1)?;
                let place = |row| {
                    let list = lists.get(row)?;
                    let index = usize::try_from(index.get(row)?).ok()?.checked_sub(1)?;
                    (index < list.len()).then(|| (0, list.start + index))
                };
                let places: Vec<Place> =
                    (0..c.rows).map(|row| place(row).unwrap_or(NULL)).collect();
                gather(std::slice::from_ref(values), &places, &arrow_of(&label)?)
            }))
        }
        SqlTypeKind::Map(key, value) => {
            if !types::are_comparable(&key.kind, call.kind(1)) {
                return Err(call.mismatch());
            }
            let mut arguments = call.types();
            arguments[1] = of(key.kind.clone(), arguments[1].nullable);
            let result = SqlDataType::nullable(value.kind.clone());
            let (label, key) = (result.clone(), (**key).clone());
            Ok(call.settled(arguments, result, move |c| {
                let (maps, keys, values) = c.maps(0)?;
                let (wanted, constant) = c.raw(1)?;
                let encoded = Encoded::new(&[keys.clone(), wanted.clone()], &arrow_of(&key)?)?;
                let place = |row: usize| {
                    let wanted = encoded.get((1, if constant { 0 } else { row }))?;
                    let found =
                        maps.get(row)?.find(|place| encoded.bytes((0, *place)) == wanted)?;
                    Some((0, found))
                };
                let places: Vec<Place> =
                    (0..c.rows).map(|row| place(row).unwrap_or(NULL)).collect();
                gather(std::slice::from_ref(values), &places, &arrow_of(&label)?)
            }))
        }
        SqlTypeKind::Row(_) | SqlTypeKind::Structured { .. } => field(call),
        SqlTypeKind::Variant => super::variant::item(call),
        _ => Err(call.mismatch()),
    }
}

/// A field of a row: by name, or by number from 1.
fn field(call: &Call<'_>) -> Resolved {
    let (SqlTypeKind::Row(fields) | SqlTypeKind::Structured { fields, .. }) = call.kind(0) else {
        return Err(call.mismatch());
    };
    let index = match (call.literal_text(1), call.literal_int(1)) {
        (Some(name), _) => fields.iter().position(|field| field.name == name),
        (None, Some(number)) => usize::try_from(number).ok().and_then(|one| one.checked_sub(1)),
        (None, None) => None,
    };
    let found = index.and_then(|index| fields.get(index)).zip(index);
    let (found, index) = found.ok_or_else(|| {
        let name = call.literal_text(1).unwrap_or("?");
        CallError(format!("Cannot find a field '{name}' in {}", call.kind(0)))
    })?;
    let nullable = found.data_type.nullable || call.arguments[0].data_type.nullable;
    let result = of(found.data_type.kind.clone(), nullable);
    let label = result.clone();
    Ok(call.settled(call.types(), result, move |c| {
        let rows = c.full(0)?;
        let row = rows.as_struct_opt().filter(|row| index < row.num_columns());
        let row = row.ok_or_else(|| EvalError::Internal("no such row".to_owned()))?;
        let column = row.column(index);
        if row.null_count() == 0 {
            return as_result(column.clone(), &label);
        }
        let places: Vec<Place> =
            (0..c.rows).map(|place| if row.is_valid(place) { (0, place) } else { NULL }).collect();
        gather(std::slice::from_ref(column), &places, &arrow_of(&label)?)
    }))
}

fn cardinality(call: &Call<'_>) -> Resolved {
    call.count(1, 1)?;
    let is_map = match call.kind(0) {
        SqlTypeKind::Array(_) => false,
        SqlTypeKind::Map(..) => true,
        _ => return Err(call.mismatch()),
    };
    call.simple(&[Want::Any], SqlTypeKind::Int, move |c| {
        let ranges = if is_map { c.maps(0)?.0 } else { c.lists(0)?.0 };
        c.make_numbers::<Int32Type>(|row| ranges.get(row).map(|range| range.len() as i32))
    })
}

fn element(call: &Call<'_>) -> Resolved {
    call.count(1, 1)?;
    let element = element_of(call, 0)?;
    let result = of(element.kind.clone(), element.nullable || call.nullable());
    let label = SqlDataType::nullable(result.kind.clone());
    Ok(call.settled(call.types(), result, move |c| {
        let (lists, values) = c.lists(0)?;
        let mut places = Vec::with_capacity(c.rows);
        for row in 0..c.rows {
            places.push(match lists.get(row) {
                Some(list) if list.len() == 1 => (0, list.start),
                Some(list) if list.len() > 1 => {
                    return Err(EvalError::Value("Array has more than one element.".to_owned()));
                }
                _ => NULL,
            });
        }
        gather(std::slice::from_ref(values), &places, &arrow_of(&label)?)
    }))
}

fn map_types<'a>(
    call: &'a Call<'_>,
    index: usize,
) -> Result<(&'a SqlDataType, &'a SqlDataType), CallError> {
    match call.kind(index) {
        SqlTypeKind::Map(key, value) => Ok((key, value)),
        _ => Err(call.mismatch()),
    }
}

fn map_part(call: &Call<'_>, of_keys: bool) -> Resolved {
    call.count(1, 1)?;
    let (key, value) = map_types(call, 0)?;
    let element = if of_keys { key } else { value };
    let result = of(array_of(element.clone()), call.nullable());
    let label = result.clone();
    Ok(call.settled(call.types(), result, move |c| {
        let (maps, keys, values) = c.maps(0)?;
        let source = if of_keys { keys } else { values };
        make_lists(c.rows, &label, std::slice::from_ref(source), |row, out| {
            let Some(range) = maps.get(row) else { return Ok(false) };
            out.extend(range.map(|place| (0, place)));
            Ok(true)
        })
    }))
}

fn map_entries(call: &Call<'_>) -> Resolved {
    call.count(1, 1)?;
    let (key, value) = map_types(call, 0)?;
    let field = |name: &str, data_type: &SqlDataType| RowField {
        name: name.to_owned(),
        data_type: data_type.clone(),
        description: None,
    };
    let entry = SqlTypeKind::Row(vec![field("key", key), field("value", value)]);
    let result = of(array_of(SqlDataType::nullable(entry)), call.nullable());
    let label = result.clone();
    Ok(call.settled(call.types(), result, move |c| {
        let (array, constant) = c.raw(0)?;
        let maps = c.maps(0)?.0;
        let entries: ArrayRef = Arc::new(array.as_map().entries().clone());
        debug_assert!(!constant || array.len() == 1);
        make_lists(c.rows, &label, &[entries], |row, out| {
            let Some(range) = maps.get(row) else { return Ok(false) };
            out.extend(range.map(|place| (0, place)));
            Ok(true)
        })
    }))
}

fn map_union(call: &Call<'_>) -> Resolved {
    call.count(1, usize::MAX)?;
    let common = common_type(&call.types()).ok_or_else(|| call.mismatch())?;
    if !matches!(common.kind, SqlTypeKind::Map(..)) {
        return Err(call.mismatch());
    }
    let label = common.clone();
    Ok(call.settled(vec![common.clone(); call.len()], common, move |c| {
        let mut maps = Vec::new();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for index in 0..c.len() {
            let (ranges, key, value) = c.maps(index)?;
            maps.push(ranges);
            keys.push(key.clone());
            values.push(value.clone());
        }
        make_maps(c.rows, &label, &keys, &values, |row, out| {
            for (source, ranges) in maps.iter().enumerate() {
                let Some(range) = ranges.get(row) else { return Ok(false) };
                out.extend(range.map(|place| ((source, place), (source, place))));
            }
            Ok(true)
        })
    }))
}

fn map_from_arrays(call: &Call<'_>) -> Resolved {
    call.count(2, 2)?;
    let (key, value) = (element_of(call, 0)?.clone(), element_of(call, 1)?.clone());
    let result = of(SqlTypeKind::Map(Box::new(key), Box::new(value)), call.nullable());
    let label = result.clone();
    Ok(call.settled(call.types(), result, move |c| {
        let ((keys, key_values), (values, value_values)) = (c.lists(0)?, c.lists(1)?);
        let (key_values, value_values) = ([key_values.clone()], [value_values.clone()]);
        make_maps(c.rows, &label, &key_values, &value_values, |row, out| {
            let (Some(keys), Some(values)) = (keys.get(row), values.get(row)) else {
                return Ok(false);
            };
            if keys.len() != values.len() {
                return Err(EvalError::Value(format!(
                    "Invalid function MAP_FROM_ARRAYS call:\nThe length of the keys array {} is \
                     not equal to the length of the values array {}",
                    keys.len(),
                    values.len()
                )));
            }
            out.extend(keys.zip(values).map(|(key, value)| ((0, key), (0, value))));
            Ok(true)
        })
    }))
}

/// The types of an array and a value that may be its element.
fn array_and_element(call: &Call<'_>) -> Result<(Vec<SqlDataType>, SqlDataType), CallError> {
    call.count(2, 2)?;
    let element = element_of(call, 0)?.clone();
    let needle = call.arguments[1].data_type.clone();
    let fits = can_implicitly_cast(
        &SqlDataType::nullable(needle.kind.clone()),
        &SqlDataType::nullable(element.kind.clone()),
    );
    let common = common_type(&[element, needle]).filter(|_| fits).ok_or_else(|| call.mismatch())?;
    let array = of(array_of(common.clone()), call.arguments[0].data_type.nullable);
    Ok((vec![array, common.clone()], common))
}

/// Where in its array a value is; whether the value is NULL; `None`: the array is NULL.
type Found<'a> = dyn Fn(usize) -> Option<(Option<usize>, bool)> + 'a;

fn look_for(
    call: &Call<'_>,
    result: SqlTypeKind,
    make: fn(&Columns<'_>, &Found<'_>) -> Evaluated,
) -> Resolved {
    let (arguments, element) = array_and_element(call)?;
    let result = of(result, call.nullable());
    Ok(call.settled(arguments, result, move |c| {
        let (lists, values) = c.lists(0)?;
        let (needle, constant) = c.raw(1)?;
        let encoded = Encoded::new(&[values.clone(), needle.clone()], &arrow_of(&element)?)?;
        make(c, &|row| {
            let place = if constant { 0 } else { row };
            let wanted = encoded.bytes((1, place));
            let mut list = lists.get(row)?;
            let found = list.position(|place| encoded.bytes((0, place)) == wanted);
            Some((found, needle.is_null(place)))
        })
    }))
}

type WithElement =
    fn(usize, std::ops::Range<usize>, usize, &Encoded, &dyn Fn(usize) -> Place, &mut Vec<Place>);

/// An array made of an array and a value.
fn with_element(call: &Call<'_>, of_row: WithElement) -> Resolved {
    let (arguments, element) = array_and_element(call)?;
    let result = arguments[0].clone();
    let label = result.clone();
    Ok(call.settled(arguments, result, move |c| {
        let (lists, values) = c.lists(0)?;
        let (needle, constant) = c.raw(1)?;
        let sources = [values.clone(), needle.clone()];
        let encoded = Encoded::new(&sources, &arrow_of(&element)?)?;
        let needle = |row: usize| (1, if constant { 0 } else { row });
        make_lists(c.rows, &label, &sources, |row, out| {
            let Some(list) = lists.get(row) else { return Ok(false) };
            of_row(row, list, 0, &encoded, &needle, out);
            Ok(true)
        })
    }))
}

/// An array made of arrays of one type; NULL if any is.
fn of_arrays(
    call: &Call<'_>,
    least: usize,
    most: usize,
    of_row: fn(&[Vec<Place>], &Encoded, &mut Vec<Place>),
) -> Resolved {
    call.count(least, most)?;
    let common = common_type(&call.types()).ok_or_else(|| call.mismatch())?;
    let SqlTypeKind::Array(element) = &common.kind else { return Err(call.mismatch()) };
    let (label, element) = (common.clone(), (**element).clone());
    Ok(call.settled(vec![common.clone(); call.len()], common, move |c| {
        let lists = (0..c.len()).map(|index| c.lists(index)).collect::<Result<Vec<_>, _>>()?;
        let sources: Vec<ArrayRef> = lists.iter().map(|(_, values)| (*values).clone()).collect();
        let encoded = Encoded::new(&sources, &arrow_of(&element)?)?;
        make_lists(c.rows, &label, &sources, |row, out| {
            let mut places = Vec::with_capacity(lists.len());
            for (source, (ranges, _)) in lists.iter().enumerate() {
                let Some(range) = ranges.get(row) else { return Ok(false) };
                places.push(range.map(|place| (source, place)).collect());
            }
            of_row(&places, &encoded, out);
            Ok(true)
        })
    }))
}

fn distinct(places: Vec<Place>, encoded: &Encoded, out: &mut Vec<Place>) {
    let mut known = HashSet::with_capacity(places.len());
    out.extend(places.into_iter().filter(|place| known.insert(encoded.bytes(*place))));
}

fn array_slice(call: &Call<'_>) -> Resolved {
    element_of(call, 0)?;
    let result = of(call.kind(0).clone(), call.nullable());
    let label = result.clone();
    call.optional(2, &[Want::Any, Want::Int, Want::Int], result, move |c| {
        let (lists, values) = c.lists(0)?;
        let start = c.numbers::<Int32Type>(1)?;
        let end = (c.len() > 2).then(|| c.numbers::<Int32Type>(2)).transpose()?;
        make_lists(c.rows, &label, std::slice::from_ref(values), |row, out| {
            let end = end.as_ref().map_or(Some(-1), |end| end.get(row));
            let (Some(list), Some(start), Some(end)) = (lists.get(row), start.get(row), end) else {
                return Ok(false);
            };
            let length = list.len() as i64;
            let place = |at: i32| {
                let at = i64::from(at);
                if at < 0 { length + at } else { (at - 1).max(0) }
            };
            let first = place(start).max(0);
            let last = if end == 0 { 0 } else { place(end) }.min(length - 1);
            out.extend((first..=last).map(|place| (0, list.start + place as usize)));
            Ok(true)
        })
    })
}

/// What has no order to sort by.
fn is_nested(kind: &SqlTypeKind) -> bool {
    use SqlTypeKind::{Array, Map, Multiset, Row, Structured};
    matches!(kind, Array(_) | Map(..) | Multiset(_) | Row(_) | Structured { .. })
}

fn array_sort(call: &Call<'_>) -> Resolved {
    let element = element_of(call, 0)?.clone();
    if is_nested(&element.kind) {
        return Err(call.mismatch());
    }
    let result = of(call.kind(0).clone(), call.nullable());
    let label = result.clone();
    call.optional(1, &[Want::Any, Want::Boolean, Want::Boolean], result, move |c| {
        let (lists, values) = c.lists(0)?;
        let given = |index| (c.len() > index).then(|| c.booleans(index)).transpose();
        let (ascending, nulls_first) = (given(1)?, given(2)?);
        let encoded = Encoded::new(std::slice::from_ref(values), &arrow_of(&element)?)?;
        make_lists(c.rows, &label, std::slice::from_ref(values), |row, out| {
            let ascending = ascending.as_ref().map_or(Some(true), |one| one.get(row));
            let Some(ascending) = ascending else { return Ok(false) };
            let nulls_first = nulls_first.as_ref().map_or(Some(ascending), |one| one.get(row));
            let (Some(list), Some(nulls_first)) = (lists.get(row), nulls_first) else {
                return Ok(false);
            };
            let (mut there, nulls): (Vec<Place>, Vec<Place>) =
                list.map(|place| (0, place)).partition(|(_, place)| values.is_valid(*place));
            there.sort_by(|a, b| {
                let order = encoded.bytes(*a).cmp(encoded.bytes(*b));
                if ascending { order } else { order.reverse() }
            });
            if nulls_first {
                out.extend(nulls.into_iter().chain(there));
            } else {
                out.extend(there.into_iter().chain(nulls));
            }
            Ok(true)
        })
    })
}

fn array_extreme(call: &Call<'_>, greatest: bool) -> Resolved {
    call.count(1, 1)?;
    let element = &element_of(call, 0)?.kind;
    if is_nested(element) || *element == SqlTypeKind::Boolean {
        return Err(call.mismatch());
    }
    let result = SqlDataType::nullable(element_of(call, 0)?.kind.clone());
    let label = result.clone();
    Ok(call.settled(call.types(), result, move |c| {
        let (lists, values) = c.lists(0)?;
        let kind = arrow_of(&label)?;
        let encoded = Encoded::new(std::slice::from_ref(values), &kind)?;
        let place = |row: usize| {
            let there = lists.get(row)?.filter(|place| values.is_valid(*place));
            let of = |place: &usize| encoded.bytes((0, *place));
            let best = if greatest {
                there.max_by(|a, b| of(a).cmp(of(b)))
            } else {
                there.min_by(|a, b| of(a).cmp(of(b)))
            };
            best.map(|place| (0, place))
        };
        let places: Vec<Place> = (0..c.rows).map(|row| place(row).unwrap_or(NULL)).collect();
        gather(std::slice::from_ref(values), &places, &kind)
    }))
}

fn array_join(call: &Call<'_>) -> Resolved {
    if !is_text(&element_of(call, 0)?.kind) {
        return Err(call.mismatch());
    }
    let result = of(STRING, call.nullable());
    call.optional(2, &[Want::Any, Want::Text, Want::Text], result, |c| {
        let (lists, values) = c.lists(0)?;
        let values = values.as_string::<i32>();
        let delimiter = c.texts(1)?;
        let replacement = (c.len() > 2).then(|| c.texts(2)).transpose()?;
        c.make_texts(|row| {
            let (list, delimiter) = (lists.get(row)?, delimiter.get(row)?);
            let replacement = match &replacement {
                Some(replacement) => Some(replacement.get(row)?),
                None => None,
            };
            let parts = list.filter_map(|place| match values.is_valid(place) {
                true => Some(values.value(place)),
                false => replacement,
            });
            Some(parts.collect::<Vec<_>>().join(delimiter))
        })
    })
}
