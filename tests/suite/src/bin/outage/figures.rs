//! What was measured, beside what was to be.

use std::time::Duration;

use anyhow::Result;
use local::output::say;

/// The measurements of a run. Each is printed as it is made: a run takes long.
#[derive(Default)]
pub(crate) struct Figures {
    made: usize,
    missed: usize,
}

impl Figures {
    /// A count that is not to be above a goal.
    pub(crate) fn at_most(&mut self, scenario: &str, what: &str, measured: i64, goal: i64) -> Result<()> {
        self.add(scenario, what, &measured.to_string(), &format!("at most {goal}"), Some(measured <= goal))
    }

    /// A time that is not to be longer than a goal. None: it never came.
    pub(crate) fn within(
        &mut self,
        scenario: &str,
        what: &str,
        measured: Option<Duration>,
        goal: Duration,
    ) -> Result<()> {
        let shown = measured.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        let met = measured.is_some_and(|time| time <= goal);
        self.add(scenario, what, &shown, &format!("within {} s", goal.as_secs()), Some(met))
    }

    /// What has no goal of its own.
    pub(crate) fn note(&mut self, scenario: &str, what: &str, measured: impl ToString) -> Result<()> {
        self.add(scenario, what, &measured.to_string(), "", None)
    }

    fn add(
        &mut self,
        scenario: &str,
        what: &str,
        measured: &str,
        goal: &str,
        met: Option<bool>,
    ) -> Result<()> {
        if self.made == 0 {
            say(format_args!("{:28} {:62} {:>10}  {:15}", "scenario", "measured", "", "goal"))?;
        }
        self.made += 1;
        self.missed += usize::from(met == Some(false));
        let verdict = match met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        say(format_args!("{scenario:28} {what:62} {measured:>10}  {goal:15} {verdict}"))
    }

    /// How many goals were missed.
    pub(crate) fn missed(&self) -> usize {
        self.missed
    }
}
