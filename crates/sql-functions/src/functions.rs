//! The functions, a file for each family.

mod arithmetic;
mod collection;
mod compare;
mod comparison;
mod conditional;
mod encoding;
mod json;
mod lists;
mod logic;
mod math;
mod object;
mod operate;
mod printf;
mod random;
mod regexp;
mod search;
mod strings;
mod temporal;
mod variant;

use crate::call::Builtin;

/// Functions whose parameters have families of types: a NULL without a type belongs to none, so that
/// it is refused. The others find a type for it.
#[rustfmt::skip]
pub(crate) const TYPED_ONLY: &[&str] = &[
    "+", "-", "*", "/", "%", "||", "MOD", "POWER", "SQRT", "LN", "LOG10", "ABS", "EXP", "FLOOR", "CEIL",
    "CEILING", "SIN", "COS", "TAN", "COT", "ASIN", "ACOS", "ATAN", "ATAN2", "DEGREES", "RADIANS", "SIGN",
    "LOG", "LOG2", "ROUND", "TRUNCATE", "BIN", "SINH", "COSH", "TANH", "HEX",
    "UPPER", "LOWER", "INITCAP", "CHAR_LENGTH", "CHARACTER_LENGTH", "OVERLAY", "TRIM", "POSITION",
    "CONCAT", "CONCAT_WS", "CHR", "ASCII", "LPAD", "RPAD", "REPEAT", "REVERSE", "REPLACE", "SPLIT_INDEX",
    "REGEXP", "REGEXP_REPLACE", "REGEXP_EXTRACT", "MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512",
    "SHA2", "PARSE_URL", "TO_BASE64", "FROM_BASE64", "SUBSTRING", "SUBSTR", "LEFT", "RIGHT", "LOCATE",
    "INSTR", "ENCODE", "DECODE", "LTRIM", "RTRIM", "STR_TO_MAP", "IS_DECIMAL", "IS_DIGIT", "IS_ALPHA",
    "DATE_FORMAT", "UNIX_TIMESTAMP", "FROM_UNIXTIME", "TO_TIMESTAMP", "TO_DATE", "CONVERT_TZ",
    "RAND", "RAND_INTEGER", "TRY_PARSE_JSON", "TO_TIMESTAMP_LTZ", "IF", "ITEM", "ROW", "ARRAY_UNION",
    "ARRAY_CONCAT", "ARRAY_INTERSECT", "MAP_UNION", "IS JSON VALUE", "IS JSON OBJECT",
    "IS JSON ARRAY", "IS JSON SCALAR",
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Builtin> {
    const FAMILIES: &[&[Builtin]] = &[
        arithmetic::FUNCTIONS,
        collection::FUNCTIONS,
        comparison::FUNCTIONS,
        conditional::FUNCTIONS,
        encoding::FUNCTIONS,
        json::FUNCTIONS,
        logic::FUNCTIONS,
        math::FUNCTIONS,
        math::OF_DOUBLE,
        object::FUNCTIONS,
        printf::FUNCTIONS,
        random::FUNCTIONS,
        regexp::FUNCTIONS,
        search::FUNCTIONS,
        strings::FUNCTIONS,
        temporal::FUNCTIONS,
        variant::FUNCTIONS,
    ];
    FAMILIES.iter().copied().flatten()
}
