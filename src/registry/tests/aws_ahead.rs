//! What is sent ahead of a publish: all of its body but the end, which goes when it is published, and never else.

use super::aws::{home, published, registry};
use super::request;
use crate::registry::{AwsRegistry, Prepared, PublishRequest, Registry as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of the end that is kept back, at most.
const END: usize = 8 * 1024;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came over one connection.
#[derive(Debug, Default, Clone, Copy)]
struct Came {
    /// Bytes of the body that was announced.
    announced: usize,
    got: usize,
    /// The other side closed it.
    is_closed: bool,
}

impl Came {
    fn is_whole(self) -> bool {
        self.announced > 0 && self.got == self.announced
    }

    fn is_all_but_the_end(self) -> bool {
        self.announced > 0 && self.got < self.announced && self.got + END >= self.announced
    }
}

/// A server that watches requests come in. Those it got whole are answered as published.
#[derive(Clone)]
struct Watching {
    came: Arc<Mutex<Vec<Came>>>,
    /// Answers the first connection so many bytes after the head, in these words, and reads on until it is closed.
    early: Option<(usize, &'static str)>,
}

impl Watching {
    async fn start(early: Option<(usize, &'static str)>) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let watching = Self {
            came: Arc::default(),
            early,
        };
        let server = watching.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut came = server.came.lock().unwrap();
                    came.push(Came::default());
                    came.len() - 1
                };
                tokio::spawn(server.clone().watch(stream, number));
            }
        });
        (watching, url)
    }

    async fn watch(self, mut stream: TcpStream, number: usize) {
        let (mut head, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        loop {
            let read = stream.read(&mut buffer).await.unwrap_or_default();
            if read == 0 {
                self.came.lock().unwrap()[number].is_closed = true;
                return;
            }
            let before = self.connection(number);
            let mut now = before;
            if before.announced == 0 {
                head.extend_from_slice(&buffer[..read]);
                let Some(end) = head.windows(4).position(|part| part == b"\r\n\r\n") else {
                    continue;
                };
                let text = String::from_utf8_lossy(&head[..end]).to_lowercase();
                let length = text.split("content-length: ").nth(1).unwrap();
                now.announced = length.lines().next().unwrap().parse().unwrap();
                now.got = head.len() - end - 4;
            } else {
                now.got += read;
            }
            self.came.lock().unwrap()[number] = now;
            if let Some((after, words)) = self.early
                && number == 0
                && now.got >= after
            {
                let answer = format!("HTTP/1.1 {words}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                // What is still on its way would reset the connection, and the answer with it.
                while stream.read(&mut buffer).await.unwrap_or_default() > 0 {}
                self.came.lock().unwrap()[number].is_closed = true;
                return;
            }
            if now.is_whole() {
                let answer = published();
                let body = answer.body();
                let answer = format!(
                    "HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }

    fn connection(&self, number: usize) -> Came {
        let came = self.came.lock().unwrap();
        came.get(number).copied().unwrap_or_default()
    }

    fn whole(&self) -> usize {
        let came = self.came.lock().unwrap();
        came.iter().filter(|came| came.is_whole()).count()
    }

    /// Waits until something is true of a connection.
    async fn until(&self, number: usize, is_so: impl Fn(Came) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self.connection(number)) {
            assert!(Instant::now() < deadline, "{:?}", self.connection(number));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A zip that takes longer than a moment to send, and does not get smaller in it.
fn large() -> PublishRequest {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 24) as u8 % 90)
    });
    request("layer", &noise.take(160 * END).collect::<String>())
}

/// What is ready to be published to a server that watches.
async fn prepared(
    request: &PublishRequest,
    early: Option<(usize, &'static str)>,
) -> (Watching, AwsRegistry, Prepared) {
    let (server, url) = Watching::start(early).await;
    let registry = registry(&url).await;
    let prepared = registry.prepare(&home(), request).await;
    (server, registry, prepared)
}

async fn publish(registry: &AwsRegistry, request: &PublishRequest, prepared: Prepared) {
    let region = home();
    let publish = registry.publish_prepared(&region, request, prepared);
    publish.await.unwrap();
}

#[tokio::test]
async fn all_but_the_end_goes_ahead_and_the_end_when_it_is_published() {
    let (server, registry, prepared) = prepared(&large(), None).await;
    server.until(0, Came::is_all_but_the_end).await;
    publish(&registry, &large(), prepared).await;
    assert_eq!(server.whole(), 1);
}

#[tokio::test]
async fn published_at_once_it_goes_once_as_well() {
    let (server, registry, prepared) = prepared(&large(), None).await;
    publish(&registry, &large(), prepared).await;
    assert_eq!(server.whole(), 1);
}

#[tokio::test]
async fn what_is_not_published_after_all_is_broken_off() {
    let (server, _registry, prepared) = prepared(&large(), None).await;
    server.until(0, Came::is_all_but_the_end).await;
    drop(prepared);
    server.until(0, |came| came.is_closed).await;
    assert_eq!(server.whole(), 0);
}

#[tokio::test]
async fn what_waited_for_long_is_sent_anew() {
    let (server, registry, prepared) = prepared(&large(), None).await;
    server.until(0, |came| came.is_closed).await;
    assert_eq!(server.whole(), 0);
    publish(&registry, &large(), prepared).await;
    assert_eq!(server.whole(), 1);
}

#[tokio::test]
async fn what_is_refused_before_it_is_whole_is_sent_anew() {
    for words in [
        "429 Too Many Requests",
        "503 Service Unavailable",
        "403 Forbidden",
    ] {
        let early = Some((8 * END, words));
        let (server, registry, prepared) = prepared(&large(), early).await;
        server.until(0, |came| came.is_closed).await;
        publish(&registry, &large(), prepared).await;
        assert_eq!(server.whole(), 1, "{words}");
    }
}

#[tokio::test]
async fn what_is_sent_in_a_moment_is_not_sent_ahead() {
    let small = request("layer", "a");
    let (server, registry, prepared) = prepared(&small, None).await;
    assert!(format!("{prepared:?}").contains("begun: None"));
    publish(&registry, &small, prepared).await;
    assert_eq!(server.whole(), 1);
}
