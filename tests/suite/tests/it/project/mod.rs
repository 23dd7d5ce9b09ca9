//! The project itself: its documents and its scripts.

mod handbooks;
mod scripts;
