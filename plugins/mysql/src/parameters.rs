//! Every parameter of MySQL Shell's URIs, and the names that common drivers have for some of them.

use rivet_sdk::parameters::{Parameter, Parameters};

/// The parameters of the URL. Upper and lower case are one, as MySQL's clients have it; `_` is `-`, as its options do.
pub(crate) const PARAMETERS: Parameters =
    Parameters::new("the URL", &[LIST]).folded(|name| name.to_ascii_lowercase().replace('_', "-"));

const CIPHERS: &str = "take it out: rivet speaks TLS 1.2 and 1.3 with the ciphers of rustls, all of which are sound";
const REVOKED: &str = "take it out: lists of revoked certificates are not read";
const LOGINS: &str = "take it out: logins are by caching_sha2_password, mysql_native_password, ed25519, parsec, sha256_password, \
                      or mysql_clear_password over TLS";
const LIMITS: &str = "it limits what a client waits for; rivet has `tuning` for that";
const SIZES: &str = "it is about the client's own memory: rivet takes any row up to `tuning.max_value_mb` a value";

const LIST: &[Parameter] = &[
    Parameter::honoured(
        &["ssl-mode", "sslmode"],
        "`disabled`, `preferred`, `required`, `verify_ca`, `verify_identity`; without it `preferred`, or `verify_ca` where `ssl-ca` is given",
    ),
    Parameter::honoured(&["ssl-ca", "sslca"], "PEM file of authorities; with a mode that asks none it is refused"),
    Parameter::honoured(&["ssl-cert", "sslcert"], "PEM file of the client's certificate"),
    Parameter::honoured(&["ssl-key", "sslkey"], "PEM file of its key"),
    Parameter::honoured(
        &["tls-version", "tls-versions"],
        "which of `TLSv1.2` and `TLSv1.3` may be spoken, with commas between them; older ones never are",
    ),
    Parameter::honoured(&["socket"], "path of the server's Unix socket"),
    Parameter::honoured(
        &["connect-timeout"],
        "seconds, as the reference manual has it; 10 if absent. MySQL Shell counts milliseconds: 1000 and more, and 0, are refused",
    ),
    Parameter::honoured(
        &["compression"],
        "`none`, `zlib`, `zstd`; `disabled` is `none`. MySQL Shell's `required` and `preferred` name no algorithm, and are refused",
    ),
    Parameter::honoured(
        &["get-server-public-key"],
        "`true`: without TLS the password goes under the server's RSA key; `false` is refused",
    ),
    Parameter::honoured(
        &["charset", "character-set"],
        "UTF-8 only (`utf8mb4`, `utf8`): rivet asks for it, and writes UTF-8",
    ),
    Parameter::irrelevant(
        &["compression-level"],
        "it is about how hard rows are packed on the way, and they are the same",
    ),
    Parameter::irrelevant(&["net-read-timeout"], LIMITS),
    Parameter::irrelevant(&["net-write-timeout"], LIMITS),
    Parameter::irrelevant(&["net-buffer-length"], SIZES),
    Parameter::irrelevant(&["max-allowed-packet"], SIZES),
    Parameter::irrelevant(
        &["local-infile"],
        "rivet never sends a file of this machine to the server, whatever it asks for",
    ),
    Parameter::irrelevant(&["client-interactive"], "rivet sets the session's `wait_timeout` itself"),
    Parameter::refused(&["compression-algorithms"], "write compression=zlib or compression=zstd"),
    Parameter::refused(&["ssl-capath"], "join the authorities into one PEM file, and name it as ssl-ca"),
    Parameter::refused(&["ssl-cipher"], CIPHERS),
    Parameter::refused(&["tls-ciphersuites", "tls-ciphers"], CIPHERS),
    Parameter::refused(&["tls-kex"], CIPHERS),
    Parameter::refused(&["force-pqc"], CIPHERS),
    Parameter::refused(&["use-pqc-sign"], CIPHERS),
    Parameter::refused(&["ssl-crl"], REVOKED),
    Parameter::refused(&["ssl-crlpath"], REVOKED),
    Parameter::refused(
        &["server-public-key-path"],
        "write ssl-mode=verify_identity: the password then goes to that server alone",
    ),
    Parameter::refused(&["auth-method"], "take it out: the server says which method the account has"),
    Parameter::refused(&["connection-attributes"], "take it out: rivet says program_name=rivet"),
    Parameter::refused(&["mysql-plugin-dir"], LOGINS),
    Parameter::refused(&["plugin-authentication-kerberos-client-mode"], LOGINS),
    Parameter::refused(&["plugin-authentication-webauthn-client-preserve-privacy"], LOGINS),
    Parameter::refused(&["plugin-authentication-webauthn-device"], LOGINS),
    Parameter::refused(&["oci-config-file"], LOGINS),
    Parameter::refused(&["authentication-oci-client-config-profile"], LOGINS),
    Parameter::refused(&["authentication-openid-connect-client-id-token-file", "openid-connect-id-token-file"], LOGINS),
];

#[cfg(test)]
mod tests {
    #[test]
    fn urls_page() {
        rivet_testkit::check_urls_page(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/urls.md"),
            "mysql",
            &super::PARAMETERS,
        );
    }
}
