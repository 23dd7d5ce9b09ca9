mod api;
mod http;
mod schedule;
