//! Small things several modules need: folders, free ports, child processes, a socket that can be cut.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, ChildStdout, Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Where things that are costly to make are kept between runs: `target/testbed`.
pub(crate) fn cache_directory() -> PathBuf {
    let folder = crate::tools::target_directory().join("testbed");
    fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    folder
}

/// Writes a file so that readers in other processes see all of it or nothing.
pub(crate) fn write_whole(path: &Path, content: &[u8]) {
    let folder = path.parent().expect("a cached file lies in a folder");
    let temporary = tempfile::NamedTempFile::new_in(folder).expect("target/testbed is writable");
    fs::write(temporary.path(), content).expect("target/testbed is writable");
    temporary.persist(path).expect("target/testbed is writable");
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let probe = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 has a free port");
    probe
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// A client for what listens on this machine. It trusts no authority, as nothing here speaks TLS: reading those that the
/// system trusts takes longer than most requests.
///
/// # Panics
/// When a client cannot be set up.
pub fn local_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().tls_certs_only([]);
    builder.build().expect("a client without TLS can be set up")
}

/// `2026-11-02T09:00:00Z`, as GitHub writes it.
pub(crate) fn timestamp(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).expect("zero is a nanosecond");
    whole.format(&Rfc3339).expect("the year is within RFC 3339")
}

/// Runs a program to its end and panics, with what it wrote, when it fails.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A child process that is killed, by its id, when dropped.
pub(crate) struct Server(Mutex<Child>);

impl Server {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self(Mutex::new(child))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    /// Says whether it has ended by itself.
    pub(crate) fn ended(&self) -> bool {
        let status = self.child().try_wait();
        status.is_ok_and(|status| status.is_some())
    }

    /// Its standard output, which has to be piped; once.
    pub(crate) fn take_stdout(&self) -> ChildStdout {
        self.child()
            .stdout
            .take()
            .expect("standard output is piped")
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        // Both fail only when the process is already gone.
        let mut child = self.child();
        drop(child.kill());
        drop(child.wait());
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to end, and ends it when it has not after this long.
    pub(crate) fn terminate(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        if !self.ended() {
            // The standard library can only kill. A failure shows below: the process goes on.
            drop(
                Command::new("sh")
                    .args(["-c", &format!("kill -TERM {}", self.id())])
                    .status(),
            );
        }
        while !self.ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A listener whose connections a handler can cut: the peer sees a reset, not an answer.
pub(crate) struct CuttableListener(TcpListener);

impl CuttableListener {
    pub(crate) async fn bind() -> (Self, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("127.0.0.1 has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        (Self(listener), address)
    }
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (
            CuttableStream {
                stream,
                scissors: Scissors::default(),
            },
            address,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Cuts the connection a request came in on, at the next byte of its answer.
#[derive(Clone, Default)]
pub(crate) struct Scissors(Arc<AtomicBool>);

impl Scissors {
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().scissors.clone()
    }
}

pub(crate) struct CuttableStream {
    stream: TcpStream,
    scissors: Scissors,
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.scissors.0.load(Ordering::Acquire) {
            // With no linger time the close that follows sends a reset.
            self.stream.set_zero_linger()?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
