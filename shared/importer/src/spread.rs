//! Several connections to one database, used as they are free.

use std::sync::Mutex;

use async_trait::async_trait;
use shared::endpoint::{Call, ErrorClass, Execution, Failure, Transport};
use tokio::{sync::Semaphore, time::Instant};

/// Sends each statement over a connection that is free, so that a slow one holds up no heartbeat.
pub struct Spread<T> {
    transports: Vec<T>,
    free: Semaphore,
    idle: Mutex<Vec<usize>>,
}

impl<T: Transport> Spread<T> {
    /// Over these, at least one of them.
    #[must_use]
    pub fn new(transports: Vec<T>) -> Self {
        let idle = (0..transports.len()).collect();
        Self { free: Semaphore::new(transports.len()), idle: Mutex::new(idle), transports }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Puts a connection back, also where the call was dropped.
struct Taken<'a, T: Transport> {
    of: &'a Spread<T>,
    which: usize,
}

impl<T: Transport> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.of.idle().push(self.which);
    }
}

#[async_trait]
impl<T: Transport> Transport for Spread<T> {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        let none = || Failure::new(Execution::DidNotRun, ErrorClass::Unavailable);
        let _permit = self.free.acquire().await.map_err(|_closed| none())?;
        let which = self.idle().pop().ok_or_else(none)?;
        let taken = Taken { of: self, which };
        let transport = self.transports.get(taken.which).ok_or_else(none)?;
        transport.execute(call, deadline).await
    }

    fn forget_connections(&self) {
        for transport in &self.transports {
            transport.forget_connections();
        }
    }
}
