//! What is deployed: the template, and the schema that it applies.

mod apply_schema;
pub mod template;
