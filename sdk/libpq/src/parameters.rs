//! Every parameter of libpq, of PostgreSQL 9.6 to 18, and what becomes of it.

use rivet_sdk::parameters::{Parameter, Parameters};

/// The parameters of a source's URL.
pub const SOURCE: Parameters = Parameters::new("the URL", &[COMMON, SOURCE_ALONE]);
/// The parameters of the state store's URL.
pub const STATE: Parameters = Parameters::new("the state's URL", &[COMMON, STATE_ALONE]);

const NO_GSS: &str = "it is about logins by GSSAPI, which rivet does not offer: a server that asks for one is refused";
const NO_OAUTH: &str = "take it out: OAuth logins are not offered; use scram-sha-256, md5, password, cert or trust";
const KEEPALIVE: &str = "it says how soon a dead connection is noticed; rivet probes after 30 seconds, every 10, three times, \
                         and what was not read whole does not count";

const COMMON: &[Parameter] = &[
    Parameter::honoured(
        &["host"],
        "takes the place of the hosts before the `/`; several with commas between them; one that begins with `/` is the folder of a socket",
    ),
    Parameter::honoured(&["hostaddr"], "the address that is connected to; the certificate is compared with `host`"),
    Parameter::honoured(&["port"], "one port, or one for each host; 5432 where it is empty"),
    Parameter::honoured(&["dbname"], "the database; the user's name if absent"),
    Parameter::honoured(&["user"], "the login"),
    Parameter::honoured(&["password"], "the login's password"),
    Parameter::honoured(
        &["target_session_attrs"],
        "`any`, `read-write`, `read-only`, `primary`, `standby`, `prefer-standby`: the first server in order whose sessions are so",
    ),
    Parameter::honoured(
        &["load_balance_hosts"],
        "`disable`, or `random`: servers, and the addresses of each, are tried in a random order",
    ),
    Parameter::honoured(
        &["connect_timeout"],
        "seconds for each server, login included; 15 if absent. 0, which waits for ever, is refused",
    ),
    Parameter::honoured(&["application_name"], "what `pg_stat_activity` shows; `rivet` if absent"),
    Parameter::honoured(&["fallback_application_name"], "the same where there is no `application_name`"),
    Parameter::honoured(
        &["sslmode"],
        "`disable`, `prefer`, `require`, `verify-ca`, `verify-full`; `allow` is taken for `prefer`. `require` with an `sslrootcert` is `verify-ca`",
    ),
    Parameter::honoured(&["ssl"], "`true`, as drivers for Java write it, is `sslmode=require`"),
    Parameter::honoured(
        &["sslrootcert"],
        "PEM file of authorities; `system` takes the system's and demands `verify-full`",
    ),
    Parameter::honoured(&["sslcert"], "PEM file of the client's certificate"),
    Parameter::honoured(&["sslkey"], "PEM file of its key"),
    Parameter::honoured(&["ssl_min_protocol_version"], "`TLSv1.3` refuses 1.2; nothing older than 1.2 is ever spoken"),
    Parameter::honoured(&["ssl_max_protocol_version"], "`TLSv1.2` leaves 1.3 out; an older one is refused"),
    Parameter::honoured(
        &["channel_binding"],
        "`disable`, `prefer`; the state's URL takes `require`, too, and a source's is refused with it",
    ),
    Parameter::honoured(
        &["gssencmode"],
        "`disable`, `prefer`: rivet has no ticket, so that both come to TLS; `require` is refused",
    ),
    Parameter::honoured(&["sslnegotiation"], "`postgres`; `direct` is refused"),
    Parameter::honoured(&["sslsni"], "`1`: the server is told which name was asked for; `0` is refused"),
    Parameter::honoured(
        &["sslcertmode"],
        "`allow`: a certificate is sent where `sslcert` names one; other words are refused",
    ),
    Parameter::honoured(
        &["replication"],
        "off only (`false`, `off`, `no`, `0`): a replication connection reads no tables",
    ),
    Parameter::honoured(&["min_protocol_version"], "`3.0`, which rivet speaks; a later one is refused"),
    Parameter::honoured(&["max_protocol_version"], "`3.0`, `3.2`, `latest`: rivet speaks 3.0"),
    Parameter::irrelevant(
        &["client_encoding"],
        "it is the form in which texts travel: rivet asks for UTF-8, and writes UTF-8",
    ),
    Parameter::irrelevant(&["keepalives"], KEEPALIVE),
    Parameter::irrelevant(&["keepalives_idle"], KEEPALIVE),
    Parameter::irrelevant(&["keepalives_interval"], KEEPALIVE),
    Parameter::irrelevant(&["keepalives_count"], KEEPALIVE),
    Parameter::irrelevant(&["tcp_user_timeout"], KEEPALIVE),
    Parameter::irrelevant(&["sslcompression"], "TLS 1.2 and 1.3 as rivet speaks them never compress"),
    Parameter::irrelevant(&["krbsrvname"], NO_GSS),
    Parameter::irrelevant(&["gsslib"], NO_GSS),
    Parameter::irrelevant(&["gssdelegation"], NO_GSS),
    Parameter::refused(&["requiressl"], "write sslmode=require"),
    Parameter::refused(&["sslcrl"], "take it out: lists of revoked certificates are not read"),
    Parameter::refused(&["sslcrldir"], "take it out: lists of revoked certificates are not read"),
    Parameter::refused(&["sslpassword"], "name a key in `sslkey` that has no password, and guard its file"),
    Parameter::refused(&["sslkeylogfile"], "take it out: the keys of a session are never written down"),
    Parameter::refused(
        &["requirepeer"],
        "take it out, and see to it that only the server can make its socket's folder",
    ),
    Parameter::refused(
        &["require_auth"],
        "take it out; sslmode=verify-full keeps the password from everybody but the server",
    ),
    Parameter::refused(&["scram_client_key"], "give the password itself"),
    Parameter::refused(&["scram_server_key"], "give the password itself"),
    Parameter::refused(&["service"], "write the service's host, port and database into the URL"),
    Parameter::refused(&["servicefile"], "write the service's host, port and database into the URL"),
    Parameter::refused(&["oauth_issuer"], NO_OAUTH),
    Parameter::refused(&["oauth_client_id"], NO_OAUTH),
    Parameter::refused(&["oauth_client_secret"], NO_OAUTH),
    Parameter::refused(&["oauth_scope"], NO_OAUTH),
];

const SOURCE_ALONE: &[Parameter] = &[
    Parameter::refused(
        &["passfile"],
        "give host, user and `password_file` or `password_env` beside each other instead of a URL",
    ),
    Parameter::refused(
        &["options"],
        "take it out: rivet sets what it needs in every transaction, so that poolers work; `ALTER ROLE … SET` holds for a user's sessions",
    ),
];

const STATE_ALONE: &[Parameter] = &[
    Parameter::refused(&["passfile"], "write the password into the URL, and give the URL as `url_env` or `url_file`"),
    Parameter::honoured(&["options"], "settings of the session, such as `-csearch_path%3Drivet`"),
];

#[cfg(test)]
mod tests {
    #[test]
    fn urls_page() {
        rivet_testkit::check_urls_page(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/urls.md"),
            "postgresql",
            &super::SOURCE,
        );
        rivet_testkit::check_urls_page(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/urls.md"),
            "state",
            &super::STATE,
        );
    }
}
