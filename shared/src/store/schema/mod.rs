//! The database schema: numbered scripts, applied in order, each one in a transaction.
//!
//! They expect the roles `migration_driver` (reads and writes) and `migration_reader` (SELECT only) to exist.

/// Every script with its name, in the order to apply them.
pub const SCRIPTS: &[(&str, &str)] = &[
    ("0001_migrations", include_str!("0001_migrations.sql")),
    ("0002_observation", include_str!("0002_observation.sql")),
    ("0003_registration", include_str!("0003_registration.sql")),
];
