//! A network that misbehaves: a proxy before a store or a server that counts, delays, cuts, stalls, damages, or answers
//! that it has no time.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What the proxy does to connections made from now on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Every piece waits this long.
    pub latency: Duration,
    /// One connection in so many is cut, after some bytes between 1 and `cut_within`.
    pub cut_one_in: u64,
    /// See `cut_one_in`.
    pub cut_within: u64,
    /// One connection in so many stops passing anything on after some bytes, and stays open.
    pub stall_one_in: u64,
    /// One connection in so many is answered with status 503 and closed.
    pub busy_one_in: u64,
    /// Once so many bytes went to the store, every connection is closed and new ones get this answer:
    /// the status line's end, headers, an empty line, the body.
    pub refused_after: Option<(u64, &'static str)>,
    /// A connection on which the client has sent this text (as UTF-8, or in UTF-16) passes nothing on any more, that
    /// piece included, and stays open.
    pub silent_from: Option<&'static str>,
    /// The next connection that sends as many bytes has the last one's lowest bit changed.
    pub flip_at: Option<u64>,
}

/// A proxy. Its threads end with the process.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    faults: Mutex<Faults>,
    target: String,
    connections: AtomicU64,
    most_at_once: AtomicU64,
    done: AtomicU64,
    flipped: AtomicBool,
    sent: AtomicU64,
}

impl State {
    /// What every connection is answered from now on.
    fn refusal(&self) -> Option<&'static str> {
        let (after, answer) = self.faults().refused_after?;
        (self.sent.load(Ordering::SeqCst) >= after).then_some(answer)
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts one before `endpoint`, a URL.
pub fn proxy(endpoint: &str) -> Proxy {
    let place = endpoint.split_once("://").unwrap().1.split('/').next().unwrap();
    let target = place.rsplit('@').next().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(State {
        faults: Mutex::default(),
        target,
        connections: AtomicU64::new(0),
        most_at_once: AtomicU64::new(0),
        done: AtomicU64::new(0),
        flipped: AtomicBool::new(false),
        sent: AtomicU64::new(0),
    });
    let shared = Arc::clone(&state);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            shared.most_at_once.fetch_max(established(address), Ordering::SeqCst);
            let state = Arc::clone(&shared);
            thread::spawn(move || serve(client, &state));
        }
    });
    Proxy { address, state }
}

impl Proxy {
    /// The proxy's address in the place of the store's.
    pub fn endpoint(&self, store: &str) -> String {
        store.replacen(&self.state.target, &self.address.to_string(), 1)
    }

    /// Changes what happens.
    pub fn set(&self, faults: Faults) {
        *self.state.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// How often something was done to a connection.
    pub fn done(&self) -> u64 {
        self.state.done.load(Ordering::SeqCst)
    }

    /// Connections made so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The most connections that clients had open when one more of them was made.
    pub fn most_at_once(&self) -> u64 {
        self.state.most_at_once.load(Ordering::SeqCst)
    }

    /// Bytes passed on towards the store.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }
}

/// How many connections to `address` their clients have open at this moment, as the kernel sees it. What a client
/// has closed counts no longer, even where the proxy has not noticed yet.
fn established(address: SocketAddr) -> u64 {
    const ESTABLISHED: &str = "01";
    let SocketAddr::V4(address) = address else { panic!("{address}") };
    let place = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote_and_state = |line: &str| {
        let mut fields = line.split_whitespace().skip(2);
        (fields.next() == Some(&*place), fields.next() == Some(ESTABLISHED))
    };
    table.lines().filter(|line| remote_and_state(line) == (true, true)).count() as u64
}

/// A number that looks random and is the same in every run.
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    for shift in [30, 27, 31] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    mixed
}

fn serve(mut client: TcpStream, state: &Arc<State>) {
    let faults = state.faults();
    let number = state.connections.fetch_add(1, Ordering::SeqCst);
    // Every so many, so that a short run has its share.
    let lot = |one_in: u64| one_in > 0 && number % one_in == one_in - 1;
    let refusal = match state.refusal() {
        None if lot(faults.busy_one_in) => Some("503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"),
        refusal => refusal,
    };
    if let Some(refusal) = refusal {
        state.done.fetch_add(1, Ordering::SeqCst);
        let mut head = [0; 1024];
        let _ = client.read(&mut head);
        let _ = client
            .write_all(format!("HTTP/1.1 {}", refusal.replacen("\r\n", "\r\nConnection: close\r\n", 1)).as_bytes());
        let _ = client.shutdown(Shutdown::Write);
        // What still comes is taken in, or the answer would be lost in a reset.
        let mut rest = [0; 65_536];
        while client.read(&mut rest).is_ok_and(|read| read > 0) {}
        return;
    }
    let Ok(server) = TcpStream::connect(&state.target) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let within = 1 + scattered(number ^ (3 << 40)) % faults.cut_within.max(1);
    let cut = lot(faults.cut_one_in).then_some(within);
    let stall = lot(faults.stall_one_in).then_some(within);
    let (Ok(client_up), Ok(server_up)) = (client.try_clone(), server.try_clone()) else { return };
    let up = Arc::clone(state);
    thread::spawn(move || pump(client_up, server_up, &up, faults.latency, cut, stall, true));
    pump(server, client, state, faults.latency, None, None, false);
}

fn holds(piece: &[u8], text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [text.as_bytes(), &wide].iter().any(|wanted| piece.windows(wanted.len()).any(|window| window == *wanted))
}

fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    state: &State,
    latency: Duration,
    cut: Option<u64>,
    stall: Option<u64>,
    up: bool,
) {
    let mut buffer = vec![0; 16_384];
    let mut passed = 0u64;
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        thread::sleep(latency);
        let piece = &mut buffer[..read];
        if up && state.faults().silent_from.is_some_and(|text| holds(piece, text)) {
            state.done.fetch_add(1, Ordering::SeqCst);
            while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
            break;
        }
        let after = passed + read as u64;
        if cut.is_some_and(|cut| after >= cut) {
            state.done.fetch_add(1, Ordering::SeqCst);
            let _ = to.write_all(&piece[..piece.len() / 2]);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
        if stall.is_some_and(|stall| after >= stall) {
            state.done.fetch_add(1, Ordering::SeqCst);
            // Open, and silent, until the other end gives up.
            while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
            break;
        }
        if up
            && let Some(at) = state.faults().flip_at
            && (passed..after).contains(&at)
            && !state.flipped.swap(true, Ordering::SeqCst)
        {
            state.done.fetch_add(1, Ordering::SeqCst);
            piece[usize::try_from(at - passed).unwrap()] ^= 1;
        }
        if up {
            state.sent.fetch_add(read as u64, Ordering::SeqCst);
        }
        if state.refusal().is_some() {
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
        passed = after;
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
