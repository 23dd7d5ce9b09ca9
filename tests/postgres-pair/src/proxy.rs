//! A TCP proxy in front of a server that can be broken in the ways in which networks break.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const BACKLOG: u32 = 1024;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They work.
    Open,
    /// New ones are refused, those that are there are cut.
    Down,
    /// Half open: they are taken and stay, and nothing comes through, in neither direction.
    Silent,
    /// Each piece that the server sends comes so much later.
    Slow(Duration),
    /// The next answer breaks off after so many bytes, together with the connection.
    CutAfter(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    way: Way,
    /// How often connections were forgotten.
    forgotten: usize,
}

/// A running proxy on a loopback port of its own. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    server: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of a port of this machine.
    pub async fn start(target: u16) -> anyhow::Result<Self> {
        let reserved = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reserved.local_addr()?;
        let listener = socket(address)?.listen(BACKLOG)?;
        let (state, states) = watch::channel(State { way: Way::Open, forgotten: 0 });
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        let server = tokio::spawn(async move {
            if let Err(error) = serve((reserved, listener), target, states).await {
                tracing::error!(%error, "a proxy ended");
            }
        });
        Ok(Self { port: address.port(), state, server })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what becomes of connections, those that are there too. When this returns after [`Way::Down`], new
    /// ones are refused.
    pub async fn go(&self, way: Way) -> anyhow::Result<()> {
        anyhow::ensure!(!self.server.is_finished(), "the proxy ended");
        self.state.send_modify(|state| state.way = way);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        // The listener is closed and opened by another task.
        while TcpStream::connect(address).await.is_ok() == (way == Way::Down) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Nothing comes through the connections that are there now any more, and nobody is told: as behind a NAT
    /// gateway that has forgotten them. New ones work.
    pub fn forget(&self) {
        self.state.send_modify(|state| state.forgotten += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A socket that shares its address with others of this kind.
fn socket(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// `reserved` never listens: it keeps others from the port while nobody listens there.
async fn serve(
    (reserved, listener): (TcpSocket, TcpListener),
    target: SocketAddr,
    mut states: watch::Receiver<State>,
) -> anyhow::Result<()> {
    let address = reserved.local_addr()?;
    let mut listening = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let State { way, .. } = *states.borrow_and_update();
        if way == Way::Down {
            listening = None;
            connections.shutdown().await;
            states.changed().await?;
            continue;
        }
        let listener = match listening.take() {
            Some(listener) => listener,
            None => socket(address)?.listen(BACKLOG)?,
        };
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                connections.spawn(connection(client, target, states.clone()));
            }
            changed = states.changed() => changed?,
        }
        listening = Some(listener);
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, target: SocketAddr, states: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The end of either is the end of both.
    tokio::select! {
        () = pump(from_client, to_server, states.clone(), false) => {}
        () = pump(from_server, to_client, states, true) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut states: watch::Receiver<State>,
    answers: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    let born = states.borrow().forgotten;
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let mut piece = &buffer[..length];
        let mut cut = false;
        let Ok(state) = states.wait_for(|state| state.way != Way::Silent).await.map(|state| *state) else {
            return;
        };
        if state.forgotten > born {
            std::future::pending::<()>().await;
        }
        let slow = match state.way {
            Way::Slow(delay) if answers => delay,
            Way::CutAfter(bytes) if answers => {
                (piece, cut) = (&piece[..bytes.min(length)], true);
                Duration::ZERO
            }
            Way::Slow(_) | Way::CutAfter(_) | Way::Open | Way::Down | Way::Silent => Duration::ZERO,
        };
        tokio::time::sleep(slow).await;
        if to.write_all(piece).await.is_err() || cut {
            return;
        }
    }
}
