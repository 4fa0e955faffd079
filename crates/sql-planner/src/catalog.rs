//! Catalogs: databases with tables, views and functions, and which of them are current.
//!
//! - [`Catalog`]: what keeps definitions. [`MemoryCatalog`] is the one of every session.
//! - [`Catalogs`]: all catalogs of a session, the temporary objects before them, names resolved.
//! - [`TableDefinition`], [`ViewDefinition`]: what is kept; [`TableRef`]: a table in a plan.

mod memory;
mod session;
mod table;
mod table_ref;

pub use memory::MemoryCatalog;
pub use session::{Catalogs, DEFAULT_CATALOG, DEFAULT_DATABASE};
pub use table::{
    CatalogEntry, ColumnDefinitionKind, DatabaseDefinition, FunctionDefinition, ObjectPath,
    PrimaryKey, TableColumn, TableDefinition, TableWatermark, ViewDefinition,
};
pub use table_ref::TableRef;

use crate::PlanResult;

/// Keeps databases and what is in them. Names are case-sensitive, as in Flink.
pub trait Catalog: Send + Sync {
    /// The names of the databases, in order.
    fn databases(&self) -> Vec<String>;
    /// A database.
    fn database(&self, name: &str) -> Option<DatabaseDefinition>;
    /// Makes or replaces a database.
    fn put_database(&self, name: &str, definition: DatabaseDefinition) -> PlanResult<()>;
    /// Removes a database with all in it.
    fn remove_database(&self, name: &str) -> PlanResult<()>;
    /// The names of tables and views, in order.
    fn entries(&self, database: &str) -> Vec<String>;
    /// A table or view.
    fn entry(&self, database: &str, name: &str) -> Option<CatalogEntry>;
    /// Makes or replaces a table or view.
    fn put_entry(&self, database: &str, name: &str, entry: CatalogEntry) -> PlanResult<()>;
    /// Removes a table or view.
    fn remove_entry(&self, database: &str, name: &str) -> PlanResult<()>;
    /// The names of functions, in order.
    fn functions(&self, database: &str) -> Vec<String>;
    /// A function.
    fn function(&self, database: &str, name: &str) -> Option<FunctionDefinition>;
    /// Makes, replaces, or (`None`) removes a function.
    fn put_function(
        &self,
        database: &str,
        name: &str,
        function: Option<FunctionDefinition>,
    ) -> PlanResult<()>;
}
