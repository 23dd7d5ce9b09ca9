//! PostgreSQL's lexical rules (`standard_conforming_strings` on), as far as they say where something ends.

/// What a piece of SQL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// White space or a comment.
    Space,
    /// A string, a quoted name or a dollar quote.
    Quoted,
    /// A name, a keyword or a number, whole: an `e` at its end begins no string, and a dollar in it no dollar quote.
    Word,
    /// Any other byte, which is ASCII.
    Other(u8),
}

/// The tokens of `sql`, each with its text. Together the texts are `sql` again.
pub fn tokens(sql: &str) -> impl Iterator<Item = (Token, &str)> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let (token, length) = first_token(rest.as_bytes())?;
        // What ends before the end of the text ends with an ASCII byte, or before one.
        let (text, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        Some((token, text))
    })
}

fn first_token(text: &[u8]) -> Option<(Token, usize)> {
    Some(match text {
        [] => return None,
        [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => (Token::Space, 1),
        [b'-', b'-', ..] => (Token::Space, until(text, |byte| matches!(byte, b'\n' | b'\r'))),
        [b'/', b'*', ..] => (Token::Space, comment(text)),
        [b'\'', ..] => (Token::Quoted, quoted(text, b'\'', false)),
        [b'"', ..] => (Token::Quoted, quoted(text, b'"', false)),
        [b'e' | b'E', b'\'', ..] => (Token::Quoted, 1 + quoted(&text[1..], b'\'', true)),
        [b'$', ..] => dollar_quoted(text).map_or((Token::Other(b'$'), 1), |length| (Token::Quoted, length)),
        [byte, ..] if in_a_word(*byte) => (Token::Word, until(text, |byte| !in_a_word(byte) && byte != b'$')),
        [byte, ..] => (Token::Other(*byte), 1),
    })
}

fn in_a_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

fn until(text: &[u8], end: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| end(*byte)).unwrap_or(text.len())
}

/// Block comments nest in PostgreSQL.
fn comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        match rest {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// `text` begins with the quote. A doubled quote stands for itself; where `backslash` says so, what follows a
/// backslash does too.
fn quoted(text: &[u8], quote: u8, backslash: bool) -> usize {
    let mut at = 1;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        match rest {
            [b'\\', ..] if backslash => at += 2,
            [one, other, ..] if *one == quote && *other == quote => at += 2,
            [one, ..] if *one == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `$tag$ … $tag$`; `None` where the dollar begins no quote.
fn dollar_quoted(text: &[u8]) -> Option<usize> {
    let tag = 1 + until(&text[1..], |byte| !in_a_word(byte));
    if text.get(tag) != Some(&b'$') || text[1].is_ascii_digit() {
        return None;
    }
    let delimiter = &text[..=tag];
    let body = &text[delimiter.len()..];
    let end = body.windows(delimiter.len()).position(|window| window == delimiter);
    Some(end.map_or(text.len(), |end| end + 2 * delimiter.len()))
}

#[cfg(test)]
mod tests {
    use super::{Token, tokens};

    #[test]
    fn ends_each_token_where_postgresql_does() {
        use Token::{Other, Quoted, Space, Word};
        for (sql, first, length) in [
            ("'a '' b' c", Quoted, 8),
            ("'a\\' b'", Quoted, 4),
            ("e'a\\' b' c", Quoted, 8),
            ("\"a\"\"b\" c", Quoted, 6),
            ("$$ ' $$ c", Quoted, 7),
            ("$t$ $$ $t$ c", Quoted, 10),
            ("$1 + $1", Other(b'$'), 1),
            ("-- a\nb", Space, 4),
            ("-- a\rb", Space, 4),
            ("/* a /* b */ c */ d", Space, 17),
            ("name' a'", Word, 4),
            ("a$b$c d", Word, 5),
            ("ünï 'a'", Word, 5),
            ("::text", Other(b':'), 1),
            ("'unended ü", Quoted, 11),
            ("e'\\ü", Quoted, 5),
        ] {
            let (token, text) = tokens(sql).next().unwrap();
            assert_eq!((token, text.len()), (first, length), "{sql}");
            assert_eq!(tokens(sql).map(|(_, text)| text).collect::<String>(), sql);
        }
        assert_eq!(tokens("").next(), None);
    }
}
