use std::sync::Arc;

use http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use tokio::time::Instant;

use super::{Problem, RequestId, json, respond};
use crate::budget::Budget;

/// One request, and what a function answers it with: `D` is what its handlers work with.
#[derive(Debug)]
pub struct Call<'a, D> {
    /// What the function's handlers work with.
    pub deps: &'a Arc<D>,
    /// What was asked.
    pub request: &'a Request,
    /// How long it may take.
    pub budget: Budget,
    /// The request's id.
    pub id: RequestId,
}

#[derive(Serialize)]
struct ServedAnswer<S, T> {
    served_by: S,
    #[serde(flatten)]
    answer: T,
}

impl<'a, D> Call<'a, D> {
    /// The call that `request` makes.
    pub fn new(deps: &'a Arc<D>, request: &'a Request, budget: Budget) -> Self {
        Self { deps, request, budget, id: RequestId::of(request) }
    }

    /// When the answer must be there.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.budget.deadline()
    }

    /// A 200 with `answer`, an object, and with who served it.
    pub fn ok(&self, served_by: impl Serialize, answer: impl Serialize) -> Response<Body> {
        json(StatusCode::OK, &ServedAnswer { served_by, answer }, &self.id)
    }

    /// Ends the call: the answer that was made, or its problem as an answer.
    pub fn respond(&self, outcome: Result<Response<Body>, Problem>) -> Response<Body> {
        respond(outcome, &self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use http::StatusCode;
    use lambda_http::{Body, Request};
    use serde_json::json;

    use super::Call;
    use crate::{
        budget::Budget,
        web::{Problem, RequestId},
    };

    #[test]
    fn answers_with_the_requests_id_and_who_served() {
        let (deps, request) = (Arc::new(()), Request::new(Body::Empty));
        let call =
            Call { id: RequestId::new("r-1"), ..Call::new(&deps, &request, Budget::of(Duration::ZERO)) };
        let answer = call.respond(Ok(call.ok("writer", json!({"version": 3}))));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["x-request-id"], "r-1");
        assert_eq!(&answer.body()[..], br#"{"served_by":"writer","version":3}"#);
        let answer = call.respond(Err(Problem::unknown_repository()));
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.headers()["x-request-id"], "r-1");
    }
}
