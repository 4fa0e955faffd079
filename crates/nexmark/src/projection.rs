//! Names for columns, and sets of them: what a reader wants of the stream.
//!
//! A [`Projection`] has one small bit set per kind of event plus the column `event_type`.
//! Names are those of `queries/ddl.sql`, in schema order. A struct of which no column is wanted
//! is not part of the projection at all.
//!
//! Only describes; `columns` generates. There are no filters here: every event of the split is a
//! row, whatever its kind.

use std::fmt;
use std::marker::PhantomData;

/// The columns of one struct of the table.
pub trait Column: Copy + Eq + fmt::Debug + 'static {
    /// All columns, in schema order; at most 16.
    const ALL: &'static [Self];
    /// The name of the struct.
    const STRUCT_NAME: &'static str;

    /// The name in the schema.
    fn name(self) -> &'static str;

    /// The position in the schema, from 0.
    fn position(self) -> usize;
}

macro_rules! columns {
    ($(#[$doc:meta])* $enum:ident of $struct_name:literal { $($variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl Column for $enum {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const STRUCT_NAME: &'static str = $struct_name;

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            fn position(self) -> usize {
                self as usize
            }
        }
    };
}

columns! {
    /// The columns of a person.
    PersonColumn of "person" {
        Id = "id",
        Name = "name",
        EmailAddress = "emailAddress",
        CreditCard = "creditCard",
        City = "city",
        State = "state",
        DateTime = "dateTime",
        Extra = "extra",
    }
}

columns! {
    /// The columns of an auction.
    AuctionColumn of "auction" {
        Id = "id",
        ItemName = "itemName",
        Description = "description",
        InitialBid = "initialBid",
        Reserve = "reserve",
        DateTime = "dateTime",
        Expires = "expires",
        Seller = "seller",
        Category = "category",
        Extra = "extra",
    }
}

columns! {
    /// The columns of a bid.
    BidColumn of "bid" {
        Auction = "auction",
        Bidder = "bidder",
        Price = "price",
        Channel = "channel",
        Url = "url",
        DateTime = "dateTime",
        Extra = "extra",
    }
}

/// A set of columns of one struct.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ColumnSet<C> {
    bits: u16,
    column: PhantomData<C>,
}

impl<C: Column> ColumnSet<C> {
    /// No column.
    pub fn none() -> Self {
        Self { bits: 0, column: PhantomData }
    }

    /// Every column.
    pub fn all() -> Self {
        C::ALL.iter().copied().collect()
    }

    /// Adds a column.
    pub fn insert(&mut self, column: C) {
        self.bits |= 1 << column.position();
    }

    /// Whether the column is in the set.
    pub fn contains(self, column: C) -> bool {
        self.bits & (1 << column.position()) != 0
    }

    /// Whether there is no column in the set.
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// How many columns there are.
    pub fn len(self) -> usize {
        self.bits.count_ones() as usize
    }

    /// The columns of the set in schema order.
    pub fn iter(self) -> impl Iterator<Item = C> {
        C::ALL.iter().copied().filter(move |column| self.contains(*column))
    }
}

impl<C: Column> FromIterator<C> for ColumnSet<C> {
    fn from_iter<I: IntoIterator<Item = C>>(columns: I) -> Self {
        let mut set = Self::none();
        columns.into_iter().for_each(|column| set.insert(column));
        set
    }
}

impl<C: Column> Default for ColumnSet<C> {
    fn default() -> Self {
        Self::none()
    }
}

impl<C: Column> fmt::Debug for ColumnSet<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A name that no column of the table has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event table has no column {path:?}")]
pub struct UnknownColumn {
    /// What was asked for.
    pub path: String,
}

/// Which columns of the event table a reader wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Projection {
    /// Whether the column `event_type` is wanted.
    pub event_type: bool,
    /// The wanted columns of `person`.
    pub person: ColumnSet<PersonColumn>,
    /// The wanted columns of `auction`.
    pub auction: ColumnSet<AuctionColumn>,
    /// The wanted columns of `bid`.
    pub bid: ColumnSet<BidColumn>,
}

impl Projection {
    /// The name of the column that tells the kinds apart.
    pub const EVENT_TYPE: &'static str = "event_type";

    /// The whole table.
    pub fn all() -> Self {
        Self {
            event_type: true,
            person: ColumnSet::all(),
            auction: ColumnSet::all(),
            bid: ColumnSet::all(),
        }
    }

    /// No column: only the number of rows is of interest.
    pub fn none() -> Self {
        Self::default()
    }

    /// The columns with these names: `event_type`, a struct (`bid`), or a column of one
    /// (`bid.price`).
    ///
    /// # Errors
    ///
    /// If a name is none of these.
    pub fn of_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownColumn> {
        let mut projection = Self::none();
        for path in paths {
            let known = match path.split_once('.').unwrap_or((path, "")) {
                (Self::EVENT_TYPE, "") => {
                    projection.event_type = true;
                    !path.contains('.')
                }
                (PersonColumn::STRUCT_NAME, name) => insert(&mut projection.person, path, name),
                (AuctionColumn::STRUCT_NAME, name) => insert(&mut projection.auction, path, name),
                (BidColumn::STRUCT_NAME, name) => insert(&mut projection.bid, path, name),
                _ => false,
            };
            if !known {
                return Err(UnknownColumn { path: path.to_owned() });
            }
        }
        Ok(projection)
    }
}

/// Adds the column `name`, or all columns if `path` is the struct itself; false if unknown.
fn insert<C: Column>(set: &mut ColumnSet<C>, path: &str, name: &str) -> bool {
    if path == C::STRUCT_NAME {
        *set = ColumnSet::all();
        return true;
    }
    let column = C::ALL.iter().find(|column| column.name() == name);
    column.inspect(|column| set.insert(**column)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_columns_structs_and_the_event_type() {
        let projection =
            Projection::of_paths(["event_type", "bid.price", "bid.auction", "person"]).unwrap();
        assert!(projection.event_type);
        assert_eq!(projection.person, ColumnSet::all());
        assert!(projection.auction.is_empty());
        let bid: Vec<_> = projection.bid.iter().collect();
        assert_eq!(bid, [BidColumn::Auction, BidColumn::Price]);
    }

    #[test]
    fn unknown_paths_are_refused() {
        for path in ["", ".", "bid.", "bid.cost", "bids", "event_type.", "price", "bid.price.x"] {
            let refused = Projection::of_paths([path]).unwrap_err();
            assert_eq!(refused.path, path);
        }
    }

    #[test]
    fn whole_structs_make_the_whole_table() {
        let paths = ["event_type", "person", "auction", "bid"];
        assert_eq!(Projection::of_paths(paths).unwrap(), Projection::all());
        assert_eq!(Projection::all().auction.len(), 10);
    }
}
