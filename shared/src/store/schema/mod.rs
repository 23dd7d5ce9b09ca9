//! The database schema: numbered scripts, each applied once, in order.
//!
//! They expect the roles `migration_driver` (reads and writes) and `migration_reader` (SELECT only) to exist. A
//! script that was released is not changed again: its checksum is in the databases that it was applied to. A
//! second cluster that replicates the tables gets every script before the first one, and of the first one's rows what
//! that has from then on; so no script after the first makes or removes rows.

mod apply;
mod history;
mod refusal;
mod replicate;
mod roles;
mod run;
mod script;
mod split;
#[cfg(test)]
mod tests;

pub use apply::Applied;
pub use refusal::{SchemaError, Step};
pub use replicate::Publisher;
pub use roles::Roles;
pub use script::{Script, newest, number, scripts};

/// Checksums of scripts in a form that they once had and which left the same: a database may have either.
/// `0002_observation` updated every row, which took longer than a call may where there were a million.
pub(super) const FORMER: &[(&str, &str)] =
    &[("0002_observation", "efc8254dccf07726d8b74e003f420865283b6ae603a4e62191b467f4e3afcc64")];

/// Every script with its name, in the order to apply them. `template.yaml` names the newest, so that it is applied
/// when it is deployed.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("0001_migrations", include_str!("0001_migrations.sql")),
    ("0002_observation", include_str!("0002_observation.sql")),
    ("0003_registration", include_str!("0003_registration.sql")),
    ("0004_reader_switch", include_str!("0004_reader_switch.sql")),
    ("0005_reader_lag_bound", include_str!("0005_reader_lag_bound.sql")),
    ("0006_version_origin", include_str!("0006_version_origin.sql")),
    ("0007_leases", include_str!("0007_leases.sql")),
    ("0008_tags", include_str!("0008_tags.sql")),
    ("0009_brake", include_str!("0009_brake.sql")),
    ("0010_retry_backoff", include_str!("0010_retry_backoff.sql")),
];
