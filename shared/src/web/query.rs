use std::{fmt::Display, ops::RangeInclusive};

use lambda_http::{Request, RequestExt};

use super::{Problem, shown};

/// A request's query parameters. A parameter the route does not know is refused: a misspelt `min_version`
/// that is silently ignored would show its caller an older row.
#[derive(Clone, Debug)]
pub struct Query {
    values: Vec<(String, String)>,
}

impl Query {
    /// Takes the parameters of `request`, all of which must be in `known`, each once.
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn of(request: &Request, known: &[&str]) -> Result<Self, Problem> {
        let parameters = request.query_string_parameters();
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in parameters.iter() {
            if !known.contains(&name) {
                return Err(Problem::bad_request(format!("unknown query parameter {}", shown(name))));
            }
            if values.iter().any(|(seen, _)| seen == name) {
                return Err(Problem::bad_request(format!("query parameter {name} is given more than once")));
            }
            values.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self { values })
    }

    /// The parameter `name`, read by `parse` (`str::parse::<u64>`, `State::parse`, …); `None` when it is not
    /// given.
    ///
    /// # Errors
    /// A 400 that names the parameter and says what `parse` has against its value.
    pub fn get<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let Some((_, value)) = self.values.iter().find(|(given, _)| given == name) else {
            return Ok(None);
        };
        let refuse = |error: E| Problem::bad_request(format!("query parameter {name} is wrong: {error}"));
        parse(value).map(Some).map_err(refuse)
    }
}

/// Reads a whole number in `range`, for [`Query::get`].
pub fn number(range: RangeInclusive<i64>) -> impl FnOnce(&str) -> Result<i64, String> {
    move |text| {
        let outside = || format!("must be a whole number between {} and {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(outside)
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::{Request, RequestExt, aws_lambda_events::query_map::QueryMap};

    use super::{Query, number};
    use crate::migration::State;

    fn query(text: &str) -> Result<Query, String> {
        let parameters: QueryMap = text.parse().unwrap();
        let request = Request::default().with_query_string_parameters(parameters);
        Query::of(&request, &["min_version", "state"]).map_err(|problem| problem.message())
    }

    #[test]
    fn a_parameter_is_read_as_its_type() {
        let query = query("min_version=7&state=pre_importing").unwrap();
        assert_eq!(query.get("min_version", str::parse::<u64>), Ok(Some(7)));
        assert_eq!(query.get("state", State::parse), Ok(Some(State::PreImporting)));
    }

    #[test]
    fn a_parameter_that_is_not_given_is_none() {
        assert_eq!(query("").unwrap().get("min_version", str::parse::<u64>), Ok(None));
    }

    #[test]
    fn a_wrong_value_is_refused_by_the_parameters_name() {
        for (text, name) in [
            ("min_version=x", "min_version"),
            ("min_version=-1", "min_version"),
            ("min_version=", "min_version"),
        ] {
            let problem = query(text).unwrap().get(name, str::parse::<u64>).unwrap_err();
            assert!(problem.message().starts_with("400 Bad request - query parameter min_version"), "{text}");
        }
        let problem = query("state=done").unwrap().get("state", State::parse).unwrap_err();
        assert!(problem.message().contains("query parameter state"), "{}", problem.message());
    }

    #[test]
    fn a_number_is_refused_in_words_and_with_its_range() {
        for (text, read) in [
            ("0", Ok(0)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-1", Err(())),
            ("-0", Ok(0)),
            ("9223372036854775808", Err(())),
            ("1.0", Err(())),
            ("1e3", Err(())),
            (" 1", Err(())),
            ("", Err(())),
            ("١", Err(())),
            ("1%00", Err(())),
        ] {
            let given = query(&format!("min_version={text}")).unwrap();
            let outcome = given.get("min_version", number(0..=i64::MAX)).map(Option::unwrap);
            let message = outcome.as_ref().map_or_else(super::Problem::message, |_| String::new());
            assert_eq!(outcome.map_err(|_| ()), read, "{text:?}");
            let says = "is wrong: must be a whole number between 0 and 9223372036854775807";
            assert_eq!(message.ends_with(says), read.is_err(), "{text:?}: {message}");
        }
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_refused_by_its_name() {
        assert!(query("min_versoin=7").unwrap_err().contains("min_versoin"));
        assert!(query("state=default&state=importing").unwrap_err().contains("state"));
    }
}
