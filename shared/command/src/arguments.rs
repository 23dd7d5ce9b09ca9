//! What the command line takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::{Host, Url};

use crate::limits::LimitArguments;
use crate::names::{Pattern, Rename};
use crate::operate::arguments::Operate;

/// Moves container repositories from one registry to another: by itself (run), or by a deployed driver (all other commands).
#[derive(Debug, Parser)]
#[command(name = "registry-migration", version, propagate_version = true, max_term_width = 110)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copies repositories from one registry to another, and proves that both are equal
    Run(Box<RunArguments>),
    /// Changes the limits of a run, also while it runs
    Limit(Box<LimitCommand>),
    /// Compares the tags of both registries again, and copies nothing
    Drift(Box<DriftArguments>),
    /// Answers the driver's import protocol, and copies what it is asked for
    Serve(Box<ServeArguments>),
    /// What operators ask of a deployed driver.
    #[command(flatten)]
    Operate(Box<Operate>),
}

const EXAMPLES: &str = "\
Examples:
  See what there is to do. Nothing is copied:
    registry-migration run --from https://old.example --to https://new.example --state ./move --dry-run

  Copy all, and prove that both are equal:
    registry-migration run --from https://old.example --to https://new.example --state ./move

  Only one team, without its caches, under another name:
    registry-migration run --from https://old.example --to https://new.example --state ./move \\
        --only team --exclude 'team/**/cache' --rename team=archive/team

  Spare a registry in production, and spare it more while the run goes on:
    registry-migration run ... --from-max-requests 20 --from-max-bandwidth 10MB
    registry-migration limit --state ./move --from-max-requests 5

What it does: it prints a plan, copies while users keep pushing, copies once more what is new, writes the tags last, reads every
tag and manifest back from the target, and writes the proof to proof.ndjson and proof.csv in the state directory. It deletes
nothing at the source, and at the target only what --delete-removed names. It cannot stop pushes at the source: it proves equality as of a time that it names, and moving users to
the target is up to you.

Ended at any moment (Ctrl-C, a kill, a power cut) and started again with the same state directory, it goes on.

Credentials, the first that there are:
  1. --from-auth FILE, --to-auth FILE: {\"username\":\"...\",\"password\":\"...\"}, {\"token\":\"...\"}, or Docker's form
  2. REGISTRY_FROM_USERNAME and REGISTRY_FROM_PASSWORD, or REGISTRY_FROM_TOKEN; the same with TO
  3. Docker's configuration with its credential programs ($DOCKER_CONFIG or ~/.docker/config.json), then Podman's

Exit status:
  0  all that was asked for is at the target, and proven
  1  wrong usage: nothing was begun
  2  some repositories or tags could not be copied, or are not equal: the proof says which, and why
  3  a registry or the state directory cannot be used
  4  ended before it was done: start it again, and it goes on";

/// The arguments of a run.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, after_help = "More, with examples and exit status: --help")]
pub struct RunArguments {
    /// Between what, and how.
    #[command(flatten)]
    pub migration: MigrationArguments,
    /// Print the plan, and copy nothing. The source is asked for each blob, too
    #[arg(long)]
    pub dry_run: bool,
    /// Read every blob of the target once when all is copied, and compare its digest. The plain proof does not read layers
    #[arg(long, help_heading = "The proof")]
    pub verify_blobs: bool,
}

const SERVING: &str = "\
It answers the import protocol at --listen: point the driver's REGISTRY_URL there. The driver leads; this copies what it is asked
for, and tells it how that ended. It lists what the rules choose, with the driver's tokens, and runs until it is ended (Ctrl-C). What
is in progress then goes on when it is started again with the same state directory.

To have the proof as files, end it, and call `run` with the same options and the same state directory: it compares all once more.

Exit status:
  0  ended by Ctrl-C, in order
  1  wrong usage: nothing was begun
  3  a registry, the state directory or the address cannot be used
  4  ended by what it works with: start it again, and it goes on";

/// The arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_long_help = SERVING)]
pub struct ServeArguments {
    /// Between what, and how.
    #[command(flatten)]
    pub migration: MigrationArguments,
    /// Where to listen, on this machine: HTTP is not for a network. Put a proxy that speaks TLS before it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5005", help_heading = "The driver")]
    pub listen: SocketAddr,
    /// A file with the public key (PEM) of the driver's tokens. May be repeated, while one is replaced
    #[arg(long, value_name = "FILE", required = true, help_heading = "The driver")]
    pub public_key: Vec<PathBuf>,
    /// The tokens' audience: the driver's REGISTRY_TOKEN_AUDIENCE
    #[arg(long, value_name = "TEXT", help_heading = "The driver")]
    pub audience: String,
    /// The tokens' issuer: the driver's REGISTRY_TOKEN_ISSUER
    #[arg(long, value_name = "TEXT", help_heading = "The driver")]
    pub issuer: String,
    /// Where the notification goes when an import has ended. {path} stands for the repository
    #[arg(long, value_name = "URL", help_heading = "The driver")]
    pub notify: String,
    /// A file with the secret of these notifications
    #[arg(long, value_name = "FILE", help_heading = "The driver")]
    pub notify_secret: PathBuf,
}

const DRIFT: &str = "\
It asks both registries where each tag of the finished repositories leads, and writes what differs to drift.ndjson in the state
directory: missing (the target lacks it), moved (it leads elsewhere), deleted (a run wrote it, and the source has it no more). A later
`run` with the same options copies what is new.

Exit status:
  0  nothing differs
  1  wrong usage: nothing was begun
  2  something differs, or could not be compared
  3  a registry or the state directory cannot be used
  4  ended before it was done";

/// The arguments of `drift`.
#[derive(Debug, Args)]
#[command(after_long_help = DRIFT)]
pub struct DriftArguments {
    /// Between what, and how.
    #[command(flatten)]
    pub migration: MigrationArguments,
}

/// Between which registries something is copied, and how.
#[derive(Debug, Args)]
pub struct MigrationArguments {
    /// The registry to copy from: its URL, or HOST:PORT
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The registry to copy to
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The folder that keeps where the migration is. It is made where there is none
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Only these repositories: a name with all under it (team), or a glob (team/*/app). May be repeated
    #[arg(long, value_name = "NAMES", help_heading = "What goes")]
    pub only: Vec<Pattern>,
    /// Not these repositories. May be repeated
    #[arg(long, value_name = "NAMES", help_heading = "What goes")]
    pub exclude: Vec<Pattern>,
    /// Another name at the target, for a name with all under it: team=archive/team. May be repeated
    #[arg(long, value_name = "FROM=TO", help_heading = "What goes")]
    pub rename: Vec<Rename>,

    /// A file with credentials for the source
    #[arg(long, value_name = "FILE", help_heading = "Credentials and certificates")]
    pub from_auth: Option<PathBuf>,
    /// A file with credentials for the target
    #[arg(long, value_name = "FILE", help_heading = "Credentials and certificates")]
    pub to_auth: Option<PathBuf>,
    /// The authorities (PEM) that the source's certificate may come from, if not the public ones
    #[arg(long, value_name = "FILE", help_heading = "Credentials and certificates")]
    pub from_ca: Option<PathBuf>,
    /// The same for the target
    #[arg(long, value_name = "FILE", help_heading = "Credentials and certificates")]
    pub to_ca: Option<PathBuf>,
    /// A host that may hand out tokens for the source, if it is not the source's own domain. May be repeated
    #[arg(long, value_name = "HOST", help_heading = "Credentials and certificates")]
    pub from_realm: Vec<String>,
    /// The same for the target
    #[arg(long, value_name = "HOST", help_heading = "Credentials and certificates")]
    pub to_realm: Vec<String>,
    /// Speak http to the source although it is not on this machine: who listens reads credentials and images
    #[arg(long, help_heading = "Credentials and certificates")]
    pub insecure_from: bool,
    /// The same for the target
    #[arg(long, help_heading = "Credentials and certificates")]
    pub insecure_to: bool,

    /// What kind of registry the source is
    #[arg(long, value_name = "KIND", help_heading = "The registries")]
    pub from_profile: Option<Kind>,
    /// What kind of registry the target is. Without it, it is asked. `other` goes to a registry that nobody has proven this with
    #[arg(long, value_name = "KIND", help_heading = "The registries")]
    pub to_profile: Option<Kind>,
    /// How many repositories are copied at once
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "The registries")]
    pub capacity: u32,
    /// The limits.
    #[command(flatten, next_help_heading = "Limits (kept in the state directory, and changed by `limit`)")]
    pub limits: LimitArguments,

    /// Remove tags at the target that an earlier run wrote and that the source has no more. Only distribution 3 removes single
    /// tags
    #[arg(long, help_heading = "What goes")]
    pub delete_removed: bool,
}

/// The arguments of `limit`.
#[derive(Debug, Args)]
pub struct LimitCommand {
    /// The state directory of the run
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The limits.
    #[command(flatten)]
    pub limits: LimitArguments,
}

/// Kinds of registries, by how they treat uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Distribution 2, such as Debian's docker-registry
    #[value(name = "distribution-2")]
    Distribution2,
    /// Distribution 3
    #[value(name = "distribution-3")]
    Distribution3,
    /// Any other
    Other,
}

/// An address is not a registry's. What was given is not repeated: a password may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Not an address.
    #[error("{0} is no address of a registry: write https://registry.example or localhost:5000")]
    Unreadable(&'static str),
    /// Credentials in it.
    #[error(
        "{0} has credentials in it, which other users of this machine can see: use {0}-auth FILE, the environment or Docker's \
         configuration, and change the password"
    )]
    Credentials(&'static str),
    /// More than an address.
    #[error(
        "{0} has more than a host and a port: choose repositories with --only, and name them anew with --rename"
    )]
    Path(&'static str),
    /// Something else than the path is left to fill in.
    #[error("{0} must have {{path}} in it once, where the repository stands")]
    NoPath(&'static str),
    /// In clear over a network.
    #[error(
        "{option} is http, and not on this machine: who listens reads all. Use https, or allow it with {allow}"
    )]
    Clear {
        /// The option.
        option: &'static str,
        /// What allows it.
        allow: &'static str,
    },
}

/// Reads the address of one side.
///
/// # Errors
/// [`InvalidAddress`].
pub fn address(
    option: &'static str,
    text: &str,
    allow: &'static str,
    is_allowed: bool,
) -> Result<Url, InvalidAddress> {
    // Without a scheme it is https, but for this machine.
    let parse = |scheme: &str| Url::parse(&format!("{scheme}://{text}"));
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        parse("https").and_then(|url| if is_here(&url) { parse("http") } else { Ok(url) })
    };
    let url = url.map_err(|_| InvalidAddress::Unreadable(option))?;
    if has_credentials(&url) {
        return Err(InvalidAddress::Credentials(option));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidAddress::Unreadable(option));
    }
    if !matches!(url.path(), "" | "/" | "/v2/" | "/v2") || url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidAddress::Path(option));
    }
    if url.scheme() == "http" && !is_here(&url) && !is_allowed {
        return Err(InvalidAddress::Clear { option, allow });
    }
    url.join("/").map_err(|_| InvalidAddress::Unreadable(option))
}

/// Reads where notifications go: `https://driver.example/…/{path}/migration/status`.
///
/// # Errors
/// [`InvalidAddress`].
pub fn notification(option: &'static str, text: &str) -> Result<String, InvalidAddress> {
    let url = Url::parse(text).map_err(|_| InvalidAddress::Unreadable(option))?;
    if has_credentials(&url) {
        return Err(InvalidAddress::Credentials(option));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidAddress::Unreadable(option));
    }
    if url.scheme() == "http" && !is_here(&url) {
        return Err(InvalidAddress::Clear { option, allow: "nothing: it carries a secret" });
    }
    if text.matches("{path}").count() != 1 {
        return Err(InvalidAddress::NoPath(option));
    }
    Ok(text.to_owned())
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether the host is this machine.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Host and port as Docker's configuration names a registry.
#[must_use]
pub fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Arguments, Command, InvalidAddress, address, host_and_port, notification};

    fn from(text: &str) -> Result<String, InvalidAddress> {
        address("--from", text, "--insecure-from", false).map(|url| url.to_string())
    }

    #[test]
    fn holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn reads_addresses_as_people_write_them() {
        for (text, url) in [
            ("https://old.example", "https://old.example/"),
            ("old.example", "https://old.example/"),
            ("old.example:5000", "https://old.example:5000/"),
            ("localhost:5000", "http://localhost:5000/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("http://[::1]:5000/", "http://[::1]:5000/"),
            ("https://old.example/v2/", "https://old.example/"),
            ("HTTPS://Old.Example:443", "https://old.example/"),
        ] {
            assert_eq!(from(text).as_deref(), Ok(url), "{text}");
        }
        let allowed = address("--from", "http://10.0.0.1", "--insecure-from", true).unwrap();
        assert_eq!(host_and_port(&allowed), "10.0.0.1");
        assert_eq!(host_and_port(&"https://r.example:5000/".parse().unwrap()), "r.example:5000");
    }

    #[test]
    fn refuses_addresses_and_repeats_no_password() {
        let clear = InvalidAddress::Clear { option: "--from", allow: "--insecure-from" };
        for (text, error) in [
            ("https://user:hunter2@old.example", InvalidAddress::Credentials("--from")),
            ("user:hunter2@old.example", InvalidAddress::Credentials("--from")),
            ("https://hunter2@old.example", InvalidAddress::Credentials("--from")),
            ("https://old.example/team", InvalidAddress::Path("--from")),
            ("https://old.example/?token=hunter2", InvalidAddress::Path("--from")),
            ("ftp://old.example", InvalidAddress::Unreadable("--from")),
            ("https://", InvalidAddress::Unreadable("--from")),
            ("", InvalidAddress::Unreadable("--from")),
            ("http://old.example", clear),
            ("http://localhost.old.example", clear),
            ("http://169.254.1.1", clear),
        ] {
            let refused = from(text).unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn takes_no_credentials_as_arguments() {
        let command = Arguments::command();
        for name in ["run", "serve"] {
            let command = command.find_subcommand(name).unwrap();
            let takes = |word: &str| {
                command.get_arguments().any(|argument| argument.get_id().as_str().contains(word))
            };
            assert!(!takes("password") && !takes("token") && !takes("user"), "{name}");
        }
    }

    #[test]
    fn sends_no_notification_in_clear_over_a_network() {
        let read = |text: &str| notification("--notify", text);
        for text in ["https://driver.example/{path}/status", "http://127.0.0.1:9000/{path}/status"] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        for text in [
            "http://driver.example/{path}/status",
            "https://user:hunter2@driver.example/{path}",
            "https://driver.example/status",
            "https://driver.example/{path}/{path}",
            "driver.example/{path}",
            "",
        ] {
            assert!(!read(text).unwrap_err().to_string().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn says_in_help_what_each_exit_status_means() {
        let help =
            Arguments::try_parse_from(["registry-migration", "run", "--help"]).unwrap_err().to_string();
        for status in 0..=4 {
            assert!(help.contains(&format!("\n  {status}  ")), "{status}: {help}");
        }
        assert!(help.contains("Examples:"), "{help}");
        // Each line of an example that can be pasted is taken.
        let run = "registry-migration run --from https://old.example --to https://new.example --state ./move";
        assert!(help.contains(run));
        let more =
            " --only team --exclude team/**/cache --rename team=archive/team --from-max-bandwidth 10MB";
        let parsed = Arguments::try_parse_from((run.to_owned() + more).split(' ')).unwrap();
        assert!(matches!(parsed.command, Command::Run(_)));
    }
}
