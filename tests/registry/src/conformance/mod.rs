//! One suite of the import protocol for every engine that speaks it: what the driver relies on, and no more.
//!
//! An engine is driven through [`ImportEngine`]. [`import_protocol_tests!`](crate::import_protocol_tests) makes a test of
//! each case. Nothing sleeps: a case holds a step, and goes on when a notification has arrived or a slot is free.
//!
//! What only one engine does is tested beside it and is no part of this:
//!
//! | what | whose | why |
//! |---|---|---|
//! | 503 to writes during a final import | the GitLab-like registry | an importer cannot stop pushes at a foreign source |
//! | a step that runs while the engine is killed stays in progress until it is canceled | the GitLab-like registry | an importer's worker goes on |
//! | `forced cancelation` at SIGTERM | the GitLab-like registry | an importer hands a step over |
//! | a lost notification is never sent again | the GitLab-like registry | an importer sends it again until it is answered by 200 |
//! | the slot is free only after the notification's answer | the GitLab-like registry | an importer's is free when the end is stored |
//! | `native`, and a 400 to its cancel | the GitLab-like registry | an importer has no storage that something is born in |
//! | 301 without the last slash | the GitLab-like registry | an importer answers both |
//! | `idle_seconds` in a status | an importer | the registry does not know it |
//! | the catalogue during a migration | each in its own way | the registry lists its new storage, an importer the source |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

pub mod cases;
mod receiver;
mod world;

use std::time::Duration;

use serde_json::Value;

pub use receiver::{Received, Receiver};
pub use world::World;

use crate::config::Notification;
use crate::token::TokenCheck;

/// How long anything may take before a case gives up.
pub const AT_MOST: Duration = Duration::from_secs(20);

/// What an engine is told at its start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What tokens must be.
    pub token: TokenCheck,
    /// Where notifications go.
    pub notification: Notification,
    /// How many steps may run at once.
    pub capacity: usize,
    /// How long after a canceled pre step a start is refused.
    pub cancel_settle: Duration,
}

/// An engine that answers the import protocol, and how a case makes it do what it would do by chance.
pub trait ImportEngine: Sized + Send + Sync {
    /// Starts one that knows of no container repository.
    fn start(setup: Setup) -> impl Future<Output = Self> + Send;

    /// Where it answers, without a slash at the end.
    fn url(&self) -> String;

    /// Makes a container repository that can be imported: it has the tags `v1` and `latest`.
    fn add_repository(&self, path: &str) -> impl Future<Output = ()> + Send;

    /// Lets the steps of a container repository that start from now on stop half way.
    fn hold(&self, path: &str) -> impl Future<Output = ()> + Send;

    /// Lets what is held go on.
    fn release(&self, path: &str) -> impl Future<Output = ()> + Send;

    /// Lets the next step of a container repository fail.
    fn fail(&self, path: &str) -> impl Future<Output = ()> + Send;

    /// Lets the next step of a container repository take at least this long.
    fn make_slow(&self, path: &str, time: Duration) -> impl Future<Output = ()> + Send;

    /// Sets how many steps may run at once from now on.
    fn set_capacity(&self, capacity: usize) -> impl Future<Output = ()> + Send;

    /// Waits until no step holds a slot.
    fn idle(&self) -> impl Future<Output = ()> + Send;

    /// Ends it as a power cut does, and starts it again at the same address.
    fn restart(&self) -> impl Future<Output = ()> + Send;
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// Its body as JSON, which it must be.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `errors[0].code`, which it must have.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    /// A header's value, which it must have.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// It must have this status.
    #[track_caller]
    pub fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
    }

    /// It must be this error.
    #[track_caller]
    pub fn is_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }
}

/// Makes a test of each case for an engine.
#[macro_export]
macro_rules! import_protocol_tests {
    ($engine:ty) => {
        $crate::import_protocol_tests! { $engine:
            answers_nobody_without_a_token
            answers_nobody_with_a_wrong_token
            answers_the_probe
            runs_both_steps_and_notifies
            notifies_as_the_protocol_says
            refuses_at_capacity_before_all_else
            takes_no_slot_for_a_refused_start
            refuses_an_import_type_that_is_none
            needs_no_start_when_complete
            refuses_a_start_while_a_pre_step_runs
            refuses_a_start_while_a_final_step_runs
            takes_another_pre_step_after_a_failed_one
            takes_another_final_step_after_a_failed_one
            settles_after_a_canceled_pre_step
            takes_another_pre_step_after_a_canceled_one
            repeats_a_pre_step_that_is_complete
            knows_only_what_can_be_imported
            wants_a_pre_step_first
            tells_a_status_with_its_detail
            tells_nothing_of_what_was_never_started
            explains_an_error
            cancels_what_runs_and_notifies
            refuses_to_cancel_what_does_not_run
            cancels_by_force_what_has_ended
            starts_others_while_one_is_held
            outlasts_a_slow_step
            remembers_what_was_complete_when_it_ended
            lists_the_tags_of_a_repository
        }
    };
    ($engine:ty: $($case:ident)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::conformance::cases::$case::<$engine>().await;
            }
        )+
    };
}
