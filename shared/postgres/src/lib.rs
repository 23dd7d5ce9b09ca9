//! Starts PostgreSQL servers of one's own: on loopback ports, in folders of their own, ending with the process that
//! started them, however that ends.

mod binaries;
pub mod data;
mod durable;
pub mod keeper;
mod server;
mod tls;

use std::net::TcpListener;

use anyhow::Context;

pub use crate::binaries::Binaries;
pub use crate::durable::Durable;
pub use crate::server::{PATIENCE, Server, wait_until};
pub use crate::tls::certify;

/// The database that [`Server::dsn`] and [`Server::connect`] name.
pub const DATABASE: &str = "migrations";

/// `COUNT` loopback ports that nobody uses at this moment. Somebody else may take one before it is used.
pub fn free_ports<const COUNT: usize>() -> anyhow::Result<[u16; COUNT]> {
    // All are held until all are known, so that no two are the same.
    let mut held = Vec::with_capacity(COUNT);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
