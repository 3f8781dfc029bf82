//! What S3's codes mean to a user.

use rivet_sdk::ErrorKind;
use rivet_store_core::{Advice, ErrorMessages, Operation, StoreError};

pub(crate) const ERROR_MESSAGES: ErrorMessages = ErrorMessages {
    bucket: "bucket",
    permission,
    credentials: "give access_key_env and secret_key_env, `aws_profile`, or the AWS_* variables",
    advise,
};

fn permission(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "s3:PutObject (and kms:GenerateDataKey for a KMS key)",
        Operation::Read => "s3:GetObject (and s3:ListBucket, without which a missing object looks forbidden)",
        Operation::Look => "s3:GetObject and s3:ListBucket (without the latter a missing object looks forbidden)",
        Operation::List => "s3:ListBucket",
        Operation::Delete => "s3:DeleteObject",
        Operation::Abort => "s3:AbortMultipartUpload",
        Operation::ListUploads => "s3:ListBucketMultipartUploads",
    }
}

fn advise(store_error: &StoreError, _: Operation) -> Option<Advice> {
    let advice = |kind, hint: String| Some(Advice { kind, hint });
    match store_error.code.as_str() {
        "InvalidAccessKeyId" => {
            advice(ErrorKind::Auth, "the store does not know this access key; check it, and `endpoint`".into())
        }
        "SignatureDoesNotMatch" => {
            advice(ErrorKind::Auth, "the secret key does not belong to the access key; check both".into())
        }
        "ExpiredToken" | "TokenRefreshRequired" | "RequestExpired" => {
            advice(ErrorKind::Auth, "the temporary credentials have expired; get new ones".into())
        }
        "InvalidToken" => advice(ErrorKind::Auth, "the session token is not one of these keys".into()),
        "RequestTimeTooSkewed" => {
            advice(ErrorKind::Auth, "this machine's clock differs too much from the store's; set it".into())
        }
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => {
            let hint = match &store_error.region {
                Some(region) => format!("the bucket is in another region: give `region: {region}`"),
                None => {
                    "the bucket is in another region, or this is not its endpoint; check `region` and `endpoint`".into()
                }
            };
            advice(ErrorKind::Config, hint)
        }
        "InvalidBucketName" => advice(ErrorKind::Config, "this cannot be a bucket's name; check `bucket`".into()),
        "InvalidStorageClass" => advice(ErrorKind::Config, "the store has no such class; check `storage_class`".into()),
        "EntityTooSmall" | "InvalidPart" => {
            advice(ErrorKind::Other, "the store wants parts of one size; raise `transfer: {part_size_mb: …}`".into())
        }
        _ if matches!(store_error.status, 301 | 307) => advice(
            ErrorKind::Config,
            match &store_error.region {
                Some(region) => format!("the bucket is in another region: give `region: {region}`"),
                None => "check `region` and `endpoint`".into(),
            },
        ),
        _ => None,
    }
}
