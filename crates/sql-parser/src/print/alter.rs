//! ALTER.

use std::fmt;

use super::{TextLiteral, commas, table::write_options, word};
use crate::ast::{
    AlterAction, AlterTable, ColumnPosition, ColumnPositionSpec, PartitionSpec, SchemaChange,
};

impl fmt::Display for AlterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = word(self.if_exists, "IF EXISTS ");
        write!(f, "ALTER TABLE {guard}{} {}", self.name, self.action)
    }
}

impl fmt::Display for AlterAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rename(name) => write!(f, "RENAME TO {name}"),
            Self::RenameColumn { from, to } => write!(f, "RENAME {from} TO {to}"),
            Self::SetOptions(options) => write!(f, "SET ({})", commas(options)),
            Self::ResetOptions(keys) => {
                let keys: Vec<TextLiteral<'_>> = keys.iter().map(|key| TextLiteral(key)).collect();
                write!(f, "RESET ({})", commas(&keys))
            }
            Self::Comment(comment) => write!(f, "COMMENT {}", TextLiteral(comment)),
            Self::Query(query) => write!(f, "AS {query}"),
            Self::Add(change) => write!(f, "ADD {change}"),
            Self::Modify(change) => write!(f, "MODIFY {change}"),
            Self::AddDistribution(distribution) => write!(f, "ADD DISTRIBUTION {distribution}"),
            Self::ModifyDistribution(distribution) => {
                write!(f, "MODIFY DISTRIBUTION {distribution}")
            }
            Self::DropDistribution => f.write_str("DROP DISTRIBUTION"),
            Self::DropColumns(columns) => write!(f, "DROP ({})", commas(columns)),
            Self::DropPrimaryKey => f.write_str("DROP PRIMARY KEY"),
            Self::DropConstraint(name) => write!(f, "DROP CONSTRAINT {name}"),
            Self::DropWatermark => f.write_str("DROP WATERMARK"),
            Self::AddPartitions { if_not_exists, partitions } => {
                write!(f, "ADD{}", word(*if_not_exists, " IF NOT EXISTS"))?;
                for (partition, options) in partitions {
                    write!(f, " PARTITION {partition}")?;
                    write_options(f, options)?;
                }
                Ok(())
            }
            Self::DropPartitions { if_exists, partitions } => {
                write!(f, "DROP{}", word(*if_exists, " IF EXISTS"))?;
                for (index, partition) in partitions.iter().enumerate() {
                    write!(f, "{} PARTITION {partition}", word(index > 0, ","))?;
                }
                Ok(())
            }
            Self::Suspend => f.write_str("SUSPEND"),
            Self::Resume(options) => {
                f.write_str("RESUME")?;
                write_options(f, options)
            }
            Self::Refresh(None) => f.write_str("REFRESH"),
            Self::Refresh(Some(partition)) => write!(f, "REFRESH PARTITION {partition}"),
            Self::SetFreshness(freshness) => write!(f, "SET FRESHNESS = {freshness}"),
            Self::SetRefreshMode(mode) => write!(f, "SET REFRESH_MODE = {mode}"),
        }
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns.iter().map(ToString::to_string);
        let watermark = self.watermark.iter().map(ToString::to_string);
        let constraints = self.constraints.iter().map(ToString::to_string);
        let all: Vec<String> = columns.chain(watermark).chain(constraints).collect();
        write!(f, "({})", commas(&all))
    }
}

impl fmt::Display for ColumnPositionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt(f)?;
        match &self.position {
            Some(ColumnPosition::First) => f.write_str(" FIRST"),
            Some(ColumnPosition::After(column)) => write!(f, " AFTER {column}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PartitionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, (column, value)) in self.entries.iter().enumerate() {
            write!(f, "{}{column}", word(index > 0, ", "))?;
            if let Some(value) = value {
                write!(f, " = {value}")?;
            }
        }
        f.write_str(")")
    }
}
