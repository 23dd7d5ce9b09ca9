//! SQL, as the driver's lexer and the local Data API's read it.

use direct_endpoint::fuzzing::numbered;
use local_data_api::fuzzing::{rewritten, statements};
use shared::sql_lexer::{Token, tokens};

use crate::{is_planted, pieces};

/// A statement.
pub fn run(data: &[u8]) {
    let sql = pieces::text(data);
    let read: Vec<(Token, &str)> = tokens(&sql).collect();
    // The planted fault: a quoted name in quotes loses its end.
    let lost =
        is_planted() && read.iter().any(|(token, text)| *token == Token::Quoted && text.starts_with("e'"));
    let whole: String = read.iter().map(|(_, text)| *text).collect();
    assert!(!lost && whole == sql, "a piece of the text is lost");
    assert!(read.iter().all(|(_, text)| !text.is_empty()), "a token of nothing");

    let (text, names) = numbered(&sql);
    let (by_data_api, its_names) = rewritten(&sql);
    if !has_a_number(&sql) {
        let again = named_again(&text, &names);
        assert_eq!(again.as_deref(), Some(sql.as_str()), "it becomes another statement");
        let again = named_again(&by_data_api, &its_names);
        assert_eq!(again.as_deref(), Some(sql.as_str()), "the Data API sends another statement");
    }
    if is_read_alike(&sql) {
        assert_eq!((&text, &names), (&by_data_api, &its_names), "the transports send different statements");
    }
    let _ = statements(&sql);
}

/// Whether a number of PostgreSQL's stands in it already, so that nobody can tell it from those that are put there.
fn has_a_number(sql: &str) -> bool {
    sql.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// `text` with the names in the places of their numbers.
fn named_again(text: &str, names: &[String]) -> Option<String> {
    let mut named = String::new();
    let mut rest = text;
    for (place, name) in names.iter().enumerate() {
        let (before, after) = rest.split_once(&format!("${}", place + 1))?;
        named.push_str(before);
        named.push(':');
        named.push_str(name);
        rest = after;
    }
    named.push_str(rest);
    Some(named)
}

/// Whether both are to agree: they differ on purpose in dollars and digits (the Data API takes what is in a dollar quote,
/// and `:1`), on what is no ASCII, which no statement of ours has, and on `:e'…'`, which is no SQL either way.
fn is_read_alike(sql: &str) -> bool {
    let is_no_sql = sql.to_ascii_lowercase().contains(":e'");
    sql.is_ascii() && !is_no_sql && !sql.contains(|c: char| c == '$' || c.is_ascii_digit())
}
