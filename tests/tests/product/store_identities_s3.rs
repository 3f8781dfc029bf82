//! Temporary keys for S3: from options, environment, files and the services that give them.

use rivet_tests::cloud::{self, Answer, Front, Request, answer};
use rivet_tests::rivet::Output;
use rivet_tests::signatures::{self, Keys, temporary};
use rivet_tests::stores::{self, Kind, Place};

/// S3 for whoever has these keys, and a place there.
fn store(keys: Keys) -> (Front, Place) {
    let front = cloud::front(move |request| signatures::s3(request, &keys));
    let place = Place { endpoint: front.url(), ..stores::place(Kind::S3) };
    (front, place)
}

fn run(place: &Place, credentials: &str, environment: &[(&str, &str)]) -> Output {
    let export = stores::export(&place.yaml_as(credentials, ""));
    let Keys { access, secret, token, .. } = temporary();
    let keys = format!(
        "aws_access_key_id = {access}\naws_secret_access_key = {secret}\naws_session_token = {}\n",
        token.unwrap()
    );
    export.project.write("credentials", format!("[mine]\n{keys}"));
    export.project.write("config", format!("[profile ours]\n{keys}"));
    export.project.write("identity", "who-this-pod-is");
    export.run(environment)
}

#[track_caller]
fn works(place: &Place, credentials: &str, environment: &[(&str, &str)]) {
    let output = run(place, credentials, environment);
    assert_eq!(output.code, Some(0), "{output}");
    Place { endpoint: Kind::S3.setting("ENDPOINT"), prefix: place.prefix.clone(), kind: Kind::S3 }
        .assert_holds(3, credentials);
}

#[track_caller]
fn fails(place: &Place, credentials: &str, environment: &[(&str, &str)], says: &[&str]) {
    let output = run(place, credentials, environment);
    assert_eq!(output.code, Some(AUTH), "{output}");
    output.says(says).says(&["s3://rivet/", "hint:"]);
    for secret in [temporary().secret, temporary().token.unwrap(), "who-this-pod-is".to_owned()] {
        output.never_says(&secret);
    }
}

const AUTH: i32 = 1;
const OPTIONS: &str = "access_key_env: A, secret_key_env: B, session_token_env: C";

#[test]
fn a_session_token_is_sent_and_signed_wherever_it_comes_from() {
    let Keys { access, secret, token, .. } = temporary();
    let token = token.unwrap();
    for (credentials, environment) in [
        (OPTIONS, vec![("A", &access[..]), ("B", &secret), ("C", &token)]),
        ("", vec![("AWS_ACCESS_KEY_ID", &access), ("AWS_SECRET_ACCESS_KEY", &secret), ("AWS_SESSION_TOKEN", &token)]),
        ("aws_profile: mine", vec![("AWS_SHARED_CREDENTIALS_FILE", "{folder}/credentials")]),
        ("aws_profile: ours", vec![("AWS_CONFIG_FILE", "{folder}/config")]),
        ("", vec![("AWS_PROFILE", "mine"), ("AWS_SHARED_CREDENTIALS_FILE", "{folder}/credentials")]),
    ] {
        let (front, place) = store(temporary());
        works(&place, credentials, &environment);
        assert!(front.seen().iter().all(|request| request.header("x-amz-security-token") == token));
    }
}

#[test]
fn a_session_token_that_is_wrong_or_missing_or_old_is_told_and_not_shown() {
    let Keys { access, secret, token, .. } = temporary();
    let (_front, place) = store(temporary());
    let keys = [("A", &access[..]), ("B", &secret)];
    let wrong = [keys[0], keys[1], ("C", "hush-another-token")];
    fails(&place, OPTIONS, &wrong, &["InvalidToken", "the session token is not one of these keys"]);
    run(&place, OPTIONS, &wrong).never_says("hush-another-token");
    fails(&place, "access_key_env: A, secret_key_env: B", &keys, &["InvalidToken"]);
    let old = cloud::front(|_| {
        answer(400, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
    });
    let place = Place { endpoint: old.url(), ..place };
    fails(&place, OPTIONS, &[keys[0], keys[1], ("C", &token.unwrap())], &["ExpiredToken", "get new ones"]);
}

/// What S3's services for identities answer: keys for a role.
fn role(keys: &Keys, kind: &str) -> Answer {
    let (access, secret, token) = (&keys.access, &keys.secret, keys.token.as_ref().unwrap());
    match kind {
        "xml" => answer(
            200,
            format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            ),
        ),
        _ => answer(
            200,
            format!(
                r#"{{"Code": "Success", "AccessKeyId": "{access}", "SecretAccessKey": "{secret}", "Token": "{token}", "Expiration": "2099-01-01T00:00:00Z"}}"#
            ),
        ),
    }
}

/// The variables of a pod on EKS, all of whose https goes to `front`.
fn pod(front: &Front) -> Vec<(&'static str, String)> {
    let role = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/writer"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "{folder}/identity")];
    front.as_proxy().into_iter().chain(role.map(|(name, value)| (name, value.to_owned()))).collect()
}

fn borrowed<'a>(variables: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn trusting() -> String {
    format!("transfer: {{ca_file: '{}'}}", cloud::authority().display())
}

#[test]
fn web_identity_becomes_a_role() {
    let (_store, place) = store(temporary());
    let sts = cloud::front(|request| {
        let form = request.form();
        assert_eq!((&request.host[..], &form["Action"][..]), ("sts.amazonaws.com", "AssumeRoleWithWebIdentity"));
        assert_eq!(
            (&form["WebIdentityToken"][..], &form["RoleArn"][..]),
            ("who-this-pod-is", "arn:aws:iam::1:role/writer")
        );
        role(&temporary(), "xml")
    });
    works(&place, &trusting(), &borrowed(&pod(&sts)));
    assert!(!sts.seen().is_empty());
}

#[test]
fn a_role_that_is_refused_is_told_and_nobody_else_takes_its_place() {
    let (_store, place) = store(temporary());
    let sts = cloud::front(|request| {
        let token = &request.form()["WebIdentityToken"];
        answer(
            403,
            format!(
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity as {token}</Message></Error></ErrorResponse>"
            ),
        )
    });
    let metadata = cloud::front(|request| instance(request, &temporary()));
    let mut variables = pod(&sts);
    variables.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url()));
    variables.push(("AWS_EC2_METADATA_DISABLED", "false".to_owned()));
    let says =
        ["web identity: sts.amazonaws.com", "status 403", "AccessDenied: Not authorized", "correct what was refused"];
    fails(&place, &trusting(), &borrowed(&variables), &says);
    assert!(metadata.seen().is_empty(), "the machine's role took the place of the pod's");
}

#[test]
fn a_busy_service_is_asked_again() {
    let (_store, place) = store(temporary());
    let asked = std::sync::atomic::AtomicU32::new(0);
    let sts = cloud::front(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => answer(
            503,
            "<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>later</Message></Error></ErrorResponse>",
        ),
        _ => role(&temporary(), "xml"),
    });
    works(&place, &trusting(), &borrowed(&pod(&sts)));
    assert!(sts.seen().len() > 1);
}

#[test]
fn a_container_has_a_role() {
    let (_store, place) = store(temporary());
    let agent = cloud::front(|request| match request.header("authorization") {
        "who-this-pod-is" => role(&temporary(), "json"),
        other => answer(401, format!(r#"{{"code": "Unauthorized", "message": "not {other}"}}"#)),
    });
    let address = format!("{}/v2/credentials", agent.url());
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "{folder}/identity");
    works(&place, "", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address), file]);
    let wrong =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address[..]), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush-wrong")];
    fails(&place, "", &wrong, &["the container's role", "status 401", "Unauthorized"]);
    run(&place, "", &wrong).never_says("hush-wrong");
}

/// The metadata service of a machine of Amazon's, version 2.
fn instance(request: &Request, keys: &Keys) -> Answer {
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    match (request.method.as_str(), request.path.as_str()) {
        ("PUT", "/latest/api/token") => answer(200, "hush-session"),
        _ if request.header("x-aws-ec2-metadata-token") != "hush-session" => answer(401, ""),
        ("GET", ROLES) => answer(200, "writer"),
        ("GET", path) if path.strip_prefix(ROLES) == Some("writer") => role(keys, "json"),
        _ => answer(404, ""),
    }
}

#[test]
fn a_machine_has_a_role() {
    let (_store, place) = store(temporary());
    let metadata = cloud::front(|request| {
        assert_eq!(request.host, "169.254.169.254");
        instance(request, &temporary())
    });
    let mut variables = metadata.as_proxy();
    variables.push(("AWS_EC2_METADATA_DISABLED", "false".to_owned()));
    works(&place, "", &borrowed(&variables));
    let elsewhere = cloud::front(|request| instance(request, &temporary()));
    let address = elsewhere.url();
    let place = Place { prefix: format!("{}again/", place.prefix), ..place };
    works(&place, "", &[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)]);
    fails(
        &place,
        "",
        &[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")],
        &["the machine's role: no connection to http://127.0.0.1:9", "access_key_env"],
    );
}
