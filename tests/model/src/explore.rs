use stateright::{Checker, HasDiscoveries, Model as _};

use crate::{Model, trace::trace};

/// What an exploration found.
#[derive(Clone, Debug)]
pub struct Explored {
    /// How many different worlds were met.
    pub worlds: usize,
    /// Everything within the bounds was met.
    pub is_whole: bool,
    /// The longest way to one of them, in steps.
    pub depth: usize,
    /// The properties that do not hold, each with the way to where it falls.
    pub fallen: Vec<(&'static str, String)>,
    /// What was to be met and was not.
    pub missed: Vec<&'static str>,
}

impl Model {
    /// Explores breadth first, until a property falls or everything within the bounds is met, or so many steps are made.
    /// With one thread the way to where a property falls is the shortest.
    #[must_use]
    pub fn explore(self, threads: usize, steps: Option<usize>) -> Explored {
        let mut checker = self.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
        if let Some(steps) = steps {
            checker = checker.target_state_count(steps);
        }
        let checker = checker.spawn_bfs().join();
        let met = checker.model().met();
        let fallen = checker.discoveries().into_iter().filter(|(property, _)| !met.contains(property));
        Explored {
            worlds: checker.unique_state_count(),
            is_whole: steps.is_none_or(|steps| checker.state_count() < steps),
            depth: checker.max_depth(),
            fallen: fallen.map(|(property, path)| (property, trace(&path, checker.model()))).collect(),
            missed: checker.model().missed(),
        }
    }
}
