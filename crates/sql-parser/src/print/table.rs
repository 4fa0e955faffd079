//! CREATE for tables, views, functions and models, and what schemas are made of.

use std::fmt;

use super::{TextLiteral, commas, word};
use crate::ast::{
    ColumnDefinition, ColumnKind, CreateFunction, CreateMaterializedTable, CreateModel,
    CreateTable, CreateView, DistributionKind, DistributionSpec, FunctionLanguage, LikeClause,
    LikeFeature, LikeMerging, RefreshMode, SqlProperty, TableConstraint, TableElements,
    TableSchema, WatermarkSpec,
};

impl fmt::Display for SqlProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", TextLiteral(&self.key), TextLiteral(&self.value))
    }
}

/// `WITH (...)` with a blank before it, if there are options.
pub(super) fn write_options(f: &mut fmt::Formatter<'_>, options: &[SqlProperty]) -> fmt::Result {
    if options.is_empty() { Ok(()) } else { write!(f, " WITH ({})", commas(options)) }
}

/// `COMMENT ...` with a blank before it, if there is one.
pub(super) fn write_comment(f: &mut fmt::Formatter<'_>, comment: Option<&String>) -> fmt::Result {
    comment.map_or(Ok(()), |comment| write!(f, " COMMENT {}", TextLiteral(comment)))
}

impl fmt::Display for CreateTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = match (self.replace, self.or_replace) {
            (true, _) => "REPLACE",
            (false, true) => "CREATE OR REPLACE",
            (false, false) => "CREATE",
        };
        let temporary = word(self.temporary, "TEMPORARY ");
        let guard = word(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "{create} {temporary}TABLE {guard}{}{}", self.name, self.elements)?;
        write_comment(f, self.comment.as_ref())?;
        write_placement(f, self.distribution.as_ref(), &self.partitioned_by)?;
        write_options(f, &self.options)?;
        if let Some(like) = &self.like {
            write!(f, " {like}")?;
        }
        self.query.as_ref().map_or(Ok(()), |query| write!(f, " AS {query}"))
    }
}

fn write_placement(
    f: &mut fmt::Formatter<'_>,
    distribution: Option<&DistributionSpec>,
    partitioned_by: &[crate::ast::Ident],
) -> fmt::Result {
    if let Some(distribution) = distribution {
        write!(f, " DISTRIBUTED {distribution}")?;
    }
    if !partitioned_by.is_empty() {
        write!(f, " PARTITIONED BY ({})", commas(partitioned_by))?;
    }
    Ok(())
}

impl fmt::Display for TableElements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Schema(schema) => write!(f, " {schema}"),
            Self::Names(names) => write!(f, " ({})", commas(names)),
        }
    }
}

impl fmt::Display for TableSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns.iter().map(ToString::to_string);
        let watermark = self.watermark.iter().map(ToString::to_string);
        let constraints = self.constraints.iter().map(ToString::to_string);
        let all: Vec<String> = columns.chain(watermark).chain(constraints).collect();
        write!(f, "({})", commas(&all))
    }
}

impl fmt::Display for ColumnDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        match &self.kind {
            ColumnKind::Physical(data_type) => data_type.fmt(f)?,
            ColumnKind::Metadata { data_type, key, is_virtual } => {
                write!(f, "{data_type} METADATA")?;
                if let Some(key) = key {
                    write!(f, " FROM {}", TextLiteral(key))?;
                }
                f.write_str(word(*is_virtual, " VIRTUAL"))?;
            }
            ColumnKind::Computed(expr) => write!(f, "AS {expr}")?,
        }
        write_comment(f, self.comment.as_ref())
    }
}

impl fmt::Display for TableConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "CONSTRAINT {name} ")?;
        }
        let kind = if self.primary_key { "PRIMARY KEY" } else { "UNIQUE" };
        let enforced = match self.enforced {
            Some(true) => " ENFORCED",
            Some(false) => " NOT ENFORCED",
            None => "",
        };
        write!(f, "{kind} ({}){enforced}", commas(&self.columns))
    }
}

impl fmt::Display for WatermarkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WATERMARK FOR {} AS {}", self.column, self.expr)
    }
}

impl fmt::Display for DistributionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blank = "";
        if !self.columns.is_empty() {
            let kind = match self.kind {
                Some(DistributionKind::Hash) => "HASH ",
                Some(DistributionKind::Range) => "RANGE ",
                None => "",
            };
            write!(f, "BY {kind}({})", commas(&self.columns))?;
            blank = " ";
        }
        self.buckets.map_or(Ok(()), |buckets| write!(f, "{blank}INTO {buckets} BUCKETS"))
    }
}

impl fmt::Display for LikeClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LIKE {}", self.table)?;
        if self.options.is_empty() {
            return Ok(());
        }
        let options: Vec<String> = self
            .options
            .iter()
            .map(|(merging, feature)| {
                let merging = match merging {
                    LikeMerging::Including => "INCLUDING",
                    LikeMerging::Excluding => "EXCLUDING",
                    LikeMerging::Overwriting => "OVERWRITING",
                };
                let feature = match feature {
                    LikeFeature::All => "ALL",
                    LikeFeature::Constraints => "CONSTRAINTS",
                    LikeFeature::Distribution => "DISTRIBUTION",
                    LikeFeature::Generated => "GENERATED",
                    LikeFeature::Metadata => "METADATA",
                    LikeFeature::Options => "OPTIONS",
                    LikeFeature::Partitions => "PARTITIONS",
                    LikeFeature::Watermarks => "WATERMARKS",
                };
                format!("{merging} {feature}")
            })
            .collect();
        write!(f, " ({})", options.join(" "))
    }
}

impl fmt::Display for CreateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (replace, temporary) =
            (word(self.or_replace, "OR REPLACE "), word(self.temporary, "TEMPORARY "));
        let guard = word(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE {replace}{temporary}VIEW {guard}{}", self.name)?;
        if !self.columns.is_empty() {
            write!(f, " ({})", commas(&self.columns))?;
        }
        write_comment(f, self.comment.as_ref())?;
        write!(f, " AS {}", self.query)
    }
}

impl fmt::Display for FunctionLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Java => "JAVA",
            Self::Scala => "SCALA",
            Self::Sql => "SQL",
            Self::Python => "PYTHON",
        })
    }
}

impl fmt::Display for CreateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (temporary, system) =
            (word(self.temporary, "TEMPORARY "), word(self.system, "SYSTEM "));
        let guard = word(self.if_not_exists, "IF NOT EXISTS ");
        let implementation = TextLiteral(&self.implementation);
        write!(f, "CREATE {temporary}{system}FUNCTION {guard}{} AS {implementation}", self.name)?;
        if let Some(language) = self.language {
            write!(f, " LANGUAGE {language}")?;
        }
        for (index, resource) in self.resources.iter().enumerate() {
            let before = if index == 0 { " USING" } else { "," };
            write!(f, "{before} JAR {}", TextLiteral(&resource.jar))?;
        }
        write_options(f, &self.options)
    }
}

impl fmt::Display for CreateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guard = word(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "CREATE {}MODEL {guard}{}", word(self.temporary, "TEMPORARY "), self.name)?;
        if let Some(input) = &self.input {
            write!(f, " INPUT {input}")?;
        }
        if let Some(output) = &self.output {
            write!(f, " OUTPUT {output}")?;
        }
        write_comment(f, self.comment.as_ref())?;
        write_options(f, &self.options)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, " AS {query}"))
    }
}

impl fmt::Display for RefreshMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Continuous => "CONTINUOUS",
        })
    }
}

impl fmt::Display for CreateMaterializedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alter = word(self.or_alter, "OR ALTER ");
        write!(f, "CREATE {alter}MATERIALIZED TABLE {}{}", self.name, self.elements)?;
        write_comment(f, self.comment.as_ref())?;
        write_placement(f, self.distribution.as_ref(), &self.partitioned_by)?;
        write_options(f, &self.options)?;
        if let Some(freshness) = &self.freshness {
            write!(f, " FRESHNESS = {freshness}")?;
        }
        if let Some(mode) = self.refresh_mode {
            write!(f, " REFRESH_MODE = {mode}")?;
        }
        write!(f, " AS {}", self.query)
    }
}
