//! A PostgreSQL primary and a streaming replica whose lag is under control.
