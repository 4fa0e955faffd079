//! A table in a plan.

use std::{fmt, sync::Arc};

use arrow_schema::{Schema, SchemaRef};
use datafusion_expr::{TableSource, TableType};
use indexmap::IndexMap;

use super::{ObjectPath, TableDefinition};

/// The source of a `TableScan`: the table, and which of its columns the scan's fields are. Computed
/// columns are not among them: a projection above the scan has them.
#[derive(Clone)]
pub struct TableRef {
    /// Its whole name.
    pub path: ObjectPath,
    /// Its definition.
    pub table: Arc<TableDefinition>,
    /// Its options with those of an OPTIONS hint.
    pub options: IndexMap<String, String>,
    /// For each field of the schema, the position of its column in the definition.
    pub columns: Vec<usize>,
    /// The fields: physical and metadata columns, under names that are unique in the statement.
    pub schema: SchemaRef,
}

impl TableRef {
    /// A reference with that schema.
    #[must_use]
    pub fn new(
        path: ObjectPath,
        table: Arc<TableDefinition>,
        options: IndexMap<String, String>,
        columns: Vec<usize>,
        schema: Schema,
    ) -> Self {
        Self { path, table, options, columns, schema: Arc::new(schema) }
    }
}

impl fmt::Debug for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableRef({})", self.path)
    }
}

impl TableSource for TableRef {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }
}
