//! The Data API's behaviour, a case per row, seen by two independent clients; and what no client can show.

#![allow(clippy::unwrap_used, reason = "what a test cannot have it fails for")]

mod cases;
mod life;
mod program;
mod python;
mod rust_sdk;
mod sdk_values;
mod stage;
mod wire;
