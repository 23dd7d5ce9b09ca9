//! The cases: data that both drivers read. `cases/README.md` describes their form.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One behaviour and the calls that show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence.
    pub name: String,
    /// Which row of which table of the protocol's description it shows.
    pub row: String,
    /// How it is known.
    pub known: Known,
    /// What of it is only believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<String>,
    /// `aws` (its limits), `small` (small ones), `brief` (little time for a call), `aged` (transactions
    /// live briefly), `late` (nobody listens yet).
    #[serde(default = "aws")]
    pub server: String,
    /// `once` (no retries), `hasty` (short timeout), `default` (three attempts).
    #[serde(default = "once")]
    pub client: String,
    /// Injected before the first step.
    #[serde(default)]
    pub faults: Vec<Value>,
    /// In order.
    pub steps: Vec<Map<String, Value>>,
    /// How many calls must have arrived at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<usize>,
    /// How many requests the client must have sent, or tried to, in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<usize>,
}

/// How a behaviour is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// AWS's documentation or service model says so, or PostgreSQL's own, or the SDK does it.
    Documented,
    /// Somebody measured it on a real cluster and published it.
    Measured,
    /// Nobody could check it: the stricter reading was taken.
    Believed,
    /// It is a feature of this server.
    Ours,
}

fn aws() -> String {
    "aws".to_owned()
}

fn once() -> String {
    "once".to_owned()
}

/// SQL for an empty database, before the first case.
pub const FIXTURE: &str = include_str!("fixture.sql");

/// All cases.
pub fn all() -> Vec<Case> {
    let files = [
        include_str!("wire.json"),
        include_str!("strictness.json"),
        include_str!("transactions.json"),
        include_str!("limits.json"),
        include_str!("errors.json"),
        include_str!("faults.json"),
    ];
    files.iter().flat_map(|text| serde_json::from_str::<Vec<Case>>(text).unwrap()).collect()
}

#[test]
fn no_two_cases_have_one_name() {
    let mut names = HashSet::new();
    for case in all() {
        assert!(names.insert(case.name.clone()), "{}", case.name);
    }
}

#[test]
fn every_row_of_the_three_tables_has_a_case() {
    let rows = include_str!("rows.txt");
    let cases = all();
    for row in rows.lines().filter(|line| !line.is_empty()) {
        assert!(cases.iter().any(|case| case.row == row), "no case for the row: {row}");
    }
    for case in &cases {
        assert!(rows.lines().any(|row| row == case.row), "{}: unknown row {}", case.name, case.row);
    }
}

#[test]
fn a_case_that_is_believed_says_what_of_it() {
    for case in all() {
        assert_eq!(case.known == Known::Believed, case.unconfirmed.is_some(), "{}", case.name);
    }
}

/// The rows of the README's table, in the order of `rows.txt`.
fn evidence() -> String {
    let cases = all();
    let mut table = "| behaviour | documented | measured | believed |\n|---|---|---|---|\n".to_owned();
    for row in include_str!("rows.txt").lines().filter(|row| !row.is_empty()) {
        let of = |known: Known| cases.iter().filter(|case| case.row == row && case.known == known).count();
        let counts = [Known::Documented, Known::Measured, Known::Believed].map(of);
        // What is only ours claims nothing about AWS.
        if counts.iter().sum::<usize>() > 0 {
            let counts = counts.map(|count| if count == 0 { String::new() } else { count.to_string() });
            table.push_str(&format!("| {row} | {} |\n", counts.join(" | ")));
        }
    }
    table.push_str("\nWhat is only believed:\n\n");
    for case in cases.iter().filter(|case| case.known == Known::Believed) {
        let what = case.unconfirmed.as_deref().unwrap_or_default();
        table.push_str(&format!("* {}: {what}.\n", case.name));
    }
    table
}

#[test]
fn the_readme_says_how_each_behaviour_is_known() {
    const MARKS: [&str; 2] = ["<!-- evidence -->\n", "<!-- /evidence -->"];
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(MARKS[0]).unwrap();
    let (table, after) = rest.split_once(MARKS[1]).unwrap();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{}{}{}{after}", MARKS[0], evidence(), MARKS[1])).unwrap();
    } else {
        assert!(table == evidence(), "run it with UPDATE_README=1");
    }
}
