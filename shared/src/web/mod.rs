//! Request parsing, authentication, error bodies. Everything a handler needs between the event and the
//! driver: it takes what the caller sent, or says in a [`Problem`] what is wrong with it.

mod answer;
pub mod auth;
mod body;
mod endpoint_problem;
mod notification;
mod path;
mod problem;
mod query;
mod request_id;
mod start_answer;

pub use answer::{json, not_modified, respond};
pub use body::{MAX_BODY_BYTES, json_body, json_text, optional_json_body, text_body};
pub use notification::NotificationRequest;
pub use path::{NotificationRoute, repository_path};
pub use problem::Problem;
pub use query::Query;
pub use request_id::RequestId;
pub use start_answer::start_answer;
