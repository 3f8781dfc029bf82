//! Each way to say who we are to a store, and what is told where it is not enough.

use rivet_tests::rivet;
use rivet_tests::stores::{self, Kind, Place};

/// Runs an export of three rows to `place` with these credentials.
fn run(place: &Place, credentials: &str, environment: &[(&str, &str)]) -> rivet::Output {
    let export = stores::export(&place.yaml_as(credentials, ""));
    let (key, secret) = (Kind::S3.setting("ACCESS_KEY"), Kind::S3.setting("SECRET_KEY"));
    export.project.write("credentials", format!("[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n\n[mine]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"));
    export.project.write("broken.json", "{\"type\": \"service_account\"");
    export.run(environment)
}

#[track_caller]
fn works(kind: Kind, credentials: &str, environment: &[(&str, &str)]) {
    let place = stores::place(kind);
    let output = run(&place, credentials, environment);
    assert_eq!(output.code, Some(0), "{output}");
    place.assert_holds(3, credentials);
}

#[track_caller]
fn fails(kind: Kind, credentials: &str, environment: &[(&str, &str)], says: &[&str]) -> rivet::Output {
    let output = run(&stores::place(kind), credentials, environment);
    assert!(output.code.is_some_and(|code| code != 0), "{output}");
    output.says(says).says(&["hint:"]);
    output
}

#[test]
fn s3_takes_keys_from_options_environment_and_profile() {
    let (key, secret) = (Kind::S3.setting("ACCESS_KEY"), Kind::S3.setting("SECRET_KEY"));
    works(Kind::S3, "access_key_env: A, secret_key_env: B", &[("A", &key), ("B", &secret)]);
    works(Kind::S3, "", &[("AWS_ACCESS_KEY_ID", &key), ("AWS_SECRET_ACCESS_KEY", &secret)]);
    works(Kind::S3, "aws_profile: mine", &[("AWS_SHARED_CREDENTIALS_FILE", "{folder}/credentials")]);
    works(Kind::S3, "checksum: md5, access_key_env: A, secret_key_env: B", &[("A", &key), ("B", &secret)]);
    fails(
        Kind::S3,
        "aws_profile: default",
        &[("AWS_SHARED_CREDENTIALS_FILE", "{folder}/credentials")],
        &["access key"],
    );
}

#[test]
fn s3_says_what_is_missing_of_a_profile() {
    let files = [("AWS_SHARED_CREDENTIALS_FILE", "{folder}/credentials")];
    fails(Kind::S3, "aws_profile: nobodys", &files, &["the profile `nobodys` is not there", "s3://rivet/"]);
}

#[test]
fn s3_without_credentials_says_where_they_come_from() {
    fails(Kind::S3, "", &[], &["no credentials", "access_key_env"]);
    fails(Kind::S3, "access_key_env: A", &[("A", "x")], &["belong together"]);
}

#[test]
fn azure_takes_a_key_a_connection_string_or_a_signature() {
    let (account, key, endpoint) =
        (Kind::Azure.setting("ACCOUNT"), Kind::Azure.setting("KEY"), Kind::Azure.setting("ENDPOINT"));
    works(Kind::Azure, &format!("account_name: {account}, account_key_env: K"), &[("K", &key)]);
    let connection = format!("AccountName={account};AccountKey={key};BlobEndpoint={endpoint};");
    works(Kind::Azure, "connection_string_env: C", &[("C", &connection)]);
    let signature = stores::azure_sas("racwdl", "2099-01-01T00:00:00Z");
    works(Kind::Azure, "sas_token_env: S", &[("S", &signature)]);
    works(Kind::Azure, "sas_token_env: S", &[("S", &format!("?{signature}"))]);
}

#[test]
fn azure_signatures_that_are_not_enough_are_told_and_not_shown() {
    for (permissions, expiry, says) in [
        ("rl", "2099-01-01T00:00:00Z", "Contributor"),
        ("racwdl", "2021-01-01T00:00:00Z", "expired"),
        ("racwd", "2099-01-01T00:00:00Z", "Reader"),
    ] {
        let signature = stores::azure_sas(permissions, expiry);
        let output = fails(Kind::Azure, "sas_token_env: S", &[("S", &signature)], &["az://rivet/", says]);
        let secret = signature.split("sig=").nth(1).unwrap();
        output.never_says(secret).never_says(&secret.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
    }
    fails(Kind::Azure, "account_name: nobody, account_key_env: K", &[("K", "not base64!")], &["base64"])
        .never_says("not base64!");
    fails(Kind::Azure, "connection_string_env: C", &[("C", "AccountName=x")], &["connection_string"]);
}

#[test]
fn gcs_says_what_is_wrong_with_its_credentials() {
    let token = Kind::Gcs.setting("TOKEN");
    works(Kind::Gcs, "token_env: T", &[("T", &token)]);
    fails(Kind::Gcs, "token_env: T", &[("T", "expired-token")], &["gs://rivet/", "expired"])
        .never_says("expired-token");
    fails(Kind::Gcs, "credentials_file: '/no/such/file.json'", &[], &["/no/such/file.json"]);
    fails(Kind::Gcs, "credentials_file: broken.json", &[], &["broken.json", "not JSON"]);
    fails(Kind::Gcs, "credentials_env: C", &[("C", "hush, no JSON")], &["`credentials`", "not JSON"])
        .never_says("hush");
    fails(Kind::Gcs, "token_env: T, allow_anonymous: true", &[("T", &token)], &["token and allow_anonymous"]);
}
