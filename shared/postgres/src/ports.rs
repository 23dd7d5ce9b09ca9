//! Ports for programs that cannot say which one they were given.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::Context;

/// Below what Linux and macOS give to those who ask for any port (from 32768 on, unless set otherwise). A port from
/// there could be given to somebody else between its choice and its use.
const PORTS: Range<u16> = 12_000..32_000;

/// Where this process goes on: no port is chosen twice before all others were. Processes begin at different places.
static NEXT: LazyLock<Mutex<u16>> = LazyLock::new(|| {
    let chance = RandomState::new().hash_one(std::process::id()) % u64::try_from(PORTS.len()).unwrap_or(1);
    Mutex::new(PORTS.start + u16::try_from(chance).unwrap_or(0))
});

/// `COUNT` loopback ports that nobody uses at this moment, each of them another. Whoever asks the system for any port
/// is given none of them.
///
/// # Errors
/// When every port of the range is in use.
pub fn free_ports<const COUNT: usize>() -> anyhow::Result<[u16; COUNT]> {
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ports = [0; COUNT];
    for port in &mut ports {
        *port = PORTS.clone().find_map(|_| free(&mut next)).context("no free port")?;
    }
    Ok(ports)
}

/// The next port, if nobody listens on it.
fn free(next: &mut u16) -> Option<u16> {
    let port = *next;
    *next = if port + 1 < PORTS.end { port + 1 } else { PORTS.start };
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{PORTS, free, free_ports};

    #[test]
    fn chooses_no_port_twice_and_none_that_the_system_gives_away() {
        let mut ports = Vec::new();
        for _ in 0..20 {
            ports.extend(free_ports::<2>().unwrap());
        }
        assert!(ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 40);
    }

    #[test]
    fn passes_over_a_port_that_is_used() {
        let [port] = free_ports().unwrap();
        let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(free(&mut port.clone()), None);
        drop(held);
    }

    #[test]
    fn begins_anew_behind_the_last_port() {
        let mut next = PORTS.end - 1;
        free(&mut next);
        assert_eq!(next, PORTS.start);
    }
}
