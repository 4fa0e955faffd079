//! Reading a configuration's file: the only I/O of the crate.

use std::{fs::File, io::Read, path::Path};

use crate::{
    Configuration,
    error::{ConfigError, ConfigErrors},
    yaml::MOST_BYTES,
};

/// Name of the file in a configuration's directory, as Flink's.
pub const CONFIG_FILE_NAME: &str = "config.yaml";

/// Most bytes of a file.
pub const MOST_FILE_BYTES: usize = MOST_BYTES;

impl Configuration {
    /// Adds a file at the lowest level.
    ///
    /// # Errors
    /// If the file cannot be read or holds mistakes; then nothing of it is set.
    pub fn load(&mut self, path: &Path) -> Result<(), ConfigErrors> {
        let mut text = String::new();
        // One byte more than allowed, so that a longer file is noticed and not cut.
        let read = File::open(path)
            .and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_string(&mut text));
        read.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        self.add_yaml(&text, &path.display().to_string())
    }
}
