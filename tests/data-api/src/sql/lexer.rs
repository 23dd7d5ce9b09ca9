//! Splits SQL text into the few kinds of tokens that matter here, by PostgreSQL's lexical rules
//! (`standard_conforming_strings` on).

use std::ops::Range;

/// What a piece of SQL text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An unquoted identifier or keyword.
    Word,
    /// `:name` or `:1`.
    Placeholder,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// Anything else that means something: literals, quoted identifiers, numbers, operators.
    Other,
}

/// One token and the bytes it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// All tokens of the text; white space and comments leave none.
pub(super) fn tokens(sql: &str) -> impl Iterator<Item = Token> {
    split(sql, DollarQuotes::Hide)
}

/// The placeholders of the text, as the Data API finds them: it knows no dollar quotes, and no slice of an array.
pub(super) fn placeholders(sql: &str) -> impl Iterator<Item = Token> {
    split(sql, DollarQuotes::Show).filter(|token| token.kind == Kind::Placeholder)
}

/// Whether a dollar quote is one token, or what is in it is read as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DollarQuotes {
    Hide,
    Show,
}

fn split(sql: &str, dollar_quotes: DollarQuotes) -> impl Iterator<Item = Token> {
    let bytes = sql.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            let (kind, end) = next(bytes, at, dollar_quotes);
            at = end;
            if let Some(kind) = kind {
                return Some(Token { kind, span: start..end });
            }
        }
        None
    })
}

fn next(bytes: &[u8], at: usize, dollar_quotes: DollarQuotes) -> (Option<Kind>, usize) {
    let following = bytes.get(at + 1).copied().unwrap_or(0);
    match bytes[at] {
        byte if byte.is_ascii_whitespace() || byte == 0x0b => (None, at + 1),
        b'-' if following == b'-' => (None, end_of_line(bytes, at)),
        b'/' if following == b'*' => (None, end_of_comment(bytes, at)),
        b'\'' => (Some(Kind::Other), end_of_quoted(bytes, at, b'\'', false)),
        b'"' => (Some(Kind::Other), end_of_quoted(bytes, at, b'"', false)),
        b'e' | b'E' if following == b'\'' => (Some(Kind::Other), end_of_quoted(bytes, at + 1, b'\'', true)),
        b'$' if dollar_quotes == DollarQuotes::Hide => {
            (Some(Kind::Other), end_of_dollar_quoted(bytes, at).unwrap_or(at + 1))
        }
        b':' if following == b':' || following == b'=' => (Some(Kind::Other), at + 2),
        b':' if following == b'_' || following.is_ascii_alphanumeric() => {
            (Some(Kind::Placeholder), end_of_name(bytes, at + 1))
        }
        b';' => (Some(Kind::Semicolon), at + 1),
        b'(' => (Some(Kind::Open), at + 1),
        b')' => (Some(Kind::Close), at + 1),
        byte if byte.is_ascii_digit() => (Some(Kind::Other), end_of_digits(bytes, at)),
        byte if starts_identifier(byte) => (Some(Kind::Word), end_of_identifier(bytes, at)),
        _ => (Some(Kind::Other), at + 1),
    }
}

fn starts_identifier(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic() || !byte.is_ascii()
}

fn end_where(bytes: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|byte| stop(*byte)).map_or(bytes.len(), |offset| from + offset)
}

fn end_of_line(bytes: &[u8], at: usize) -> usize {
    end_where(bytes, at, |byte| byte == b'\n' || byte == b'\r')
}

fn end_of_digits(bytes: &[u8], at: usize) -> usize {
    end_where(bytes, at, |byte| !byte.is_ascii_digit())
}

fn end_of_name(bytes: &[u8], at: usize) -> usize {
    end_where(bytes, at, |byte| !(byte == b'_' || byte.is_ascii_alphanumeric()))
}

fn end_of_identifier(bytes: &[u8], at: usize) -> usize {
    end_where(bytes, at, |byte| !(starts_identifier(byte) || byte.is_ascii_digit() || byte == b'$'))
}

/// Block comments nest in PostgreSQL.
fn end_of_comment(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut here = at;
    while here < bytes.len() {
        match (bytes[here], bytes.get(here + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                here += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    bytes.len()
}

/// `at` is the opening quote. A doubled quote stands for itself, and in an `E''` string a backslash takes
/// the next character with it. Text that never ends reaches to the end: PostgreSQL will say so.
fn end_of_quoted(bytes: &[u8], at: usize, quote: u8, backslash: bool) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        let escaped = backslash && bytes[here] == b'\\';
        let doubled = bytes[here] == quote && bytes.get(here + 1) == Some(&quote);
        if escaped || doubled {
            here += 2;
        } else if bytes[here] == quote {
            return here + 1;
        } else {
            here += 1;
        }
    }
    bytes.len()
}

/// `$tag$ … $tag$`, or None if the dollar sign opens no quote.
fn end_of_dollar_quoted(bytes: &[u8], at: usize) -> Option<usize> {
    let after_tag = end_where(bytes, at + 1, |byte| !(starts_identifier(byte) || byte.is_ascii_digit()));
    if bytes.get(after_tag) != Some(&b'$') {
        return None;
    }
    let delimiter = &bytes[at..=after_tag];
    let body = after_tag + 1;
    let closing = bytes[body..].windows(delimiter.len()).position(|window| window == delimiter);
    Some(closing.map_or(bytes.len(), |offset| body + offset + delimiter.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(sql: &str) -> Vec<&str> {
        super::placeholders(sql).map(|token| &sql[token.span]).collect()
    }

    #[test]
    fn a_placeholder_is_a_colon_and_a_name() {
        assert_eq!(placeholders("select :a, :b_2::text where x=:c"), [":a", ":b_2", ":c"]);
        assert_eq!(placeholders("select :1, :10, :2b"), [":1", ":10", ":2b"]);
    }

    #[test]
    fn casts_and_assignments_are_not_placeholders() {
        assert_eq!(placeholders("select a::text, f(x := 1)"), Vec::<&str>::new());
    }

    #[test]
    fn slices_and_dollar_quotes_hold_placeholders() {
        assert_eq!(placeholders("select b[1:2], b[:n], b[1 : 2]"), [":2", ":n"]);
        assert_eq!(placeholders("select $$ :a $$, $x$ :b $$ :c $x$, :d"), [":a", ":b", ":c", ":d"]);
    }

    #[test]
    fn nothing_inside_literals_is_a_placeholder() {
        assert_eq!(placeholders(r"select ':a', 'it''s :a', E'\' :a', U&':a', ':b\' , :c"), [":c"]);
    }

    #[test]
    fn nothing_inside_quoted_identifiers_is_a_placeholder() {
        assert_eq!(placeholders(r#"select "a:b", "c"":d", :e"#), [":e"]);
    }

    #[test]
    fn nothing_inside_comments_is_a_placeholder() {
        assert_eq!(placeholders("select 1 -- :a\n, /* :b /* :c */ :d */ :e"), [":e"]);
    }

    #[test]
    fn a_dollar_inside_an_identifier_opens_no_quote() {
        assert_eq!(placeholders("select a$b$ , :c, d$b$"), [":c"]);
    }

    #[test]
    fn a_literal_that_never_ends_hides_the_rest() {
        assert_eq!(placeholders("select ' :a"), Vec::<&str>::new());
        assert_eq!(placeholders("select /* :a"), Vec::<&str>::new());
    }

    #[test]
    fn text_beyond_ascii_is_split_at_characters() {
        let sql = "select 'é', größe, :ß, :maß, '日本'";
        assert_eq!(placeholders(sql), [":ma"]);
        for token in tokens(sql) {
            assert!(sql.get(token.span.clone()).is_some(), "{token:?}");
        }
    }
}
