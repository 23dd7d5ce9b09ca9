use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::{SCRIPTS, split::statements};

/// One script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its place, counted from 1.
    pub number: u16,
    /// Its name, which begins with its number.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

impl Script {
    /// SHA-256 of its text, in hexadecimal digits.
    #[must_use]
    pub fn checksum(&self) -> String {
        HEXLOWER.encode(digest(&SHA256, self.sql.as_bytes()).as_ref())
    }

    /// Its statements, in order, without the semicolons between them.
    #[must_use]
    pub fn statements(&self) -> Vec<&'static str> {
        statements(self.sql)
    }

    /// The index that the script makes while the table goes on being used; `None` for one that is a transaction.
    pub(super) fn index(&self) -> Option<Index> {
        let [create] = self.statements()[..] else { return None };
        let rest = create.strip_prefix("CREATE INDEX CONCURRENTLY ")?;
        Some(Index { name: rest.split_whitespace().next()?, create })
    }

    /// Whether the script cannot be in a transaction: it makes an index while the table goes on being used.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.index().is_some()
    }
}

/// An index that is made while the table goes on being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Its name.
    pub(super) name: &'static str,
    /// The statement that makes it.
    pub(super) create: &'static str,
}

/// Every script, in the order to apply them.
#[must_use]
pub fn scripts() -> Vec<Script> {
    (1..).zip(SCRIPTS).map(|(number, &(name, sql))| Script { number, name, sql }).collect()
}

/// The name of the newest script: the version that this code expects.
#[must_use]
pub fn newest() -> &'static str {
    SCRIPTS.last().map_or("", |(name, _)| name)
}

/// The number that a script's name begins with; `None` for what is no script's name.
#[must_use]
pub fn number(name: &str) -> Option<u16> {
    let (digits, rest) = name.split_once('_')?;
    (digits.len() == 4 && !rest.is_empty()).then(|| digits.parse().ok()).flatten()
}
