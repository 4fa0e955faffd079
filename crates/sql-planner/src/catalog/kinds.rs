//! Catalogs by their `type`.

use std::{path::Path, sync::Arc};

use indexmap::IndexMap;

use super::{Catalog, FileCatalog, MemoryCatalog};
use crate::{PlanError, PlanResult};

/// The database of a catalog whose options name none.
const DATABASE: &str = "default";

/// A catalog as CREATE CATALOG asks for it.
///
/// | `type` | options | keeps definitions |
/// |---|---|---|
/// | `generic_in_memory` | `default-database` | as long as the session |
/// | `filesystem` | `path`, `default-database` | in a directory |
///
/// # Errors
/// If the type or an option is not known, or the directory cannot be used.
pub fn make_catalog(options: &IndexMap<String, String>) -> PlanResult<Arc<dyn Catalog>> {
    let kind = options.get("type").map(String::as_str);
    let known: &[&str] = match kind {
        Some("generic_in_memory") => &["type", "default-database"],
        Some("filesystem") => &["type", "default-database", "path"],
        _ => {
            let message = format!("no catalog of type '{}'", kind.unwrap_or_default());
            let hint = "the types are generic_in_memory and filesystem";
            return Err(PlanError::new(message).hint(hint));
        }
    };
    if let Some(other) = options.keys().find(|key| !known.contains(&key.as_str())) {
        let message = format!("catalogs of this type have no option '{other}'");
        return Err(PlanError::new(message).nearest(other, known.iter().copied()));
    }
    let database = options.get("default-database").map_or(DATABASE, String::as_str);
    if kind == Some("generic_in_memory") {
        return Ok(Arc::new(MemoryCatalog::with_database(database)));
    }
    let path = options.get("path").ok_or_else(|| {
        PlanError::new("a catalog of type 'filesystem' needs the option 'path': a directory")
    })?;
    Ok(Arc::new(FileCatalog::open(&local_path(path)?, database)?))
}

/// A directory of this machine: a path, or a URL of the scheme `file`.
pub(super) fn local_path(text: &str) -> PlanResult<std::path::PathBuf> {
    let path = text.strip_prefix("file://").unwrap_or(text);
    if path.is_empty() || path.contains("://") {
        let message = format!("'{text}' is no directory of this machine");
        return Err(PlanError::new(message).hint("a path, or file:///path"));
    }
    Ok(Path::new(path).to_owned())
}
