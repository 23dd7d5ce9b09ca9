//! The whole table, every situation by every event: as a snapshot, and in the README as states by events.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use super::{Event, RowChange, Settled, Situation, SkipReason, State, Step, Transition};

/// The table's columns: the events whose name alone says where they lead.
const COLUMNS: [Event; 15] = [
    Event::StartPreImport,
    Event::FinishPreImport,
    Event::StartImport,
    Event::FinishImport,
    Event::AlreadyMigrated(Settled::NativeImport),
    Event::AbortImport { counted: true },
    Event::SkipImport(SkipReason::MigrationForcedCanceled),
    Event::RetryPreImport,
    Event::RetryImport,
    Event::StartRefused,
    Event::Hold,
    Event::RepeatPreImport,
    Event::Adopt(Step::Pre),
    Event::Adopt(Step::Final),
    Event::Reopen,
];

const BEGIN: &str = "<!-- transitions -->";
const END: &str = "<!-- /transitions -->";

fn readme_table() -> String {
    let mut table = String::from("| event | ");
    let heads: Vec<_> = State::ALL.iter().map(|state| format!("`{state}`")).collect();
    table.push_str(&heads.join(" | "));
    table.push_str(" |\n|---|");
    table.push_str(&"---|".repeat(State::ALL.len()));
    for event in COLUMNS {
        write!(table, "\n| `{event}` |").unwrap();
        for &state in State::ALL {
            let targets: BTreeSet<&str> = Situation::all()
                .into_iter()
                .filter(|situation| situation.state == state)
                .filter_map(|situation| Transition::of(situation, event).ok())
                .map(|transition| transition.to.name())
                .collect();
            let cell = if targets.is_empty() {
                "-".to_owned()
            } else {
                targets.into_iter().collect::<Vec<_>>().join(" or ")
            };
            write!(table, " {cell} |").unwrap();
        }
    }
    table
}

#[test]
fn every_event_in_every_situation_does_what_the_snapshot_says() {
    let mut lines = String::new();
    for situation in Situation::all() {
        for event in Event::ALL {
            let result = match RowChange::of(situation, &[event]) {
                Ok(outcome) => serde_json::to_string(&outcome).unwrap(),
                Err(refused) => {
                    assert_eq!((refused.state, refused.event), (situation.state, event));
                    assert!(!refused.allowed.contains(&event));
                    "-".to_owned()
                }
            };
            writeln!(lines, "{} {event}: {result}", situation.key()).unwrap();
        }
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn the_readme_shows_the_table_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("README.md marks where the table begins");
    let (shown, tail) = rest.split_once(END).expect("README.md marks where the table ends");
    let table = format!("\n{}\n", readme_table());
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(path, [head, BEGIN, &table, END, tail].concat()).unwrap();
    } else {
        assert_eq!(shown, table, "shared/README.md is stale: run this test with UPDATE_README=1");
    }
}
