//! What the fuzzer has found worth keeping, as plain tests.

use std::{collections::BTreeSet, fs, path::PathBuf};

use fuzzing::TARGETS;
use nix::sys::resource::{Resource, setrlimit};

/// Far more than an input of the corpus needs. Without a limit the system gives room of any size that nobody writes to.
const MEMORY: u64 = 4 << 30;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn keeps_every_promise_over_the_corpus() {
    setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY).unwrap();
    for target in TARGETS {
        let folder = corpus().join(target.name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            (target.run)(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{}: {count} inputs are no corpus", target.name);
    }
}

#[test]
fn holds_a_folder_for_each_target_and_no_other() {
    let known: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let found = fs::read_dir(corpus()).unwrap();
    let found: BTreeSet<String> =
        found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, known);
}

#[test]
fn stays_small() {
    let files: Vec<u64> = TARGETS
        .iter()
        .flat_map(|target| fs::read_dir(corpus().join(target.name)).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    let bytes: u64 = files.iter().sum();
    assert!(files.len() <= 300 && bytes <= 1 << 20, "{} files of {bytes} bytes", files.len());
}
