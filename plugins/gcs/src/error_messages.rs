//! What Google Cloud Storage's reasons mean to a user.

use rivet_sdk::ErrorKind;
use rivet_store_core::{Advice, ErrorMessages, Operation, StoreError};

pub(crate) const ERROR_MESSAGES: ErrorMessages = ErrorMessages {
    bucket: "bucket",
    permission,
    credentials: "give `credentials_file`, or log in with `gcloud auth application-default login`",
    advise,
};

fn permission(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "storage.objects.create (and .delete, to replace an object)",
        Operation::Read | Operation::Look => "storage.objects.get",
        Operation::List => "storage.objects.list",
        Operation::Delete => "storage.objects.delete",
        Operation::Abort => "storage.multipartUploads.abort",
        Operation::ListUploads => "storage.multipartUploads.list",
    }
}

fn advise(store_error: &StoreError, _: Operation) -> Option<Advice> {
    let advice = |kind, hint: &str| Some(Advice { kind, hint: hint.to_owned() });
    match (store_error.status, store_error.code.as_str()) {
        (401, _) => advice(ErrorKind::Auth, "the credentials are wrong or have expired; a `token` lives for an hour"),
        (403, "accountDisabled" | "userProjectAccountProblem") => {
            advice(ErrorKind::Permission, "the project's billing is off; ask its owner")
        }
        _ => None,
    }
}
