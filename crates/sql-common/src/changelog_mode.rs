//! Which kinds of change a changelog may have.

use std::fmt;

use crate::RowKind;

/// A set of [`RowKind`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChangelogMode(u8);

impl ChangelogMode {
    /// Inserts alone: an append-only stream.
    pub const INSERT_ONLY: Self = Self::NONE.with(RowKind::Insert);
    /// All kinds.
    pub const ALL: Self = Self::UPSERT.with(RowKind::UpdateBefore);
    /// All but `-U`: who takes it knows rows by a key.
    pub const UPSERT: Self = Self::INSERT_ONLY.with(RowKind::UpdateAfter).with(RowKind::Delete);
    const NONE: Self = Self(0);

    /// With one more kind.
    #[must_use]
    pub const fn with(self, kind: RowKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Without a kind.
    #[must_use]
    pub const fn without(self, kind: RowKind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    /// Whether changes of that kind may occur.
    #[must_use]
    pub const fn has(self, kind: RowKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// True if there is nothing but inserts.
    #[must_use]
    pub fn is_insert_only(self) -> bool {
        self == Self::INSERT_ONLY
    }

    /// True if all kinds of the other one are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// As Flink's plans show it: `I,UB,UA,D`.
impl fmt::Display for ChangelogMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (RowKind::Insert, "I"),
            (RowKind::UpdateBefore, "UB"),
            (RowKind::UpdateAfter, "UA"),
            (RowKind::Delete, "D"),
        ];
        let mut separator = "";
        for (_, name) in names.into_iter().filter(|(kind, _)| self.has(*kind)) {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_sets_of_kinds() {
        assert_eq!(ChangelogMode::ALL.to_string(), "I,UB,UA,D");
        assert_eq!(ChangelogMode::UPSERT, ChangelogMode::ALL.without(RowKind::UpdateBefore));
        assert!(ChangelogMode::ALL.contains(ChangelogMode::UPSERT));
        assert!(!ChangelogMode::INSERT_ONLY.contains(ChangelogMode::UPSERT));
        assert!(ChangelogMode::INSERT_ONLY.is_insert_only());
    }
}
