mod api;
mod custom_resource;
mod http;
mod schedule;
