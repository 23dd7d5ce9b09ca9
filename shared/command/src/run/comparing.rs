//! `drift`: what differs again, without copying it.

use std::io::Write;
use std::sync::Mutex;

use importer::Comparison;

use super::{Opened, RunError, Target, close, open, say};
use crate::arguments::DriftArguments;
use crate::exit::Exit;
use crate::screen::Screen;
use crate::signals::Signals;
use crate::state::write_whole;

/// Where it is kept.
const FILE: &str = "drift.ndjson";

/// Compares the tags of both registries.
///
/// # Errors
/// [`RunError`] when it could not even begin, or not go on.
pub async fn drift(arguments: DriftArguments, signals: &mut Signals) -> Result<Exit, RunError> {
    let opened = open(&arguments.migration, Target::Read, signals).await?;
    let Opened { directory, names, server, importer, .. } = opened;
    let shown = Mutex::new((0_u64, Screen::default()));
    let all = names.len() as u64;
    let seen = || {
        if let Ok(mut shown) = shown.lock() {
            shown.0 += 1;
            let known = shown.0;
            shown.1.step(known, all, &format!("Comparing: {known} of {all} repositories"));
        }
    };
    let compared = tokio::select! {
        compared = signals.or(importer.compare(&names, &seen)) => match compared {
            Some(compared) => compared.map_err(RunError::unusable),
            None => Err(RunError::Ended),
        },
        () = server.ended() => Err(RunError::without_database()),
    };
    if let Ok(shown) = shown.lock() {
        shown.1.clear();
    }
    close(server).await;
    let compared = compared?;
    let path = directory.file(FILE);
    let lines: Result<Vec<String>, _> = compared.drift.iter().map(serde_json::to_string).collect();
    let lines = lines.map_err(RunError::unusable)?;
    write_whole(&path, |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
        .map_err(RunError::unusable)?;
    tell(&compared, &path.display().to_string())
}

fn tell(compared: &Comparison, path: &str) -> Result<Exit, RunError> {
    for (source, problem) in &compared.problems {
        say(&format!("{source}  {}: {}", problem.cause, problem.said))?;
    }
    let unfinished = match compared.unfinished {
        0 => String::new(),
        unfinished => format!(" {unfinished} repositories are not finished, and were not compared."),
    };
    say(&format!(
        "{} tags of {} repositories were compared as of now, {} differ, {} repositories could not be compared.{unfinished} What \
         differs: {path}",
        compared.tags,
        compared.compared,
        compared.drift.len(),
        compared.problems.len()
    ))?;
    Ok(if compared.drift.is_empty() && compared.problems.is_empty() { Exit::Done } else { Exit::Loss })
}
