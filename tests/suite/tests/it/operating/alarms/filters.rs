//! CloudWatch Logs' patterns for JSON, as far as the template's metric filters use them.

use serde_json::Value;

/// A pattern: `{ ($.route = "PUT /api/*" || $.route = "PUT /internal/*") && $.status >= 400 }`.
#[derive(Debug)]
pub enum Pattern {
    Any(Vec<Pattern>),
    All(Vec<Pattern>),
    Compares { member: String, operator: String, value: String },
}

impl Pattern {
    pub fn parse(text: &str) -> Self {
        let inside = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("{ … }");
        Self::of(inside)
    }

    /// `||` binds less than `&&`.
    fn of(text: &str) -> Self {
        let text = text.trim();
        for (between, make) in [("||", Self::Any as fn(_) -> _), ("&&", Self::All as fn(_) -> _)] {
            let parts = split(text, between);
            if parts.len() > 1 {
                return make(parts.into_iter().map(Self::of).collect());
            }
        }
        if let Some(inside) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return Self::of(inside);
        }
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("no comparison: {text}")).to_owned();
        let (member, operator, value) = (word(), word(), word());
        let member = member.strip_prefix("$.").expect("a member of the line").to_owned();
        Self::Compares { member, operator, value }
    }

    /// Whether a line is found by it. What has not the member is not.
    pub fn fits(&self, line: &Value) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.fits(line)),
            Self::All(parts) => parts.iter().all(|part| part.fits(line)),
            Self::Compares { member, operator, value } => match (&line[member], operator.as_str()) {
                (Value::String(found), "=") => {
                    let wanted = value.trim_matches('"');
                    wanted.strip_suffix('*').map_or(found == wanted, |begin| found.starts_with(begin))
                }
                (Value::Number(found), operator) => {
                    let (found, wanted) = (found.as_f64().unwrap(), value.parse::<f64>().unwrap());
                    match operator {
                        "=" => found == wanted,
                        "!=" => found != wanted,
                        ">=" => found >= wanted,
                        other => panic!("{other} is not known here"),
                    }
                }
                _ => false,
            },
        }
    }
}

/// The parts between the separators that stand in no parentheses.
fn split<'a>(text: &'a str, between: &str) -> Vec<&'a str> {
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && text[at..].starts_with(between) => {
                parts.push(&text[begin..at]);
                begin = at + between.len();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[test]
fn finds_the_lines_that_a_pattern_describes() {
    let pattern = Pattern::parse(
        r#"{ ($.route = "PUT /api/*" || $.route = "PUT /internal/*") && $.status >= 400 && $.status != 401 }"#,
    );
    for (route, status, fits) in [
        ("PUT /api/v4", 404, true),
        ("PUT /internal/x", 503, true),
        ("PUT /api/v4", 200, false),
        ("PUT /api/v4", 401, false),
        ("GET /migrations", 404, false),
    ] {
        let line = serde_json::json!({"route": route, "status": status});
        assert_eq!(pattern.fits(&line), fits, "{line}");
    }
    let counted = Pattern::parse(r#"{ ($.counter = "fallback") || ($.counter = "reader_off") }"#);
    assert!(counted.fits(&serde_json::json!({"counter": "reader_off"})));
    assert!(!counted.fits(&serde_json::json!({"counter": "fallback_refused"})));
    assert!(!counted.fits(&serde_json::json!({"level": "INFO"})));
}
