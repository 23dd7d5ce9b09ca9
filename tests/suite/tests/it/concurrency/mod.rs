//! Many at once: claims, slots, the kill switch, the circuit breaker, and the model of all of it.

mod brake;
mod claims;
mod fleet;
mod hold;
mod model;
mod switch;
