//! Which changes flow along an edge.

use std::fmt;

/// The kinds of changes that a node may give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ModifyKinds {
    /// New rows.
    pub insert: bool,
    /// Rows that change.
    pub update: bool,
    /// Rows that go.
    pub delete: bool,
}

impl ModifyKinds {
    /// None: of sinks.
    pub const NONE: Self = Self { insert: false, update: false, delete: false };
    /// Nothing but new rows.
    pub const INSERT_ONLY: Self = Self { insert: true, update: false, delete: false };
    /// Everything.
    pub const ALL: Self = Self { insert: true, update: true, delete: true };

    /// True if rows are only added.
    #[must_use]
    pub fn is_insert_only(self) -> bool {
        !self.update && !self.delete
    }

    /// What either has.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            insert: self.insert || other.insert,
            update: self.update || other.update,
            delete: self.delete || other.delete,
        }
    }

    /// The names of what is there and not in `other`, as errors list them.
    pub(crate) fn beyond(self, other: Self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (there, allowed, name) in [
            (self.insert, other.insert, "insert"),
            (self.update, other.update, "update"),
            (self.delete, other.delete, "delete"),
        ] {
            if there && !allowed {
                names.push(name);
            }
        }
        names
    }
}

/// What an update looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UpdateKind {
    /// There are none.
    #[default]
    None,
    /// The row as it is after it; the one before is found by its key.
    OnlyAfter,
    /// Both.
    BeforeAndAfter,
}

/// The row kinds that a table gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangelogMode {
    /// `I`
    pub insert: bool,
    /// `UB`
    pub update_before: bool,
    /// `UA`
    pub update_after: bool,
    /// `D`
    pub delete: bool,
}

impl ChangelogMode {
    /// New rows alone.
    pub const INSERT_ONLY: Self =
        Self { insert: true, update_before: false, update_after: false, delete: false };
    /// All four kinds.
    pub const ALL: Self =
        Self { insert: true, update_before: true, update_after: true, delete: true };
    /// Updates by key.
    pub const UPSERT: Self =
        Self { insert: true, update_before: false, update_after: true, delete: true };

    /// The kinds of changes.
    #[must_use]
    pub fn modify_kinds(self) -> ModifyKinds {
        ModifyKinds {
            insert: self.insert,
            update: self.update_before || self.update_after,
            delete: self.delete,
        }
    }

    /// What its updates look like.
    #[must_use]
    pub fn update_kind(self) -> UpdateKind {
        match (self.update_before, self.update_after) {
            (true, _) => UpdateKind::BeforeAndAfter,
            (false, true) => UpdateKind::OnlyAfter,
            (false, false) => UpdateKind::None,
        }
    }

    /// The mode of a node.
    #[must_use]
    pub fn of(kinds: ModifyKinds, updates: UpdateKind) -> Self {
        Self {
            insert: kinds.insert,
            update_before: kinds.update && updates == UpdateKind::BeforeAndAfter,
            update_after: kinds.update,
            delete: kinds.delete,
        }
    }
}

impl fmt::Display for ChangelogMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.insert, "I"),
            (self.update_before, "UB"),
            (self.update_after, "UA"),
            (self.delete, "D"),
        ];
        let there: Vec<&str> = all.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        if there.is_empty() { f.write_str("NONE") } else { f.write_str(&there.join(",")) }
    }
}
