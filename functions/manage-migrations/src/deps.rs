//! What the handlers work with.

use std::sync::Arc;

use shared::{
    config::secrets::SharedSecret,
    driver::{Patience, fill_slot},
    endpoint::{Claim, Manage},
    registry::RegistryClient,
    runtime::after_response,
    store::Store,
    web::{Problem, acting_operator},
};

/// What the handlers work with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// The writer.
    pub store: Store<Manage>,
    /// The writer, for slots that are freed here.
    pub claims: Store<Claim>,
    /// The registry.
    pub registry: RegistryClient,
}

/// One request of an operator.
pub type Call<'a> = shared::web::Call<'a, Deps>;

/// Who serves every answer here.
pub const WRITER: &str = "writer";

/// The writer, for what this operator changes: it is kept with their name.
///
/// # Errors
/// A 400 for a name that cannot be kept.
pub fn acting_store(call: &Call<'_>) -> Result<Store<Manage>, Problem> {
    Ok(call.deps.store.by(acting_operator(call.request.headers())?))
}

/// Gives a slot that was freed to the next repository, once the caller has its answer.
pub fn fill_freed_slot(call: &Call<'_>) {
    let deps = Arc::clone(call.deps);
    let deadline = call.budget.after_response().deadline();
    after_response::defer(async move {
        if let Err(error) =
            fill_slot(&deps.claims, &deps.registry, Patience::AfterNotification, deadline).await
        {
            // The schedule fills it.
            tracing::error!(%error, "a freed slot could not be filled");
        }
    });
}
