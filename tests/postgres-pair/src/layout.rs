//! The two data folders: made once, copied while cold, told apart by their own settings.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::binaries::Binaries;
use crate::server::Server;
use crate::{PASSWORD_GROUP, PairOptions};

/// Makes both data folders. The copy is a replica because it is told so; it needs no backup of a running
/// primary since nothing has run yet.
pub(crate) fn create(
    binaries: &Binaries,
    writer: &Server,
    reader: &Server,
    options: &PairOptions,
) -> anyhow::Result<()> {
    run(binaries
        .command("initdb")
        .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"])
        .arg("-D")
        .arg(writer.data()))?;
    append(writer, &settings(writer, options))?;
    ask_for_passwords(writer)?;

    run(Command::new("cp").arg("-a").arg(writer.data()).arg(reader.data()))?;
    append(reader, &settings(reader, options))?;
    append(
        reader,
        &format!("primary_conninfo = 'host={} port={} user=postgres'\n", writer.host, writer.port),
    )?;
    let signal = reader.data().join("standby.signal");
    fs::write(&signal, "")?;
    let owner = fs::metadata(reader.data())?;
    chown(&signal, Some(owner.uid()), Some(owner.gid()))?;
    Ok(())
}

/// What both have in common; the later line wins where the copy repeats one.
fn settings(server: &Server, options: &PairOptions) -> String {
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
         hot_standby = on\n",
        host = server.host,
        port = server.port,
        connections = options.max_connections,
    )
}

/// The first line that fits decides, and initdb's own trust everybody.
fn ask_for_passwords(server: &Server) -> anyhow::Result<()> {
    let path = server.data().join("pg_hba.conf");
    let trusting = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let asking = format!("host all +{PASSWORD_GROUP} {}/32 scram-sha-256\n", server.host);
    fs::write(&path, asking + &trusting).with_context(|| format!("cannot write {}", path.display()))
}

fn append(server: &Server, text: &str) -> anyhow::Result<()> {
    let path = server.data().join("postgresql.conf");
    let mut file = fs::OpenOptions::new().append(true).open(&path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{} failed ({}): {}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
