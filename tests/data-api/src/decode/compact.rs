//! A jsonb as the Data API returns it: without the blanks that PostgreSQL puts between its parts.

/// The same document without white space outside of its strings.
pub(super) fn compact(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    let (mut inside, mut escaped) = (false, false);
    for letter in document.chars() {
        if inside {
            inside = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            inside = letter == '"';
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn only_blanks_between_parts_are_left_out() {
        for (document, expected) in [
            (r#"{"a b": [1, 2.50, null], "c": {}}"#, r#"{"a b":[1,2.50,null],"c":{}}"#),
            (r#"{"a\" b": "c, \\", "d": " \\\" e"}"#, r#"{"a\" b":"c, \\","d":" \\\" e"}"#),
            (r#" "é  ü" "#, r#""é  ü""#),
        ] {
            assert_eq!(compact(document), expected);
        }
    }
}
