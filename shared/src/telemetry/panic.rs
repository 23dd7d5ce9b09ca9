use std::panic::PanicHookInfo;

/// Replaces the standard hook, whose lines on standard error are no JSON and name no request.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(log));
}

fn log(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let message = info.payload_as_str().unwrap_or("a panic without a text");
    tracing::error!(panic = message, location, "panicked");
}
