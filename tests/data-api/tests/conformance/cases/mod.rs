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
