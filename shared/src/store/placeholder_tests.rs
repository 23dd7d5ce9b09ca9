//! The Data API takes a colon with a name for a parameter inside a dollar quote and after an array's colon too, and says
//! nothing: the body of a function is changed, a slice is a syntax error. So no SQL of ours has one there.

use std::path::{Path, PathBuf};

use crate::sql_lexer::{Token, tokens};

/// What the Data API would take for a parameter and PostgreSQL does not: with the colon.
fn mistaken(sql: &str) -> Vec<String> {
    let tokens: Vec<_> = tokens(sql).collect();
    let mut found = Vec::new();
    let mut brackets = 0_usize;
    let mut before = Token::Space;
    for (at, &(token, text)) in tokens.iter().enumerate() {
        match token {
            Token::Quoted if text.starts_with('$') => found.extend(named(text)),
            Token::Other(b'[') => brackets += 1,
            Token::Other(b']') => brackets = brackets.saturating_sub(1),
            Token::Other(b':') if brackets > 0 && before != token => {
                // A parameter begins an element or a bound; a slice's colon follows one. No parameter of ours is a number.
                let follows = matches!(before, Token::Word | Token::Quoted | Token::Other(b')' | b']'));
                let next = tokens.get(at + 1).filter(|(next, _)| *next == Token::Word);
                found.extend(
                    next.filter(|(_, word)| follows || is_number(word)).map(|(_, word)| format!(":{word}")),
                );
            }
            Token::Space | Token::Quoted | Token::Word | Token::Other(_) => {}
        }
        if token != Token::Space {
            before = token;
        }
    }
    found
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Each single colon in `text` with the name after it.
fn named(text: &str) -> Vec<String> {
    let in_a_name = |c: char| c == '_' || c.is_alphanumeric();
    text.match_indices(':')
        .filter(|(at, _)| !text[..*at].ends_with(':'))
        .filter_map(|(at, _)| {
            let name: String = text[at + 1..].chars().take_while(|c| in_a_name(*c)).collect();
            (!name.is_empty()).then(|| format!(":{name}"))
        })
        .collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|of| of == "sql") {
            found.push(path);
        }
    }
}

#[test]
fn tells_a_slice_and_a_dollar_quote_from_a_parameter() {
    for (sql, expected) in [
        ("SELECT $$ a :b c $$", &[":b"] as &[_]),
        ("DO $do$ BEGIN x :=1; y := 2; z::text; 'at :noon' END $do$", &[":noon"]),
        ("SELECT (array[1, 2, 3])[1:2]", &[":2"]),
        ("SELECT tags[lower(a):b], tags[:3], tags[f(x):upper]", &[":b", ":3", ":upper"]),
        ("SELECT tags[:a], ARRAY[:a, :b::text], tags[:a : :b], :c", &[]),
        ("SELECT a::text[], '[1:2]', \"a:b\" -- $$ :c $$\n, x[1::int]", &[]),
    ] {
        assert_eq!(mistaken(sql), expected, "{sql}");
    }
}

#[test]
fn has_nothing_mistaken_for_a_parameter() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() >= 100, "only {} files of SQL", found.len());
    for file in found {
        let sql = std::fs::read_to_string(&file).unwrap();
        assert_eq!(mistaken(&sql), [""; 0], "{}", file.display());
    }
}
