//! What the crates of SQL share.
//!
//! - [`columns`]: each data type as a type of Arrow's, and schemas that remember the data types.
//! - [`ChangelogBatch`]: rows as columns, each with its [`RowKind`]: what flows between operators.
//! - [`ChangelogMode`]: which kinds a stream of them may have.
//! - [`SqlContext`]: what expressions may know beside their arguments: the zone, the clock.
//! - [`EvalError`]: why an expression has no value.

mod batch;
mod changelog_mode;
pub mod columns;
mod context;
mod error;
mod row_kind;

pub use batch::ChangelogBatch;
pub use changelog_mode::ChangelogMode;
pub use context::{SqlContext, current_watermark, set_current_watermark};
pub use error::{EvalError, readable_message};
pub use row_kind::RowKind;
