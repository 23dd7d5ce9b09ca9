//! The two data folders: copied while cold, told apart by their own settings.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::binaries::Binaries;
use crate::server::Server;
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
    append(reader, &settings(reader, options.max_connections))?;
    append(
        reader,
        &format!(
            "primary_conninfo = 'host={} port={} user=postgres sslmode=disable'\n",
            writer.host, writer.port
        ),
    )?;
    write(reader, "standby.signal", "")
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    // In a group of its own: a Ctrl-C at the terminal is its owner's to handle.
    run(Command::new("cp").arg("-a").arg(from).arg(to).process_group(0))
}

/// Sets up what a fresh or copied data folder is to run with.
pub(crate) fn configure(server: &Server, max_connections: u16) -> anyhow::Result<()> {
    append(server, &settings(server, max_connections))?;
    ask_for_passwords(server)
}

pub(crate) fn initdb(binaries: &Binaries, server: &Server) -> anyhow::Result<()> {
    run(binaries
        .command("initdb")
        // Small segments: they are copied with everything else.
        .args(["--wal-segsize=1"])
        .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"])
        .arg("-D")
        .arg(server.data()))
}

/// Writes a file into the data folder, as its owner and readable to nobody else.
pub(crate) fn write(server: &Server, name: &str, text: &str) -> anyhow::Result<()> {
    let path = server.data().join(name);
    let written = fs::write(&path, text)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::metadata(server.data()))
        .and_then(|owner| chown(&path, Some(owner.uid()), Some(owner.gid())));
    written.with_context(|| format!("cannot write {}", path.display()))
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

/// The first line that fits decides, and initdb's own trust everybody.
fn ask_for_passwords(server: &Server) -> anyhow::Result<()> {
    let path = server.data().join("pg_hba.conf");
    let trusting = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let asking = format!("host all +{PASSWORD_GROUP} {}/32 scram-sha-256\n", server.host);
    fs::write(&path, asking + &trusting).with_context(|| format!("cannot write {}", path.display()))
}

fn append(server: &Server, text: &str) -> anyhow::Result<()> {
    let path = server.data().join("postgresql.conf");
    let file = fs::OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
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
