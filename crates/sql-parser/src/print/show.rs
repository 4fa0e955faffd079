//! SHOW, DESCRIBE and DROP.

use std::fmt;

use super::{TextLiteral, word};
use crate::ast::{DescribeTarget, DropTarget, LikeFilter, ObjectKind, ObjectName, ShowTarget};

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalog => "CATALOG",
            Self::Database => "DATABASE",
            Self::Table => "TABLE",
            Self::MaterializedTable => "MATERIALIZED TABLE",
            Self::View => "VIEW",
            Self::Function => "FUNCTION",
            Self::Model => "MODEL",
            Self::Connection => "CONNECTION",
        })
    }
}

fn write_filters(
    f: &mut fmt::Formatter<'_>,
    from: Option<&ObjectName>,
    like: Option<&LikeFilter>,
) -> fmt::Result {
    if let Some(from) = from {
        write!(f, " FROM {from}")?;
    }
    let Some(like) = like else { return Ok(()) };
    let operator = if like.ignore_case { "ILIKE" } else { "LIKE" };
    write!(f, " {}{operator} {}", word(like.negated, "NOT "), TextLiteral(&like.pattern))
}

impl fmt::Display for ShowTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW ")?;
        match self {
            Self::Catalogs(like) => {
                f.write_str("CATALOGS")?;
                write_filters(f, None, like.as_ref())
            }
            Self::CurrentCatalog => f.write_str("CURRENT CATALOG"),
            Self::CurrentDatabase => f.write_str("CURRENT DATABASE"),
            Self::Jars => f.write_str("JARS"),
            Self::Jobs => f.write_str("JOBS"),
            Self::Modules { full } => write!(f, "{}MODULES", word(*full, "FULL ")),
            Self::Objects { object, user, from, like } => {
                write!(f, "{}{object}S", word(*user, "USER "))?;
                write_filters(f, from.as_ref(), like.as_ref())
            }
            Self::Procedures { from, like } => {
                f.write_str("PROCEDURES")?;
                write_filters(f, from.as_ref(), like.as_ref())
            }
            Self::Columns { table, like } => {
                f.write_str("COLUMNS")?;
                write_filters(f, Some(table), like.as_ref())
            }
            Self::Partitions { table, partition } => {
                write!(f, "PARTITIONS {table}")?;
                match partition {
                    Some(partition) => write!(f, " PARTITION {partition}"),
                    None => Ok(()),
                }
            }
            Self::Create { object, name } => write!(f, "CREATE {object} {name}"),
        }
    }
}

impl fmt::Display for DescribeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl DescribeTarget {
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, extended: bool) -> fmt::Result {
        let extended = word(extended, "EXTENDED ");
        match self {
            Self::Object { object: ObjectKind::Table, name } => {
                write!(f, "DESCRIBE {extended}{name}")
            }
            Self::Object { object, name } => write!(f, "DESCRIBE {object} {extended}{name}"),
            Self::Job(id) => write!(f, "DESCRIBE JOB {}", TextLiteral(id)),
        }
    }
}

impl fmt::Display for DropTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (temporary, system) =
            (word(self.temporary, "TEMPORARY "), word(self.system, "SYSTEM "));
        let guard = word(self.if_exists, "IF EXISTS ");
        write!(f, "DROP {temporary}{system}{} {guard}{}", self.object, self.name)?;
        f.write_str(match self.cascade {
            Some(true) => " CASCADE",
            Some(false) => " RESTRICT",
            None => "",
        })
    }
}
