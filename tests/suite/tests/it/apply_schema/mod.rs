//! The schema and the roles, applied through the Data API to real databases by a role that is no superuser.

mod bench;
mod fresh;
mod function;
mod iam;
mod passing;
mod refused;
mod replica;
mod upgrade;
