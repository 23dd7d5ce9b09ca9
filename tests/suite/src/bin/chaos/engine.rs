//! What does the copying.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use local::{
    Stack,
    local_registry::{Delivery, NotificationRecord, Status, storage::verify},
};

use crate::{
    importer::Importer,
    plan::{Fate, Plan},
};

/// Which one.
pub(crate) enum Engine {
    /// The local registry, which imports by itself.
    Registry(Plan),
    /// The importer, between two registries.
    Importer(Box<Importer>),
}

/// The notifications, as far as anybody counts them.
#[derive(Default)]
pub(crate) struct Notifications {
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    pub(crate) refused: usize,
    /// That tell of a canceled step.
    pub(crate) canceled: usize,
    /// How many imports of each repository failed by themselves.
    pub(crate) failures: BTreeMap<String, usize>,
}

impl Engine {
    /// What is to become of each repository.
    pub(crate) const fn fates(&self) -> &BTreeMap<String, Fate> {
        match self {
            Self::Registry(plan) => &plan.fates,
            Self::Importer(importer) => &importer.fates,
        }
    }

    /// Whether a repository is at its new place, byte for byte.
    ///
    /// # Errors
    /// What is not.
    pub(crate) fn check(&self, stack: &Stack, path: &str) -> Result<()> {
        match self {
            Self::Registry(_) => {
                let registry = stack.registry()?;
                verify(&registry.old_storage(), &registry.new_storage(), path)?;
                Ok(())
            }
            Self::Importer(importer) => importer.check(path),
        }
    }

    /// None: the engine keeps no journal of them.
    ///
    /// # Errors
    /// When the stack has no registry.
    pub(crate) fn notifications(&self, stack: &Stack) -> Result<Option<Notifications>> {
        if matches!(self, Self::Importer(_)) {
            return Ok(None);
        }
        let records = stack.registry()?.journal().notifications();
        let mut failed: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        for record in &records {
            if matches!(record.report.status, Status::PreImportFailed | Status::ImportFailed) {
                // Sent twice it is still one failure. Without its id it cannot be told from another.
                failed.entry(&record.report.path).or_default().insert(record.request_id.as_deref());
            }
        }
        let is_lost =
            |sent: &&NotificationRecord| matches!(sent.outcome, Delivery::NotSent | Delivery::Failed { .. });
        let is_refused = |sent: &&NotificationRecord| matches!(sent.outcome, Delivery::Answered { status, .. } if status != 200);
        let is_canceled = |sent: &&NotificationRecord| {
            matches!(sent.report.status, Status::PreImportCanceled | Status::ImportCanceled)
        };
        Ok(Some(Notifications {
            canceled: records.iter().filter(is_canceled).count(),
            sent: records.len(),
            lost: records.iter().filter(is_lost).count(),
            refused: records.iter().filter(is_refused).count(),
            failures: failed.into_iter().map(|(path, ids)| (path.to_owned(), ids.len())).collect(),
        }))
    }
}
