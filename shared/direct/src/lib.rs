//! An endpoint reached over TCP, with PostgreSQL's own protocol: Aurora's `cluster-ro` endpoint, an RDS Proxy's
//! read-only endpoint, or any PostgreSQL. The same [`Transport`](shared::endpoint::Transport) as the Data API,
//! so whoever sends statements notices no difference.
//!
//! It is a crate of its own so that a function which has no business with a reader does not even contain it.
//!
//! # What is promised
//!
//! * TLS always, with the server's name verified against the certificates of a file. There is no way to switch
//!   it off.
//! * One connection per [`Direct`], and a process that reads has two: a slow statement holds up nobody who asks how
//!   the reader stands. One that was not used for a while is asked first whether it still is one: a
//!   frozen process does not notice that its connection was closed.
//! * No state outlives a statement, because RDS Proxy ties a connection that has any to one client ("pinning"):
//!   no named prepared statements, no session settings, no startup options (the proxy refuses those). Each
//!   statement is a transaction of its own, sent in one go: `BEGIN`, `SET LOCAL` of the time that is left and of what
//!   the statements rely on, the statement through the unnamed prepared statement, `COMMIT`. A reader's transaction is `READ ONLY`.

mod bind;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod login;
mod placeholders;
mod server;
mod session;
mod tls;
mod token;
mod transport;

pub use login::Login;
pub use server::{ReaderError, Server, connect_reader, connect_reads};
pub use shared::tls::TlsError as CertificatesError;
pub use transport::{Access, Direct};
