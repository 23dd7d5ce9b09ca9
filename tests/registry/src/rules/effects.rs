//! What the rules in force mean for one answer and for one import.

use std::time::Duration;

use super::{Effect, Point, RuleId, When};

/// An effect on one answer.
#[derive(Debug, Clone)]
pub(crate) enum AnswerEffect {
    Answer { status: u16, code: Option<String>, detail: Option<String>, body: Option<String>, when: When },
    Hang { time: Duration, when: When },
    Cut { when: When },
}

impl AnswerEffect {
    pub(crate) fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Answer { status, code, detail, body, when } => Some(Self::Answer {
                status: *status,
                code: code.clone(),
                detail: detail.clone(),
                body: body.clone(),
                when: *when,
            }),
            Effect::Hang { milliseconds, when } => {
                Some(Self::Hang { time: Duration::from_millis(*milliseconds), when: *when })
            }
            Effect::Cut { when } => Some(Self::Cut { when: *when }),
            Effect::Slow { .. }
            | Effect::Hold { .. }
            | Effect::Fail { .. }
            | Effect::Cancel
            | Effect::LoseNotification
            | Effect::RepeatNotification { .. }
            | Effect::DelayNotification { .. }
            | Effect::NotifyBeforeAccepted
            | Effect::DropRequestId
            | Effect::ReplaceRequestId { .. } => None,
        }
    }

    pub(crate) fn when(&self) -> When {
        match self {
            Self::Answer { when, .. } | Self::Hang { when, .. } | Self::Cut { when } => *when,
        }
    }
}

/// Everything that applies to one import.
#[derive(Debug, Clone, Default)]
pub(crate) struct ImportEffects {
    pub slow: Duration,
    pub holds: Vec<(Point, RuleId)>,
    pub fail: Option<String>,
    pub cancel: bool,
    pub lose: bool,
    pub extra: u32,
    pub concurrently: bool,
    pub delay: Duration,
    pub before_accepted: bool,
    pub request_id: RequestIdEffect,
}

/// What happens to the id a notification goes with.
#[derive(Debug, Clone, Default)]
pub(crate) enum RequestIdEffect {
    #[default]
    Keep,
    Drop,
    Replace(String),
}

impl ImportEffects {
    pub(crate) fn add(&mut self, id: RuleId, effect: &Effect) {
        match effect {
            Effect::Slow { milliseconds } => self.slow = self.slow.max(Duration::from_millis(*milliseconds)),
            Effect::Hold { at } => self.holds.push((*at, id)),
            Effect::Fail { error } => self.fail = Some(error.clone()),
            Effect::Cancel => self.cancel = true,
            Effect::LoseNotification => self.lose = true,
            Effect::RepeatNotification { extra, concurrently } => {
                self.extra += extra;
                self.concurrently |= concurrently;
            }
            Effect::DelayNotification { milliseconds } => self.delay += Duration::from_millis(*milliseconds),
            Effect::NotifyBeforeAccepted => self.before_accepted = true,
            Effect::DropRequestId => self.request_id = RequestIdEffect::Drop,
            Effect::ReplaceRequestId { id } => self.request_id = RequestIdEffect::Replace(id.clone()),
            Effect::Answer { .. } | Effect::Hang { .. } | Effect::Cut { .. } => {}
        }
    }
}
