//! What operators and the registry call: each route, its answers, and what it refuses.

mod contract;
mod dashboard;
mod foreign;
mod gateway;
mod history;
mod hostile;
mod listing;
mod manage;
mod notification;
mod start;
mod status;
