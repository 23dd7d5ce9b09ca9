//! The repositories that a body lists: a JSON array, or JSON lines.

use std::{collections::HashSet, fmt};

use lambda_http::http::StatusCode;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use shared::{
    migration::{RepositoryPath, foreign, whole},
    store::Registration,
    web::{Object, Problem, describe_json_error, shown},
};

/// The most entries of one list, whatever becomes of each.
const MAX_ENTRIES: usize = 50_000;
/// The most entries whose errors are shown.
const MAX_ERRORS: usize = 100;

/// What a body lists, entry by entry.
#[derive(Debug, Default, PartialEq)]
pub struct Listing {
    /// What can be registered, each path once.
    pub registrations: Vec<Registration>,
    /// How many entries repeat a path of an earlier one.
    pub repeated: u32,
    /// How many entries cannot be registered.
    pub refused: usize,
    /// The first of them.
    pub errors: Vec<LineError>,
}

/// Why an entry cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// The line, or the entry of the array, counted from 1.
    pub line: usize,
    /// Why not.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    path: String,
    #[serde(default, deserialize_with = "whole")]
    tags_count: Option<i32>,
    plan: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    priority: Option<i32>,
}

impl Listing {
    /// Reads a body: an array where it begins like one, else lines. Empty lines say nothing.
    ///
    /// It is read entry by entry, and no further than the most entries that there may be: what is held of it does not
    /// grow with what is wrong in it.
    ///
    /// # Errors
    /// A 400 for an array that is not JSON: nothing of it can be told apart. A 413 for too many entries.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let mut reading = Reading::default();
        if text.trim_start().starts_with('[') {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let read = deserializer.deserialize_seq(Entries(&mut reading)).and_then(|()| deserializer.end());
            reading.within_the_limit()?;
            read.map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
        } else {
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                reading.add(index + 1, line);
                reading.within_the_limit()?;
            }
        }
        Ok(reading.listing)
    }
}

/// A listing under way.
#[derive(Default)]
struct Reading {
    listing: Listing,
    seen: HashSet<RepositoryPath>,
    entries: usize,
}

impl Reading {
    fn add(&mut self, line: usize, entry: &str) {
        self.entries += 1;
        match registration(entry) {
            Err(message) => {
                self.listing.refused += 1;
                if self.listing.errors.len() < MAX_ERRORS {
                    self.listing.errors.push(LineError { line, message: foreign::keep(&message) });
                }
            }
            Ok(registration) if self.seen.insert(registration.path.clone()) => {
                self.listing.registrations.push(registration);
            }
            Ok(_) => self.listing.repeated += 1,
        }
    }

    fn within_the_limit(&self) -> Result<(), Problem> {
        if self.entries <= MAX_ENTRIES {
            return Ok(());
        }
        let text = format!("the body lists more than {MAX_ENTRIES}: send it in parts");
        Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text))
    }
}

struct Entries<'a>(&'a mut Reading);

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<&RawValue>()? {
            self.0.add(self.0.entries + 1, entry.get());
            if self.0.within_the_limit().is_err() {
                return Err(serde::de::Error::custom("too many entries"));
            }
        }
        Ok(())
    }
}

fn registration(entry: &str) -> Result<Registration, String> {
    let Object(given) = serde_json::from_str(entry).map_err(|error| mistake(&error))?;
    let Given { path, tags_count, plan, priority } = given;
    let path = RepositoryPath::exactly(&path).map_err(|error| format!("path: {error}: {}", shown(&path)))?;
    if tags_count.is_some_and(|count| count < 0) {
        return Err("tags_count: must be a whole number, at least 0".to_owned());
    }
    let plan =
        plan.as_deref().map(foreign::read_name).transpose().map_err(|error| format!("plan: {error}"))?;
    Ok(Registration { path, tags_count, plan, priority: priority.unwrap_or(0) })
}

/// What is wrong with an entry. Which one it is, the listing says; only the place in it may be of use.
fn mistake(error: &serde_json::Error) -> String {
    let said = describe_json_error(error);
    if error.is_data() { said } else { format!("this is not JSON: {said}, column {}", error.column()) }
}

#[cfg(test)]
mod tests {
    use serde::Deserializer;

    use super::{Entries, Listing, MAX_ENTRIES, Reading};

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.registrations.iter().map(|one| one.path.as_str()).collect()
    }

    #[test]
    fn an_array_and_lines_say_the_same() {
        let array = r#" [{"path":"a/b","tags_count":3.0,"plan":" free ","priority":-2}, {"path":"c"}]"#;
        let lines =
            "{\"path\":\"a/b\",\"tags_count\":3,\"plan\":\"free\",\"priority\":-2}\r\n\n{\"path\":\"c\"}";
        let listing = Listing::read(array).unwrap();
        assert_eq!(listing, Listing::read(lines).unwrap());
        assert_eq!(paths(&listing), ["a/b", "c"]);
        let first = &listing.registrations[0];
        assert_eq!((first.tags_count, first.plan.as_deref(), first.priority), (Some(3), Some("free"), -2));
        assert_eq!(listing.registrations[1].priority, 0);
    }

    #[test]
    fn names_refused_lines_by_number_and_keeps_the_others() {
        let lines = [
            r#"{"path":"good/1"}"#,
            "",
            "not json",
            r#"{"path":"a//b"}"#,
            r#"{"path":"x","tags_count":-1}"#,
            r#"{"path":"x","plan":""}"#,
            r#"{"path":"x","tags":1}"#,
            r#"{"tags_count":1}"#,
            r#"{"path":"x","tags_count":99999999999}"#,
            r#"{"path":"Good/1"}"#,
            r#"["good/3"]"#,
            r#"["good/3",1,"gold",1]"#,
            r#"{"path":"x","plan":"go\u0000ld"}"#,
            r#"{"path":"x","plan":"\ud800"}"#,
            r#"{"path":"x","path":"y"}"#,
            r#"{"path":"x","tags_count":1.5}"#,
            r#"{"path":["x"]}"#,
            "\u{feff}{}",
            r#"{"path":"good/2"}"#,
        ];
        let listing = Listing::read(&lines.join("\n")).unwrap();
        assert_eq!(paths(&listing), ["good/1", "good/2"]);
        let numbers: Vec<_> = listing.errors.iter().map(|error| error.line).collect();
        assert_eq!(numbers, (3..=18).collect::<Vec<_>>());
        assert_eq!(listing.refused, 16);
        for (index, says) in [
            (0, "this is not JSON: expected ident, column 2"),
            (1, r#"path: no container repository can have this path: "a//b""#),
            (6, "must be a whole number from -2147483648 to 2147483647, not 99999999999"),
            (7, r#"path: the path is not in lower case: "Good/1""#),
            (8, "must be an object, not a list"),
            (14, "must be a string, not a list"),
        ] {
            assert_eq!(listing.errors[index].message, says);
        }
        assert!(listing.errors.iter().all(|error| !error.message.contains(" line ")));
        let array = format!("[{},{}]", lines[0], lines[3]);
        assert_eq!(Listing::read(&array).unwrap().errors[0].line, 2);
    }

    #[test]
    fn a_path_that_is_given_twice_counts_once() {
        let listing = Listing::read("{\"path\":\"a\"}\n{\"path\":\"a\",\"priority\":5}\n").unwrap();
        assert_eq!((paths(&listing), listing.repeated), (vec!["a"], 1));
        assert_eq!(listing.registrations[0].priority, 0);
    }

    #[test]
    fn an_array_that_is_not_json_is_refused_as_a_whole() {
        assert!(Listing::read(r#"[{"path":"a"}"#).is_err());
        assert!(Listing::read(r#"[{"path":"a"}] x"#).is_err());
    }

    #[test]
    fn what_is_held_does_not_grow_with_what_is_wrong() {
        for list in [format!("[{}]", vec!["1"; 50_000].join(",")), vec!["1"; 50_000].join("\n")] {
            let listing = Listing::read(&list).unwrap();
            assert_eq!(
                (listing.refused, listing.errors.len(), listing.registrations.len()),
                (50_000, 100, 0)
            );
            assert!(listing.errors.iter().all(|error| error.message.capacity() < 1024));
        }
        let long = format!(
            r#"[{{"path":"{0}"}},{{"{0}":1}},"{0}",{{"path":"x","plan":"{0}"}}]"#,
            "ü".repeat(100_000)
        );
        let errors = Listing::read(&long).unwrap().errors;
        assert!(
            errors.len() == 4 && errors.iter().all(|error| error.message.chars().count() <= 255),
            "{errors:?}"
        );
    }

    #[test]
    fn too_many_entries_are_refused_where_they_become_too_many() {
        let good = |number: usize| format!(r#"{{"path":"a{number}"}}"#);
        let entries = |count: usize| (0..count).map(good).collect::<Vec<_>>();
        let same = |count: usize| vec![good(1); count];
        assert_eq!(Listing::read(&entries(50_000).join("\n")).unwrap().registrations.len(), 50_000);
        for entries in
            [entries(50_001), same(50_001), vec!["1".to_owned(); 50_001], vec!["{}".to_owned(); 50_001]]
        {
            // The text after the limit is no JSON. The answer does not say so: it was not read.
            for list in [format!("[{},{{", entries.join(",")), format!("{}\n", entries.join("\n"))] {
                let problem = Listing::read(&list).unwrap_err();
                assert_eq!(problem.status(), 413, "{}", problem.message());
            }
        }
    }

    #[test]
    fn an_array_is_read_no_further_than_the_entry_too_many() {
        let mut reading = Reading::default();
        let array = format!("[{}]", vec!["1"; MAX_ENTRIES + 1000].join(","));
        let read = serde_json::Deserializer::from_str(&array).deserialize_seq(Entries(&mut reading));
        assert!(read.is_err());
        assert_eq!((reading.entries, reading.listing.refused), (MAX_ENTRIES + 1, MAX_ENTRIES + 1));
    }
}
