//! SQL <-> core types. The only room with SQL in it.

pub mod schema;
