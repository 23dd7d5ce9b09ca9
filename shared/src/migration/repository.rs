use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AttemptId, MissingTags, RepositoryPath, SkipReason, State, TagsCheck, TimestampColumn, event::Situation,
};

/// A row of `container_repositories`: one image repository and how its migration stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRepository {
    /// Which repository.
    pub path: RepositoryPath,
    /// How its migration stands.
    pub migration_state: State,
    /// +1 at every change of the row; the position a caller has seen.
    pub version: i64,
    /// The request to the registry whose notification is awaited, or the last one.
    pub attempt: Option<AttemptId>,
    /// The slot held, exactly while in progress and not held.
    pub slot: Option<i32>,
    /// Since when its final step is held, in `pre_import_done`. It goes on by a claim, once no hold holds it any more.
    pub held_since: Option<Timestamp>,
    /// How often it failed by itself.
    pub retries_count: i32,
    /// Why it was skipped, or why there was nothing to import.
    pub skipped_reason: Option<SkipReason>,
    /// Where it was when it was aborted.
    pub aborted_in_state: Option<State>,
    /// Where the last claim came from.
    pub resume_state: Option<State>,
    /// When the registry was last asked for the pre step.
    pub pre_import_started_at: Option<Timestamp>,
    /// When the pre step was done.
    pub pre_import_done_at: Option<Timestamp>,
    /// When the registry was last asked for the final step.
    pub import_started_at: Option<Timestamp>,
    /// When the migration was done.
    pub import_done_at: Option<Timestamp>,
    /// When it was aborted.
    pub aborted_at: Option<Timestamp>,
    /// When it was skipped.
    pub skipped_at: Option<Timestamp>,
    /// Not started again before. Of one that is held this says nothing.
    pub not_before: Option<Timestamp>,
    /// What the registry last said of it, 255 characters at most.
    pub detail: Option<String>,
    /// How many tags it has, where known.
    pub tags_count: Option<i32>,
    /// How far the comparison of its tags has come.
    pub tags_check: Option<TagsCheck>,
    /// The tags that are missing after the import. A user may have deleted one meanwhile.
    pub missing_tags: Option<MissingTags>,
    /// Its namespace's plan, where known.
    pub plan: Option<String>,
    /// The higher, the earlier.
    pub priority: i32,
    /// Since when it is in its state; a step that is begun again leaves it there.
    pub state_since: Timestamp,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl ContainerRepository {
    /// The row's state with where it came from.
    #[must_use]
    pub fn situation(&self) -> Situation {
        let state = self.migration_state;
        Situation { state, origin: self.aborted_in_state.or(self.resume_state), is_held: self.is_held() }
    }

    /// Whether it waits for its final step without a slot.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.migration_state == State::PreImportDone && self.held_since.is_some()
    }

    /// Whether it is one of those that the capacity limits.
    #[must_use]
    pub fn holds_slot(&self) -> bool {
        self.situation().has_slot()
    }

    /// The column behind a name of the core.
    pub fn timestamp_mut(&mut self, timestamp: TimestampColumn) -> &mut Option<Timestamp> {
        match timestamp {
            TimestampColumn::PreImportStarted => &mut self.pre_import_started_at,
            TimestampColumn::PreImportDone => &mut self.pre_import_done_at,
            TimestampColumn::ImportStarted => &mut self.import_started_at,
            TimestampColumn::ImportDone => &mut self.import_done_at,
            TimestampColumn::Aborted => &mut self.aborted_at,
            TimestampColumn::Skipped => &mut self.skipped_at,
        }
    }
}
