//! Headers of HTTP answers that both clients of registries read: `Link` and `Retry-After`.

mod link;
mod retry_after;

pub use link::{NextPage, next_page};
pub use retry_after::retry_after;
