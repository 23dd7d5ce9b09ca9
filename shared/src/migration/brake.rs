use serde::{Deserialize, Serialize};

use super::{Event, NotificationStatus, Settled, state::named};

/// What the registry says of an import that it cut off because it is stopping.
const CUT_OFF: &str = "forced cancelation";

named! {
    /// What holds starts back, besides the kill switch.
    Brake, "brake" {
        /// The registry is stopping, or being restarted: what it starts now it cuts off.
        RegistryStopped = "registry_stopped",
        /// The circuit breaker: too many repositories failed in a row.
        BreakerOpen = "breaker_open",
        /// The registry runs as many imports as it can.
        RegistryFull = "registry_full",
    }
}

/// Starts are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// By what.
    pub by: Brake,
    /// Until then, by the database's clock, unless what holds them ends before.
    pub until: jiff::Timestamp,
}

named! {
    /// What a change of one repository shows of the registry as a whole.
    Signal, "signal" {
        /// A repository failed by itself. Many in a row open the circuit breaker.
        Failed = "failed",
        /// A step ended well, or had nothing to do. Failures from before it was begun count no more, and it closes the
        /// circuit breaker if it was begun after that had opened.
        Succeeded = "succeeded",
        /// An import was canceled. Where nobody here had asked for that, two within ten seconds tell of a stop.
        Canceled = "canceled",
        /// An import was cut off, in the words that the registry has for its stop.
        Stopping = "stopping",
        /// The registry has no room for another import.
        Full = "full",
    }
}

impl Signal {
    /// What an event signal, whatever made it happen.
    #[must_use]
    pub const fn by(event: Event) -> Option<Self> {
        match event {
            Event::AbortImport { counted: true } => Some(Self::Failed),
            Event::FinishPreImport | Event::FinishImport | Event::AlreadyMigrated(Settled::NativeImport) => {
                Some(Self::Succeeded)
            }
            // The old storage does not have it: the registry has nothing to show for that.
            Event::AlreadyMigrated(Settled::NotFound)
            | Event::StartPreImport
            | Event::StartImport
            | Event::AbortImport { counted: false }
            | Event::SkipImport(_)
            | Event::RetryPreImport
            | Event::RetryImport
            | Event::StartRefused
            | Event::Hold
            | Event::RepeatPreImport
            | Event::Adopt(_)
            | Event::Reopen => None,
        }
    }

    /// What a notification shows beyond the event that it is.
    pub(super) fn by_notification(status: NotificationStatus, detail: Option<&str>) -> Option<Self> {
        match status {
            NotificationStatus::PreImportCanceled | NotificationStatus::ImportCanceled => {
                Some(if detail == Some(CUT_OFF) { Self::Stopping } else { Self::Canceled })
            }
            NotificationStatus::PreImportComplete
            | NotificationStatus::ImportComplete
            | NotificationStatus::PreImportFailed
            | NotificationStatus::ImportFailed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Signal;
    use crate::migration::{Event, NotificationStatus, Plan, RowChange, Settled, Situation, SkipReason};

    /// What the outcomes of a plan tell, each as the statement reads it.
    fn signals(plan: &Plan, which: &str) -> BTreeSet<String> {
        let json = plan.to_json();
        let entries = json.as_object().unwrap().values();
        entries
            .filter(|entry| !entry[which].is_null())
            .map(|entry| entry[which]["signal"].as_str().unwrap_or("nothing").to_owned())
            .collect()
    }

    #[test]
    fn tells_of_each_event_whose_fault_or_merit_it_is() {
        for event in Event::ALL {
            let expected = match event {
                Event::AbortImport { counted: true } => Some(Signal::Failed),
                Event::FinishPreImport | Event::FinishImport => Some(Signal::Succeeded),
                Event::AlreadyMigrated(settled) => {
                    (settled == Settled::NativeImport).then_some(Signal::Succeeded)
                }
                _ => None,
            };
            for situation in Situation::all() {
                if let Ok(outcome) = RowChange::of(situation, &[event]) {
                    assert_eq!(outcome.signal, expected, "{} {event}", situation.key());
                }
            }
        }
    }

    #[test]
    fn tells_of_the_failure_at_the_retry_limit_too() {
        for status in [NotificationStatus::PreImportFailed, NotificationStatus::ImportFailed] {
            let plan = Plan::notified(status, Some("forced cancelation"));
            for which in ["otherwise", "at_retry_limit"] {
                assert_eq!(signals(&plan, which), BTreeSet::from(["failed".to_owned()]), "{status} {which}");
            }
        }
        let skip = Plan::event(Event::SkipImport(SkipReason::MigrationCanceled));
        assert_eq!(signals(&skip, "otherwise"), BTreeSet::from(["nothing".to_owned()]));
    }

    #[test]
    fn tells_a_stop_from_a_cancelation_by_the_words() {
        for status in [NotificationStatus::PreImportCanceled, NotificationStatus::ImportCanceled] {
            for (detail, expected) in [
                (Some("forced cancelation"), "stopping"),
                (Some("pre import was canceled manually"), "canceled"),
                (Some("Forced Cancelation"), "canceled"),
                (Some(""), "canceled"),
                (None, "canceled"),
            ] {
                let plan = Plan::notified(status, detail);
                assert_eq!(signals(&plan, "otherwise"), BTreeSet::from([expected.to_owned()]), "{detail:?}");
                // Canceled by the guard, past its time: the repository's own failure.
                let json = plan.to_json();
                for entry in json.as_object().unwrap().values() {
                    assert_eq!(entry["past_time"]["otherwise"]["signal"], "failed", "{entry}");
                }
            }
        }
    }

    #[test]
    fn tells_of_a_success_also_where_the_next_step_is_held_back() {
        let plan = Plan::notified(NotificationStatus::PreImportComplete, None);
        assert_eq!(signals(&plan, "when_disabled"), BTreeSet::from(["succeeded".to_owned()]));
    }
}
