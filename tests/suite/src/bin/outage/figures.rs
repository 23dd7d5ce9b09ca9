//! What was measured, beside what was to be.

use std::time::Duration;

use local::output::say;

/// One measurement.
struct Figure {
    scenario: String,
    what: String,
    measured: String,
    goal: String,
    met: Option<bool>,
}

/// All measurements of a run.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// A count that is not to be above a goal.
    pub(crate) fn at_most(&mut self, scenario: &str, what: &str, measured: i64, goal: i64) {
        self.add(scenario, what, measured.to_string(), format!("at most {goal}"), Some(measured <= goal));
    }

    /// A time that is not to be longer than a goal. None: it never came.
    pub(crate) fn within(&mut self, scenario: &str, what: &str, measured: Option<Duration>, goal: Duration) {
        let told = measured.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        let met = measured.is_some_and(|time| time <= goal);
        self.add(scenario, what, told, format!("within {} s", goal.as_secs()), Some(met));
    }

    /// What has no goal of its own.
    pub(crate) fn note(&mut self, scenario: &str, what: &str, measured: impl ToString) {
        self.add(scenario, what, measured.to_string(), String::new(), None);
    }

    fn add(&mut self, scenario: &str, what: &str, measured: String, goal: String, met: Option<bool>) {
        let (scenario, what) = (scenario.to_owned(), what.to_owned());
        self.0.push(Figure { scenario, what, measured, goal, met });
    }

    pub(crate) fn all_met(&self) -> bool {
        self.0.iter().all(|figure| figure.met != Some(false))
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        say(format_args!("\n{:28} {:62} {:>10}  {:15}", "scenario", "measured", "", "goal"))?;
        for Figure { scenario, what, measured, goal, met } in &self.0 {
            let verdict = match met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            };
            say(format_args!("{scenario:28} {what:62} {measured:>10}  {goal:15} {verdict}"))?;
        }
        Ok(())
    }
}
