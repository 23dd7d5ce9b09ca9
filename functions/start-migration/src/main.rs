//! Begins one repository's migration.

fn main() {}
