//! Which changes flow along an edge.

use hurtig_sql_common::{ChangelogMode, RowKind};

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

/// The kinds of changes of a mode.
#[must_use]
pub fn modify_kinds(mode: ChangelogMode) -> ModifyKinds {
    ModifyKinds {
        insert: mode.has(RowKind::Insert),
        update: mode.has(RowKind::UpdateBefore) || mode.has(RowKind::UpdateAfter),
        delete: mode.has(RowKind::Delete),
    }
}

/// What updates of a mode look like.
#[must_use]
pub fn update_kind(mode: ChangelogMode) -> UpdateKind {
    if mode.has(RowKind::UpdateBefore) {
        UpdateKind::BeforeAndAfter
    } else if mode.has(RowKind::UpdateAfter) {
        UpdateKind::OnlyAfter
    } else {
        UpdateKind::None
    }
}

/// The mode of changes of these kinds.
#[must_use]
pub fn changelog_mode(kinds: ModifyKinds, updates: UpdateKind) -> ChangelogMode {
    let mut mode = ChangelogMode::default();
    for (there, kind) in [
        (kinds.insert, RowKind::Insert),
        (kinds.update && updates == UpdateKind::BeforeAndAfter, RowKind::UpdateBefore),
        (kinds.update, RowKind::UpdateAfter),
        (kinds.delete, RowKind::Delete),
    ] {
        if there {
            mode = mode.with(kind);
        }
    }
    mode
}
