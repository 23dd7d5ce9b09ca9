//! `:name` to `$1`, the way the Data API reads it.

use shared::sql_lexer::{Token, tokens};

/// A statement as PostgreSQL takes it: placeholders by number, and the names in the order of the numbers. Each
/// occurrence has a number of its own, as the Data API gives it: what PostgreSQL compares by its text (a `GROUP BY`)
/// is refused over both alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) sql: String,
    pub(crate) names: Vec<String>,
}

/// Numbers the placeholders. Nothing inside literals, quoted names, comments or dollar quotes is one, and the
/// colons of a cast (`::text`) are none.
pub(crate) fn numbered(sql: &str) -> Numbered {
    let mut out = Numbered { sql: String::with_capacity(sql.len()), names: Vec::new() };
    let mut tokens = tokens(sql).peekable();
    while let Some((token, text)) = tokens.next() {
        if token != Token::Other(b':') {
            out.sql.push_str(text);
        } else if let Some((_, second)) = tokens.next_if(|(next, _)| *next == token) {
            out.sql.push_str(text);
            out.sql.push_str(second);
        } else if let Some((_, word)) = tokens.next_if(|(next, word)| *next == Token::Word && is_name(word)) {
            let (name, after) = word.split_at(word.find('$').unwrap_or(word.len()));
            out.take(name);
            out.sql.push_str(after);
        } else {
            out.sql.push_str(text);
        }
    }
    out
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

impl Numbered {
    fn take(&mut self, name: &str) {
        self.names.push(name.to_owned());
        self.sql.push('$');
        self.sql.push_str(&self.names.len().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[track_caller]
    fn becomes(sql: &str, expected: &str, names: &[&str]) {
        let numbered = numbered(sql);
        assert_eq!((numbered.sql.as_str(), &numbered.names[..]), (expected, &names.map_to_owned()[..]));
    }

    trait Owned {
        fn map_to_owned(&self) -> Vec<String>;
    }

    impl Owned for [&str] {
        fn map_to_owned(&self) -> Vec<String> {
            self.iter().map(|name| (*name).to_owned()).collect()
        }
    }

    #[test]
    fn each_occurrence_of_a_name_has_its_own_number() {
        becomes("SELECT :a, :b_1, :a", "SELECT $1, $2, $3", &["a", "b_1", "a"]);
        becomes("WHERE x=:a::text AND :b", "WHERE x=$1::text AND $2", &["a", "b"]);
        becomes("", "", &[]);
    }

    #[test]
    fn what_is_quoted_or_commented_or_a_cast_is_no_placeholder() {
        for verbatim in [
            "'a :b '' :c'",
            "\":b\"",
            "E'\\' :b'",
            "-- :b\n",
            "/* :b /* :c */ :d */",
            "$$ :b $$",
            "$tag$ :b $$ :c $tag$",
            "now()::text",
            "a[1:2]",
            "'unended :b",
        ] {
            becomes(&format!("{verbatim} "), &format!("{verbatim} "), &[]);
        }
        becomes("'ü' = :ü_no AND :a", "'ü' = :ü_no AND $1", &["a"]);
        becomes("$$:b$$ || :a", "$$:b$$ || $1", &["a"]);
        becomes("e'\\\\' || :a", "e'\\\\' || $1", &["a"]);
        becomes("name' :b' || :a", "name' :b' || $1", &["a"]);
    }
}
