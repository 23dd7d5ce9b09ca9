//! One statement from the next, by PostgreSQL's lexical rules (`standard_conforming_strings` on).

/// The statements of a script: from each one's first word to before its semicolon. Semicolons in strings, quoted
/// names, comments, dollar quotes and parentheses separate nothing. Bodies of SQL functions are written in dollar
/// quotes here: `BEGIN ATOMIC` is not known.
pub(super) fn statements(script: &str) -> Vec<&str> {
    let bytes = script.as_bytes();
    let mut found = Vec::new();
    // Where the present statement began and where what was last read of it ended.
    let mut statement: Option<(usize, usize)> = None;
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        let (meaning, end) = piece(bytes, at);
        match meaning {
            Piece::Nothing => {}
            Piece::Semicolon if depth == 0 => {
                found.extend(statement.take().and_then(|(from, to)| script.get(from..to)));
            }
            Piece::Semicolon | Piece::Open | Piece::Close | Piece::Text => {
                statement = Some((statement.map_or(at, |(from, _)| from), end));
            }
        }
        match meaning {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            Piece::Nothing | Piece::Semicolon | Piece::Text => {}
        }
        at = end;
    }
    found.extend(statement.and_then(|(from, to)| script.get(from..to)));
    found
}

/// What a piece of text is.
enum Piece {
    /// White space and comments.
    Nothing,
    Semicolon,
    Open,
    Close,
    Text,
}

fn piece(bytes: &[u8], at: usize) -> (Piece, usize) {
    let rest = &bytes[at..];
    match rest {
        [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => (Piece::Nothing, at + 1),
        [b'-', b'-', ..] => (Piece::Nothing, at + until(rest, |byte| byte == b'\n')),
        [b'/', b'*', ..] => (Piece::Nothing, at + comment(rest)),
        [b';', ..] => (Piece::Semicolon, at + 1),
        [b'(', ..] => (Piece::Open, at + 1),
        [b')', ..] => (Piece::Close, at + 1),
        [b'\'', ..] => (Piece::Text, at + quoted(rest, b'\'', false)),
        [b'"', ..] => (Piece::Text, at + quoted(rest, b'"', false)),
        [b'e' | b'E', b'\'', ..] => (Piece::Text, at + 1 + quoted(&rest[1..], b'\'', true)),
        [b'$', ..] => (Piece::Text, at + dollar_quoted(rest)),
        // Whole, so that neither an e at its end nor a dollar in it begins something.
        [byte, ..] if in_a_word(*byte) => {
            (Piece::Text, at + until(rest, |byte| !in_a_word(byte) && byte != b'$'))
        }
        _ => (Piece::Text, at + 1),
    }
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

/// `$tag$ … $tag$`; one byte where the dollar begins no quote.
fn dollar_quoted(text: &[u8]) -> usize {
    let tag = 1 + until(&text[1..], |byte| !in_a_word(byte));
    if text.get(tag) != Some(&b'$') || text[1].is_ascii_digit() {
        return 1;
    }
    let delimiter = &text[..=tag];
    let body = &text[delimiter.len()..];
    let end = body.windows(delimiter.len()).position(|window| window == delimiter);
    end.map_or(text.len(), |end| end + 2 * delimiter.len())
}
