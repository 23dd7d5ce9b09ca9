//! One fault on request.

use serde::{Deserialize, Serialize};

use crate::status::{Operation, Step};

/// One fault: where it applies, how often, and what happens.
///
/// As JSON: `{"repository":"group/image","step":"pre","times":1,"effect":{"kind":"lose_notification"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only this container repository; without it every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Only this step; without it both, and calls that belong to no step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// Only this call, for effects on an answer; without it every call. Effects on an import ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// How many times; without it until the rule is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

impl Rule {
    /// A rule that applies everywhere until it is removed.
    pub fn new(effect: Effect) -> Self {
        Self { repository: None, step: None, operation: None, times: None, effect }
    }

    /// Only for this container repository.
    #[must_use]
    pub fn repository(mut self, path: &str) -> Self {
        self.repository = Some(path.to_owned());
        self
    }

    /// Only for this step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    /// Only for this call.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// The import takes at least this long.
    Slow {
        /// How long.
        milliseconds: u64,
    },
    /// The import stops at a point until the rule is removed.
    Hold {
        /// Where.
        at: Point,
    },
    /// The import fails half way.
    Fail {
        /// The error it ends with.
        error: String,
    },
    /// Somebody else cancels the import half way.
    Cancel,
    /// The notification is not sent.
    LoseNotification,
    /// The notification is sent more than once, with the same body and id.
    RepeatNotification {
        /// How many more times.
        extra: u32,
        /// All at once instead of one after the other.
        #[serde(default)]
        concurrently: bool,
    },
    /// The notification is sent this much later. The import keeps its slot meanwhile.
    DelayNotification {
        /// How much.
        milliseconds: u64,
    },
    /// The 202 is only written when the notification has been sent and answered.
    NotifyBeforeAccepted,
    /// The notification goes without `X-Request-ID`.
    DropRequestId,
    /// The notification goes with another `X-Request-ID`, as a proxy may make one up.
    ReplaceRequestId {
        /// The id it goes with.
        id: String,
    },
    /// A call is answered with this.
    Answer {
        /// The HTTP status.
        status: u16,
        /// `errors[0].code`; without it the body is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// `errors[0].detail`; without it the usual one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// The body as it stands, instead of an error: to answer what is no JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// Whether the call has done its work by then.
        #[serde(default)]
        when: When,
    },
    /// A call is not answered for this long; then as if there had been no rule.
    Hang {
        /// How long.
        milliseconds: u64,
        /// Whether the call has done its work by then.
        #[serde(default)]
        when: When,
    },
    /// The connection is cut without an answer.
    Cut {
        /// Whether the call has done its work by then.
        #[serde(default)]
        when: When,
    },
}

/// Where an import stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// Half way through copying.
    Work,
    /// Between the status being stored and the notification being sent.
    Notification,
    /// After the notification was answered, before the slot is released.
    Release,
}

/// When an effect on an answer takes the call's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Nothing has been done: the call never reached the registry's inside.
    #[default]
    Before,
    /// The call has done its work, only its answer is not the one it gave.
    After,
}

impl Rule {
    /// Whether it applies now, here.
    pub(crate) fn fits(&self, path: Option<&str>, step: Option<Step>) -> bool {
        self.times != Some(0)
            && self.repository.as_deref().is_none_or(|wanted| path == Some(wanted))
            && self.step.is_none_or(|wanted| step == Some(wanted))
    }
}
