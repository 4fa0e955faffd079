//! Catalogs: databases with tables, views and functions, and which of them are current.
//!
//! - [`Catalog`]: what keeps definitions. [`MemoryCatalog`] is the one of every session,
//!   [`FileCatalog`] keeps them in a directory.
//! - [`CatalogStore`]: which catalogs there are, kept in a directory.
//! - [`Catalogs`]: all catalogs of a session, the temporary objects before them, names resolved.
//! - [`TableDefinition`], [`ViewDefinition`]: what is kept; [`TableRef`]: a table in a plan.
//! - [`StoredEntry`]: definitions as JSON.

mod file;
mod kinds;
mod memory;
mod session;
mod store;
mod stored;
mod table;
mod table_ref;

pub use file::FileCatalog;
pub use kinds::make_catalog;
pub use memory::MemoryCatalog;
pub use session::{Catalogs, DEFAULT_CATALOG, DEFAULT_DATABASE, UsedObjects};
pub use store::CatalogStore;
pub use stored::{StoredEntry, StoredFunction};
pub use table::{
    CatalogEntry, ColumnDefinitionKind, DatabaseDefinition, FunctionDefinition, ObjectPath,
    PrimaryKey, TableColumn, TableDefinition, TableWatermark, ViewDefinition,
};
pub use table_ref::TableRef;

use crate::PlanResult;

/// Keeps databases and what is in them. Names are case-sensitive, as in Flink.
pub trait Catalog: Send + Sync {
    /// The names of the databases, in order.
    fn databases(&self) -> PlanResult<Vec<String>>;
    /// A database.
    fn database(&self, name: &str) -> PlanResult<Option<DatabaseDefinition>>;
    /// Makes or replaces a database.
    fn put_database(&self, name: &str, definition: DatabaseDefinition) -> PlanResult<()>;
    /// Removes a database with all in it.
    fn remove_database(&self, name: &str) -> PlanResult<()>;
    /// The names of tables and views, in order.
    fn entries(&self, database: &str) -> PlanResult<Vec<String>>;
    /// A table or view.
    fn entry(&self, database: &str, name: &str) -> PlanResult<Option<CatalogEntry>>;
    /// Makes or replaces a table or view.
    fn put_entry(&self, database: &str, name: &str, entry: CatalogEntry) -> PlanResult<()>;
    /// Removes a table or view.
    fn remove_entry(&self, database: &str, name: &str) -> PlanResult<()>;
    /// The names of functions, in order.
    fn functions(&self, database: &str) -> PlanResult<Vec<String>>;
    /// A function.
    fn function(&self, database: &str, name: &str) -> PlanResult<Option<FunctionDefinition>>;
    /// Makes, replaces, or (`None`) removes a function.
    fn put_function(
        &self,
        database: &str,
        name: &str,
        function: Option<FunctionDefinition>,
    ) -> PlanResult<()>;
}
