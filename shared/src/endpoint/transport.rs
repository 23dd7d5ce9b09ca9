use async_trait::async_trait;
use tokio::time::Instant;

use super::{Failure, Value};

/// What a transport is to send.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The statement's name, for logs.
    pub name: &'static str,
    /// The statement's text, with parameters written `:name`.
    pub sql: &'static str,
    /// The values of the parameters.
    pub parameters: &'a [(&'static str, Value)],
}

/// A way of sending a statement to one database server.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends the statement **once** and gives the one text column of every row.
    ///
    /// Whoever calls decides on sending it again, so an implementation (and what it is built on) must not. The
    /// call is dropped when the deadline has passed; an implementation may also tell it to the server.
    ///
    /// # Errors
    /// A [`Failure`] that says what is known about whether the statement ran.
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure>;

    /// Uses none of the connections that are there any more: the other side was silent on one of them.
    ///
    /// The one that a dropped call was sent on must not be used again in any case.
    fn forget_connections(&self) {}
}
