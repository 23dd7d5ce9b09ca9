//! Starts PostgreSQL servers of one's own: on loopback ports, in folders of their own, ending with the process that
//! started them, however that ends.

mod binaries;
pub mod data;
mod durable;
pub mod keeper;
mod ports;
mod server;
mod tls;

pub use crate::binaries::Binaries;
pub use crate::durable::Durable;
pub use crate::ports::free_ports;
pub use crate::server::{PATIENCE, Server, wait_until};
pub use crate::tls::certify;

/// The database that [`Server::dsn`] and [`Server::connect`] name.
pub const DATABASE: &str = "migrations";
