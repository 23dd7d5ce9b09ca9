//! Every figure once more, for programs: a line of the table is an entry of a JSON list, with its goal where it has one.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use local::output::say;
use serde_json::{Value, json};

static FIGURES: Mutex<Vec<Value>> = Mutex::new(Vec::new());

/// A figure must be at most this, or at least this.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// It has none.
    None,
    /// The most that it may be.
    AtMost(f64),
    /// The least that it may be.
    AtLeast(f64),
}

impl Goal {
    /// Whether `value` meets it; None where there is none.
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
        }
    }

    /// The end of a line of the table.
    pub fn said(self, value: f64) -> String {
        let met = if self.is_met(value) == Some(true) { "met" } else { "missed" };
        match self {
            Self::None => String::new(),
            Self::AtMost(most) => format!("  at most {most:.2}: {met}"),
            Self::AtLeast(least) => format!("  at least {least:.2}: {met}"),
        }
    }
}

/// Keeps a figure.
pub fn record(group: &str, name: &str, unit: &str, value: f64, goal: Goal) {
    let limit = match goal {
        Goal::None => Value::Null,
        Goal::AtMost(limit) | Goal::AtLeast(limit) => json!(limit),
    };
    let figure = json!({
        "group": group, "name": name, "unit": unit, "value": value, "goal": limit, "met": goal.is_met(value)
    });
    FIGURES.lock().unwrap_or_else(PoisonError::into_inner).push(figure);
}

/// Prints all that was kept, as one table.
pub fn table() -> anyhow::Result<()> {
    say(format_args!("\n{:56} {:42} {:>12}", "All figures", "", ""))?;
    for figure in FIGURES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let text = |name: &str| figure[name].as_str().unwrap_or_default();
        let met = match figure["met"].as_bool() {
            Some(is_met) => {
                let goal = figure["goal"].as_f64().unwrap_or_default();
                format!("goal {goal:.2}: {}", if is_met { "met" } else { "missed" })
            }
            None => String::new(),
        };
        let value = figure["value"].as_f64().unwrap_or_default();
        say(format_args!("{:56} {:42} {value:12.2} {} {met}", text("group"), text("name"), text("unit")))?;
    }
    Ok(())
}

/// Writes them, with what the machine was doing meanwhile.
pub fn write(file: &Path) -> anyhow::Result<()> {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let figures = std::mem::take(&mut *FIGURES.lock().unwrap_or_else(PoisonError::into_inner));
    let all = json!({"at": jiff::Timestamp::now(), "load": load.trim(), "figures": figures});
    fs::write(file, format!("{all:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}
