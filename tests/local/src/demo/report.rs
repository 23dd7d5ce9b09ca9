//! What happened, checked: every digest compared, every notification accounted for.

use std::collections::BTreeMap;
use std::time::Duration;

use local::Stack;
use local::local_registry::storage::{Verified, verify};
use local::local_registry::{Delivery, NotificationRecord, Status};
use local::output::say;

use super::chaos::Restarts;
use super::rows::{Progress, Row};

/// What a registry that was told to stop says of the imports it cut off.
const CUT_OFF: &str = "forced cancelation";

/// What the demo was asked to bring about, so that it must have happened.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// That the replica lags.
    pub(crate) lag: bool,
    /// That the registry is restarted.
    pub(crate) chaos: bool,
}

/// The outcome of a demo.
pub(crate) struct Report {
    took: Duration,
    asked: Asked,
    /// How often the registry was restarted.
    registry_restarts: Restarts,
    rows: BTreeMap<String, Row>,
    /// By path; the first difference where there is one.
    verified: BTreeMap<String, Result<Verified, String>>,
    notifications: Vec<NotificationRecord>,
    seen: usize,
    unseen: usize,
    met_an_older_state: usize,
    would_be_refused: usize,
    data_api_calls: usize,
    process_restarts: usize,
}

impl Report {
    pub(crate) async fn make(
        stack: &Stack,
        asked: Asked,
        ended: Progress,
        took: Duration,
        registry_restarts: Restarts,
    ) -> anyhow::Result<Self> {
        let (old, new) = (stack.registry()?.old_storage(), stack.registry()?.new_storage());
        // The last row is done before the registry has its answer.
        let settled = |records: Vec<NotificationRecord>| records.iter().all(|record| record.ended.is_some());
        let journal = stack.registry()?.journal();
        let at_most = Duration::from_secs(15);
        let quiet = journal.wait_until(at_most, |journal| settled(journal.notifications())).await;
        anyhow::ensure!(quiet, "a notification is still without an answer after {at_most:?}");

        let paths: Vec<String> = ended.rows.keys().cloned().collect();
        let verified = tokio::task::spawn_blocking(move || {
            let check = |path: &String| verify(&old, &new, path).map_err(|error| error.to_string());
            paths.iter().map(|path| (path.clone(), check(path))).collect()
        })
        .await?;
        let sightings = stack.witness().map(local::Witness::sightings).unwrap_or_default();
        Ok(Self {
            took,
            asked,
            registry_restarts,
            rows: ended.rows,
            verified,
            notifications: journal.notifications(),
            seen: sightings.len(),
            unseen: stack.witness().map_or(0, local::Witness::unseen),
            met_an_older_state: sightings.iter().filter(|seen| seen.met_an_older_state()).count(),
            would_be_refused: sightings.iter().filter(|seen| seen.would_be_refused_by_the_replica()).count(),
            data_api_calls: stack.data_api().journal().len(),
            process_restarts: stack.functions().restarts(),
        })
    }

    /// Some container repository, to call something with.
    pub(crate) fn a_path(&self) -> &str {
        self.rows.keys().next().map_or("group/image", String::as_str)
    }

    /// Whether everything the demo claims was so.
    pub(crate) fn held(&self) -> bool {
        self.claims().iter().all(|(held, _)| *held)
    }

    fn claims(&self) -> Vec<(bool, String)> {
        let repositories = self.rows.len();
        let done = self.rows.values().filter(|row| row.state == "import_done").count();
        let equal = self.verified.values().filter(|verified| verified.is_ok()).count();
        let digests: usize = self.verified.values().flatten().map(|verified| verified.digests).sum();
        let bytes: u64 = self.verified.values().flatten().map(|verified| verified.bytes).sum();
        let count = |holds: &dyn Fn(&NotificationRecord) -> bool| {
            self.notifications.iter().filter(|record| holds(record)).count()
        };
        let on_purpose = count(&is_lost_on_purpose);
        let sent = self.notifications.len() - on_purpose;
        let accepted = count(&NotificationRecord::is_accepted);
        let mut accounted =
            format!("{accepted} of {sent} notifications were accepted; {} lost", sent - accepted);
        if self.asked.chaos {
            accounted += &format!("; {on_purpose} more were lost on purpose, and found by the guard");
        }
        let mut claims = vec![
            (done == repositories, format!("{done} of {repositories} container repositories are migrated")),
            (
                equal == repositories,
                format!(
                    "{equal} of {repositories} are the same in the new storage, byte for byte: {digests} digests, {}",
                    size(bytes)
                ),
            ),
            (accepted == sent, accounted),
            (
                self.unseen == 0 && self.seen == sent,
                format!("{} of {sent} were compared with the replica as they arrived", self.seen),
            ),
        ];
        if self.asked.chaos {
            let cut_off = count(&|record| record.report.detail == CUT_OFF);
            let failed = count(&|record| {
                matches!(record.report.status, Status::PreImportFailed | Status::ImportFailed)
            });
            let retries: usize = self.rows.values().filter_map(|row| usize::try_from(row.retries).ok()).sum();
            claims.push((
                self.registry_restarts.count > 0
                    && cut_off > 0
                    && retries <= failed + self.registry_restarts.silent,
                format!(
                    "the registry was restarted {} times, which cut {cut_off} imports off, and {} without a word: all of \
                     them were begun again; {retries} retries were counted, of those and {failed} imports that failed \
                     by themselves",
                    self.registry_restarts.count, self.registry_restarts.silent
                ),
            ));
        }
        let stale = format!(
            "{} met a replica that still showed an older state; {} of them in a state that takes no \
             notification: lost with a replica read (400 Wrong migration state)",
            self.met_an_older_state, self.would_be_refused
        );
        claims.push((!self.asked.lag || self.would_be_refused > 0, stale));
        claims
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let width = self.rows.keys().map(String::len).max().unwrap_or_default().max("repository".len());
        say(format_args!(
            "\n{:width$}  {:15} {:>5} {:>8} {:>10} {:>8} {:>9} {:>8}",
            "repository", "state", "tags", "digests", "bytes", "seconds", "attempts", "retries"
        ))?;
        for (path, row) in &self.rows {
            let (tags, digests, bytes) = match self.verified.get(path) {
                Some(Ok(verified)) => {
                    (verified.tags.to_string(), verified.digests.to_string(), size(verified.bytes))
                }
                Some(Err(_)) | None => ("-".to_owned(), "differs".to_owned(), "-".to_owned()),
            };
            let seconds = row.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.2}"));
            say(format_args!(
                "{path:width$}  {:15} {tags:>5} {digests:>8} {bytes:>10} {seconds:>8} {:>9} {:>8}",
                row.state, row.attempts, row.retries
            ))?;
        }
        say("")?;
        for (path, verified) in &self.verified {
            if let Err(difference) = verified {
                say(format_args!("DIFFERS  {path}: {difference}"))?;
            }
        }
        let lost = |record: &&NotificationRecord| !record.is_accepted() && !is_lost_on_purpose(record);
        for record in self.notifications.iter().filter(lost) {
            say(format_args!(
                "LOST     {} {}: {:?}",
                record.report.path, record.report.status, record.outcome
            ))?;
        }
        for (held, claim) in self.claims() {
            say(format_args!("{}  {claim}", if held { "yes" } else { "NO " }))?;
        }
        say(format_args!(
            "\nThe migration took {:.1} s and {} Data API calls; {} function processes died on the way.",
            self.took.as_secs_f64(),
            self.data_api_calls,
            self.process_restarts
        ))
    }
}

fn is_lost_on_purpose(record: &NotificationRecord) -> bool {
    record.outcome == Delivery::NotSent
}

fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
