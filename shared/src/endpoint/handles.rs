use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    Effect, EndpointError, Read, Statement, Transport,
    fetch::{Again, fetch},
};

/// Defines a handle: one endpoint, one transport, and the statements it takes.
macro_rules! handle {
    ($(#[$doc:meta])+ $name:ident, $label:literal) => {
        $(#[$doc])+
        #[derive(Clone)]
        pub struct $name {
            transport: Arc<dyn Transport>,
        }

        impl $name {
            /// The endpoint's name in logs, errors and answers.
            pub const NAME: &'static str = $label;

            /// The endpoint at the end of `transport`. That the transport leads there is the caller's promise.
            #[must_use]
            pub fn new(transport: impl Transport + 'static) -> Self {
                Self { transport: Arc::new(transport) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

handle! {
    /// The primary: the only endpoint that takes statements that write.
    ///
    /// ```
    /// use shared::endpoint::{EndpointError, Statement, Writer};
    ///
    /// async fn park(endpoint: &Writer, deadline: tokio::time::Instant) -> Result<Vec<bool>, EndpointError> {
    ///     endpoint.fetch(Statement::write_once("park", "UPDATE …"), deadline).await
    /// }
    /// ```
    ///
    /// A reader does not take the same statement:
    ///
    /// ```compile_fail,E0308
    /// use shared::endpoint::{EndpointError, Reader, Statement};
    ///
    /// async fn park(endpoint: &Reader, deadline: tokio::time::Instant) -> Result<Vec<bool>, EndpointError> {
    ///     endpoint.fetch(Statement::write_once("park", "UPDATE …"), deadline).await
    /// }
    /// ```
    ///
    /// nor does the writer reached through the SELECT-only secret:
    ///
    /// ```compile_fail,E0308
    /// use shared::endpoint::{EndpointError, ReadOnlyWriter, Statement};
    ///
    /// async fn park(endpoint: &ReadOnlyWriter, deadline: tokio::time::Instant) -> Result<Vec<bool>, EndpointError> {
    ///     endpoint.fetch(Statement::write_once("park", "UPDATE …"), deadline).await
    /// }
    /// ```
    ///
    /// Where a writer is asked for,
    ///
    /// ```
    /// use shared::endpoint::Writer;
    ///
    /// fn change(_: &Writer) {}
    /// fn call(endpoint: &Writer) {
    ///     change(endpoint);
    /// }
    /// ```
    ///
    /// a reader is not one:
    ///
    /// ```compile_fail,E0308
    /// use shared::endpoint::{Reader, Writer};
    ///
    /// fn change(_: &Writer) {}
    /// fn call(endpoint: &Reader) {
    ///     change(endpoint);
    /// }
    /// ```
    Writer, "writer"
}

handle! {
    /// A replica, which may lag. Takes statements that only read.
    ///
    /// ```
    /// use shared::endpoint::{EndpointError, Reader, Statement};
    ///
    /// async fn count(endpoint: &Reader, deadline: tokio::time::Instant) -> Result<Vec<i64>, EndpointError> {
    ///     endpoint.fetch(Statement::read("count", "SELECT …"), deadline).await
    /// }
    /// ```
    Reader, "reader"
}

handle! {
    /// The writer, reached through a secret whose role can only select. A read goes here when the reader has
    /// not replayed what the caller has already seen, or cannot serve. Takes statements that only read.
    ReadOnlyWriter, "read-only writer"
}

impl Writer {
    /// Sends the statement until it gives rows, cannot be sent again, or the deadline has passed; a row is one
    /// JSON document.
    ///
    /// # Errors
    /// [`EndpointError`], which says whether the statement ran.
    pub async fn fetch<T: DeserializeOwned, E: Effect>(
        &self,
        statement: Statement<E>,
        deadline: Instant,
    ) -> Result<Vec<T>, EndpointError> {
        fetch(Self::NAME, &*self.transport, &statement, Again::UntilTheDeadline, deadline).await
    }
}

impl Reader {
    /// Sends the statement until it gives rows, fails for good or for the third time, or the deadline has passed;
    /// a row is one JSON document.
    ///
    /// # Errors
    /// [`EndpointError`], which says why.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        statement: Statement<Read>,
        deadline: Instant,
    ) -> Result<Vec<T>, EndpointError> {
        fetch(Self::NAME, &*self.transport, &statement, Again::Twice, deadline).await
    }
}

impl ReadOnlyWriter {
    /// Sends the statement until it gives rows, fails for good, or the deadline has passed; a row is one JSON
    /// document.
    ///
    /// # Errors
    /// [`EndpointError`], which says why.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        statement: Statement<Read>,
        deadline: Instant,
    ) -> Result<Vec<T>, EndpointError> {
        fetch(Self::NAME, &*self.transport, &statement, Again::UntilTheDeadline, deadline).await
    }
}

/// The reader, over two connections. A connection over TCP runs one statement at a time: a slow one would hold up the
/// question how the reader stands, and nobody would see its lag.
#[derive(Clone, Debug)]
pub struct ReaderConnections {
    /// For the rows that are asked for.
    pub reads: Reader,
    /// For asking the reader how it stands, at the same time.
    pub probes: Reader,
}

impl ReaderConnections {
    /// Those of a reader that runs any number of statements at once, as one behind the Data API does.
    #[must_use]
    pub fn shared(reader: Reader) -> Self {
        Self { probes: reader.clone(), reads: reader }
    }
}

/// Both endpoints, for the purpose that compares them.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// The primary.
    pub writer: Writer,
    /// The replica.
    pub reader: ReaderConnections,
}
