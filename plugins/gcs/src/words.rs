//! What Google Cloud Storage's reasons mean to a user.

use rivet_sdk::ErrorKind;
use rivet_store_core::{Advice, Doing, Refusal, Words};

pub(crate) const WORDS: Words = Words {
    bucket: "bucket",
    permission,
    credentials: "give `credentials_file`, or log in with `gcloud auth application-default login`",
    advise,
};

fn permission(doing: Doing) -> &'static str {
    match doing {
        Doing::Write => "storage.objects.create (and .delete, to replace an object)",
        Doing::Read | Doing::Look => "storage.objects.get",
        Doing::List => "storage.objects.list",
        Doing::Delete => "storage.objects.delete",
        Doing::Abort => "storage.multipartUploads.abort",
        Doing::ListUploads => "storage.multipartUploads.list",
    }
}

fn advise(refusal: &Refusal, _: Doing) -> Option<Advice> {
    let advice = |kind, hint: &str| Some(Advice { kind, hint: hint.to_owned() });
    match (refusal.status, refusal.code.as_str()) {
        (401, _) => advice(ErrorKind::Auth, "the credentials are wrong or have expired; a `token` lives for an hour"),
        (403, "accountDisabled" | "userProjectAccountProblem") => {
            advice(ErrorKind::Permission, "the project's billing is off; ask its owner")
        }
        _ => None,
    }
}
