//! Which account, where, and with which key: from the options or a connection string.

use rivet_sdk::{Error, Result, Secret};

use crate::options::AzureOptions;

/// What a store is opened with.
#[derive(Debug)]
pub struct Account {
    pub endpoint: String,
    pub name: Option<String>,
    pub key: Option<Secret>,
    pub sas_token: Option<Secret>,
}

impl Account {
    /// The account that the options mean.
    pub fn of(options: &AzureOptions) -> Result<Self> {
        let mut account = match &options.connection_string {
            Some(text) => Self::parse(text.expose())?,
            None => Self {
                endpoint: String::new(),
                name: options.account_name.clone(),
                key: options.account_key.clone(),
                sas_token: options.sas_token.as_ref().map(|token| Secret::new(token.expose().trim_start_matches('?'))),
            },
        };
        if let Some(endpoint) = &options.endpoint {
            account.endpoint.clone_from(endpoint);
        }
        if account.endpoint.is_empty() {
            let name = account.name.as_deref().ok_or_else(|| {
                Error::config("neither `account_name` nor `endpoint` is given")
                    .with_hint("add the storage account's name")
            })?;
            account.endpoint = format!("https://{name}.blob.core.windows.net");
        }
        account.endpoint = account.endpoint.trim_end_matches('/').to_owned();
        Ok(account)
    }

    fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::config(format!("`connection_string`: {what}")).with_hint(
                "copy it from the storage account's page: DefaultEndpointsProtocol=…;AccountName=…;AccountKey=…",
            )
        };
        let mut account = Self { endpoint: String::new(), name: None, key: None, sas_token: None };
        let (mut protocol, mut suffix) = ("https", "core.windows.net");
        for pair in text.trim().split(';').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong("a part of it is not NAME=VALUE"))?;
            match name.trim().to_ascii_lowercase().as_str() {
                "accountname" => account.name = Some(value.to_owned()),
                "accountkey" => account.key = Some(Secret::new(value)),
                "sharedaccesssignature" => account.sas_token = Some(Secret::new(value.trim_start_matches('?'))),
                "blobendpoint" => account.endpoint = value.to_owned(),
                "defaultendpointsprotocol" => protocol = value,
                "endpointsuffix" => suffix = value,
                // Those of queues, tables and files are not ours.
                _ => {}
            }
        }
        if account.endpoint.is_empty()
            && let Some(name) = &account.name
        {
            account.endpoint = format!("{protocol}://{name}.blob.{suffix}");
        }
        if account.endpoint.is_empty() {
            return Err(wrong("it names neither an account nor a blob endpoint"));
        }
        if account.key.is_none() && account.sas_token.is_none() {
            return Err(wrong("it holds neither a key nor a shared access signature"));
        }
        Ok(account)
    }
}

/// What must not be printed of a shared access signature: the signature, as written and decoded.
pub fn signature_texts(token: &str) -> Vec<String> {
    let signature = token.split('&').find_map(|pair| pair.strip_prefix("sig="));
    let mut texts = vec![token.to_owned()];
    if let Some(signature) = signature {
        texts.push(signature.to_owned());
        texts.push(signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_says_everything() {
        let account = Account::parse(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
        )
        .unwrap();
        assert_eq!(account.endpoint, "https://a.blob.core.windows.net");
        assert_eq!(account.key.unwrap().expose(), "a2V5==");
        let account =
            Account::parse("BlobEndpoint=http://127.0.0.1:1/dev;SharedAccessSignature=sv=1&sig=x%2By").unwrap();
        assert_eq!(
            (account.endpoint.as_str(), account.sas_token.unwrap().expose()),
            ("http://127.0.0.1:1/dev", "sv=1&sig=x%2By")
        );
        for wrong in ["", "AccountName", "AccountName=a", "AccountKey=k"] {
            assert!(Account::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_signature_is_known_in_both_spellings() {
        assert_eq!(signature_texts("sv=1&sig=a%2Bb%3D"), ["sv=1&sig=a%2Bb%3D", "a%2Bb%3D", "a+b="]);
    }
}
