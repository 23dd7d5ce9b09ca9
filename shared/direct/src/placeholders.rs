//! `:name` to `$1`, the way the Data API reads it.

/// A statement as PostgreSQL takes it: placeholders by number, and the names in the order of the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) sql: String,
    pub(crate) names: Vec<String>,
}

/// Numbers the placeholders. Nothing inside literals, quoted names, comments or dollar quotes is one, and the
/// colons of a cast (`::text`) are none.
pub(crate) fn numbered(sql: &str) -> Numbered {
    let mut out = Numbered { sql: String::with_capacity(sql.len()), names: Vec::new() };
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = verbatim(rest).unwrap_or_else(|| match name_after_colon(rest) {
            Some(name) => {
                out.take(name);
                0
            }
            None => first.len_utf8(),
        });
        if length == 0 {
            rest = &rest[1 + name_after_colon(rest).map_or(0, str::len)..];
        } else {
            let (piece, after) = rest.split_at(length);
            out.sql.push_str(piece);
            rest = after;
        }
    }
    out
}

impl Numbered {
    fn take(&mut self, name: &str) {
        let known = self.names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        self.sql.push('$');
        self.sql.push_str(&(index + 1).to_string());
    }
}

/// The name of the placeholder that `text` begins with.
fn name_after_colon(text: &str) -> Option<&str> {
    let name = text.strip_prefix(':')?;
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| &name[..word(name)])
}

/// How many bytes of a name stand at the beginning.
fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// The length of what stands at the beginning and is copied as it is.
fn verbatim(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    match first {
        ':' if text.starts_with("::") => Some(2),
        '\'' => Some(quoted(text, '\'', false)),
        '"' => Some(quoted(text, '"', false)),
        'e' | 'E' if text[1..].starts_with('\'') => Some(1 + quoted(&text[1..], '\'', true)),
        '-' if text.starts_with("--") => Some(text.find('\n').unwrap_or(text.len())),
        '/' if text.starts_with("/*") => Some(comment(text)),
        '$' => Some(dollar_quoted(text)),
        c if c.is_alphanumeric() || c == '_' => {
            // A name as a whole: an E at its end begins no literal, and its `$` no dollar quote.
            Some(text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len()))
        }
        _ => None,
    }
}

fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if escapes => escaped = true,
            // A doubled quote ends one literal and begins the next at once, which comes to the same.
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Comments nest.
fn comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest.starts_with("*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn dollar_quoted(text: &str) -> usize {
    let tag = 1 + word(&text[1..]);
    if !text[tag..].starts_with('$') || text[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return 1;
    }
    let quote = &text[..=tag];
    let body = quote.len();
    text[body..].find(quote).map_or(text.len(), |end| body + end + body)
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
    fn each_name_has_one_number_however_often_it_stands_there() {
        becomes("SELECT :a, :b_1, :a", "SELECT $1, $2, $1", &["a", "b_1"]);
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
