//! The registry: one that imports by itself, as GitLab's does.

use shared::migration::{Cancelation, NotificationStatus, RegistryStatus, RegistryView, Step};

use crate::{
    decisions::Said,
    model::{Met, Turn},
    world::{Import, Notice, Put, Repository},
};

impl Turn<'_> {
    /// How many imports the registry counts: those that run, and those whose notification is not answered yet.
    fn counted_imports(&self) -> usize {
        self.world.imports.iter().filter(|import| import.by.is_some()).count()
            + self.world.notices.iter().filter(|notice| notice.is_awaited).count()
    }

    /// Asks for a step, with the registry's checks in its order.
    pub(crate) fn put(&mut self, put: Put) -> Said {
        if self.counted_imports() >= usize::from(self.model.room) {
            return Said::Full;
        }
        let is_stopping = self.world.is_stopping;
        let import = self.world.import(put.repository);
        match import.status {
            Some(RegistryStatus::Native | RegistryStatus::ImportComplete) => return Said::ClaimsMigrated,
            Some(RegistryStatus::PreImportInProgress) => return Said::PreRuns,
            Some(RegistryStatus::ImportInProgress) => return Said::FinalRuns,
            Some(RegistryStatus::PreImportFailed | RegistryStatus::PreImportCanceled) | None
                if put.step == Step::Final =>
            {
                return Said::PreRequired;
            }
            Some(
                RegistryStatus::PreImportFailed
                | RegistryStatus::PreImportCanceled
                | RegistryStatus::PreImportComplete
                | RegistryStatus::ImportFailed
                | RegistryStatus::ImportCanceled,
            )
            | None => {}
        }
        *import = Import {
            status: Some(match put.step {
                Step::Pre => RegistryStatus::PreImportInProgress,
                Step::Final => RegistryStatus::ImportInProgress,
            }),
            // What is started while it stops is cut off without a word.
            by: (!is_stopping).then_some(put.attempt),
            is_late: false,
            is_doubled: put.is_doubled,
            was_complete: import.was_complete,
        };
        Said::Accepted
    }

    /// How a repository stands.
    pub(crate) fn view(&self, repository: Repository) -> RegistryView {
        let status = self.world.imports[usize::from(repository)].status;
        status.map_or(RegistryView::KnowsNothing, RegistryView::Says)
    }

    /// A running step ends, and its notification is sent.
    pub(crate) fn end(&mut self, repository: Repository, status: NotificationStatus, is_cut_off: bool) {
        let import = self.world.import(repository);
        let Some(attempt) = import.by else { return };
        *import = Import {
            status: Some(match status {
                NotificationStatus::PreImportComplete => RegistryStatus::PreImportComplete,
                NotificationStatus::PreImportFailed => RegistryStatus::PreImportFailed,
                NotificationStatus::PreImportCanceled => RegistryStatus::PreImportCanceled,
                NotificationStatus::ImportComplete => RegistryStatus::ImportComplete,
                NotificationStatus::ImportFailed => RegistryStatus::ImportFailed,
                NotificationStatus::ImportCanceled => RegistryStatus::ImportCanceled,
            }),
            was_complete: import.was_complete || status == NotificationStatus::ImportComplete,
            ..Import::NONE
        };
        let notice = Notice { repository, attempt: Some(attempt), status, is_cut_off, is_awaited: true };
        self.world.notices.push(notice);
    }

    fn running_step(&self, repository: Repository) -> Option<Step> {
        self.world.imports[usize::from(repository)].status.and_then(RegistryStatus::running_step)
    }

    /// A running step succeeds or fails.
    pub(crate) fn finish(&mut self, repository: Repository, succeeds: bool) {
        let status = match (self.running_step(repository), succeeds) {
            (Some(Step::Pre), true) => NotificationStatus::PreImportComplete,
            (Some(Step::Pre), false) => NotificationStatus::PreImportFailed,
            (Some(Step::Final), true) => NotificationStatus::ImportComplete,
            (Some(Step::Final), false) => NotificationStatus::ImportFailed,
            (None, _) => return,
        };
        self.end(repository, status, false);
    }

    /// Cancels what runs, and, by force, what is over.
    pub(crate) fn delete(&mut self, repository: Repository, by_force: bool) -> Cancelation {
        let import = self.world.import(repository);
        let Some(status) = import.status else { return Cancelation::KnowsNothing };
        let (is_pre, canceled) = match status {
            RegistryStatus::PreImportInProgress | RegistryStatus::PreImportComplete => {
                (true, RegistryStatus::PreImportCanceled)
            }
            _ => (false, RegistryStatus::ImportCanceled),
        };
        match status.running_step() {
            Some(_) if import.by.is_some() => {
                let status = if is_pre {
                    NotificationStatus::PreImportCanceled
                } else {
                    NotificationStatus::ImportCanceled
                };
                self.end(repository, status, false);
                Cancelation::Accepted
            }
            Some(_) => {
                import.status = Some(canceled);
                Cancelation::Accepted
            }
            None if by_force && status != RegistryStatus::Native => {
                import.status = Some(canceled);
                Cancelation::Accepted
            }
            None => Cancelation::Stands(status),
        }
    }

    /// SIGTERM: what runs is canceled and notified.
    pub(crate) fn stop(&mut self) {
        self.meet(Met::Stops);
        self.world.is_stopping = true;
        for repository in 0..self.model.repositories {
            match self.running_step(repository) {
                Some(Step::Pre) => self.end(repository, NotificationStatus::PreImportCanceled, true),
                Some(Step::Final) => self.end(repository, NotificationStatus::ImportCanceled, true),
                None => {}
            }
        }
    }

    /// SIGKILL: what runs is cut off without a word, and nobody waits for an answer any more.
    pub(crate) fn kill(&mut self) {
        self.meet(Met::IsKilled);
        self.world.is_stopping = false;
        for import in &mut self.world.imports {
            *import = Import { by: None, is_late: false, is_doubled: false, ..*import };
        }
        for notice in &mut self.world.notices {
            notice.is_awaited = false;
        }
    }
}
