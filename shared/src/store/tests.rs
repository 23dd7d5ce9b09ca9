//! How long one sending of each statement may take, and what is sent again: read from the sources, shown in the README.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

const BEGIN: &str = "<!-- sendings -->\n";
const END: &str = "<!-- /sendings -->";

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let schema = path.ends_with("schema");
        let test = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"));
        if path.is_dir() && !schema {
            sources(&path, found);
        } else if path.extension().is_some_and(|of| of == "rs") && !test {
            found.push(path);
        }
    }
}

/// Each statement's name, with whether it is brief and whether it may be repeated.
fn statements() -> BTreeMap<String, (bool, bool)> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"), &mut files);
    let mut statements = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (constructor, repeated) in [("read(", true), ("write_once(", false), ("repeatable_write(", true)]
        {
            let constructor = format!("Statement::{constructor}");
            for (at, _) in text.match_indices(&constructor) {
                let after = &text[at + constructor.len()..];
                let (_, name) = after.split_once('"').unwrap();
                let (name, rest) = name.split_once('"').unwrap();
                let (_, rest) = rest.split_once(')').unwrap();
                let brief = rest.trim_start().starts_with(".brief()");
                let known = statements.insert(name.to_owned(), (brief, repeated));
                assert!(known.is_none_or(|known| known == (brief, repeated)), "{name} is made in two ways");
            }
        }
    }
    statements
}

fn table() -> String {
    let mut table =
        String::from("| statement | one sending | nobody knows whether it ran |\n|---|---|---|\n");
    for (name, (brief, repeated)) in statements() {
        let limit = if brief { "3 s" } else { "the deadline" };
        let again = if repeated { "again" } else { "never again" };
        let _ = writeln!(table, "| `{name}` | {limit} | {again} |");
    }
    table
}

#[test]
fn the_readme_shows_how_long_one_sending_may_take() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("README.md marks where the table begins");
    let (shown, tail) = rest.split_once(END).expect("README.md marks where the table ends");
    let table = table();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(shown, table, "shared/README.md is stale: run this test with UPDATE_README=1");
    }
}

#[test]
fn only_what_may_be_repeated_is_brief_and_what_grows_is_not() {
    let statements = statements();
    let brief = |name: &str| statements[name].0;
    for (name, (brief, repeated)) in &statements {
        assert!(*repeated || !brief, "{name} is given up, and cannot be sent again");
    }
    for name in [
        "apply_notification",
        "start",
        "claim_next",
        "resume_parked",
        "record_answer",
        "status",
        "settings",
        "scan_stuck",
        "lease_stuck",
        "take_uncompared",
    ] {
        assert!(brief(name), "{name} answers within milliseconds, and somebody waits");
    }
    for name in [
        "register",
        "list",
        "history",
        "census",
        "reopen_many",
        "preview_reopen",
        "prefixes",
        "attention",
        "report",
        "progress",
        "shown_proof",
    ] {
        assert!(!brief(name), "{name} takes the longer the more there is");
    }
}
