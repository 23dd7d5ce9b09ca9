//! `:name` placeholders rewritten to PostgreSQL's `$n`.

use super::lexer::placeholders;

/// The text PostgreSQL is sent, and whose value stands behind each `$n`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// The SQL with `$1`, `$2`, … in it.
    pub(crate) text: String,
    /// The names, in the order of their numbers.
    pub(crate) names: Vec<String>,
}

/// Gives every occurrence of a name a number of its own, as the Data API does.
pub(crate) fn rewrite(sql: &str) -> Rewritten {
    let mut text = String::with_capacity(sql.len());
    let mut names: Vec<String> = Vec::new();
    let mut copied = 0;
    for token in placeholders(sql) {
        names.push(sql[token.span.start + 1..token.span.end].to_owned());
        text.push_str(&sql[copied..token.span.start]);
        text.push_str(&format!("${}", names.len()));
        copied = token.span.end;
    }
    text.push_str(&sql[copied..]);
    Rewritten { text, names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_used_twice_is_two_parameters() {
        let rewritten = rewrite("select :a::int, ':a', :b, :a");
        assert_eq!(rewritten.text, "select $1::int, ':a', $2, $3");
        assert_eq!(rewritten.names, ["a", "b", "a"]);
    }

    #[test]
    fn names_are_told_apart_by_case_and_to_their_end() {
        let rewritten = rewrite("select :a, :A, :ab");
        assert_eq!(rewritten.text, "select $1, $2, $3");
        assert_eq!(rewritten.names, ["a", "A", "ab"]);
    }
}
