//! The proof, from the rows into files; and the reading of every blob.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use importer::{Report, Status};
use jiff::Timestamp;
use shared::store::importer::TagState;
use tempfile::NamedTempFile;

use super::{Migration, RunError, say};
use crate::exit::Tally;
use crate::proof::{CSV, NDJSON, Row, Writer};
use crate::screen::Screen;

/// The first and the last time of the comparisons, by the database's clock, in the form that sorts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: String,
    pub(super) last: String,
}

impl Span {
    fn with(span: Option<Self>, at: &str) -> Self {
        let Some(Self { first, last }) = span else {
            return Self { first: at.to_owned(), last: at.to_owned() };
        };
        Self { first: first.min(at.to_owned()), last: last.max(at.to_owned()) }
    }
}

impl Migration<'_> {
    /// Writes both files, and counts what this run asked for. The files have every repository that this state knows.
    pub(super) async fn write_proof(
        &self,
        report: &Report,
        began: Timestamp,
    ) -> Result<(Tally, Option<Span>), RunError> {
        let folder = self.directory.file("");
        let new = || NamedTempFile::new_in(&folder).map_err(RunError::unusable);
        let reopen = |file: &NamedTempFile| file.reopen().map_err(RunError::unusable);
        let (ndjson, csv) = (new()?, new()?);
        let mut writer = Writer::new(reopen(&ndjson)?, reopen(&csv)?);
        let asked_for: BTreeSet<&str> = self.names.iter().map(|(source, _)| source.as_str()).collect();
        let mut tally =
            Tally { repositories: self.names.len() as u64, stopped: report.stopped, ..Tally::default() };
        let unfinished: BTreeSet<&str> = report
            .repositories
            .iter()
            .filter(|repository| repository.status != Status::Complete)
            .map(|repository| repository.source.as_str())
            .collect();
        let mut tags: BTreeMap<String, u64> = BTreeMap::new();
        let mut after: Option<(String, String)> = None;
        let mut span: Option<Span> = None;
        loop {
            let cursor = after.as_ref().map(|(source, tag)| (source.as_str(), tag.as_str()));
            let page = self.importer.proof(cursor).await.map_err(RunError::unusable)?;
            let Some(last) = page.last() else { break };
            after = Some((last.source.clone(), last.tag.clone()));
            for row in page {
                let failed = unfinished.contains(row.source.as_str());
                let word = word(row.state, failed && !is_after(&row.checked_at, began));
                if asked_for.contains(row.source.as_str()) {
                    *tags.entry(row.source.clone()).or_default() += 1;
                    span = Some(Span::with(span, &row.checked_at));
                    match row.state {
                        // As of an earlier run; the repository counts as failed.
                        TagState::Equal | TagState::Merged if word == UNCONFIRMED => {}
                        TagState::Equal | TagState::Merged => tally.equal += 1,
                        // The source has it no more.
                        TagState::Deleted => {}
                        TagState::Failed => tally.unequal += 1,
                    }
                }
                let row = Row {
                    source: row.source,
                    target: row.target,
                    tag: row.tag,
                    state: word.to_owned(),
                    source_digest: row.source_digest,
                    target_digest: row.target_digest,
                    checked_at: Some(row.checked_at),
                    cause: row.cause,
                    error: row.error,
                };
                writer.write(&row).map_err(RunError::unusable)?;
            }
        }
        for repository in &report.repositories {
            let source = repository.source.as_str();
            let state = match repository.status {
                Status::Complete => {
                    tally.complete += 1;
                    "empty"
                }
                Status::Failed | Status::Canceled => {
                    tally.failed += 1;
                    "failed"
                }
                Status::InProgress => "pending",
            };
            if repository.status == Status::Complete && tags.contains_key(source) {
                continue;
            }
            let row = Row {
                source: source.to_owned(),
                target: repository.target.clone(),
                tag: String::new(),
                state: state.to_owned(),
                source_digest: None,
                target_digest: None,
                checked_at: None,
                cause: repository.cause.clone(),
                error: repository.error.clone(),
            };
            writer.write(&row).map_err(RunError::unusable)?;
        }
        writer.finish().map_err(RunError::unusable)?;
        for (file, name) in [(ndjson, NDJSON), (csv, CSV)] {
            file.persist(self.directory.file(name)).map_err(|error| RunError::unusable(error.error))?;
        }
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(RunError::unusable)?;
        Ok((tally, span))
    }

    /// Reads every blob of the target once. How many are not what their digests say.
    pub(super) async fn verify(&self, screen: &mut Screen) -> Result<u64, RunError> {
        let read = std::sync::Mutex::new((0_u64, screen));
        let targets: Vec<_> = self.names.iter().map(|(_, target)| target.clone()).collect();
        let problems = self
            .importer
            .verify_blobs(&targets, &|bytes| {
                if let Ok(mut read) = read.lock() {
                    read.0 += bytes;
                    let text = format!("Reading the target's blobs: {}", indicatif::DecimalBytes(read.0));
                    read.1.step(0, 0, &text);
                }
            })
            .await;
        for (target, problem) in &problems {
            say(&format!("{}  {}: {}", target.as_str(), problem.cause, problem.said))?;
        }
        Ok(problems.len() as u64)
    }
}

/// An earlier run found it equal; this one did not come to it.
const UNCONFIRMED: &str = "unconfirmed";

/// Whether a time of the database, which is on this machine, is not before `began`.
fn is_after(at: &str, began: Timestamp) -> bool {
    at.parse::<Timestamp>().is_ok_and(|at| at >= began)
}

const fn word(state: TagState, is_old: bool) -> &'static str {
    match state {
        TagState::Equal | TagState::Merged if is_old => UNCONFIRMED,
        TagState::Equal => "equal",
        TagState::Merged => "merged",
        TagState::Failed => "failed",
        TagState::Deleted => "deleted",
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use shared::store::importer::TagState;

    use super::{Span, is_after, word};

    #[test]
    fn calls_nothing_equal_that_this_run_did_not_compare() {
        for state in [TagState::Equal, TagState::Merged] {
            assert_eq!(word(state, true), "unconfirmed");
        }
        for (state, said) in [
            (TagState::Equal, "equal"),
            (TagState::Merged, "merged"),
            (TagState::Failed, "failed"),
            (TagState::Deleted, "deleted"),
        ] {
            assert_eq!(word(state, false), said);
        }
        assert_eq!(word(TagState::Failed, true), "failed");
    }

    #[test]
    fn tells_an_earlier_comparison_by_its_time() {
        let began: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
        assert!(is_after("2026-01-01T10:00:00.5+00:00", began));
        assert!(is_after("2026-01-01T12:00:00+01:00", began));
        assert!(!is_after("2026-01-01T09:59:59.999999+00:00", began));
        assert!(!is_after("no time", began));
    }

    #[test]
    fn names_the_first_and_the_last_comparison() {
        let times = ["2026-01-01T10:00:02", "2026-01-01T10:00:01", "2026-01-01T10:00:03"];
        let span = times.iter().fold(None, |span, at| Some(Span::with(span, at))).unwrap();
        assert_eq!(span, Span { first: times[1].to_owned(), last: times[2].to_owned() });
    }
}
