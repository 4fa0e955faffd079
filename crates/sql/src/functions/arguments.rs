//! Arguments of functions: tuples of Rust types, read from columns.

use hurtig_sql_parser::types::SqlDataType;
use serde::de::DeserializeOwned;

use crate::values::{ColumnReader, RowValueError, data_type_of};

/// Arguments of a function, as a tuple.
pub trait Arguments: Sized + 'static {
    /// Their types.
    ///
    /// # Errors
    /// If one of them is none of SQL.
    fn types() -> Result<Vec<SqlDataType>, RowValueError>;

    /// The arguments in a row of as many columns; of a column of one value it is that.
    ///
    /// # Errors
    /// If a value does not fit.
    fn read(columns: &[ArgumentColumn<'_>], row: usize) -> Result<Self, RowValueError>;
}

/// A function or closure that takes the tuple `A` as its arguments.
pub trait Function<A, R>: Send + Sync + 'static {
    /// Calls it.
    fn call(&self, arguments: A) -> R;
}

/// A column of arguments.
pub struct ArgumentColumn<'a> {
    reader: ColumnReader<'a>,
    constant: bool,
    nullable: bool,
}

impl<'a> ArgumentColumn<'a> {
    /// A column, or with `constant` one value for all rows; `nullable`: the function takes NULL.
    pub(super) fn new(reader: ColumnReader<'a>, constant: bool, nullable: bool) -> Self {
        Self { reader, constant, nullable }
    }

    /// True if the function is not called with what is in that row.
    pub(super) fn forbids(&self, row: usize) -> bool {
        !self.nullable && self.reader.is_null(self.place(row))
    }

    fn place(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    fn read<T: DeserializeOwned>(&self, row: usize) -> Result<T, RowValueError> {
        self.reader.read(self.place(row))
    }
}

macro_rules! tuples {
    ($($($name:ident $place:tt),*;)*) => {
        $(
            impl<$($name: DeserializeOwned + 'static),*> Arguments for ($($name,)*) {
                fn types() -> Result<Vec<SqlDataType>, RowValueError> {
                    Ok(vec![$(data_type_of::<$name>()?),*])
                }

                fn read(columns: &[ArgumentColumn<'_>], row: usize) -> Result<Self, RowValueError> {
                    let _ = (columns, row);
                    Ok(($(columns[$place].read::<$name>(row)?,)*))
                }
            }

            impl<Call, R, $($name),*> Function<($($name,)*), R> for Call
            where
                Call: Fn($($name),*) -> R + Send + Sync + 'static,
            {
                #[allow(non_snake_case, reason = "a name serves as type and as value")]
                fn call(&self, ($($name,)*): ($($name,)*)) -> R {
                    self($($name),*)
                }
            }
        )*
    };
}

tuples! {
    ;
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}
