//! The two data folders: copied while cold, told apart by their own settings.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use postgres_server::data::{self, append_settings};
use postgres_server::{Binaries, Server};

use crate::{PASSWORD_GROUP, PairOptions, Replica};

/// As few connections as a server takes. A standby refuses to take fewer than its primary took when it was copied.
pub(crate) const FEW_CONNECTIONS: u16 = 10;

/// Makes both data folders from `template`. The copy is a replica because it is told so; it needs no backup of a
/// running primary since nothing has run yet.
pub(crate) fn create(
    binaries: &Binaries,
    template: &Path,
    writer: &Server,
    reader: &Server,
    options: &PairOptions,
) -> anyhow::Result<()> {
    copy(template, writer.data())?;
    configure(writer, options.max_connections)?;

    if options.replica == Replica::Logical {
        initdb(binaries, reader)?;
        return configure(reader, options.max_connections);
    }
    copy(writer.data(), reader.data())?;
    append_settings(reader.data(), &settings(reader, options.max_connections))?;
    append_settings(
        reader.data(),
        &format!(
            "primary_conninfo = 'host={} port={} user=postgres sslmode=disable'\n",
            writer.host, writer.port
        ),
    )?;
    data::write(reader.data(), "standby.signal", "")
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    // In a group of its own: a Ctrl-C at the terminal is its owner's to handle.
    data::run(Command::new("cp").arg("-a").arg(from).arg(to).process_group(0))
}

/// Sets up what a fresh or copied data folder is to run with.
pub(crate) fn configure(server: &Server, max_connections: u16) -> anyhow::Result<()> {
    append_settings(server.data(), &settings(server, max_connections))?;
    ask_for_passwords(server)
}

/// initdb with trust: the folder is nobody else's, and goes soon.
pub(crate) fn initdb(binaries: &Binaries, server: &Server) -> anyhow::Result<()> {
    data::initdb(binaries, server.data(), &["--no-sync", "--auth=trust"], None)
}

/// What both have in common; the later line wins where the copy repeats one.
fn settings(server: &Server, connections: u16) -> String {
    // synchronous_commit stays on: without it the primary's flush, and so the replica, comes 0.2 s late.
    // wal_level and the slots leave room for a logical replica besides. Shared memory is kept in the folder,
    // so that it goes with it.
    format!(
        "listen_addresses = '{host}'\n\
         port = {port}\n\
         unix_socket_directories = ''\n\
         max_connections = {connections}\n\
         dynamic_shared_memory_type = mmap\n\
         fsync = off\n\
         synchronous_commit = on\n\
         wal_level = logical\n\
         max_wal_senders = 10\n\
         max_replication_slots = 10\n\
         wal_keep_size = 512MB\n\
         wal_retrieve_retry_interval = 100ms\n\
         hot_standby = on\n\
         ssl = on\n\
         log_connections = on\n",
        host = server.host,
        port = server.port,
    )
}

/// initdb's own lines trust everybody.
fn ask_for_passwords(server: &Server) -> anyhow::Result<()> {
    let asking = format!("host all +{PASSWORD_GROUP} {}/32 scram-sha-256\n", server.host);
    data::prepend_access(server.data(), &asking)
}
