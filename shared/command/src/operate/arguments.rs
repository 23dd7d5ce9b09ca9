//! What the commands for operators take.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What every one of these commands says about its configuration and its end.
const COMMON: &str = "\
Configuration, the first that there is: the option, the variable, the file.
  --api          REGISTRY_MIGRATION_API         \"api\": \"https://...\"
  --token-file   REGISTRY_MIGRATION_TOKEN_FILE  \"token_file\": \"...\"
                 REGISTRY_MIGRATION_TOKEN       the token itself; never an argument, which other users can see
  --operator     REGISTRY_MIGRATION_OPERATOR    \"operator\": \"...\"
  --ca           REGISTRY_MIGRATION_CA          \"ca\": \"...\"
  The file is --config, REGISTRY_MIGRATION_CONFIG, or ~/.config/registry-migration/config.json.

Exit status:
  0  done
  1  wrong usage: nothing was asked
  2  refused, or something is wrong: the output says what, and what to do
  3  the driver cannot be reached, or refuses the token
  4  ended before it was done";

macro_rules! help {
    ($examples:literal) => {
        format!("Examples:\n{}\n\n{COMMON}", $examples)
    };
}

/// The commands that ask a deployed driver.
#[derive(Debug, Subcommand)]
pub enum Operate {
    /// Shows the whole migration in numbers, once or all the time
    #[command(after_long_help = help!("  registry-migration status
  registry-migration status --watch             # a live table, until Ctrl-C
  registry-migration status --watch --wait      # until nothing is left
  registry-migration status --json | jq .left"))]
    Status(Watch),
    /// Lists repositories
    #[command(after_long_help = help!("  registry-migration list --state import_aborted
  registry-migration list --prefix team/ --older-than 3600
  registry-migration list --json | jq -r .path  # one object a line, all pages"))]
    List(List),
    /// Says how a repository stands here and at the registry, and what happens next
    #[command(after_long_help = help!("  registry-migration explain group/project/image"))]
    Explain(One),
    /// Shows what happened to a repository
    #[command(after_long_help = help!("  registry-migration history group/project/image
  registry-migration history group/project/image --json"))]
    History(One),
    /// Starts repositories at once: new ones, and those that were aborted
    #[command(after_long_help = help!("  registry-migration start group/project/image"))]
    Start(Several),
    /// Starts aborted repositories at once
    #[command(after_long_help = help!("  registry-migration retry group/project/image
  registry-migration retry --all --prefix team/   # every aborted one, after its cause is repaired"))]
    Retry(Retry),
    /// Stops migrations that are under way
    #[command(after_long_help = help!("  registry-migration cancel group/project/image
  registry-migration cancel group/project/image --force   # even if the registry knows of no import"))]
    Cancel(Cancel),
    /// Takes repositories out, for a reason
    #[command(after_long_help = help!("  registry-migration skip group/project/image --reason not_in_plan"))]
    Skip(Skip),
    /// Accepts that tags are missing
    #[command(after_long_help = help!("  registry-migration accept group/project/image --reason 'its owner deleted it'"))]
    Accept(Accept),
    /// Lets repositories begin anew
    #[command(after_long_help = help!("  registry-migration reopen group/project/image
  registry-migration reopen group/project/image --reason 'a proxy had answered'    # one that is done
  registry-migration reopen --all --state import_skipped --skipped not_in_plan     # how many that would be
  registry-migration reopen --all --state import_skipped --skipped not_in_plan --yes"))]
    Reopen(Reopen),
    /// Holds final steps by prefix: until released, or outside a window. Without a prefix it shows the holds
    #[command(after_long_help = help!("  registry-migration hold                                     # the holds that there are
  registry-migration hold team/ --reason 'their release is on Friday'
  registry-migration hold --all --window 22:00-04:00 --zone Europe/Berlin
  registry-migration hold team/urgent/ --priority 10          # held not at all, but first"))]
    Hold(Hold),
    /// Removes a hold: its repositories go on as slots are free
    #[command(after_long_help = help!("  registry-migration release team/
  registry-migration release --all      # the hold of every repository; those of prefixes stay"))]
    Release(Release),
    /// Shows or changes the settings
    #[command(after_long_help = help!("  registry-migration settings
  registry-migration settings enabled=true capacity=8
  registry-migration settings created_before=null 'target_plans=[\"gold\"]'
  registry-migration settings enabled=false                                        # the kill switch"))]
    Settings(Settings),
    /// Writes who, what and when of each repository, to close a migration with
    #[command(after_long_help = help!("  registry-migration report --format csv --output report.csv
  registry-migration report --prefix team/ --by-prefix
  registry-migration report > report.ndjson"))]
    Report(Report),
    /// Looks whether everything works, and says what to do where it does not
    #[command(after_long_help = help!("  registry-migration doctor
  registry-migration doctor --canary group/small/image   # migrates this one, to see a notification come"))]
    Doctor(Doctor),
}

/// Where the driver is, who asks, and how the answer is shown.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The driver")]
pub struct Connection {
    /// The driver's address: the stack's output ApiUrl
    #[arg(long, value_name = "URL", env = "REGISTRY_MIGRATION_API", hide_env_values = true)]
    pub api: Option<String>,
    /// The file with the operators' token
    #[arg(long, value_name = "FILE", env = "REGISTRY_MIGRATION_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// Who you are: kept with each change, for whoever reads the history
    #[arg(long, value_name = "NAME", env = "REGISTRY_MIGRATION_OPERATOR", hide_env_values = true)]
    pub operator: Option<String>,
    /// The authorities (PEM) that the driver's certificate may come from, if not the public ones
    #[arg(long, value_name = "FILE", env = "REGISTRY_MIGRATION_CA", hide_env_values = true)]
    pub ca: Option<PathBuf>,
    /// Speak http to a driver that is not on this machine: who listens reads the token
    #[arg(long)]
    pub insecure_api: bool,
    /// The file with the configuration
    #[arg(long, value_name = "FILE", env = "REGISTRY_MIGRATION_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Show JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Of `status`.
#[derive(Args, Debug)]
pub struct Watch {
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// End when nothing is left to be migrated
    #[arg(long, requires = "watch")]
    pub wait: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `list`.
#[derive(Args, Debug)]
pub struct List {
    /// Only in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only paths that begin so
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Only what is in its state for so many seconds at least
    #[arg(long, value_name = "SECONDS")]
    pub older_than: Option<u32>,
    /// At most so many. Without it, all
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// One repository.
#[derive(Args, Debug)]
pub struct One {
    /// The repository
    pub path: String,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Several repositories.
#[derive(Args, Debug)]
pub struct Several {
    /// The repositories
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `retry`.
#[derive(Args, Debug)]
pub struct Retry {
    /// The repositories
    #[arg(required_unless_present = "all")]
    pub paths: Vec<String>,
    /// Every repository that is import_aborted
    #[arg(long, conflicts_with = "paths")]
    pub all: bool,
    /// With --all: only paths that begin so
    #[arg(long, value_name = "PREFIX", requires = "all")]
    pub prefix: Option<String>,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `cancel`.
#[derive(Args, Debug)]
pub struct Cancel {
    /// The repositories
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// Skip them even if the registry knows of no import
    #[arg(long)]
    pub force: bool,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `skip`.
#[derive(Args, Debug)]
pub struct Skip {
    /// The repositories
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// Why: not_in_plan, too_many_tags, migration_canceled and others
    #[arg(long, value_name = "REASON")]
    pub reason: String,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `accept`.
#[derive(Args, Debug)]
pub struct Accept {
    /// The repositories
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// Why that is all right, in a line. The history keeps it
    #[arg(long, value_name = "WORDS")]
    pub reason: String,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `reopen`.
#[derive(Args, Debug)]
pub struct Reopen {
    /// The repositories
    #[arg(required_unless_present = "all")]
    pub paths: Vec<String>,
    /// Why, in words. Needed for what is import_done
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
    /// All in a state; without --yes they are only counted
    #[arg(long, conflicts_with = "paths", requires = "state")]
    pub all: bool,
    /// With --all: import_skipped, import_aborted or import_done
    #[arg(long, value_name = "STATE", requires = "all")]
    pub state: Option<String>,
    /// With --all: only what was skipped for this reason
    #[arg(long, value_name = "REASON", requires = "all")]
    pub skipped: Option<String>,
    /// With --all: only paths that begin so
    #[arg(long, value_name = "PREFIX", requires = "all")]
    pub prefix: Option<String>,
    /// With --all: do it
    #[arg(long, requires = "all")]
    pub yes: bool,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `hold`.
#[derive(Args, Debug)]
pub struct Hold {
    /// Whose final steps: the first parts of their paths. Without it, the holds are shown
    pub prefix: Option<String>,
    /// Those of every repository
    #[arg(long, conflicts_with = "prefix")]
    pub all: bool,
    /// Held whatever the time is; so it is where neither a window nor a priority is given
    #[arg(long)]
    pub until_released: bool,
    /// Final steps start only within these times of the day
    #[arg(long, value_name = "HH:MM-HH:MM", requires = "zone", value_parser = window)]
    pub window: Option<(String, String)>,
    /// The window's time zone, as Europe/Berlin
    #[arg(long, value_name = "ZONE", requires = "window")]
    pub zone: Option<String>,
    /// Go before what has a lower one, 1 to 1000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub priority: Option<u16>,
    /// Why, in a line, for whoever looks at the holds
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// The two times of a window. The driver says whether they are times.
fn window(text: &str) -> Result<(String, String), String> {
    text.split_once('-')
        .map(|(from, until)| (from.to_owned(), until.to_owned()))
        .ok_or_else(|| "a window is two times, as 22:00-04:00".to_owned())
}

/// Of `release`.
#[derive(Args, Debug)]
pub struct Release {
    /// The prefix of the hold, exactly
    #[arg(required_unless_present = "all")]
    pub prefix: Option<String>,
    /// The hold of every repository
    #[arg(long, conflicts_with = "prefix")]
    pub all: bool,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `settings`.
#[derive(Args, Debug)]
pub struct Settings {
    /// What to change. The value is JSON, or a word
    #[arg(value_name = "NAME=VALUE")]
    pub changes: Vec<String>,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line, for programs
    #[default]
    Ndjson,
    /// A table, for people
    Csv,
}

/// Of `report`.
#[derive(Args, Debug)]
pub struct Report {
    /// Only paths that begin so
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// A line for each first part of the paths, in place of one for each repository
    #[arg(long)]
    pub by_prefix: bool,
    /// What it is written as
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    pub format: Format,
    /// The file that it is written to. Without it, the standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}

/// Of `doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Migrate this repository, to see a notification come from the registry
    #[arg(long, value_name = "PATH")]
    pub canary: Option<String>,
    /// Seconds to wait for the canary
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub wait: u64,
    /// The driver.
    #[command(flatten)]
    pub connection: Connection,
}
