//! Which of several servers this process reads from: once one is chosen, all sessions go there.
//!
//! A plan's bounds are what one server held. Another standby may be behind it, and its chunks would lack rows that the
//! plan counts on; and a snapshot is one server's. So other sessions take the same server, or, where that is gone, one
//! that is no standby.

use std::sync::{Mutex, PoisonError};

use rivet_libpq::Server;

use crate::options::Endpoint;

static CHOSEN: Mutex<Vec<(String, Server)>> = Mutex::new(Vec::new());

/// The server that this process has read from; None where the endpoint has only one, or for the first session.
pub(crate) fn get(endpoint: &Endpoint) -> Option<Server> {
    let key = key(endpoint)?;
    let known = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(other, _)| *other == key).map(|(_, server)| server.clone())
}

/// From now on this is it.
pub(crate) fn set(endpoint: &Endpoint, server: Server) {
    let Some(key) = key(endpoint) else { return };
    let mut known = CHOSEN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(other, _)| *other != key);
    known.push((key, server));
}

fn key(endpoint: &Endpoint) -> Option<String> {
    let several = endpoint.servers.len() > 1 || endpoint.random_order;
    several.then(|| format!("{:?} {:?} {} {}", endpoint.servers, endpoint.wanted, endpoint.user, endpoint.database))
}
