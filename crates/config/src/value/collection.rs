//! Lists (`a;b;c`) and maps (`key:value,key:value`). A word that holds a separator or a quote is
//! put in single quotes, in which a quote is doubled.

use std::collections::BTreeMap;

use super::{ConfigValue, ValueError};

/// Splits at a separator, but not within quotes; quotes stay.
fn split(text: &str, separator: char) -> Result<Vec<&str>, ValueError> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match quote {
            // A doubled quote closes and opens again: the same in the end.
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == separator => {
                parts.push(&text[begin..index]);
                begin = index + c.len_utf8();
            }
            None => {}
        }
    }
    if quote.is_some() {
        return Err(ValueError("a quote is not closed".to_owned()));
    }
    parts.push(&text[begin..]);
    Ok(parts)
}

fn unquote(word: &str) -> Result<String, ValueError> {
    let word = word.trim();
    let Some(quote) = word.chars().next().filter(|c| *c == '\'' || *c == '"') else {
        return Ok(word.to_owned());
    };
    let inner = word.get(1..word.len().saturating_sub(1)).filter(|_| word.ends_with(quote));
    let (one, two) = (quote.to_string(), quote.to_string().repeat(2));
    match inner {
        Some(inner) if word.len() >= 2 && !inner.replace(&two, "").contains(quote) => {
            Ok(inner.replace(&two, &one))
        }
        _ => Err(ValueError(format!("the quotes of {word} do not enclose it"))),
    }
}

fn quote(word: &str) -> String {
    let plain =
        !word.is_empty() && word.trim() == word && !word.contains([';', ',', ':', '\'', '"']);
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "''")) }
}

impl ConfigValue for Vec<String> {
    fn type_name() -> &'static str {
        "List<String>"
    }

    fn expected() -> String {
        "a list such as a;b;c".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        split(text, ';')?.into_iter().map(unquote).collect()
    }

    fn to_text(&self) -> String {
        self.iter().map(|word| quote(word)).collect::<Vec<_>>().join(";")
    }
}

impl ConfigValue for BTreeMap<String, String> {
    const IS_MAP: bool = true;

    fn type_name() -> &'static str {
        "Map"
    }

    fn expected() -> String {
        "a map such as key:value,key:value".to_owned()
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        let mut map = Self::new();
        if text.trim().is_empty() {
            return Ok(map);
        }
        for entry in split(text, ',')? {
            let parts = split(entry, ':')?;
            let [key, value] = parts.as_slice() else {
                return Err(ValueError(format!("{entry:?} is not of the form key:value")));
            };
            if map.insert(unquote(key)?, unquote(value)?).is_some() {
                return Err(ValueError(format!("the key {} is given twice", key.trim())));
            }
        }
        Ok(map)
    }

    fn to_text(&self) -> String {
        let entries = self.iter().map(|(key, value)| format!("{}:{}", quote(key), quote(value)));
        entries.collect::<Vec<_>>().join(",")
    }
}
