//! Hashes, and texts as bytes: hexadecimal, base 64, URLs.

use std::sync::Arc;

use arrow_array::{Int32Array, types::Int32Type};
use arrow_row::{RowConverter, SortField};
use base64::{Engine, engine::general_purpose::STANDARD};
use hurtig_sql_common::EvalError;
use hurtig_sql_parser::types::SqlTypeKind;
use hurtig_types::stable_hash;
use md5::Md5;
use serde::{Serialize, Serializer};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::math::hex;
use crate::{
    call::{Builtin, Call, Resolved, Want, pure},
    columns::{Columns, Evaluated},
    types::{BYTES, STRING, of},
};

use Want::{Int, Text};

pub(super) const FUNCTIONS: &[Builtin] = &[
    pure("MD5", "MD5(string)", |call| hash(call, 32, digest::<Md5>)),
    pure("SHA1", "SHA1(string)", |call| hash(call, 40, digest::<Sha1>)),
    pure("SHA224", "SHA224(string)", |call| hash(call, 56, digest::<Sha224>)),
    pure("SHA256", "SHA256(string)", |call| hash(call, 64, digest::<Sha256>)),
    pure("SHA384", "SHA384(string)", |call| hash(call, 96, digest::<Sha384>)),
    pure("SHA512", "SHA512(string)", |call| hash(call, 128, digest::<Sha512>)),
    pure("SHA2", "SHA2(string, length)", |call| {
        call.simple(&[Text, Int], SqlTypeKind::Varchar(128), |c| {
            let (text, length) = (c.texts(0)?, c.numbers::<Int32Type>(1)?);
            c.try_texts(|row| {
                let (Some(text), Some(length)) = (text.get(row), length.get(row)) else {
                    return Ok(None);
                };
                Ok(Some(match length {
                    224 => digest::<Sha224>(text),
                    256 => digest::<Sha256>(text),
                    384 => digest::<Sha384>(text),
                    512 => digest::<Sha512>(text),
                    other => {
                        return Err(EvalError::Value(format!(
                            "Unsupported algorithm: SHA-{other}"
                        )));
                    }
                }))
            })
        })
    }),
    // The planner's: which part of a group a value is in. State depends on it.
    pure("$HASH_CODE", "$HASH_CODE(value)", |call| {
        call.optional(1, &[Want::Any], of(SqlTypeKind::Int, false), hash_codes)
    }),
    pure("UNHEX", "UNHEX(string)", |call| {
        call.partial(1, &[Text], BYTES, |c| {
            let text = c.texts(0)?;
            c.make_bytes(|row| unhex(text.get(row)?))
        })
    }),
    pure("TO_BASE64", "TO_BASE64(string)", |call| {
        call.simple(&[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.make_texts(|row| text.get(row).map(|text| STANDARD.encode(text)))
        })
    }),
    pure("FROM_BASE64", "FROM_BASE64(string)", |call| {
        call.simple(&[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.try_texts(|row| {
                let Some(text) = text.get(row) else { return Ok(None) };
                let bytes = STANDARD.decode(text);
                let bytes =
                    bytes.map_err(|error| EvalError::Value(format!("'{text}': {error}")))?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            })
        })
    }),
    pure("ENCODE", "ENCODE(string, charset)", |call| {
        call.partial(2, &[Text, Text], BYTES, |c| {
            let (text, charset) = (c.texts(0)?, c.texts(1)?);
            c.make_bytes(|row| encode(text.get(row)?, charset.get(row)?))
        })
    }),
    pure("DECODE", "DECODE(bytes, charset)", |call| {
        call.partial(2, &[Want::Bytes, Text], STRING, |c| {
            let (bytes, charset) = (c.bytes(0)?, c.texts(1)?);
            c.make_texts(|row| decode(bytes.get(row)?, charset.get(row)?))
        })
    }),
    pure("URL_ENCODE", "URL_ENCODE(string)", |call| {
        call.partial(1, &[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.make_texts(|row| text.get(row).map(url_encode))
        })
    }),
    pure("URL_DECODE", "URL_DECODE(string)", |call| {
        call.partial(1, &[Text], STRING, |c| {
            let text = c.texts(0)?;
            c.make_texts(|row| url_decode(text.get(row)?))
        })
    }),
    pure("PARSE_URL", "PARSE_URL(url, part[, key])", |call| {
        call.partial(2, &[Text, Text, Text], STRING, |c| {
            let (url, part) = (c.texts(0)?, c.texts(1)?);
            let key = (c.len() > 2).then(|| c.texts(2)).transpose()?;
            c.make_texts(|row| {
                let (url, part) = (url.get(row)?, part.get(row)?);
                let Some(key) = &key else { return url_part(url, part).map(str::to_owned) };
                if part != "QUERY" {
                    return None;
                }
                let (query, key) = (url_part(url, part)?, key.get(row)?);
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
            })
        })
    }),
];

fn hash(call: &Call<'_>, length: u32, digest: fn(&str) -> String) -> Resolved {
    let result = of(SqlTypeKind::Char(length), call.nullable());
    call.optional(1, &[Text], result, move |c| {
        let text = c.texts(0)?;
        c.make_texts(|row| text.get(row).map(digest))
    })
}

/// Numbers from 0 on; values that DISTINCT takes for the same have the same.
fn hash_codes(columns: &Columns<'_>) -> Evaluated {
    struct Bytes<'a>(&'a [u8]);
    impl Serialize for Bytes<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    let values = columns.full(0)?;
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let rows = converter.convert_columns(&[values])?;
    let hashes = rows.iter().map(|row| match stable_hash(&Bytes(row.as_ref())) {
        Ok(hash) => Ok((hash >> 33) as i32),
        Err(error) => Err(EvalError::Internal(error.to_string())),
    });
    Ok(Arc::new(hashes.collect::<Result<Int32Array, EvalError>>()?))
}

fn digest<D: Digest>(text: &str) -> String {
    hex(&D::digest(text.as_bytes())).to_lowercase()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes();
    // Of an odd number the first digit is checked and becomes a byte of zero.
    let (head, rest) = bytes.split_at(bytes.len() % 2);
    let mut out = Vec::with_capacity(bytes.len() / 2 + 1);
    if let [first] = head {
        digit(*first)?;
        out.push(0);
    }
    for pair in rest.chunks_exact(2) {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(out)
}

fn encode(text: &str, charset: &str) -> Option<Vec<u8>> {
    let latin = |limit: u32| {
        text.chars().map(|c| if u32::from(c) < limit { c as u32 as u8 } else { b'?' }).collect()
    };
    Some(match &*charset.to_uppercase() {
        "UTF-8" => text.as_bytes().to_vec(),
        "US-ASCII" => latin(128),
        "ISO-8859-1" => latin(256),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" => {
            let marked = std::iter::once(0xFEFF).chain(text.encode_utf16());
            marked.flat_map(u16::to_be_bytes).collect()
        }
        _ => return None,
    })
}

fn decode(bytes: &[u8], charset: &str) -> Option<String> {
    let utf16 = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    Some(match &*charset.to_uppercase() {
        "UTF-8" => String::from_utf8_lossy(bytes).into_owned(),
        "US-ASCII" => {
            let ascii = |byte: &u8| {
                if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER }
            };
            bytes.iter().map(ascii).collect()
        }
        "ISO-8859-1" => bytes.iter().map(|byte| char::from(*byte)).collect(),
        "UTF-16BE" => utf16(bytes, u16::from_be_bytes),
        "UTF-16LE" => utf16(bytes, u16::from_le_bytes),
        "UTF-16" => match bytes {
            [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
            _ => utf16(bytes, u16::from_be_bytes),
        },
        _ => return None,
    })
}

fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push_str(&hex(&[byte]));
            }
        }
    }
    out
}

fn url_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// A part of a URL, as `java.net.URL` has them.
fn url_part<'a>(url: &'a str, part: &str) -> Option<&'a str> {
    let (protocol, rest) = url.trim_matches(|c: char| c <= ' ').split_once(':')?;
    let known = ["http", "https", "ftp", "file", "jar", "mailto"];
    if !known.iter().any(|name| protocol.eq_ignore_ascii_case(name)) {
        return None;
    }
    let (rest, reference) = match rest.split_once('#') {
        Some((rest, reference)) => (rest, Some(reference)),
        None => (rest, None),
    };
    let (authority, file) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (path, query) = match file.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (file, None),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    match part {
        "HOST" => Some(host),
        "PATH" => Some(path),
        "QUERY" => query,
        "REF" => reference,
        "PROTOCOL" => Some(protocol),
        "FILE" => Some(file),
        "AUTHORITY" => (!authority.is_empty()).then_some(authority),
        "USERINFO" => user,
        _ => None,
    }
}
