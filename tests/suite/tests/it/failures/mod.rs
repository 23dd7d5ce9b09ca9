//! What is lost, cut off or killed: messages, services and processes.

mod chaos;
mod evidence;
mod faults;
mod outage;
mod process;
mod starting;
mod unreliable;
mod waiting;
