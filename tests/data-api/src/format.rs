//! `formattedRecords`: the result set as one JSON text, an object per row.

use crate::error::ApiError;
use crate::execute::ResultSet;

/// The text, keys in the order of the columns.
///
/// # Errors
/// `UnsupportedResultException` for two columns of one label, and for a text above the limit.
pub(crate) fn records(result: &ResultSet, limit: usize) -> Result<String, ApiError> {
    for (index, label) in result.labels.iter().enumerate() {
        if result.labels[..index].contains(label) {
            return Err(ApiError::unsupported_result(format!(
                "The result set contains duplicate column label {label}: use an alias"
            )));
        }
    }
    let rows: Vec<String> = result
        .rows
        .iter()
        .map(|row| {
            let members: Vec<String> = result
                .labels
                .iter()
                .zip(row)
                .map(|(label, field)| format!("{}:{}", serde_json::json!(label), field.to_plain()))
                .collect();
            format!("{{{}}}", members.join(","))
        })
        .collect();
    let text = format!("[{}]", rows.join(","));
    if text.len() > limit {
        return Err(ApiError::unsupported_result("Formatted records exceeded size limit"));
    }
    Ok(text)
}
