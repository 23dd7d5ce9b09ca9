//! An IAM token instead of a password: a presigned request for `rds-db:connect`, good for 15 minutes.
//! By hand, since the SDK has it only in the crate of all of RDS, which is much to build; the signing is the SDK's.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use secrecy::SecretString;

/// How long a token opens connections; the most that RDS takes. A connection outlives it.
const LIFE: Duration = Duration::from_secs(900);

/// The token could not be made. The signer's own words would hold the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no IAM token could be signed for this server and user")]
pub(crate) struct Unsigned;

/// What a token is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRequest<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) region: &'a str,
}

impl TokenRequest<'_> {
    /// Signs with `credentials` as of `now`.
    pub(crate) fn sign(&self, credentials: Credentials, now: SystemTime) -> Result<SecretString, Unsigned> {
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.expires_in = Some(LIFE);
        settings.signature_location = SignatureLocation::QueryParams;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("rds-db")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|_| Unsigned)?
            .into();
        let Self { host, port, user, .. } = self;
        let mut url = url::Url::parse(&format!("https://{host}:{port}/")).map_err(|_| Unsigned)?;
        url.query_pairs_mut().append_pair("Action", "connect").append_pair("DBUser", user);
        let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))
            .map_err(|_| Unsigned)?;
        let (instructions, _) = sign(request, &params).map_err(|_| Unsigned)?.into_parts();
        for (name, value) in instructions.params() {
            url.query_pairs_mut().append_pair(name, value);
        }
        Ok(url.as_str().trim_start_matches("https://").into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_credential_types::Credentials;
    use secrecy::ExposeSecret;

    use super::TokenRequest;

    fn token(user: &str, secret: &str, session: Option<&str>, at: u64) -> String {
        let request = TokenRequest {
            host: "prod-instance.us-east-1.rds.amazonaws.com",
            port: 3306,
            user,
            region: "us-east-1",
        };
        let credentials = Credentials::new("akid", secret, session.map(str::to_owned), None, "test");
        let now = UNIX_EPOCH + Duration::from_secs(at);
        request.sign(credentials, now).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn the_rust_sdks_published_vector_is_met_to_the_letter() {
        assert_eq!(
            token("peccy", "secret", None, 1_724_709_600),
            "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy\
             &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%2Faws4_request\
             &X-Amz-Date=20240826T220000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89"
        );
    }

    #[test]
    fn botocores_published_vector_is_met_in_its_signature() {
        let token = token("someusername", "skid", None, 1_478_540_373);
        assert!(token.contains("&X-Amz-Date=20161107T173933Z&"), "{token}");
        assert!(
            token.ends_with(
                "&X-Amz-Signature=d1138cdbc0ca63eec012ec0fc6c2267e03642168f5884a7795320d4c18374c61"
            ),
            "{token}"
        );
    }

    #[test]
    fn the_functions_session_token_is_part_of_what_is_signed() {
        let with = token("peccy", "secret", Some("session/+="), 1_724_709_600);
        assert!(with.contains("&X-Amz-Security-Token=session%2F%2B%3D"), "{with}");
        assert!(!with.contains("dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89"));
    }

    #[test]
    fn a_server_that_is_no_name_has_no_token() {
        let request = TokenRequest { host: "two words", port: 1, user: "u", region: "r" };
        let credentials = Credentials::new("akid", "secret", None, None, "test");
        assert!(request.sign(credentials, UNIX_EPOCH).is_err());
    }
}
