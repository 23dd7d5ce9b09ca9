use http::Method;
use lambda_http::Request;

use super::Problem;

/// Checks that the request has the one method that its address knows.
///
/// # Errors
/// 405 that names that method.
pub fn expect_method(request: &Request, expected: &Method) -> Result<(), Problem> {
    if request.method() == expected { Ok(()) } else { Err(Problem::method_not_allowed(expected.as_str())) }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use lambda_http::Request;

    use super::expect_method;
    use crate::web::RequestId;

    #[test]
    fn another_method_is_refused_and_the_right_one_named() {
        for method in
            [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS]
        {
            let mut request = Request::default();
            *request.method_mut() = method;
            let problem = expect_method(&request, &Method::PUT).unwrap_err();
            let response = problem.into_response(&RequestId::new("r"));
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()["allow"], "PUT");
        }
        let mut request = Request::default();
        *request.method_mut() = Method::PUT;
        assert!(expect_method(&request, &Method::PUT).is_ok());
    }
}
