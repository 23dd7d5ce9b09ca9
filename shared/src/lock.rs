use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. One that was held in a panic is used on: what is kept in one here is whole after each statement, and
/// the next caller is to be served.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
