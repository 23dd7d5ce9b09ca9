//! Request parsing, authentication, error bodies. Everything a handler needs between the event and the
//! driver: it takes what the caller sent, or says in a [`Problem`] what is wrong with it.

mod acting;
mod answer;
pub mod auth;
mod body;
mod call;
mod endpoint_problem;
mod method;
mod notification;
mod object;
mod path;
mod precondition;
mod problem;
mod query;
mod request_id;
mod routing;
mod start_answer;
mod words;

pub use acting::acting_operator;
pub use answer::{document, json, not_modified, respond};
pub use body::{MAX_BODY_BYTES, json_body, no_body, optional_json_body, text_body};
pub use call::Call;
pub use method::expect_method;
pub use notification::NotificationRequest;
pub use object::Object;
pub use path::{NotificationRoute, repository_path};
pub use precondition::IfNoneMatch;
pub use problem::Problem;
pub use query::{Query, number};
pub use request_id::RequestId;
pub use routing::{NamedRoute, find_route, list_routes};
pub use start_answer::start_answer;
pub use words::{describe_json_error, shown};
