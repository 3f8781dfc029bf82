//! Every keyword of SqlClient's connection strings, and rivet's own.

use rivet_sdk::parameters::{Parameter, Parameters};

/// The parameters of a URL and of an ADO.NET string. Upper and lower case are one, and blanks, `_` and `-` are nothing.
pub(crate) const PARAMETERS: Parameters = Parameters::new("the connection string", &[LIST]).folded(fold);

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().chars().filter(|character| !matches!(character, ' ' | '_' | '-')).collect()
}

const POOLS: &str = "it is about connections kept open between uses; rivet opens one for each worker";
const RETRIES: &str = "rivet makes a lost connection again itself, as `tuning.max_retries` says";
const ADDRESSES: &str =
    "it is about the order in which a name's addresses are tried; rivet tries all, and each is asked for the same";
const ENCLAVES: &str = "take it out: columns under Always Encrypted are read as they are stored, encrypted";
const DISTRIBUTED: &str = "it is about distributed transactions, of which rivet has none";
const SQL_LOGINS: &str = "it is about logins by Kerberos, which rivet does not offer";
/// What to do instead of naming a file.
pub(crate) const FILES: &str = "attach the file to a server, and name the database";

const LIST: &[Parameter] = &[
    Parameter::honoured(
        &["Server", "Data Source", "Address", "Addr", "Network Address"],
        "`tcp:host\\instance,port`; `.` and `(local)` are this machine. Named pipes and `(localdb)` are refused",
    ),
    Parameter::honoured(&["Database", "Initial Catalog"], "the database; the login's own if absent"),
    Parameter::honoured(&["User ID", "UID", "User"], "the SQL login"),
    Parameter::honoured(&["Password", "PWD"], "its password"),
    Parameter::honoured(
        &["Encrypt"],
        "`true`, `yes`, `mandatory`: encrypted and verified. `false`, `no`, `optional`: encrypted if the server can. `strict`: TDS 8.0. rivet's own: `require`, not verified; `disable`, never",
    ),
    Parameter::honoured(&["Trust Server Certificate"], "any certificate will do; with `Encrypt=strict` it is refused"),
    Parameter::honoured(&["Host Name In Certificate"], "the name that the certificate must have"),
    Parameter::honoured(
        &["CA File", "Trust Server Certificate CA"],
        "rivet's own: PEM file of the authority; with a mode that verifies nothing it is refused",
    ),
    Parameter::honoured(&["Application Intent"], "`ReadOnly`: a listener may choose a readable secondary; `ReadWrite`"),
    Parameter::honoured(
        &["Application Name", "App", "App Name"],
        "what `sys.dm_exec_sessions` shows and `APP_NAME()` gives; `rivet` if absent",
    ),
    Parameter::honoured(&["Workstation ID", "WSID"], "what `HOST_NAME()` gives; this machine's name if absent"),
    Parameter::honoured(
        &["Connect Timeout", "Connection Timeout", "Timeout"],
        "seconds; 15 if absent. 0, which waits for ever, is refused",
    ),
    Parameter::honoured(&["Instance", "Instance Name"], "rivet's own: the named instance"),
    Parameter::honoured(&["Authentication"], "`SqlPassword` only"),
    Parameter::honoured(&["Integrated Security", "Trusted_Connection"], "`false` only: use a SQL login"),
    Parameter::honoured(&["Network Library", "Network", "Net"], "`dbmssocn` (TCP) only"),
    Parameter::honoured(
        &["Column Encryption Setting"],
        "`Disabled` only: columns under Always Encrypted are read as they are stored",
    ),
    Parameter::honoured(
        &["Type System Version"],
        "`Latest`, `SQL Server 2012`: what rivet reads; older ones, under which types arrive as others, are refused",
    ),
    Parameter::honoured(&["Context Connection"], "`false` only"),
    Parameter::honoured(&["Replication"], "`false` only"),
    Parameter::honoured(&["User Instance"], "`false` only"),
    Parameter::irrelevant(&["Asynchronous Processing", "Async"], "it is about how a program waits"),
    Parameter::irrelevant(&["Connect Retry Count"], RETRIES),
    Parameter::irrelevant(&["Connect Retry Interval"], RETRIES),
    Parameter::irrelevant(&["Connection Lifetime", "Load Balance Timeout"], POOLS),
    Parameter::irrelevant(&["Connection Reset"], POOLS),
    Parameter::irrelevant(&["Max Pool Size"], POOLS),
    Parameter::irrelevant(&["Min Pool Size"], POOLS),
    Parameter::irrelevant(&["Pooling"], POOLS),
    Parameter::irrelevant(&["Pool Blocking Period"], POOLS),
    Parameter::irrelevant(&["Enlist"], DISTRIBUTED),
    Parameter::irrelevant(&["Transaction Binding"], DISTRIBUTED),
    Parameter::irrelevant(
        &["Multiple Active Result Sets"],
        "one statement at a time runs on each of rivet's connections",
    ),
    Parameter::irrelevant(&["Multi Subnet Failover"], ADDRESSES),
    Parameter::irrelevant(&["Transparent Network IP Resolution"], ADDRESSES),
    Parameter::irrelevant(&["IP Address Preference"], ADDRESSES),
    Parameter::irrelevant(
        &["Packet Size"],
        "it is in which pieces rows travel; rivet takes pieces that fit a TLS record",
    ),
    Parameter::irrelevant(&["Persist Security Info"], "no part of rivet gives the connection string back"),
    Parameter::irrelevant(&["Server SPN"], SQL_LOGINS),
    Parameter::irrelevant(&["Failover Partner SPN"], SQL_LOGINS),
    Parameter::refused(
        &["Failover Partner"],
        "name the server to read from; an availability group's listener finds it by itself",
    ),
    Parameter::refused(&["Server Certificate"], "name the certificate, as PEM, in `CA File`"),
    Parameter::refused(&["Command Timeout"], "take it out, and set `tuning: { statement_timeout_s: … }`"),
    Parameter::refused(
        &["Current Language", "Language"],
        "take it out: rivet's sessions speak us_english, so that dates and messages are always the same",
    ),
    Parameter::refused(&["AttachDBFilename", "Extended Properties", "Initial File Name"], FILES),
    Parameter::refused(&["Attestation Protocol"], ENCLAVES),
    Parameter::refused(&["Enclave Attestation Url"], ENCLAVES),
];

#[cfg(test)]
mod tests {
    #[test]
    fn urls_page() {
        rivet_testkit::check_urls_page(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/urls.md"),
            "sqlserver",
            &super::PARAMETERS,
        );
    }
}
