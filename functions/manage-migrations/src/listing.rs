//! The repositories that a body lists: a JSON array, or JSON lines.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use shared::{
    migration::RepositoryPath,
    store::Registration,
    web::{Problem, json_text},
};

/// What a body lists, line by line.
#[derive(Debug, Default, PartialEq)]
pub struct Listing {
    /// What can be registered, each path once.
    pub registrations: Vec<Registration>,
    /// How many lines repeat a path of an earlier one.
    pub repeated: u32,
    /// The lines that cannot be registered.
    pub errors: Vec<LineError>,
}

/// Why a line cannot be registered.
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
    tags_count: Option<i32>,
    plan: Option<String>,
    priority: Option<i32>,
}

impl Listing {
    /// Reads a body: an array where it begins like one, else lines. Empty lines say nothing.
    ///
    /// # Errors
    /// A 400 for an array that is not JSON: nothing of it can be told apart.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let mut listing = Self::default();
        let mut seen = HashSet::new();
        if text.trim_start().starts_with('[') {
            let entries: Vec<serde_json::Value> = json_text(text)?;
            for (index, entry) in entries.into_iter().enumerate() {
                listing.add(index + 1, serde_json::from_value(entry), &mut seen);
            }
        } else {
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                listing.add(index + 1, serde_json::from_str(line), &mut seen);
            }
        }
        Ok(listing)
    }

    fn add(&mut self, line: usize, given: serde_json::Result<Given>, seen: &mut HashSet<RepositoryPath>) {
        match given
            .map_err(|error| error.to_string())
            .and_then(|given| registration(given).map_err(str::to_owned))
        {
            Err(message) => self.errors.push(LineError { line, message }),
            Ok(registration) if seen.insert(registration.path.clone()) => {
                self.registrations.push(registration)
            }
            Ok(_) => self.repeated += 1,
        }
    }
}

fn registration(given: Given) -> Result<Registration, &'static str> {
    let Given { path, tags_count, plan, priority } = given;
    let path =
        RepositoryPath::parse(&path).map_err(|_| "path: no container repository can have this path")?;
    if tags_count.is_some_and(|count| count < 0) {
        return Err("tags_count: a number from 0 is expected");
    }
    if plan.as_ref().is_some_and(|plan| plan.is_empty() || plan.len() > 255 || plan.contains('\0')) {
        return Err("plan: a name of 1 to 255 characters is expected");
    }
    Ok(Registration { path, tags_count, plan, priority: priority.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::Listing;

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.registrations.iter().map(|one| one.path.as_str()).collect()
    }

    #[test]
    fn an_array_and_lines_say_the_same() {
        let array = r#" [{"path":"A/b","tags_count":3,"plan":"free","priority":-2}, {"path":"c"}]"#;
        let lines =
            "{\"path\":\"A/b\",\"tags_count\":3,\"plan\":\"free\",\"priority\":-2}\r\n\n{\"path\":\"c\"}";
        let listing = Listing::read(array).unwrap();
        assert_eq!(listing, Listing::read(lines).unwrap());
        assert_eq!(paths(&listing), ["a/b", "c"]);
        let first = &listing.registrations[0];
        assert_eq!((first.tags_count, first.plan.as_deref(), first.priority), (Some(3), Some("free"), -2));
        assert_eq!(listing.registrations[1].priority, 0);
    }

    #[test]
    fn each_line_that_cannot_be_registered_is_told_with_its_number_and_the_others_are_kept() {
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
            r#"{"path":"good/2"}"#,
        ];
        let listing = Listing::read(&lines.join("\n")).unwrap();
        assert_eq!(paths(&listing), ["good/1", "good/2"]);
        let told: Vec<_> = listing.errors.iter().map(|error| error.line).collect();
        assert_eq!(told, [3, 4, 5, 6, 7, 8, 9]);
        let array = format!("[{},{}]", lines[0], lines[3]);
        assert_eq!(Listing::read(&array).unwrap().errors[0].line, 2);
    }

    #[test]
    fn a_path_that_is_given_twice_counts_once() {
        let listing = Listing::read("{\"path\":\"a\"}\n{\"path\":\"A\",\"priority\":5}\n").unwrap();
        assert_eq!((paths(&listing), listing.repeated), (vec!["a"], 1));
        assert_eq!(listing.registrations[0].priority, 0);
    }

    #[test]
    fn an_array_that_is_not_json_is_refused_as_a_whole() {
        assert!(Listing::read(r#"[{"path":"a"}"#).is_err());
        assert!(Listing::read(r#"[{"path":"a"}] x"#).is_err());
    }
}
