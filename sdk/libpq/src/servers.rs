//! Several servers behind one URL: in which order they are tried, and which of them will do.

use std::hash::{BuildHasher as _, RandomState};
use std::net::ToSocketAddrs as _;
use std::path::PathBuf;

use rivet_sdk::{Error, ErrorKind, Result};

/// One server that a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name: what a certificate is compared with.
    pub host: Host,
    /// Its port, also of a socket.
    pub port: u16,
    /// The address to connect to, where it is not to be looked up from the name.
    pub address: Option<String>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The folder of the socket.
    Unix(PathBuf),
}

impl Server {
    /// At this host and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let host = if host.starts_with('/') { Host::Unix(host.into()) } else { Host::Tcp(host) };
        Self { host, port, address: None }
    }

    /// `name:port`, or the socket's path.
    pub fn display(&self) -> String {
        match &self.host {
            Host::Tcp(name) => format!("{name}:{}", self.port),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }
}

/// Which sessions will do: `target_session_attrs`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionAttributes {
    /// All.
    #[default]
    Any,
    /// That may write.
    ReadWrite,
    /// That may not.
    ReadOnly,
    /// Of a server that is not a standby.
    Primary,
    /// Of a standby.
    Standby,
    /// Of a standby if there is one.
    PreferStandby,
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// It replays what another server does.
    pub standby: bool,
    /// Its sessions may not write, by its role or its settings.
    pub read_only: bool,
}

impl Role {
    /// The question; its answers are two texts.
    pub const QUESTION: &str =
        "SELECT pg_catalog.pg_is_in_recovery()::text, pg_catalog.current_setting('transaction_read_only')";

    /// From the two answers.
    pub fn new(in_recovery: Option<&str>, read_only: Option<&str>) -> Result<Self> {
        match (in_recovery, read_only) {
            (Some(standby @ ("true" | "false")), Some(read_only @ ("on" | "off"))) => {
                Ok(Self { standby: standby == "true", read_only: read_only == "on" })
            }
            _ => Err(Error::connection("the server does not say whether it is a primary or a standby")
                .with_hint("take target_session_attrs out of the URL, and name the one server to use")),
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self { standby: true, .. } => "a standby",
            Self { read_only: true, .. } => "a primary whose sessions may not write",
            _ => "a primary",
        }
    }
}

impl SessionAttributes {
    pub(crate) const WORDS: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];

    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known)| *known == self).map_or("any", |(word, _)| word)
    }

    fn takes(self, role: Role) -> bool {
        match self {
            Self::Any => true,
            Self::ReadWrite => !role.read_only,
            Self::ReadOnly => role.read_only,
            Self::Primary => !role.standby,
            Self::Standby | Self::PreferStandby => role.standby,
        }
    }
}

/// The servers in a random order, each with its addresses in one.
pub fn shuffle(servers: &[Server]) -> Vec<Server> {
    let mut found = Vec::new();
    for server in shuffled(servers.to_vec()) {
        let addresses = match &server.host {
            // A name that nobody knows is told where it is connected to.
            Host::Tcp(name) if server.address.is_none() => (name.as_str(), server.port).to_socket_addrs().ok(),
            _ => None,
        };
        let addresses: Vec<String> = addresses.into_iter().flatten().map(|address| address.ip().to_string()).collect();
        if addresses.is_empty() {
            found.push(server);
            continue;
        }
        found
            .extend(shuffled(addresses).into_iter().map(|address| Server { address: Some(address), ..server.clone() }));
    }
    found
}

fn shuffled<T>(items: Vec<T>) -> Vec<T> {
    // Each new hasher has keys of its own, from the system's randomness.
    let mut keyed: Vec<(u64, T)> = items.into_iter().map(|item| (RandomState::new().hash_one(()), item)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}

/// A session with the first of `servers` that is wanted, as libpq goes about it: a server that cannot be reached, or
/// cannot be connected to now, or whose sessions are not as wanted, is passed over; one that refuses the login ends the
/// search. `open` logs in, `ask` has the server say what it is.
pub fn connect<T>(
    servers: &[Server],
    wanted: SessionAttributes,
    mut open: impl FnMut(&Server) -> Result<T>,
    mut ask: impl FnMut(&mut T) -> Result<Role>,
) -> Result<T> {
    let mut passed = Passed::default();
    let mut rounds = vec![wanted];
    if wanted == SessionAttributes::PreferStandby {
        rounds.push(SessionAttributes::Any);
    }
    for wanted in rounds {
        for server in servers {
            let mut session = match open(server) {
                Ok(session) => session,
                Err(error) if servers.len() == 1 || !is_passed_over(&error) => return Err(error),
                Err(error) => {
                    passed.unreachable(server, error);
                    continue;
                }
            };
            if wanted == SessionAttributes::Any {
                return Ok(session);
            }
            let role = match ask(&mut session) {
                Ok(role) => role,
                Err(error) if is_passed_over(&error) => {
                    passed.unreachable(server, error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if wanted.takes(role) {
                return Ok(session);
            }
            log::debug!("{} is passed over: {}", server.display(), role.described());
            passed.unwanted(server, role);
        }
    }
    Err(passed.into_error(wanted))
}

/// Whether the next server is tried after this error: the network's, or `cannot_connect_now`.
fn is_passed_over(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection && error.code().is_none_or(|code| code == "57P03")
}

/// The servers that would not do, and why.
#[derive(Default)]
struct Passed {
    first: Option<Error>,
    words: Vec<String>,
    unwanted: bool,
}

impl Passed {
    fn unreachable(&mut self, server: &Server, error: Error) {
        self.note(format!("{}: {}", server.display(), error.message()));
        self.first.get_or_insert(error);
    }

    fn unwanted(&mut self, server: &Server, role: Role) {
        self.unwanted = true;
        self.note(format!("{} is {}", server.display(), role.described()));
    }

    fn note(&mut self, words: String) {
        if !self.words.contains(&words) {
            self.words.push(words);
        }
    }

    fn into_error(self, wanted: SessionAttributes) -> Error {
        let tried = self.words.join("; ");
        match self.first {
            Some(first) if !self.unwanted => first.with_context("servers tried", tried),
            None if self.words.is_empty() => Error::config("the URL names no host"),
            _ => Error::connection(format!("no server is as target_session_attrs={} asks: {tried}", wanted.as_str()))
                .with_hint(
                    "name the server that is, or another target_session_attrs; during a failover, try again later",
                ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: Role = Role { standby: false, read_only: false };
    const STANDBY: Role = Role { standby: true, read_only: true };
    const LOCKED: Role = Role { standby: false, read_only: true };

    /// Which of servers with these roles is chosen; None is one that cannot be reached.
    fn chosen(roles: &[Option<Role>], wanted: SessionAttributes) -> Result<usize> {
        let servers: Vec<Server> =
            (0..roles.len()).map(|port| Server::new("h", u16::try_from(port).unwrap())).collect();
        let open = |server: &Server| match roles[usize::from(server.port)] {
            Some(_) => Ok(usize::from(server.port)),
            None => Err(Error::connection("nobody answers")),
        };
        connect(&servers, wanted, open, |index| Ok(roles[*index].unwrap()))
    }

    #[test]
    fn the_first_server_that_is_wanted_is_taken() {
        use SessionAttributes::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
        let all = [None, Some(STANDBY), Some(LOCKED), Some(PRIMARY)];
        for (wanted, index) in [(Any, 1), (ReadWrite, 3), (ReadOnly, 1), (Primary, 2), (Standby, 1), (PreferStandby, 1)]
        {
            assert_eq!(chosen(&all, wanted).unwrap(), index, "{wanted:?}");
        }
        assert_eq!(chosen(&[Some(PRIMARY), None], PreferStandby).unwrap(), 0);
        let error = chosen(&[None, Some(PRIMARY)], Standby).unwrap_err();
        assert_eq!(
            error.message(),
            "no server is as target_session_attrs=standby asks: h:0: nobody answers; h:1 is a primary"
        );
        assert!(error.is_transient() && error.hint().is_some());
        assert_eq!(chosen(&[None, None], ReadWrite).unwrap_err().message(), "nobody answers");
    }

    #[test]
    fn a_refused_login_ends_the_search_and_a_server_that_starts_does_not() {
        let servers = [Server::new("a", 1), Server::new("b", 2)];
        let with = |error: Error| {
            let open = |server: &Server| if server.port == 1 { Err(error.clone()) } else { Ok(2) };
            connect(&servers, SessionAttributes::Any, open, |_| Ok(PRIMARY))
        };
        assert!(with(Error::new(ErrorKind::Auth, "no").with_code("28P01")).is_err());
        assert!(with(Error::new(ErrorKind::NotFound, "no").with_code("3D000")).is_err());
        assert_eq!(with(Error::connection("starting").with_code("57P03")).unwrap(), 2);
        assert_eq!(with(Error::connection("gone")).unwrap(), 2);
    }

    #[test]
    fn a_random_order_has_every_server_and_differs() {
        let servers: Vec<Server> = (0..20).map(|port| Server::new("127.0.0.1", port)).collect();
        let orders: Vec<Vec<u16>> =
            (0..5).map(|_| shuffle(&servers).iter().map(|server| server.port).collect()).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..20).collect::<Vec<u16>>());
        }
        assert!(orders.iter().any(|order| *order != orders[0]));
    }
}
