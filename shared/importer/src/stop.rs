//! How a worker is asked to end in order.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// Asks whoever works to end once the part in flight is finished and stored. Clones are one.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<watch::Sender<bool>>,
    until: Option<Instant>,
}

impl Stop {
    /// One that lasts until [`Stop::now`] is called.
    #[must_use]
    pub fn new() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)), until: None }
    }

    /// The same, which asks by itself when the budget is used up.
    #[must_use]
    pub fn within(&self, budget: Duration) -> Self {
        Self { asked: self.asked.clone(), until: Some(Instant::now() + budget) }
    }

    /// Asks to end.
    pub fn now(&self) {
        self.asked.send_replace(true);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Waits until it is asked for, or for so long. Whether it is.
    pub async fn asked_within(&self, wait: Duration) -> bool {
        let mut asked = self.asked.subscribe();
        let until = Instant::now() + wait;
        let until = self.until.map_or(until, |own| own.min(until));
        // The sender lives as long as this.
        let _ = tokio::time::timeout_at(until, asked.wait_for(|asked| *asked)).await;
        self.is_asked()
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Stop;

    #[tokio::test(start_paused = true)]
    async fn ends_by_its_budget_or_when_asked() {
        let stop = Stop::new();
        let budget = stop.within(Duration::from_secs(5));
        assert!(!budget.asked_within(Duration::from_secs(4)).await);
        assert!(budget.asked_within(Duration::from_secs(4)).await);
        assert!(!stop.is_asked(), "a budget is its holder's alone");
        stop.now();
        assert!(stop.clone().asked_within(Duration::from_secs(1)).await);
    }
}
