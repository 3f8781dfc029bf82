//! Who one is to Google: service accounts, users and machines, and the tokens that they get.

use std::sync::Arc;

use rivet_tests::cloud::{self, Answer, Front, Request, answer};
use rivet_tests::rivet::Output;
use rivet_tests::signatures;
use rivet_tests::stores::{self, Kind, Place};
use serde_json::{Value, json};
use tempfile::TempDir;

const GOOGLE: &str = "https://oauth2.googleapis.com/token";
const TOKEN: &str = "hush-access-token";

/// Google's store for whoever bears the token, and a place there.
fn store() -> (Front, Place) {
    let front = cloud::front(|request| signatures::gcs(request, TOKEN));
    let place = Place { endpoint: front.url(), ..stores::place(Kind::Gcs) };
    (front, place)
}

/// A service account's key.
struct Account(TempDir);

impl Account {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        cloud::openssl(folder.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem");
        cloud::openssl(folder.path(), "pkey -in key.pem -pubout -out public.pem");
        Self(folder)
    }

    /// The JSON file that Google's console would give.
    fn file(&self, token_uri: &str) -> String {
        let key = std::fs::read_to_string(self.0.path().join("key.pem")).unwrap();
        json!({"type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": key,
               "client_email": "writer@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_uri})
        .to_string()
    }

    /// The claims of a JWT that this key has signed; panics if it has not.
    fn claims(&self, jwt: &str) -> Value {
        let [header, claims] = cloud::verified(self.0.path(), jwt);
        assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &json!("k1")));
        claims
    }
}

fn granted() -> Answer {
    answer(200, json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}).to_string())
}

/// Gives the token for what `account` has signed, as `address` does.
fn exchange(request: &Request, account: &Account, address: &str) -> Answer {
    let form = request.form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let claims = account.claims(&form["assertion"]);
    assert_eq!(claims["iss"], "writer@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], address);
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/devstorage.read_write");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    granted()
}

/// Runs with `file` in the project's folder, and in one of gcloud's.
fn run(place: &Place, credentials: &str, file: &str, environment: &[(&str, &str)]) -> Output {
    let export = stores::export(&place.yaml_as(credentials, ""));
    export.project.write("key.json", file);
    export.project.write("gcloud/application_default_credentials.json", file);
    export.run(environment)
}

#[track_caller]
fn works(place: &Place, credentials: &str, file: &str, environment: &[(&str, &str)]) {
    let output = run(place, credentials, file, environment);
    assert_eq!(output.code, Some(0), "{output}");
    Place { endpoint: Kind::Gcs.setting("ENDPOINT"), prefix: place.prefix.clone(), kind: Kind::Gcs }
        .assert_holds(3, credentials);
}

#[track_caller]
fn fails(place: &Place, credentials: &str, file: &str, environment: &[(&str, &str)], says: &[&str]) {
    let output = run(place, credentials, file, environment);
    assert_eq!(output.code, Some(1), "{output}");
    output.says(says).says(&["gs://rivet/", "hint:"]).never_says(TOKEN).never_says("hush").never_says("PRIVATE KEY");
}

/// An account, and who exchanges what it signs.
fn tokens() -> (String, Front) {
    let account = Arc::new(Account::new());
    let known = Arc::clone(&account);
    let front = cloud::front(move |request| exchange(request, &known, &format!("http://{}/token", request.host)));
    (account.file(&format!("{}/token", front.url())), front)
}

#[test]
fn a_service_accounts_file_is_exchanged_where_it_says() {
    let (file, tokens) = tokens();
    for (credentials, environment) in [
        ("credentials_file: key.json", vec![]),
        ("credentials_env: C", vec![("C", file.as_str())]),
        ("", vec![("GOOGLE_APPLICATION_CREDENTIALS", "{folder}/key.json")]),
        ("", vec![("CLOUDSDK_CONFIG", "{folder}/gcloud")]),
    ] {
        let before = tokens.seen().len();
        works(&store().1, credentials, &file, &environment);
        assert!(tokens.seen().len() > before, "{credentials} {environment:?}");
    }
}

#[test]
fn googles_own_address_is_asked_as_it_is() {
    let account = Arc::new(Account::new());
    let known = Arc::clone(&account);
    let google = cloud::front(move |request| {
        assert_eq!((&request.host[..], &request.path[..]), ("oauth2.googleapis.com", "/token"));
        exchange(request, &known, GOOGLE)
    });
    let variables = google.as_proxy();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let trusting = format!("transfer: {{ca_file: '{}'}}, credentials_file: key.json", cloud::authority().display());
    works(&store().1, &trusting, &account.file(GOOGLE), &variables);
}

/// What `gcloud auth application-default login` writes.
fn user(address: &str) -> String {
    json!({"type": "authorized_user", "client_id": "me", "client_secret": "hush-client-secret",
           "refresh_token": "hush/refresh-token", "token_uri": address})
    .to_string()
}

#[test]
fn a_users_login_is_refreshed() {
    let tokens = cloud::front(|request| {
        let form = request.form();
        let given = ["grant_type", "client_id", "client_secret", "refresh_token"].map(|name| form[name].as_str());
        assert_eq!(given, ["refresh_token", "me", "hush-client-secret", "hush/refresh-token"]);
        granted()
    });
    let file = user(&tokens.url());
    works(&store().1, "credentials_file: key.json", &file, &[]);
    let place = store().1;
    let export = stores::export(&place.yaml_as("", ""));
    export.project.write(".config/gcloud/application_default_credentials.json", &file);
    let output = export.run(&[]);
    assert_eq!(output.code, Some(0), "{output}");
}

/// Workload identity federation: another issuer's token becomes one of Google's.
#[test]
fn a_federated_identity_is_exchanged() {
    let tokens = cloud::front(|request| {
        let form = request.form();
        assert_eq!(
            (&form["subject_token"][..], &form["audience"][..]),
            ("hush-who-this-pod-is", "//iam.googleapis.com/pool")
        );
        granted()
    });
    let file = json!({"type": "external_account", "audience": "//iam.googleapis.com/pool",
                      "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": tokens.url(),
                      "credential_source": {"file": "identity"}});
    let place = store().1;
    let export = stores::export(&place.yaml_as("", ""));
    export.project.write("key.json", file.to_string());
    export.project.write("identity", "hush-who-this-pod-is");
    let output = export.run(&[("GOOGLE_APPLICATION_CREDENTIALS", "{folder}/key.json")]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!tokens.seen().is_empty());
}

#[test]
fn a_machine_has_a_service_account() {
    let metadata = cloud::front(|request| match request.path.as_str() {
        "/computeMetadata/v1/instance/service-accounts/default/token"
            if request.header("metadata-flavor") == "Google" =>
        {
            granted()
        }
        _ => answer(403, "missing the Metadata-Flavor header"),
    });
    let host = metadata.url().replace("http://", "");
    works(&store().1, "", "{}", &[("GCE_METADATA_HOST", &host)]);
    let named = cloud::front(|request| {
        assert_eq!(request.host, "metadata.google.internal");
        granted()
    });
    let variables = named.as_proxy();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("GCE_METADATA_HOST", "metadata.google.internal"));
    works(&store().1, "", "{}", &variables);
}

#[test]
fn what_is_refused_is_told_and_not_shown() {
    let refusing = |status: u16, error: &'static str, text: &'static str| {
        cloud::front(move |request| {
            let form = request.form();
            // A service that repeats what it was told in confidence.
            let given = form.get("refresh_token").or(form.get("assertion")).unwrap();
            answer(status, json!({"error": error, "error_description": format!("{text} {given}")}).to_string())
        })
    };
    let account = Account::new();
    let expired = refusing(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)");
    let file = account.file(&expired.url());
    let says = ["credentials_file: 127.0.0.1:", "status 400", "invalid_grant: Invalid JWT", "correct what was refused"];
    fails(&store().1, "credentials_file: key.json", &file, &[], &says);
    let signed = expired.seen()[0].form()["assertion"].clone();
    run(&store().1, "credentials_file: key.json", &file, &[]).never_says(&signed[..40]);

    let revoked = refusing(400, "invalid_grant", "Token has been expired or revoked.");
    fails(
        &store().1,
        "credentials_file: key.json",
        &user(&revoked.url()),
        &[],
        &["invalid_grant: Token has been expired"],
    );
    // The environment's file is refused: the machine's own account must not take its place.
    let metadata = cloud::front(|_| granted());
    let host = metadata.url().replace("http://", "");
    let environment = [("GOOGLE_APPLICATION_CREDENTIALS", "{folder}/key.json"), ("GCE_METADATA_HOST", &host)];
    fails(
        &store().1,
        "",
        &user(&revoked.url()),
        &environment,
        &["GOOGLE_APPLICATION_CREDENTIALS: 127.0.0.1:", "invalid_grant"],
    );
    assert!(metadata.seen().is_empty());

    fails(
        &store().1,
        "credentials_file: key.json",
        &user("http://127.0.0.1:9/token"),
        &[],
        &["no connection to http://127.0.0.1:9"],
    );
    let broken = file.replace("MII", "hush");
    fails(&store().1, "credentials_file: key.json", &broken, &[], &["`private_key` is not an RSA key"]);
    let old = cloud::front(|_| answer(200, json!({"access_token": "hush-old-token", "expires_in": 3600}).to_string()));
    fails(&store().1, "credentials_file: key.json", &user(&old.url()), &[], &["authError", "have expired"]);
    fails(
        &store().1,
        "",
        "{}",
        &[],
        &["the machine's service account: no connection to http://127.0.0.1:9", "credentials_file"],
    );
}
