use std::{fmt, str::FromStr};

/// The text is not an ARN of the service it should name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ARN of the service {service} (arn:<partition>:{service}:<region>:<account>:<resource>)")]
pub struct InvalidArn {
    service: &'static str,
}

macro_rules! arn {
    ($(#[$meta:meta])* $name:ident, $service:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// The ARN's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidArn;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_arn_of($service, text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidArn { service: $service })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

arn! {
    /// Names an Aurora cluster that the Data API serves.
    ClusterArn, "rds"
}

arn! {
    /// Names a secret in Secrets Manager.
    SecretArn, "secretsmanager"
}

fn is_arn_of(service: &str, text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [scheme, partition, named, region, account, resource] = parts[..] else {
        return false;
    };
    scheme == "arn"
        && named == service
        && [partition, region, account, resource].iter().all(|part| !part.is_empty())
        && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::{ClusterArn, SecretArn};

    #[test]
    fn an_arn_of_the_right_service_is_accepted() {
        for text in
            ["arn:aws:rds:eu-central-1:123456789012:cluster:writer", "arn:aws-cn:rds:cn-north-1:1:cluster:a"]
        {
            assert_eq!(text.parse::<ClusterArn>().unwrap().as_str(), text);
        }
        let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer";
        assert_eq!(secret.parse::<SecretArn>().unwrap().to_string(), secret);
    }

    #[test]
    fn another_services_arn_or_no_arn_is_refused() {
        for text in [
            "",
            "writer",
            "arn:aws:rds",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer",
            "arn:aws:rds:eu-central-1:123456789012:",
            "arn:aws:rds::123456789012:cluster:writer",
            "arn:aws:rds:eu-central-1:123456789012:cluster:writer\n",
        ] {
            assert!(text.parse::<ClusterArn>().is_err(), "{text:?}");
        }
    }
}
