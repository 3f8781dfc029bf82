//! Who one is to Azure without a key: workload identity, service principals, managed identity.

use rivet_tests::cloud::{self, Answer, Front, Request, answer};
use rivet_tests::rivet::Output;
use rivet_tests::signatures;
use rivet_tests::stores::{self, Kind, Place};
use serde_json::json;

const TOKEN: &str = "hush-access-token";
const TENANT: (&str, &str) = ("AZURE_TENANT_ID", "acme");
const CLIENT: (&str, &str) = ("AZURE_CLIENT_ID", "writer");
const FEDERATED: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "{folder}/identity");
const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "hush/client+secret");

/// Azure's store for whoever bears the token, and a place there.
fn store() -> Place {
    let front = cloud::front(|request| signatures::azure(request, TOKEN));
    Place { endpoint: format!("{}/{}", front.url(), Kind::Azure.setting("ACCOUNT")), ..stores::place(Kind::Azure) }
}

/// Microsoft's address that gives tokens, for a client that proves itself with this field.
fn entra(field: &'static str, value: &'static str) -> Front {
    cloud::front(move |request| {
        assert_eq!((&request.method[..], &request.path[..]), ("POST", "/acme/oauth2/v2.0/token"));
        let form = request.form();
        let given = ["grant_type", "client_id", "scope", field].map(|name| form[name].as_str());
        assert_eq!(given, ["client_credentials", "writer", "https://storage.azure.com/.default", value]);
        answer(200, json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}).to_string())
    })
}

fn run(place: &Place, more: &str, environment: &[(&str, &str)]) -> Output {
    let export = stores::export(&place.yaml_as(more, ""));
    export.project.write("identity", "hush-who-this-pod-is\n");
    export.run(environment)
}

#[track_caller]
fn works(more: &str, environment: &[(&str, &str)]) {
    let place = store();
    let output = run(&place, more, environment);
    assert_eq!(output.code, Some(0), "{output}");
    Place { endpoint: Kind::Azure.setting("ENDPOINT"), prefix: place.prefix.clone(), kind: Kind::Azure }
        .assert_holds(3, "a bearer's token");
}

#[track_caller]
fn fails(environment: &[(&str, &str)], says: &[&str]) {
    let output = run(&store(), "", environment);
    assert_eq!(output.code, Some(1), "{output}");
    output.says(says).says(&["az://rivet/", "hint:"]).never_says("hush");
}

#[test]
fn a_workload_has_an_identity() {
    let entra = entra("client_assertion", "hush-who-this-pod-is");
    works("", &[TENANT, CLIENT, FEDERATED, ("AZURE_AUTHORITY_HOST", &entra.url())]);
    let form = entra.seen()[0].form();
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
}

#[test]
fn microsofts_own_address_is_asked_where_no_other_is_named() {
    let entra = entra("client_assertion", "hush-who-this-pod-is");
    let variables = entra.as_proxy();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.extend([TENANT, CLIENT, FEDERATED]);
    works(&format!("transfer: {{ca_file: '{}'}}", cloud::authority().display()), &variables);
    assert_eq!(entra.seen()[0].host, "login.microsoftonline.com");
}

#[test]
fn a_service_principal_has_a_secret() {
    let entra = entra("client_secret", "hush/client+secret");
    works("", &[TENANT, CLIENT, SECRET, ("AZURE_AUTHORITY_HOST", &entra.url())]);
}

#[test]
fn a_service_principal_has_a_certificate() {
    let keys = tempfile::tempdir().unwrap();
    cloud::openssl(
        keys.path(),
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=writer -keyout key.pem -out certificate.pem",
    );
    cloud::openssl(keys.path(), "pkey -in key.pem -pubout -out public.pem");
    let read = |name: &str| std::fs::read_to_string(keys.path().join(name)).unwrap();
    let both = read("certificate.pem") + &read("key.pem");
    let place = store();
    let folder = keys.path().to_owned();
    let entra = cloud::front(move |request| {
        assert_eq!(request.host, "login.microsoftonline.com");
        let [header, claims] = cloud::verified(&folder, &request.form()["client_assertion"]);
        assert!(header["x5t"].is_string() || header["x5t#S256"].is_string(), "{header}");
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("writer"), &json!("writer")));
        answer(200, json!({"access_token": TOKEN, "expires_in": 3599}).to_string())
    });
    let trusting = format!("transfer: {{ca_file: '{}'}}", cloud::authority().display());
    let export = stores::export(&place.yaml_as(&trusting, ""));
    export.project.write("writer.pem", both);
    let variables = entra.as_proxy();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.extend([TENANT, CLIENT, ("AZURE_CLIENT_CERTIFICATE_PATH", "{folder}/writer.pem")]);
    let output = export.run(&variables);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!entra.seen().is_empty());
}

/// The metadata service of a machine of Azure's.
fn machine(request: &Request) -> Answer {
    let asked = request.has("api-version") && request.query.contains("resource=https%3A%2F%2Fstorage.azure.com");
    match request.header("metadata") {
        "true" if asked => answer(200, json!({"access_token": TOKEN, "expires_on": "4070908800"}).to_string()),
        _ => answer(
            400,
            json!({"error": "invalid_request", "error_description": "Required metadata header not specified"})
                .to_string(),
        ),
    }
}

#[test]
fn a_machine_has_a_managed_identity() {
    let metadata = cloud::front(machine);
    works("", &[("AZURE_IMDS_ENDPOINT", &metadata.url())]);
    let usual = cloud::front(|request| {
        assert_eq!((&request.host[..], &request.path[..]), ("169.254.169.254", "/metadata/identity/oauth2/token"));
        assert!(request.query.contains("client_id=writer"), "the user-assigned one");
        machine(request)
    });
    let variables = usual.as_proxy();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.extend([CLIENT, ("AZURE_IMDS_ENDPOINT", "")]);
    works("", &variables);
}

#[test]
fn the_environments_key_signature_or_token_is_taken() {
    let (account, key) = (Kind::Azure.setting("ACCOUNT"), Kind::Azure.setting("KEY"));
    works("", &[("AZURE_STORAGE_BEARER_TOKEN", TOKEN)]);
    let signature = stores::azure_sas("racwdl", "2099-01-01T00:00:00Z");
    for environment in [
        vec![("AZURE_STORAGE_ACCOUNT_NAME", account.as_str()), ("AZURE_STORAGE_ACCOUNT_KEY", &key)],
        vec![("AZURE_STORAGE_SAS_TOKEN", &signature)],
    ] {
        let place = stores::place(Kind::Azure);
        let output = run(&place, "", &environment);
        assert_eq!(output.code, Some(0), "{output}");
        place.assert_holds(3, "the environment");
    }
}

#[test]
fn what_is_refused_is_told_and_not_shown() {
    let refusing = cloud::front(|request| {
        let form = request.form();
        // A service that repeats what it was told in confidence.
        let given = form.get("client_secret").or(form.get("client_assertion")).unwrap();
        let text = format!("AADSTS7000215: Invalid client secret provided: {given}.\r\nTrace ID: 1");
        answer(401, json!({"error": "invalid_client", "error_description": text}).to_string())
    });
    let metadata = cloud::front(machine);
    let (host, machine) = (refusing.url(), metadata.url());
    let (host, machine) = (("AZURE_AUTHORITY_HOST", &host[..]), ("AZURE_IMDS_ENDPOINT", &machine[..]));
    let says = ["status 401", "invalid_client: AADSTS7000215", "correct what was refused"];
    fails(
        &[TENANT, CLIENT, SECRET, host, machine],
        &[&["no credentials: the service principal: 127.0.0.1:"], &says[..]].concat(),
    );
    fails(
        &[TENANT, CLIENT, FEDERATED, host, machine],
        &[&["no credentials: workload identity: 127.0.0.1:"], &says[..]].concat(),
    );
    assert!(metadata.seen().is_empty(), "the machine's identity took the place of the one set up");
    let missing = ("AZURE_FEDERATED_TOKEN_FILE", "{folder}/missing");
    fails(&[TENANT, CLIENT, missing, host, machine], &["workload identity", "missing"]);
    assert!(metadata.seen().is_empty(), "the machine's identity took the place of the one set up");
    fails(&[("AZURE_STORAGE_BEARER_TOKEN", "hush-old-token")], &["InvalidAuthenticationInfo"]);
    fails(&[], &["managed identity: no connection to http://127.0.0.1:9", "account_key_env"]);
}
