//! What is to become of each repository, and what goes wrong with its messages: drawn before anything runs.

use std::collections::BTreeMap;

use local::{
    Stack,
    local_registry::{Effect, Operation, Rule, Step, When},
};
use rand::{RngExt, rngs::StdRng};
use suite::push_image;

const STEPS: [Step; 2] = [Step::Pre, Step::Final];

/// What becomes of a repository that nothing else keeps from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is migrated.
    Done,
    /// It is migrated once one of its steps has failed so often.
    Fails(u32),
    /// It fails for ever.
    NeverDone,
    /// The old storage does not have it.
    Missing,
}

/// The fates by path, and the rules that bring them and the faults about.
pub(crate) struct Plan {
    pub(crate) fates: BTreeMap<String, Fate>,
    rules: Vec<Rule>,
}

impl Plan {
    pub(crate) fn draw(random: &mut StdRng, count: usize) -> Self {
        let mut plan = Self { fates: BTreeMap::new(), rules: Vec::new() };
        for number in 0..count {
            let path = format!("group{}/image{number}", number % 7);
            let step = STEPS[random.random_range(0..2)];
            let fate = match random.random_range(0..100) {
                0..4 => Fate::Missing,
                4..8 => Fate::NeverDone,
                8..20 => Fate::Fails(random.random_range(1..=2)),
                _ => Fate::Done,
            };
            let fail =
                Rule::new(Effect::Fail { error: "blob unknown".to_owned() }).repository(&path).step(step);
            match fate {
                Fate::Fails(times) => plan.rules.push(fail.times(times)),
                Fate::NeverDone => plan.rules.push(fail),
                Fate::Done | Fate::Missing => {}
            }
            for step in STEPS {
                plan.rules
                    .extend(message_fault(random).map(|rule| rule.repository(&path).step(step).times(1)));
            }
            plan.fates.insert(path, fate);
        }
        plan
    }

    /// Puts the images into the storage and the rules in force, and makes the repositories known.
    ///
    /// # Errors
    /// When the storage or the database cannot be written.
    pub(crate) async fn prepare(&self, stack: &Stack) -> anyhow::Result<()> {
        let storage = stack.old_storage()?;
        for (path, _) in self.fates.iter().filter(|(_, fate)| **fate != Fate::Missing) {
            push_image(&storage, path)?;
        }
        for rule in &self.rules {
            stack.registry()?.rules().add(rule.clone());
        }
        stack.register(&self.fates.keys().cloned().collect::<Vec<_>>()).await
    }
}

/// What goes wrong with one import's messages: in about two of three imports nothing.
fn message_fault(random: &mut StdRng) -> Option<Rule> {
    let when = if random.random() { When::Before } else { When::After };
    let effect = match random.random_range(0..21) {
        0 | 1 => Effect::LoseNotification,
        2 => Effect::RepeatNotification { extra: 2, concurrently: random.random() },
        3 => Effect::DelayNotification { milliseconds: random.random_range(100..4_000) },
        4 => Effect::NotifyBeforeAccepted,
        5 => Effect::DropRequestId,
        6 => Effect::Answer { status: 502, code: None, detail: None, body: None, when },
        7 => Effect::Cut { when },
        _ => return None,
    };
    Some(Rule::new(effect).operation(Operation::Start))
}
