//! CREATE TABLE ... LIKE: what is taken over from another table.

use hurtig_sql_parser::ast::{LikeClause, LikeFeature, LikeMerging};

use super::{
    Definitions,
    table::{Draft, draft_of},
};
use crate::{
    PlanError, PlanResult,
    catalog::{CatalogEntry, ColumnDefinitionKind},
};

impl Definitions<'_> {
    /// The part of the other table that the clause asks for. Columns of it always come.
    pub(super) fn like(&self, like: &LikeClause) -> PlanResult<Draft> {
        let (path, entry) = self.catalogs.lookup(&like.table)?;
        let CatalogEntry::Table(table) = entry else {
            let message = format!("Source table '{path}' of the LIKE clause can not be a VIEW.");
            return Err(PlanError::at(like.table.span(), message));
        };
        let mut draft = draft_of(&table);
        // Flink's defaults: options and generated columns may be overwritten, all else is included.
        let merging = |feature: LikeFeature| {
            let of = |wanted: LikeFeature| {
                like.options.iter().rev().find(|(_, one)| *one == wanted).map(|(how, _)| *how)
            };
            of(feature).or_else(|| of(LikeFeature::All)).unwrap_or(LikeMerging::Including)
        };
        let excluded = |feature| merging(feature) == LikeMerging::Excluding;
        draft.columns.retain(|column| match column.kind {
            ColumnDefinitionKind::Physical => true,
            ColumnDefinitionKind::Computed(_) => !excluded(LikeFeature::Generated),
            ColumnDefinitionKind::Metadata { .. } => !excluded(LikeFeature::Metadata),
        });
        if excluded(LikeFeature::Watermarks) {
            draft.watermark = None;
        }
        if excluded(LikeFeature::Constraints) {
            draft.primary_key = None;
        }
        if excluded(LikeFeature::Partitions) {
            draft.partition_keys.clear();
        }
        if excluded(LikeFeature::Distribution) {
            draft.distribution = None;
        }
        if excluded(LikeFeature::Options) {
            draft.options.clear();
        }
        Ok(draft)
    }
}
