//! LIKE: what a new table takes from another.

use hurtig_sql_parser::ast::{CreateTable, LikeClause, LikeFeature, LikeMerging, TableSchema};

use super::create::blank;
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, Catalogs, ColumnDefinitionKind, TableDefinition},
};

/// The new table as far as it is the other's. What the new one says itself comes on top.
pub(super) fn base(
    catalogs: &Catalogs,
    like: &LikeClause,
    own: &TableSchema,
    create: &CreateTable,
) -> PlanResult<TableDefinition> {
    let (path, entry) = catalogs.lookup(&like.table)?;
    let CatalogEntry::Table(source) = entry else {
        let message = format!("Source table '{path}' of the LIKE clause can not be a VIEW");
        return Err(PlanError::at(like.table.span(), message));
    };
    let merging = |feature: LikeFeature| {
        let mut found = if feature == LikeFeature::Options {
            LikeMerging::Overwriting
        } else {
            LikeMerging::Including
        };
        // ALL first: what is named alone wins.
        for wanted in [LikeFeature::All, feature] {
            if let Some((merging, _)) = like.options.iter().find(|(_, one)| *one == wanted) {
                found = *merging;
            }
        }
        found
    };
    let taken = |feature: LikeFeature| merging(feature) != LikeMerging::Excluding;
    let mut table = blank();
    for column in &source.columns {
        let feature = match &column.kind {
            ColumnDefinitionKind::Physical => None,
            ColumnDefinitionKind::Metadata { .. } => Some(LikeFeature::Metadata),
            ColumnDefinitionKind::Computed(_) => Some(LikeFeature::Generated),
        };
        if feature.is_some_and(|feature| !taken(feature)) {
            continue;
        }
        let again = own.columns.iter().any(|one| one.name.last() == column.name);
        if again {
            if feature.map(merging) == Some(LikeMerging::Overwriting) {
                continue;
            }
            let name = &column.name;
            return Err(PlanError::new(format!(
                "A column named '{name}' already exists in the base table."
            )));
        }
        table.columns.push(column.clone());
    }
    if taken(LikeFeature::Watermarks) {
        table.watermark.clone_from(&source.watermark);
        if own.watermark.is_some() {
            if table.watermark.is_some()
                && merging(LikeFeature::Watermarks) == LikeMerging::Including
            {
                return Err(PlanError::new(
                    "There already exists a watermark spec in the base table",
                ));
            }
            table.watermark = None;
        }
    }
    if taken(LikeFeature::Constraints) {
        table.primary_key.clone_from(&source.primary_key);
        if table.primary_key.is_some() && own.constraints.iter().any(|one| one.primary_key) {
            let message = "The base table already has a primary key. You might want to specify EXCLUDING CONSTRAINTS.";
            return Err(PlanError::new(message));
        }
    }
    // EXCLUDING only makes way for partitions of the new table, as in Flink.
    table.partition_keys.clone_from(&source.partition_keys);
    if taken(LikeFeature::Partitions)
        && !table.partition_keys.is_empty()
        && !create.partitioned_by.is_empty()
    {
        let message = "The base table already has partitions defined. You might want to specify EXCLUDING PARTITIONS.";
        return Err(PlanError::new(message));
    }
    if taken(LikeFeature::Distribution) {
        table.distribution.clone_from(&source.distribution);
    }
    if taken(LikeFeature::Options) {
        table.options.clone_from(&source.options);
        if merging(LikeFeature::Options) == LikeMerging::Including {
            for option in &create.options {
                if table.options.contains_key(&option.key) {
                    let key = &option.key;
                    let message =
                        format!("There already exists an option ['{key}'] in the base table.");
                    return Err(PlanError::at(option.span, message).hint("OVERWRITING OPTIONS"));
                }
            }
        }
    }
    table.comment.clone_from(&source.comment);
    Ok(table)
}
