//! Dynamic properties: `-D key=value` or `-Dkey=value` among the arguments of a command.

use crate::{Configuration, error::ConfigError};

impl Configuration {
    /// Sets a dynamic property from `key=value`. The value may hold further `=` and may be empty.
    pub fn add_dynamic(&mut self, property: &str) -> Result<(), ConfigError> {
        let parts = property.split_once('=').map(|(key, value)| (key.trim(), value));
        match parts {
            Some((key, value)) if !key.is_empty() => self.set_dynamic(key, value),
            _ => Err(ConfigError::DynamicProperty(property.to_owned())),
        }
    }
}

/// Takes the dynamic properties out of arguments: the properties, then all other arguments in
/// order. What follows `--` is left alone.
///
/// # Errors
/// If the last argument is `-D`.
pub fn split_dynamic_properties(
    args: impl IntoIterator<Item = String>,
) -> Result<(Vec<String>, Vec<String>), ConfigError> {
    let (mut properties, mut others) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    while let Some(word) = args.next() {
        if word == "--" {
            others.push(word);
            others.extend(args);
            break;
        }
        match word.strip_prefix("-D") {
            Some("") => match args.next() {
                Some(property) => properties.push(property),
                None => return Err(ConfigError::DynamicProperty(String::new())),
            },
            Some(property) => properties.push(property.to_owned()),
            None => others.push(word),
        }
    }
    Ok((properties, others))
}
