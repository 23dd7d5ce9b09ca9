use http::header::HOST;
use lambda_http::{lambda_runtime::LambdaEvent, request::LambdaRequest};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a URI's query cannot hold as it stands.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Makes an event one that becomes a request for certain.
///
/// `lambda_http` builds a URI from the host, the path and the query of an event and panics where that makes
/// none, before a handler could answer: a caller's mistake would end as the function's error. So the query is
/// encoded as far as it has to be, which does not change what its parameters say, and the host, of which
/// nothing here makes use, is left out.
pub(super) fn servable(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        if let Some(query) = &mut request.raw_query_string {
            *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
        }
        request.headers.remove(HOST);
        request.request_context.domain_name = None;
    }
    event
}
