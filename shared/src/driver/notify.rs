use tokio::time::Instant;

use super::{Patience, StepStatus, ask_registry, compare_tags, fill_slot, new_change, reconcile};
use crate::{
    endpoint::{Claim, EndpointError, Guard, Notification},
    migration::{AttemptId, ContainerRepository, NotificationStatus, RepositoryPath, State, TagsCheck},
    registry::RegistryClient,
    store::{Changed, Store, Verdict},
};

/// What a notification came to.
#[derive(Clone, Debug)]
pub struct AppliedNotification {
    /// How it was judged, and the row.
    pub changed: Changed,
    /// What is to be done once the registry has been answered.
    pub follow_up: FollowUp,
}

/// What is left to do after a notification has been answered. The guard and the schedules can do the same: it
/// may be lost, and costs time then, never a repository.
#[derive(Clone, Debug, PartialEq)]
pub enum FollowUp {
    /// Nothing.
    None,
    /// Ask the registry for the final step, as the row says.
    StartFinal(Box<ContainerRepository>),
    /// A slot is free: the next repository may have it.
    FillSlot,
    /// The same, and the tags of the repository that is done are to be compared.
    CompareTags(Box<ContainerRepository>),
    /// Ask the registry how this repository stands: what it notified proves nothing by itself.
    Reconcile(RepositoryPath),
}

/// Applies a notification in one call to the writer. None: no such repository.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn apply_notification(
    store: &Store<Notification>,
    path: &RepositoryPath,
    status: NotificationStatus,
    reported: Option<AttemptId>,
    detail: Option<&str>,
    deadline: Instant,
) -> Result<Option<AppliedNotification>, EndpointError> {
    let change = new_change();
    let changed = store.apply_notification(path, status, reported, detail, change, deadline).await?;
    Ok(changed.map(|changed| AppliedNotification { follow_up: left_to_do(&changed, change), changed }))
}

/// What a notification that was applied by `change` has left to do.
#[must_use]
pub fn left_to_do(changed: &Changed, change: AttemptId) -> FollowUp {
    let made = changed.verdict.took_effect();
    let row = &changed.row;
    if changed.verdict == Verdict::Unverified {
        FollowUp::Reconcile(row.path.clone())
    } else if made && row.migration_state == State::Importing && row.attempt == Some(change) {
        FollowUp::StartFinal(Box::new(row.clone()))
    } else if made
        && row.migration_state == State::ImportDone
        && row.tags_check.is_some_and(TagsCheck::is_kept)
    {
        FollowUp::CompareTags(Box::new(row.clone()))
    } else if made && !row.holds_slot() {
        FollowUp::FillSlot
    } else {
        FollowUp::None
    }
}

/// Does what a notification has left to do. To be called after the registry has read the answer: before, it
/// still counts the import as running and may have no room for another.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn follow_up(
    follow_up: FollowUp,
    store: &Store<Claim>,
    guard: &Store<Guard>,
    registry: &RegistryClient,
    deadline: Instant,
) -> Result<(), EndpointError> {
    let patience = Patience::AfterNotification;
    let mut done = None;
    let freed = match follow_up {
        FollowUp::None => false,
        FollowUp::FillSlot => true,
        FollowUp::CompareTags(row) => {
            done = Some(row);
            true
        }
        FollowUp::Reconcile(path) => {
            reconcile(guard, store, registry, &path, deadline).await?;
            false
        }
        FollowUp::StartFinal(row) => {
            let asked = ask_registry(store, registry, *row, patience, deadline).await?;
            matches!(asked.standing, StepStatus::Settled | StepStatus::Aborted)
        }
    };
    if freed {
        fill_slot(store, registry, patience, deadline).await?;
    }
    if let Some(row) = done {
        compare_tags(store, registry, &row, deadline).await?;
    }
    Ok(())
}
