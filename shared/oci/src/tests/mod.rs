//! The client against a server that answers by a script, and does what no real one does on demand.

mod auth;
mod blobs;
mod exchange;
mod lists;
mod manifests;
mod referrers;
mod server;
mod uploads;

use std::time::Duration;

use tokio::time::Instant;

use self::server::Server;
use crate::{Access, Client, ClientConfig, Name, Profile, Retries};

/// Long enough for anything that works.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

pub fn name() -> Name {
    Name::parse("group/image").unwrap()
}

/// How a test speaks to a server: with short pauses, and for writing too.
pub fn config(server: &Server) -> ClientConfig {
    let mut config = ClientConfig::new(server.url());
    config.access = Access::Push;
    config.profile = Profile::Distribution2;
    config.retries =
        Retries { tries: 4, first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    config.answer_timeout = Duration::from_secs(2);
    config.silence = Duration::from_millis(300);
    config
}

pub fn client(server: &Server) -> Client {
    Client::new(config(server)).unwrap()
}
