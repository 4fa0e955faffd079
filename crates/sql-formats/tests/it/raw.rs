//! `raw`.

use crate::{decode, decoding};

#[test]
fn a_record_is_a_value() {
    assert_eq!(
        decode("raw", &[("line", "STRING")], &[], &["é{".as_bytes(), b"", b"\xff"]),
        ["+I[é{]", "+I[]", "+I[\u{fffd}]"]
    );
    let big = &[0, 0, 1, 2][..];
    assert_eq!(decode("raw", &[("x", "INT")], &[], &[big]), ["+I[258]"]);
    let little = &[("endianness", "little-endian")];
    assert_eq!(decode("raw", &[("x", "INT")], little, &[&[2, 1, 0, 0]]), ["+I[258]"]);
    assert_eq!(
        decode("raw", &[("x", "STRING")], &[("charset", "ISO-8859-1")], &[b"\xe9"]),
        ["+I[é]"]
    );
    let rows = decode("raw", &[("x", "BIGINT")], &[], &[b"123"]);
    assert!(rows[0].contains("Failed to deserialize raw value"), "{rows:?}");
}

#[test]
fn there_is_one_column_of_a_simple_type() {
    assert!(decoding("raw", &[("a", "STRING"), ("b", "STRING")], &[]).is_err());
    assert!(decoding("raw", &[("a", "DATE")], &[]).is_err());
    assert!(decoding("raw", &[("a", "STRING")], &[("charset", "EBCDIC")]).is_err());
}
