use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

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
        let mut digits = String::with_capacity(64);
        for byte in digest(&SHA256, self.sql.as_bytes()).as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }

    /// Its statements, in order, without the semicolons between them.
    #[must_use]
    pub fn statements(&self) -> Vec<&'static str> {
        statements(self.sql)
    }
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
