//! SQL text as the Data API reads it: how many statements, which kind, which named parameters.

mod lexer;
mod placeholders;
mod statement;

pub(crate) use placeholders::rewrite;
pub(crate) use statement::{Statement, Verb, read};
