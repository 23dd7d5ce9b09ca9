//! What a foreign text may contain before it is stored or believed.
//!
//! Everything that comes from outside passes here: what the registry says, and what operators write. PostgreSQL
//! holds every character but NUL, and a row holds 255 characters of each text. So a text that nobody compares is
//! kept as far as it can be ([`keep`]), a name that is compared is taken as it is or refused ([`read_name`]), and a
//! document is repaired where it holds what no database can ([`repair_json`]).

mod json;
mod members;

pub use json::{decode_json, repair_json};
pub use members::{Members, read_members};

/// The most characters of a foreign text that are kept. Characters, not bytes: the database counts so too.
pub const MAX_CHARACTERS: usize = 255;

/// `text` as it can be stored and shown: its first 255 characters, each NUL as U+FFFD.
#[must_use]
pub fn keep(text: &str) -> String {
    keep_first(text, MAX_CHARACTERS)
}

/// As [`keep`], of another length.
#[must_use]
pub fn keep_first(text: &str, characters: usize) -> String {
    text.chars().take(characters).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

/// `text` without its NULs, in its whole length: for what is bound to a statement.
#[must_use]
pub fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Not a name: it is empty, too long, or holds what cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 255 characters")]
pub struct InvalidName;

/// A name that an operator gives, without the blanks around it: it is compared with others later, and blanks that
/// nobody sees would make it another name.
///
/// # Errors
/// [`InvalidName`] for a name that is empty, that has more than 255 characters, or that holds a NUL.
pub fn read_name(text: &str) -> Result<String, InvalidName> {
    let unseen =
        |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}');
    let name = text.trim_matches(unseen);
    let possible = !name.is_empty() && !name.contains('\0') && name.chars().nth(MAX_CHARACTERS).is_none();
    if possible { Ok(name.to_owned()) } else { Err(InvalidName) }
}

#[cfg(test)]
mod tests;
