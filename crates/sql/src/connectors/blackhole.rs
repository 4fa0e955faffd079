//! The connector `blackhole`: takes everything and keeps nothing.

use std::sync::Arc;

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::ChangelogMode;
use hurtig_types::{BoxedPayload, FlowResult};

use super::{
    api::{TableError, TableFactory, TableSink, TableSource, TableSpec, Write},
    options::TableOptions,
};

/// The factory.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlackholeFactory;

impl TableFactory for BlackholeFactory {
    fn identifier(&self) -> &'static str {
        "blackhole"
    }

    fn required_options(&self) -> &'static [&'static str] {
        &[]
    }

    fn optional_options(&self) -> &'static [&'static str] {
        &["sink.parallelism"]
    }

    fn source(&self, _: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError> {
        Ok(None)
    }

    fn sink(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError> {
        let parallelism = TableOptions(&table.options).parallelism("sink.parallelism")?;
        Ok(Some(Arc::new(Blackhole { parallelism })))
    }
}

struct Blackhole {
    parallelism: Option<u32>,
}

impl TableSink for Blackhole {
    fn changelog_mode(&self, offered: ChangelogMode) -> ChangelogMode {
        // As Flink's: it does without the rows before updates.
        offered.without(hurtig_sql_common::RowKind::UpdateBefore)
    }

    fn can_overwrite(&self) -> bool {
        true
    }

    fn parallelism(&self) -> Option<u32> {
        self.parallelism
    }

    fn factory(&self, _: Write) -> Result<Arc<dyn OperatorFactory>, TableError> {
        Ok(Arc::new(BlackholeOperators))
    }
}

struct BlackholeOperators;

impl OperatorFactory for BlackholeOperators {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(BlackholeOperator))
    }
}

struct BlackholeOperator;

impl Operator for BlackholeOperator {
    fn process(&mut self, _: usize, _: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        Ok(())
    }
}
