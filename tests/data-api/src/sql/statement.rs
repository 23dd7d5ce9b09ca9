//! One statement, or none, or several; and what it is for.

use super::lexer::{Kind, Token, tokens};

/// What was found in the `sql` of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Nothing but white space, comments and semicolons.
    Empty,
    /// One statement.
    One {
        /// What it does.
        verb: Verb,
    },
    /// More than one: refused.
    Several,
}

/// The kind of a statement, as far as the Data API treats kinds differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// SELECT, VALUES, TABLE, and WITH before one of them.
    Select,
    /// INSERT, UPDATE, DELETE, MERGE, and WITH before one of them.
    Change,
    /// COPY TO STDOUT: PostgreSQL's protocol has a mode of its own for it, which the Data API does not know.
    CopyOut,
    /// COPY FROM STDIN, likewise.
    CopyIn,
    /// Everything else: DDL, SET, transaction control …
    Other,
}

/// Reads the text by the rules psql uses to find a statement's end: a semicolon inside parentheses, or
/// inside a function's `BEGIN ATOMIC … END`, ends nothing.
pub(crate) fn read(sql: &str) -> Statement {
    let tokens: Vec<Token> = tokens(sql).collect();
    let mut statements = Vec::new();
    let mut start = 0;
    let mut depth = Depth::default();
    for (index, token) in tokens.iter().enumerate() {
        if token.kind == Kind::Semicolon && depth.is_outside() {
            statements.push(&tokens[start..index]);
            start = index + 1;
            depth = Depth::default();
        } else {
            depth.enter(sql, token);
        }
    }
    statements.push(&tokens[start..]);
    statements.retain(|statement| !statement.is_empty());
    match statements.as_slice() {
        [] => Statement::Empty,
        [one] => Statement::One { verb: verb(sql, one) },
        _ => Statement::Several,
    }
}

/// How deep in parentheses and in SQL function bodies a token is.
#[derive(Default)]
struct Depth {
    parentheses: usize,
    begin: usize,
    words: Vec<String>,
}

impl Depth {
    fn is_outside(&self) -> bool {
        self.parentheses == 0 && self.begin == 0
    }

    fn enter(&mut self, sql: &str, token: &Token) {
        match token.kind {
            Kind::Open => self.parentheses += 1,
            Kind::Close => self.parentheses = self.parentheses.saturating_sub(1),
            Kind::Word => self.word(sql[token.span.clone()].to_ascii_lowercase()),
            Kind::Placeholder | Kind::Semicolon | Kind::Other => {}
        }
    }

    fn word(&mut self, word: String) {
        if self.words.len() < 4 {
            self.words.push(word.clone());
        }
        if self.parentheses > 0 || !self.creates_routine() {
            return;
        }
        match word.as_str() {
            "begin" => self.begin += 1,
            "case" if self.begin > 0 => self.begin += 1,
            "end" => self.begin = self.begin.saturating_sub(1),
            _ => {}
        }
    }

    fn creates_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure"]
        )
    }
}

fn verb(sql: &str, statement: &[Token]) -> Verb {
    let mut depth = 0_usize;
    let mut words = Vec::new();
    for token in statement {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 => words.push(sql[token.span.clone()].to_ascii_lowercase()),
            Kind::Word | Kind::Placeholder | Kind::Semicolon | Kind::Other => {}
        }
    }
    // "(SELECT …) UNION (SELECT …)": only a query can begin with a parenthesis.
    if statement.first().is_some_and(|token| token.kind == Kind::Open) {
        return Verb::Select;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["with", rest @ ..] => rest.iter().find_map(|word| data_verb(word)).unwrap_or(Verb::Other),
        ["copy", rest @ ..] if rest.windows(2).any(|pair| pair == ["to", "stdout"]) => Verb::CopyOut,
        ["copy", rest @ ..] if rest.windows(2).any(|pair| pair == ["from", "stdin"]) => Verb::CopyIn,
        [first, ..] => data_verb(first).unwrap_or(Verb::Other),
        [] => Verb::Other,
    }
}

fn data_verb(word: &str) -> Option<Verb> {
    match word {
        "select" | "values" | "table" => Some(Verb::Select),
        "insert" | "update" | "delete" | "merge" => Some(Verb::Change),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Verb {
        match read(sql) {
            Statement::One { verb } => verb,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn a_semicolon_at_the_end_is_still_one_statement() {
        assert_eq!(one("select 1;"), Verb::Select);
        assert_eq!(one(" ; select 1 ; -- done\n ; "), Verb::Select);
    }

    #[test]
    fn two_statements_are_several() {
        assert_eq!(read("select 1; select 2"), Statement::Several);
        assert_eq!(read("select ';'; delete from t"), Statement::Several);
        assert_eq!(read("select $$;$$;;select 2;"), Statement::Several);
    }

    #[test]
    fn ignores_semicolons_in_literals_comments_and_quotes() {
        assert_eq!(one("select ';', $$ ; $$, \";\" /* ; */ -- ;"), Verb::Select);
        assert_eq!(one("do $$ begin perform 1; perform 2; end $$"), Verb::Other);
    }

    #[test]
    fn semicolons_in_a_functions_body_separate_nothing() {
        let function = "create or replace function f() returns int language sql begin atomic \
                        select 1; select case when true then 2 end; end";
        assert_eq!(one(function), Verb::Other);
        assert_eq!(read(&format!("{function}; select 1")), Statement::Several);
        assert_eq!(one("create rule r as on insert to t do also (select 1; select 2)"), Verb::Other);
    }

    #[test]
    fn text_without_a_statement_is_empty() {
        assert_eq!(read(" /* nothing */ ; -- at all"), Statement::Empty);
    }

    #[test]
    fn the_main_verb_of_a_with_statement_counts() {
        assert_eq!(one("with x as (delete from t returning *) select * from x"), Verb::Select);
        assert_eq!(one("with x as materialized (select 1) update t set a = 1"), Verb::Change);
        assert_eq!(one("(select 1) union (select 2)"), Verb::Select);
    }

    #[test]
    fn a_copy_through_the_connection_is_told_from_others() {
        assert_eq!(one("COPY t (a, b) TO STDOUT (FORMAT csv)"), Verb::CopyOut);
        assert_eq!(one("copy (select 1) to stdout"), Verb::CopyOut);
        assert_eq!(one("copy t from stdin"), Verb::CopyIn);
        assert_eq!(one("copy t to '/a file'"), Verb::Other);
        assert_eq!(one("copy t from program 'stdin'"), Verb::Other);
    }
}
