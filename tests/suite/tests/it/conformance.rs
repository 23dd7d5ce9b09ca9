//! Both transports answer alike: every statement of the store is sent through both, to two databases that hold
//! the same, and gives the same rows and the same errors.

mod statements;
mod twin;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use local::Stack;

use self::twin::Twin;

/// The names of all statements there are, from the store's sources.
fn all_statements() -> BTreeSet<String> {
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // The schema is applied by itself, in a transaction that only the Data API's client knows.
                if path.ends_with("schema") {
                    continue;
                }
                sources(&path, found);
            } else if path.extension().is_some_and(|of| of == "rs") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/src/store"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for constructor in ["Statement::read(", "Statement::write(", "Statement::repeatable_write("] {
            for (at, _) in text.match_indices(constructor) {
                let after = text[at + constructor.len()..].trim_start();
                let name = after.strip_prefix('"').and_then(|rest| rest.split_once('"'));
                let (name, _) =
                    name.unwrap_or_else(|| panic!("{}: a statement without a name", file.display()));
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_of_the_store_gives_the_same_rows_over_both_transports() {
    let stack = super::direct::databases().await;
    let twin = Twin::start(&stack).await;
    statements::run_all(&stack, &twin).await;
    assert_eq!(twin.sent(), all_statements(), "a statement of the store is not tried over both transports");
    stack.stop().await.unwrap();
}

/// What PostgreSQL refuses is refused alike: by class, by SQLSTATE and in what is known of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_alike_over_both_transports() {
    let stack: Stack = super::direct::databases().await;
    suite::sql(&stack, twin::RAISE).await.unwrap();
    let twin = Twin::start(&stack).await;
    twin.refusals().await;
    twin.raised().await;
    stack.stop().await.unwrap();
}
