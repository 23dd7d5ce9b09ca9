//! `:name` placeholders rewritten to PostgreSQL's `$n`.

use super::lexer::{Kind, tokens};

/// The text PostgreSQL is sent, and whose value stands behind each `$n`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// The SQL with `$1`, `$2`, … in it.
    pub(crate) text: String,
    /// The names, in the order of their numbers; each once.
    pub(crate) names: Vec<String>,
}

/// Gives every name one number, however often it is used.
pub(crate) fn rewrite(sql: &str) -> Rewritten {
    let mut text = String::with_capacity(sql.len());
    let mut names: Vec<String> = Vec::new();
    let mut copied = 0;
    for token in tokens(sql).into_iter().filter(|token| token.kind == Kind::Placeholder) {
        let name = &sql[token.span.start + 1..token.span.end];
        let number = match names.iter().position(|known| known == name) {
            Some(index) => index + 1,
            None => {
                names.push(name.to_owned());
                names.len()
            }
        };
        text.push_str(&sql[copied..token.span.start]);
        text.push_str(&format!("${number}"));
        copied = token.span.end;
    }
    text.push_str(&sql[copied..]);
    Rewritten { text, names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_used_twice_is_one_parameter() {
        let rewritten = rewrite("select :a::int, ':a', :b, :a");
        assert_eq!(rewritten.text, "select $1::int, ':a', $2, $1");
        assert_eq!(rewritten.names, ["a", "b"]);
    }

    #[test]
    fn names_are_told_apart_by_case_and_to_their_end() {
        let rewritten = rewrite("select :a, :A, :ab");
        assert_eq!(rewritten.text, "select $1, $2, $3");
        assert_eq!(rewritten.names, ["a", "A", "ab"]);
    }
}
