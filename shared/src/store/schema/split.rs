//! One statement from the next.

use crate::sql_lexer::{Token, tokens};

/// The statements of a script: from each one's first word to before its semicolon. Semicolons in strings, quoted
/// names, comments, dollar quotes and parentheses separate nothing. Bodies of SQL functions are written in dollar
/// quotes here: `BEGIN ATOMIC` is not known.
pub(super) fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // Where the present statement began and where what was last read of it ended.
    let mut statement: Option<(usize, usize)> = None;
    let (mut at, mut depth) = (0, 0_usize);
    for (token, text) in tokens(script) {
        let end = at + text.len();
        match token {
            Token::Other(b'(') => depth += 1,
            Token::Other(b')') => depth = depth.saturating_sub(1),
            Token::Space | Token::Quoted | Token::Word | Token::Other(_) => {}
        }
        match token {
            Token::Space => {}
            Token::Other(b';') if depth == 0 => {
                found.extend(statement.take().and_then(|(from, to)| script.get(from..to)));
            }
            Token::Quoted | Token::Word | Token::Other(_) => {
                statement = Some((statement.map_or(at, |(from, _)| from), end));
            }
        }
        at = end;
    }
    found.extend(statement.and_then(|(from, to)| script.get(from..to)));
    found
}
