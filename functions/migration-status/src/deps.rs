//! What the handlers work with.

use shared::{
    config::secrets::SharedSecret,
    endpoint::{History, List, Status, Summary},
    store::Store,
};

/// What the handlers work with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// One repository.
    pub statuses: Store<Status>,
    /// One repository's transitions.
    pub histories: Store<History>,
    /// Many repositories.
    pub lists: Store<List>,
    /// The whole.
    pub summaries: Store<Summary>,
}

/// One request of an operator.
pub type Call<'a> = shared::web::Call<'a, Deps>;
