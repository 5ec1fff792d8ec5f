//! A port of this machine that leads to the SSH server, so that a connection can be given up.
//!
//! libgit2 waits for a silent server for ever: its timeouts are settings of the whole process behind unsafe calls. So
//! libgit2 connects to this relay, the relay connects to the server within a time limit, and [`Stop`] closes both ends
//! when time is up, which libgit2 sees at once. The relay reads nothing: the host key is checked end to end.

use super::GitError;
use super::address::SshAddress;
use super::stop::{Stop, close};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest wait for one address of a host: room for TCP's first tries, at 0, 1, 3 and 7 seconds (RFC 6298).
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// One open way to the server, for one connection; closed when dropped.
#[derive(Debug)]
pub(super) struct Relay {
    listens_on: SocketAddr,
    server: TcpStream,
}

impl Relay {
    /// Connects to the server and waits on a free port for one connection to pass on.
    pub(super) fn open(to: &SshAddress, timeout: Duration, stop: &Stop) -> Result<Self, GitError> {
        let unreachable = |error: io::Error| {
            GitError::Unreachable(format!("{} cannot be reached: {error}", to.known_as()))
        };
        let server = connect(to, timeout.min(CONNECT_LIMIT)).map_err(unreachable)?;
        let passing_on = Self::listen(server, stop);
        passing_on.map_err(|error| {
            GitError::Other(anyhow::Error::new(error).context("opening a local port for SSH"))
        })
    }

    /// The port on 127.0.0.1.
    pub(super) fn port(&self) -> u16 {
        self.listens_on.port()
    }

    fn listen(server: TcpStream, stop: &Stop) -> io::Result<Self> {
        server.set_nodelay(true)?;
        stop.close_on_stop(server.try_clone()?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let relay = Self {
            listens_on: listener.local_addr()?,
            server: server.try_clone()?,
        };
        std::thread::Builder::new()
            .name("ssh-relay".to_owned())
            .spawn(move || {
                // Either end may close at any time; the other end is told by closing it too.
                if let Ok((client, _)) = listener.accept() {
                    drop(listener);
                    pass_on(&client, &server).ok();
                    close(&client);
                }
                close(&server);
            })?;
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        close(&self.server);
        // Wakes the thread if nothing ever connected; refused, and not needed, in every other case.
        TcpStream::connect_timeout(&self.listens_on, CONNECT_LIMIT).ok();
    }
}

fn connect(to: &SshAddress, limit: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (to.host.as_str(), to.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Copies in both directions until the server closes.
fn pass_on(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::Builder::new()
        .name("ssh-relay-up".to_owned())
        .spawn(move || {
            io::copy(&mut from_client, &mut to_server).ok();
            to_server.shutdown(Shutdown::Write).ok();
        })?;
    let (mut from_server, mut to_client) = (server, client);
    io::copy(&mut from_server, &mut to_client)?;
    Ok(())
}
