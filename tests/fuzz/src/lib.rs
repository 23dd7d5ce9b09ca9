//! Feeds everything that comes from outside with rubbish, and holds what is made of it against what was promised.
//!
//! A target is a function of bytes. `tests/fuzz.sh` lets libFuzzer look for bytes that it panics on, with the instrumented
//! code of a whole build; `tests/fuzz/corpus` keeps bytes that reach different code, and the suite runs each of them.
//!
//! With [`PLANTED`] in the environment each target is wrong about something rare: who does not find that finds nothing.

mod answers;
mod challenges;
mod data_api;
mod errors;
mod gateway;
mod lists;
mod manifests;
mod notification;
mod pieces;
mod settings;
mod sql;

use std::sync::LazyLock;

/// The variable that plants a fault in each target.
pub const PLANTED: &str = "FUZZ_PLANTED";

/// The variable that names the target.
pub const CHOICE: &str = "FUZZ_TARGET";

/// Something that is fed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which its folder in the corpus has, too.
    pub name: &'static str,
    /// Panics where a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "notification", run: notification::run },
    Target { name: "gateway", run: gateway::run },
    Target { name: "settings", run: settings::run },
    Target { name: "lists", run: lists::run },
    Target { name: "answers", run: answers::run },
    Target { name: "challenges", run: challenges::run },
    Target { name: "manifests", run: manifests::run },
    Target { name: "data_api", run: data_api::run },
    Target { name: "sql", run: sql::run },
    Target { name: "errors", run: errors::run },
];

/// Runs the target that the variable names.
///
/// # Panics
/// Where there is none of that name, and where a promise is broken.
pub fn run_chosen(data: &[u8]) {
    static CHOSEN: LazyLock<Option<Target>> = LazyLock::new(|| {
        let name = std::env::var(CHOICE).ok()?;
        TARGETS.into_iter().find(|target| target.name == name)
    });
    let Some(target) = *CHOSEN else { panic!("{CHOICE} names no target") };
    (target.run)(data);
}

/// Whether faults are planted.
fn is_planted() -> bool {
    static PLANTED_HERE: LazyLock<bool> = LazyLock::new(|| std::env::var_os(PLANTED).is_some());
    *PLANTED_HERE
}
