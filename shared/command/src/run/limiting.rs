//! Limits, from the arguments and from their file, also while a run goes on.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::{RunError, registries::Registries, say};
use crate::amounts::Limit;
use crate::exit::Exit;
use crate::limits::{FILE, LimitArguments, Limits, SideLimits};
use crate::screen::note;
use crate::state::{StateDirectory, is_state, read_json, write_json};

/// How soon a change is noticed.
const LOOK: Duration = Duration::from_millis(500);

/// What holds from the beginning: what was kept, with what is said now.
pub(super) fn begin(directory: &StateDirectory, said: &LimitArguments) -> Result<Limits, RunError> {
    let path = directory.file(FILE);
    let kept: Limits = read_json(&path).map_err(RunError::unusable)?.unwrap_or_default();
    let limits = kept.changed(said);
    write_json(&path, &limits).map_err(RunError::unusable)?;
    Ok(limits)
}

/// Changes the file that a run follows.
pub(super) fn change(folder: &Path, said: &LimitArguments) -> Result<Exit, RunError> {
    if said.is_empty() {
        return Err(RunError::Usage("say which limit to change, such as --from-max-requests 5".to_owned()));
    }
    if !is_state(folder) {
        return Err(RunError::Unusable(format!("{} is no state of a migration", folder.display())));
    }
    let path = folder.join(FILE);
    let kept: Limits = read_json(&path).map_err(RunError::unusable)?.unwrap_or_default();
    let limits = kept.changed(said);
    write_json(&path, &limits).map_err(RunError::unusable)?;
    say(&format!("source: {}\ntarget: {}", limits.from, limits.to))?;
    Ok(Exit::Done)
}

/// Follows the file for as long as it is polled.
pub(super) async fn follow(directory: &StateDirectory, registries: &Registries) -> std::convert::Infallible {
    let mut now = registries.limits.clone();
    let mut told: Option<String> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        match read_json::<Limits>(&directory.file(FILE)) {
            Ok(read) => {
                told = None;
                let read = read.unwrap_or_default();
                if read != now {
                    now = read;
                    registries.source.set_limits(of_client(&now.from));
                    registries.target.set_limits(of_client(&now.to));
                    note(&format!("Limits changed. Source: {}. Target: {}.", now.from, now.to));
                }
            }
            // Somebody edits it by hand: what held goes on to hold.
            Err(error) if told.as_ref() != Some(&error.to_string()) => {
                note(&format!("The limits stay as they were: {error}"));
                told = Some(error.to_string());
            }
            Err(_) => {}
        }
    }
}

/// As the client takes them.
pub(super) fn of_client(limits: &SideLimits) -> oci::Limits {
    oci::Limits {
        requests_per_second: limits.max_requests.map(|requests| requests.0),
        bytes_per_second: limits.max_bandwidth.map(|bytes| bytes.0),
        actions: limits.max_actions.iter().map(|(action, requests)| (action.0, requests.0)).collect(),
        floor: limits.min_remaining.map(|requests| requests.0),
        ..oci::Limits::default()
    }
}

impl fmt::Display for SideLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.max_requests.map(|requests| format!("requests {}", Limit::AtMost(requests)));
        let bandwidth = self.max_bandwidth.map(|bytes| format!("bytes {}", Limit::AtMost(bytes)));
        let actions = self.max_actions.iter();
        let actions =
            actions.map(|(action, requests)| format!("{} {}", action.0.name(), Limit::AtMost(*requests)));
        let remaining =
            self.min_remaining.map(|requests| format!("{} requests are left to others", requests.0));
        let all: Vec<String> =
            requests.into_iter().chain(bandwidth).chain(actions).chain(remaining).collect();
        f.write_str(if all.is_empty() { "none" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}
