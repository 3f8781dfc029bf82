//! Keeps secrets out of everything this process prints or stores.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use rivet_sdk::{Error, Secret};

static SECRETS: Mutex<Vec<Secret>> = Mutex::new(Vec::new());

/// From now on, [`clean`] hides these texts.
pub fn remember(secrets: impl IntoIterator<Item = Secret>) {
    let mut known = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        for text in rivet_sdk::secret_texts(secret.expose()) {
            let secret = Secret::new(text);
            if !known.contains(&secret) {
                known.push(secret);
            }
        }
    }
    // The longest first: a secret may contain another.
    known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
}

/// `text` without any secret that was ever remembered.
pub fn clean(text: &str) -> Cow<'_, str> {
    let known = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(Cow::Borrowed(text), |text, secret| match secret.redact(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(cleaned) => Cow::Owned(cleaned),
    })
}

/// An error without secrets.
pub fn clean_error(error: Error) -> Error {
    error.map_texts(|text| clean(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_secrets_disappear_longest_first() {
        remember([Secret::new("abcd"), Secret::new("abcdefgh"), Secret::new("postgres://me:s%40cret@h/d")]);
        assert_eq!(clean("abcdefgh abcd s@cret s%40cret"), "*** *** *** ***");
    }
}
