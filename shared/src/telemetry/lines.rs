use std::{fmt, io::Write};

use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

/// Writes each event as one JSON object on a line of its own: what Lambda's JSON log format and its level
/// filter read (an RFC 3339 `timestamp`, a `level`), the function, the event's fields, and beside them the
/// fields of the spans it happened in (`request_id` among them). Nothing is nested, so that every field can be
/// asked for by its bare name.
///
/// By hand, since the crates for it write a field twice where a span and its event both have it, or leave out the target.
pub(super) struct JsonLines<W> {
    function: &'static str,
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(function: &'static str, writer: W) -> Self {
        Self { function, writer }
    }
}

/// A span's fields, kept with the span.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.0.extend(fields.0.clone());
            }
        }
        event.record(&mut line);
        let mut line = line.0;
        line.entry("message").or_insert_with(|| json!(""));
        line.insert("timestamp".to_owned(), json!(format!("{:.3}", jiff::Timestamp::now())));
        line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
        line.insert("target".to_owned(), json!(event.metadata().target()));
        line.insert("function".to_owned(), json!(self.function));
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // One write per line keeps lines whole. A log that cannot be written has nowhere to be reported.
        let _ = self.writer.make_writer().write_all(text.as_bytes());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
}
