//! The smallest part of HTTP/1.1 that a scraper needs: `GET /metrics`, one answer a connection.
//!
//! Security: loopback alone, unless it is asked for more. What comes in has no influence on anything but which of a few
//! answers goes out: its head is read up to a limit, within a time, and so many connections are read at once; others wait
//! in the queue of the operating system.

use crate::cli::failure::{Code, Failure};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Connections that are answered at a time, each by a thread of its own.
const AT_ONCE: usize = 4;
/// The most bytes of a request's head.
const MAX_HEAD: usize = 4096;
/// How long a request may take to come, and an answer to go.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long nobody is let in when the operating system has no room for connections.
const REST: Duration = Duration::from_millis(200);

/// Makes the text that is answered.
pub(super) type Answer = Arc<dyn Fn() -> String + Send + Sync>;

/// Binds an address and answers there from now on; the address that was bound.
///
/// # Errors
/// One that others reach, unless `any` is allowed; one that cannot be bound.
pub(super) fn begin(wanted: &str, any: bool, answer: Answer) -> Result<SocketAddr, Failure> {
    let failed = |e: io::Error| {
        Failure::failed(format!("cannot answer for --metrics at {wanted}: {e}"))
            .help("give an address of this machine and a free port, such as 127.0.0.1:9464")
    };
    let addresses: Vec<SocketAddr> = wanted.to_socket_addrs().map_err(failed)?.collect();
    if let Some(other) = addresses.iter().find(|address| !any && !address.ip().is_loopback()) {
        let text = format!("--metrics {wanted}: other machines may reach {}", other.ip());
        return Err(Failure::new(Code::Usage, text).help(
            "give a loopback address, such as 127.0.0.1:9464; or add --metrics-any-address if whoever reaches it may read \
             the counts",
        ));
    }
    let listener = Arc::new(TcpListener::bind(&addresses[..]).map_err(failed)?);
    let bound = listener.local_addr().map_err(failed)?;
    for _ in 0..AT_ONCE {
        let (listener, answer) = (Arc::clone(&listener), Arc::clone(&answer));
        let thread = thread::Builder::new().name("metrics".into());
        thread.spawn(move || answer_all(&listener, &answer)).map_err(failed)?;
    }
    Ok(bound)
}

fn answer_all(listener: &TcpListener, answer: &Answer) {
    loop {
        match listener.accept() {
            // Who does not read the answer goes without.
            Ok((stream, _)) => drop(converse(stream, answer)),
            Err(_) => thread::sleep(REST),
        }
    }
}

fn converse(mut stream: TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let reply = match head(&mut stream)? {
        Some(head) => reply(&head, answer),
        None => Reply::refusal("431 Request Header Fields Too Large"),
    };
    stream.write_all(&reply.bytes())?;
    stream.shutdown(Shutdown::Write)
}

/// The head of a request; nothing for one that is too long.
fn head(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Ok(None);
        }
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(rest))?;
        let mut piece = [0; MAX_HEAD];
        let room = MAX_HEAD - head.len();
        match stream.read(&mut piece[..room])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => head.extend_from_slice(&piece[..n]),
        }
    }
    Ok(Some(head))
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: &'static str,
    kind: &'static str,
    body: String,
    /// Whether the body is sent.
    whole: bool,
}

impl Reply {
    fn refusal(status: &'static str) -> Reply {
        let kind = "text/plain; charset=utf-8";
        Reply { status, kind, body: format!("{status}; metrics are at /metrics\n"), whole: true }
    }

    fn bytes(&self) -> Vec<u8> {
        let Reply { status, kind, body, whole } = self;
        let length = body.len();
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let body = if *whole { body.as_str() } else { "" };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// What is answered to a request with this head.
fn reply(head: &[u8], answer: &Answer) -> Reply {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.split(' ').collect();
    let &[method, target, version] = &words[..] else { return Reply::refusal("400 Bad Request") };
    if !version.starts_with("HTTP/1.") {
        return Reply::refusal("400 Bad Request");
    }
    match (method, target.split('?').next()) {
        ("GET" | "HEAD", Some("/metrics")) => {
            let whole = method == "GET";
            Reply { status: "200 OK", kind: CONTENT_TYPE, body: answer(), whole }
        }
        ("GET" | "HEAD", _) => Reply { whole: method == "GET", ..Reply::refusal("404 Not Found") },
        _ => Reply::refusal("405 Method Not Allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Arc::new(|| "a 1\n".into())
    }

    #[test]
    fn requests_are_answered_or_refused() {
        for (head, status) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK"),
            ("GET /metrics?name[]=a HTTP/1.0\r\n\r\n", "200 OK"),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK"),
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("GET /metrics/../etc HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("GET /metrics SSH-2.0\r\n\r\n", "400 Bad Request"),
            ("\r\n\r\n", "400 Bad Request"),
            ("\u{ffff}\r\n\r\n", "400 Bad Request"),
        ] {
            let reply = reply(head.as_bytes(), &answer());
            assert_eq!(reply.status, status, "{head:?}");
            let text = String::from_utf8(reply.bytes()).unwrap();
            let (_, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.is_empty(), head.starts_with("HEAD"), "{text}");
            assert!(text.contains(&format!("Content-Length: {}\r\n", reply.body.len())));
        }
    }

    /// What a client receives that sends these bytes.
    fn ask(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        // The other end may have seen enough already.
        let _ = stream.write_all(bytes);
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    }

    #[test]
    fn who_says_too_much_or_nothing_does_not_keep_others_away() {
        let address = begin("127.0.0.1:0", false, answer()).unwrap();
        let good = b"GET /metrics HTTP/1.1\r\n\r\n";
        let silent: Vec<TcpStream> =
            (0..AT_ONCE).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(ask(address, &[b'a'; MAX_HEAD]).starts_with("HTTP/1.1 431 "));
        assert!(ask(address, good).ends_with("\r\n\r\na 1\n"));
        drop(silent);
        assert!(ask(address, good).starts_with("HTTP/1.1 200 OK\r\n"));
    }

    #[test]
    fn addresses_that_others_reach_are_asked_for_twice() {
        let refused = begin("0.0.0.0:0", false, answer()).unwrap_err().to_string();
        assert!(refused.contains("other machines may reach 0.0.0.0"), "{refused}");
        assert!(refused.contains("--metrics-any-address"), "{refused}");
        assert!(begin("0.0.0.0:0", true, answer()).is_ok());
        assert!(begin("localhost:0", false, answer()).is_ok());
        let taken = begin("127.0.0.1:0", false, answer()).unwrap().to_string();
        assert!(begin(&taken, false, answer()).unwrap_err().to_string().contains(&taken));
    }
}
