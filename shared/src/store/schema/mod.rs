//! The database schema: numbered scripts, each applied once, in order.
//!
//! They expect the roles `migration_driver` (reads and writes), `migration_importer` (likewise, its own tables) and
//! `migration_reader` (SELECT only) to exist. A script that was released is not changed again: its checksum is in the
//! databases that it was applied to. A second cluster that replicates the tables gets every script before the first one, and of the first one's rows what
//! that has from then on; so no script after the first makes or removes rows.
//!
//! The driver goes on working while they are applied. So a script is one short transaction, or a single `CREATE INDEX
//! CONCURRENTLY`, which no transaction can hold. Nothing in a transaction reads or writes a table that has rows: a new
//! column has a constant default, a constraint is added `NOT VALID`, and a later script validates it.
//!
//! The tools for migrations want a connection, and the Data API is none: hence a runner of our own.

mod apply;
mod history;
mod index;
mod owner;
mod refusal;
mod replicate;
mod roles;
mod run;
mod script;
mod split;
#[cfg(test)]
mod tests;

pub use apply::Applied;
pub use owner::Owner;
pub use refusal::{SchemaError, Step};
pub use replicate::Publisher;
pub use roles::Roles;
pub use run::{Patience, TO_SPREAD};
pub use script::{Script, newest, number, scripts};

/// Checksums of scripts in a form that they once had, which with the scripts after them left the same: a database may
/// have either. `0002_observation` updated every row, which took longer than a call may where there were a million. The
/// others read the whole table while they kept everybody from it, to make an index or to validate a constraint.
pub(super) const FORMER: &[(&str, &str)] = &[
    ("0002_observation", "efc8254dccf07726d8b74e003f420865283b6ae603a4e62191b467f4e3afcc64"),
    ("0007_leases", "756cbd735f4ffb54e5ed9100f9144258a424695c97d6742f72690fbd4395a287"),
    ("0008_tags", "26230d138962ea1d15c62bf0a828cf9d4f1d49003826346a1b97c1853cacda10"),
    ("0009_brake", "4f03798ff17940550522bb69c7d9af1d57e92b91e9d6082dc55d66c57b2e2aa0"),
    ("0010_retry_backoff", "58124aed273c86dabda9898eeae6751433f2b2a55ef989e9b2c180d7817cf69c"),
];

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
    ("0011_next_check_index", include_str!("0011_next_check_index.sql")),
    ("0012_tags_check_index", include_str!("0012_tags_check_index.sql")),
    ("0013_valid_constraints", include_str!("0013_valid_constraints.sql")),
    ("0014_importer", include_str!("0014_importer.sql")),
    ("0015_import_notices", include_str!("0015_import_notices.sql")),
    ("0016_import_notices_index", include_str!("0016_import_notices_index.sql")),
    ("0017_valid_import_constraints", include_str!("0017_valid_import_constraints.sql")),
    ("0018_holds", include_str!("0018_holds.sql")),
    ("0019_parked_index", include_str!("0019_parked_index.sql")),
    ("0020_held_index", include_str!("0020_held_index.sql")),
    ("0021_valid_hold_constraints", include_str!("0021_valid_hold_constraints.sql")),
];
