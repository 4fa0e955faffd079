//! Bounds on what a text may ask of the parser, and of everything that walks its result.

/// Bounds of one parser. Exceeding one is an error of kind
/// [`Limit`](crate::SqlErrorKind::Limit) that names the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlLimits {
    /// Bytes of a script.
    pub script_bytes: usize,
    /// Bytes of one statement. Covers literals and identifiers too.
    pub statement_bytes: usize,
    /// Tokens of one statement, which bounds the memory of its tree.
    pub statement_tokens: usize,
    /// Expressions, queries and types inside each other, which bounds the parser's stack.
    pub nesting: u32,
    /// Levels of a statement's tree, which bounds the stack of whoever walks it. More than the
    /// nesting, because `1 + 1 + ...` grows a level per operator without nesting. AND and OR do not.
    pub tree_height: u32,
    /// Characters of an identifier, as in Flink.
    pub identifier_characters: usize,
}

impl SqlLimits {
    /// The bounds unless others are asked for.
    pub const DEFAULT: Self = Self {
        script_bytes: 64 << 20,
        statement_bytes: 4 << 20,
        statement_tokens: 500_000,
        nesting: 100,
        tree_height: 400,
        identifier_characters: 256,
    };
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
