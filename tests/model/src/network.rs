//! What the network does to messages, and what becomes of whoever waits for one.

use shared::migration::{Cancelation, RegistryView};

use crate::{
    decisions::Said,
    model::{Met, Turn, Violation},
    world::{Asking, Notice, Put, Task},
};

impl Turn<'_> {
    /// The registry does a request, and whoever waits for it has the answer.
    pub(crate) fn arrive(&mut self, put: Put) {
        self.take_put(put);
        let said = self.put(put);
        self.answer(put, said);
    }

    pub(crate) fn answer(&mut self, put: Put, said: Said) {
        let waits = |task: &&mut Task| {
            matches!(task, Task::Sent(asking)
                if (put.repository, put.attempt, put.step) == (asking.repository, asking.attempt, asking.step))
        };
        if put.is_awaited
            && let Some(task) = self.world.tasks.iter_mut().find(waits)
            && let Task::Sent(asking) = *task
        {
            *task = Task::Answered(asking, said);
        }
    }

    pub(crate) fn take_put(&mut self, put: Put) {
        if let Some(at) = self.world.puts.iter().position(|known| *known == put) {
            self.world.puts.remove(at);
        }
    }

    /// The registry has read an answer, or a notification is lost.
    pub(crate) fn take(&mut self, notice: Notice) {
        if let Some(at) = self.world.notices.iter().position(|known| *known == notice) {
            self.world.notices.remove(at);
        }
    }

    /// A process does not get an answer to what it asks.
    pub(crate) fn unanswered(&mut self, task: Task) {
        self.remove(task);
        self.meet(Met::Unanswered);
        match task {
            Task::Claimed(asking) => self.world.tasks.push(Task::Told(asking, RegistryView::NoAnswer)),
            Task::Look(looking) => self.world.tasks.push(Task::Saw(looking, RegistryView::NoAnswer)),
            Task::Cancel(looking) => {
                let import = self.world.imports[self.index(looking.repository)];
                if import.by.is_some() && !import.is_late {
                    self.broke(Violation::AbortedHealthy);
                }
                self.delete(looking.repository, false);
                self.world.tasks.push(Task::Canceled(looking, Cancelation::NoAnswer));
            }
            Task::GiveUp(giving_up) => {
                self.delete(giving_up.repository, giving_up.by_force);
            }
            Task::Sent(asking) | Task::Answered(asking, _) => {
                self.forget(asking);
                self.world.tasks.push(Task::Answered(asking, Said::Unknown));
            }
            Task::Told(..) | Task::Ask(_) | Task::Accept(_) | Task::Saw(..) | Task::Canceled(..) => {}
        }
    }

    /// A process dies.
    pub(crate) fn crash(&mut self, task: Task) {
        self.remove(task);
        self.meet(Met::Crashes);
        if let Task::Sent(asking) = task {
            self.forget(asking);
        }
    }

    /// Nobody waits for the answer to a request any more.
    fn forget(&mut self, asking: Asking) {
        let is_it = |put: &&mut Put| {
            put.is_awaited
                && (put.repository, put.attempt, put.step) == (asking.repository, asking.attempt, asking.step)
        };
        if let Some(put) = self.world.puts.iter_mut().find(is_it) {
            put.is_awaited = false;
        }
    }
}
