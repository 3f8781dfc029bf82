//! What Azure's codes mean to a user.

use rivet_sdk::ErrorKind;
use rivet_store_core::{Advice, ErrorMessages, Operation, StoreError};

pub(crate) const ERROR_MESSAGES: ErrorMessages = ErrorMessages {
    bucket: "container",
    permission,
    credentials: "give account_name with account_key_env, sas_token_env, or connection_string_env",
    advise,
};

fn permission(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "Storage Blob Data Contributor (a SAS: c and w)",
        Operation::Read | Operation::Look => "Storage Blob Data Reader (a SAS: r)",
        Operation::List | Operation::ListUploads => "Storage Blob Data Reader (a SAS: l, on the container)",
        Operation::Delete | Operation::Abort => "Storage Blob Data Contributor (a SAS: d)",
    }
}

fn advise(store_error: &StoreError, _: Operation) -> Option<Advice> {
    let advice = |kind, hint: &str| Some(Advice { kind, hint: hint.to_owned() });
    match store_error.code.as_str() {
        "AuthenticationFailed" | "InvalidAuthenticationInfo" => advice(
            ErrorKind::Auth,
            "check the account's name and key; a SAS may have expired; this machine's clock may be wrong",
        ),
        "AuthorizationFailure" => advice(
            ErrorKind::Permission,
            "the key may be another account's, the role too narrow; a SAS may have expired, the account's firewall may refuse this address",
        ),
        "ResourceNotFound" | "InvalidResourceName" | "OutOfRangeInput" => {
            advice(ErrorKind::Config, "a container's name has 3 to 63 lower-case letters, digits and dashes")
        }
        "AccountIsDisabled" => advice(ErrorKind::Permission, "the storage account is disabled"),
        _ => None,
    }
}
