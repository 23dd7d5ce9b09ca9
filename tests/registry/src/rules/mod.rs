//! Faults on request: what a test can make the registry do.

mod effects;
mod rule;

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::lock::lock;
use crate::status::{Operation, Step};

pub(crate) use effects::{AnswerEffect, ImportEffects, RequestIdEffect};
pub use rule::{Effect, Point, Rule, When};

/// Names a rule, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub u64);

/// The rules in force.
#[derive(Debug)]
pub struct Rules {
    book: Mutex<RuleBook>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct RuleBook {
    last: u64,
    rules: BTreeMap<RuleId, Rule>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { book: Mutex::default(), changed: watch::channel(()).0 }
    }
}

impl Rules {
    /// Puts a rule in force. When several apply to one import, all do; of several for one answer the oldest does.
    pub fn add(&self, rule: Rule) -> RuleId {
        let mut book = lock(&self.book);
        book.last += 1;
        let id = RuleId(book.last);
        book.rules.insert(id, rule);
        id
    }

    /// Removes a rule; what it held goes on. False when there is no such rule.
    pub fn remove(&self, id: RuleId) -> bool {
        let removed = lock(&self.book).rules.remove(&id).is_some();
        self.changed.send_replace(());
        removed
    }

    /// Removes all rules; what they held goes on.
    pub fn clear(&self) {
        lock(&self.book).rules.clear();
        self.changed.send_replace(());
    }

    /// The rules in force, oldest first. A rule that was used up stays listed only while it holds something.
    pub fn list(&self) -> Vec<(RuleId, Rule)> {
        lock(&self.book).rules.iter().map(|(id, rule)| (*id, rule.clone())).collect()
    }

    /// Takes what applies to the answer of one call.
    pub(crate) fn for_answer(
        &self,
        operation: Operation,
        path: Option<&str>,
        step: Option<Step>,
    ) -> Option<AnswerEffect> {
        let mut book = lock(&self.book);
        let found = book.rules.iter().find_map(|(id, rule)| {
            let operation_fits = rule.operation.is_none_or(|wanted| wanted == operation);
            let effect = AnswerEffect::of(&rule.effect)?;
            (operation_fits && rule.fits(path, step)).then_some((*id, effect))
        });
        let (id, effect) = found?;
        book.use_up(id);
        Some(effect)
    }

    /// Takes what applies to one import.
    pub(crate) fn for_import(&self, path: &str, step: Step) -> ImportEffects {
        let mut book = lock(&self.book);
        let fitting: Vec<RuleId> = book
            .rules
            .iter()
            .filter(|(_, rule)| rule.fits(Some(path), Some(step)) && AnswerEffect::of(&rule.effect).is_none())
            .map(|(id, _)| *id)
            .collect();
        let mut effects = ImportEffects::default();
        for id in fitting {
            if let Some(rule) = book.rules.get(&id) {
                effects.add(id, &rule.effect);
            }
            book.use_up(id);
        }
        effects
    }

    /// Returns when the rule is no longer there.
    pub(crate) async fn removed(&self, id: RuleId) {
        let mut changed = self.changed.subscribe();
        while lock(&self.book).rules.contains_key(&id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

impl RuleBook {
    fn use_up(&mut self, id: RuleId) {
        let Some(rule) = self.rules.get_mut(&id) else { return };
        let Some(times) = &mut rule.times else { return };
        *times = times.saturating_sub(1);
        // What holds an import is there until it is removed: removing it is what lets the import go on.
        if *times == 0 && !matches!(rule.effect, Effect::Hold { .. }) {
            self.rules.remove(&id);
        }
    }
}
