//! The transport against a server that answers as the Data API does, and the rules of sending again.

mod data_api;
mod errors;
mod logging;
mod purposes;
mod sending;
mod transactions;
