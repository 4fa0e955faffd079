//! How built-in functions are declared, and what they see of a call while it is planned.

use arrow_array::{Array, Int32Array, StringArray};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use crate::{
    api::{CallArgument, CallError, ResolvedCall, ScalarFunction},
    columns::{Columns, Evaluated, kernel},
    types::{STRING, is_binary, is_integer, is_numeric, is_text, of},
};

/// A call whose types are settled, or why it cannot be.
pub(crate) type Resolved = Result<ResolvedCall, CallError>;

/// How long a result stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stability {
    /// For ever.
    Pure,
    /// Within one query.
    Query,
    /// Not at all.
    Volatile,
}

/// A function of a row's values.
pub(crate) struct Builtin {
    /// Its name, in capitals.
    pub name: &'static str,
    /// For people: how it is called.
    pub signature: &'static str,
    /// How long its results stay.
    pub stability: Stability,
    /// Settles a call.
    pub resolve: fn(&Call<'_>) -> Resolved,
}

/// A function whose results depend on its arguments alone.
pub(crate) const fn pure(
    name: &'static str,
    signature: &'static str,
    resolve: fn(&Call<'_>) -> Resolved,
) -> Builtin {
    Builtin { name, signature, stability: Stability::Pure, resolve }
}

impl ScalarFunction for &'static Builtin {
    fn name(&self) -> &str {
        self.name
    }

    fn resolve(&self, arguments: &[CallArgument]) -> Resolved {
        let call = Call { name: self.name, signature: self.signature, arguments };
        call.refuse_bare_null()?;
        (self.resolve)(&call)
    }

    fn is_deterministic(&self) -> bool {
        self.stability != Stability::Volatile
    }

    fn is_dynamic(&self) -> bool {
        self.stability == Stability::Query
    }
}

/// What a parameter takes. NULL fits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// CHAR and VARCHAR.
    Text,
    /// BINARY and VARBINARY.
    Bytes,
    /// BOOLEAN.
    Boolean,
    /// Integers, as INT.
    Int,
    /// Integers, as BIGINT.
    BigInt,
    /// Numbers, as DOUBLE.
    Double,
    /// Numbers, as they are.
    Number,
    /// Anything, as it is.
    Any,
}

/// A call while it is planned.
pub(crate) struct Call<'a> {
    /// The function.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// The arguments.
    pub arguments: &'a [CallArgument],
}

impl Call<'_> {
    /// How many arguments.
    pub fn len(&self) -> usize {
        self.arguments.len()
    }

    /// The type of an argument; NULL's if there is none.
    pub fn kind(&self, index: usize) -> &SqlTypeKind {
        self.arguments.get(index).map_or(&SqlTypeKind::Null, |one| &one.data_type.kind)
    }

    /// Whether an argument is a NULL without a type.
    pub fn has_bare_null(&self) -> bool {
        self.arguments.iter().any(|one| one.data_type.kind == SqlTypeKind::Null)
    }

    /// Refuses a NULL without a type where Flink does: it is CAST(NULL AS ...) that can be written.
    fn refuse_bare_null(&self) -> Result<(), CallError> {
        if self.has_bare_null() && crate::functions::TYPED_ONLY.contains(&self.name) {
            return Err(CallError("Illegal use of 'NULL'".to_owned()));
        }
        Ok(())
    }

    /// The types of all arguments.
    pub fn types(&self) -> Vec<SqlDataType> {
        self.arguments.iter().map(|one| one.data_type.clone()).collect()
    }

    /// Whether any argument may be NULL.
    pub fn nullable(&self) -> bool {
        self.arguments.iter().any(|one| one.data_type.nullable)
    }

    /// The value of a constant text.
    pub fn literal_text(&self, index: usize) -> Option<&str> {
        let array = self.arguments.get(index)?.literal.as_ref()?;
        let array = array.as_any().downcast_ref::<StringArray>()?;
        (array.len() == 1 && !array.is_null(0)).then(|| array.value(0))
    }

    /// The value of a constant INT.
    pub fn literal_int(&self, index: usize) -> Option<i32> {
        let array = self.arguments.get(index)?.literal.as_ref()?;
        let array = array.as_any().downcast_ref::<Int32Array>()?;
        (array.len() == 1 && !array.is_null(0)).then(|| array.value(0))
    }

    /// The arguments do not fit the function.
    pub fn mismatch(&self) -> CallError {
        let types = self.arguments.iter().map(|one| format!("<{}>", one.data_type.kind));
        let types = types.collect::<Vec<_>>().join(", ");
        CallError(format!(
            "Cannot apply '{name}' to arguments of type '{name}({types})'. Supported form(s): '{}'",
            self.signature,
            name = self.name,
        ))
    }

    /// Checks how many arguments there are.
    pub fn count(&self, least: usize, most: usize) -> Result<(), CallError> {
        if (least..=most).contains(&self.len()) {
            return Ok(());
        }
        let (name, found) = (self.name, self.len());
        Err(CallError(format!(
            "Invalid number of arguments to function '{name}': {found}. Supported form(s): '{}'",
            self.signature
        )))
    }

    /// What an argument must be cast to.
    pub fn want(&self, index: usize, want: Want) -> Result<SqlDataType, CallError> {
        let given = &self.arguments.get(index).ok_or_else(|| self.mismatch())?.data_type;
        let kind = &given.kind;
        let null = *kind == SqlTypeKind::Null;
        let (fits, wanted) = match want {
            Want::Text => (is_text(kind), if null { STRING } else { kind.clone() }),
            Want::Bytes => (is_binary(kind), if null { crate::types::BYTES } else { kind.clone() }),
            Want::Boolean => (*kind == SqlTypeKind::Boolean, SqlTypeKind::Boolean),
            Want::Int => (is_integer(kind), SqlTypeKind::Int),
            Want::BigInt => (is_integer(kind), SqlTypeKind::BigInt),
            Want::Double => (is_numeric(kind), SqlTypeKind::Double),
            Want::Number => (is_numeric(kind), if null { SqlTypeKind::Int } else { kind.clone() }),
            Want::Any => (true, kind.clone()),
        };
        if fits || null { Ok(of(wanted, given.nullable)) } else { Err(self.mismatch()) }
    }

    /// What the arguments must be cast to. Only the first `least` must be there.
    pub fn wants(&self, least: usize, wants: &[Want]) -> Result<Vec<SqlDataType>, CallError> {
        self.count(least, wants.len())?;
        (0..self.len()).map(|index| self.want(index, wants[index])).collect()
    }

    /// A call with those parameters, whose result is NULL if an argument is.
    pub fn simple<F>(&self, wants: &[Want], result: SqlTypeKind, compute: F) -> Resolved
    where
        F: Fn(&Columns<'_>) -> Evaluated + Send + Sync + 'static,
    {
        let result = of(result, self.nullable());
        self.optional(wants.len(), wants, result, compute)
    }

    /// The same, always nullable: the function gives NULL where it has no answer.
    pub fn partial<F>(
        &self,
        least: usize,
        wants: &[Want],
        result: SqlTypeKind,
        compute: F,
    ) -> Resolved
    where
        F: Fn(&Columns<'_>) -> Evaluated + Send + Sync + 'static,
    {
        self.optional(least, wants, SqlDataType::nullable(result), compute)
    }

    /// A call whose last arguments may be missing.
    pub fn optional<F>(
        &self,
        least: usize,
        wants: &[Want],
        result: SqlDataType,
        compute: F,
    ) -> Resolved
    where
        F: Fn(&Columns<'_>) -> Evaluated + Send + Sync + 'static,
    {
        Ok(self.settled(self.wants(least, wants)?, result, compute))
    }

    /// A settled call.
    pub fn settled<F>(
        &self,
        arguments: Vec<SqlDataType>,
        result: SqlDataType,
        compute: F,
    ) -> ResolvedCall
    where
        F: Fn(&Columns<'_>) -> Evaluated + Send + Sync + 'static,
    {
        ResolvedCall { arguments, result, kernel: kernel(self.name, compute) }
    }
}
