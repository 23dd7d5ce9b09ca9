//! The schema and the roles, applied through the Data API to real databases by a role that is no superuser.

mod bench;
mod fresh;
mod function;
mod iam;
mod in_use;
mod index;
mod owner;
mod passing;
mod refused;
mod replica;
mod settings;
mod upgrade;
