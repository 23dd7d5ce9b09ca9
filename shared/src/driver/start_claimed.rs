use tokio::time::Instant;

use super::{Asked, Patience, StepStatus, ask_registry, new_change};
use crate::{
    endpoint::{EndpointError, Purpose, Writer},
    migration::{ContainerRepository, Resumption, State, resumption},
    registry::RegistryClient,
    store::Store,
    telemetry::as_text,
};

/// Asks the registry to run the step of a row that has just been claimed and committed. Where the row was
/// aborted before, the registry is first asked how it stands, and what it has done meanwhile is not done again.
///
/// # Errors
/// [`EndpointError`] when an answer could not be recorded. The row then stands as if nothing were known of the
/// attempt.
pub async fn start_claimed<P: Purpose<Endpoint = Writer>>(
    store: &Store<P>,
    registry: &RegistryClient,
    row: ContainerRepository,
    patience: Patience,
    deadline: Instant,
) -> Result<Asked, EndpointError> {
    let (Some(State::ImportAborted), Some(attempt)) = (row.resume_state, row.attempt) else {
        return ask_registry(store, registry, row, patience, deadline).await;
    };
    let Some(step) = row.migration_state.running_step() else {
        return Ok(Asked { standing: StepStatus::MovedOn, row });
    };
    let answer = registry.status(&row.path, deadline).await;
    tracing::info!(path = %row.path, %step, %attempt, answer = as_text(&answer), "asked the registry before a retry");
    let (view, detail) = answer.view();
    let plan = match resumption(step, view) {
        Resumption::Ask => return ask_registry(store, registry, row, patience, deadline).await,
        Resumption::Record(plan) => plan,
    };
    let change = new_change();
    let changed = store.record_answer(&row.path, attempt, &plan, detail.as_deref(), change, deadline).await?;
    let Some(changed) = changed else { return Ok(Asked { standing: StepStatus::MovedOn, row }) };
    if !changed.verdict.took_effect() {
        return Ok(Asked { standing: StepStatus::MovedOn, row: changed.row });
    }
    let row = changed.row;
    if row.migration_state.is_active() && row.attempt == Some(change) {
        return ask_registry(store, registry, row, patience, deadline).await;
    }
    let standing = if row.migration_state.is_terminal() { StepStatus::Settled } else { StepStatus::Running };
    Ok(Asked { standing, row })
}
