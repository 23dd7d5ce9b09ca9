use crate::config;

config! {
    /// How a function on a schedule repeats its round.
    pub struct ScheduleConfig {
        /// No round is begun later than so many seconds after the run; 0: one round.
        pub repeat_seconds: Option<u64> = optional "REPEAT_SECONDS",
    }
}
