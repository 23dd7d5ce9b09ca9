//! A strict local RDS Data API in front of PostgreSQL servers.
