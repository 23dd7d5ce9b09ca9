use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Uri, header::HOST};
use lambda_http::{
    Request, RequestExt, aws_lambda_events::apigw::ApiGatewayV2httpRequest, lambda_runtime::LambdaEvent,
    request::LambdaRequest,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::web::Problem;

/// What a URI's query cannot hold as it stands.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The stage variable by which an event that makes no request is known. Stage variables come from the deployment and
/// never from a caller; this one is taken out of every event that makes one.
const IMPOSSIBLE: &str = "impossible";

/// Makes an event one that becomes a request for certain.
///
/// `lambda_http` builds a URI from the host, the path and the query of an event, and decodes the body. It panics where
/// that cannot be done, before a handler could answer: a caller's mistake would end as the function's error. So the
/// query is encoded as far as it has to be, which does not change what its parameters say; the host, of which nothing
/// here makes use, is left out; and where the path or the body still makes no request, an empty one takes its place,
/// which [`refusal`] refuses. A stage that stands in front of the path is taken off: no route begins with it.
pub(super) fn servable(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        if let Some(query) = &mut request.raw_query_string {
            *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
        }
        request.headers.remove(HOST);
        request.request_context.domain_name = None;
        take_stage_off(request);
        request.stage_variables.remove(IMPOSSIBLE);
        if let Some(why) = impossible(request) {
            request.raw_path = Some("/".to_owned());
            request.raw_query_string = None;
            request.body = None;
            request.stage_variables.insert(IMPOSSIBLE.to_owned(), why.to_owned());
        }
    }
    event
}

/// What is answered to an event that made no request of its own. None: it did.
pub(super) fn refusal(request: &Request) -> Option<Problem> {
    let variables = request.stage_variables_ref()?;
    variables.first(IMPOSSIBLE).map(|why| Problem::bad_request(why).of_kind("impossible-request"))
}

fn take_stage_off(request: &mut ApiGatewayV2httpRequest) {
    let Some(stage) = request.request_context.stage.take() else { return };
    let Some(path) = &mut request.raw_path else { return };
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage.as_str()));
    if let Some(rest) = rest.filter(|rest| rest.starts_with('/') && stage != "$default") {
        *path = rest.to_owned();
    }
}

/// Why the event makes no request.
fn impossible(request: &ApiGatewayV2httpRequest) -> Option<&'static str> {
    let path = request.raw_path.as_deref().unwrap_or_default();
    let query = request.raw_query_string.as_deref().unwrap_or_default();
    let encoded = Url::parse(&format!("http://localhost{path}")).ok();
    let uri = encoded.filter(|_| path.is_empty() || path.starts_with('/'));
    let uri = uri.and_then(|url| Uri::try_from(format!("{}?{query}", url.path())).ok());
    if uri.is_none() {
        return Some("the address is too long, or none that a request can have");
    }
    let body = request.body.as_deref().filter(|_| request.is_base64_encoded).unwrap_or_default();
    STANDARD.decode(body).is_err().then_some("the body is not the base64 that it is said to be")
}
