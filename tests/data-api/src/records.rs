//! The rows of a result as the JSON text of the answer, written as they come and bounded in size.

use tokio_postgres::Column;

use crate::error::ApiError;
use crate::execute::Format;
use crate::field::Field;

/// What a row, and each of its columns, counts beside its values.
const ROW: usize = 2;
const COLUMN: usize = 4;

/// The rows so far.
pub(crate) struct Records<'a> {
    columns: &'a [Column],
    format: Format,
    largest: usize,
    size: usize,
    rows: usize,
    text: String,
}

impl<'a> Records<'a> {
    pub(crate) fn new(columns: &'a [Column], format: Format, largest: usize) -> Self {
        Self { columns, format, largest, size: 0, rows: 0, text: "[".to_owned() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `UnsupportedResultException`: the result is larger than it may be.
    pub(crate) fn add(&mut self, row: &[Field]) -> Result<(), ApiError> {
        self.size += ROW + row.iter().map(|field| COLUMN + field.text_size()).sum::<usize>();
        if self.size > self.largest {
            return Err(ApiError::too_large());
        }
        if self.rows > 0 && self.format != Format::Nothing {
            self.text.push(',');
        }
        self.rows += 1;
        match self.format {
            Format::Nothing => {}
            Format::Records => {
                self.text.push('[');
                for (index, field) in row.iter().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    field.write_wire(&mut self.text);
                }
                self.text.push(']');
            }
            Format::Json(largest) => {
                self.text.push('{');
                for (index, (column, field)) in self.columns.iter().zip(row).enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.text.push_str(&serde_json::json!(column.name()).to_string());
                    self.text.push(':');
                    field.write_plain(&mut self.text);
                }
                self.text.push('}');
                if self.text.len() >= largest {
                    return Err(ApiError::unsupported_result("Formatted records exceeded size limit"));
                }
            }
        }
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    /// `UnsupportedResultException` for two columns of one label where labels are keys.
    pub(crate) fn finish(mut self) -> Result<String, ApiError> {
        if let Format::Json(_) = self.format {
            for (index, column) in self.columns.iter().enumerate() {
                let label = column.name();
                if self.columns[..index].iter().any(|other| other.name() == label) {
                    return Err(ApiError::unsupported_result(format!(
                        "The result set contains duplicate column label {label}: use an alias"
                    )));
                }
            }
        }
        self.text.push(']');
        Ok(self.text)
    }
}
