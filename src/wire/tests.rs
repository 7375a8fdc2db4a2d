//! Two servers on loopback, and those who are not.

use super::frame::{self, HEADER_LEN};
use super::half_open::{Accepted, HalfOpen};
use super::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Instant;

const LIMITS: Limits = Limits {
    wait: Duration::from_secs(20),
    silence: Duration::from_secs(20),
    handshake: Duration::from_secs(10),
};
const SEEDS: [[u8; 32]; 3] = [[1; 32], [2; 32], [3; 32]];

fn public(seed: &[u8; 32]) -> [u8; 32] {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    pair.public_key().as_ref().try_into().unwrap()
}

/// The link of the holder of one key to that of another, by their numbers.
fn tls(own: usize, peer: usize) -> Security {
    Security::Tls(TlsKeys::new(&SEEDS[own], &public(&SEEDS[peer])).unwrap())
}

fn both_modes() -> [[Security; 2]; 2] {
    [[tls(0, 1), tls(1, 0)], [Security::Insecure, Security::Insecure]]
}

fn bind() -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.address().to_string();
    (listener, address)
}

/// What listener and connecting server make of each other; the listener does not wait for long.
fn meet(listening: &Security, connecting: &Security) -> [Result<TcpChannel, NetError>; 2] {
    let (listener, address) = bind();
    let limits = Limits { wait: Duration::from_secs(2), ..LIMITS };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| connect(&address, connecting, limits));
        let accepted = listener.accept(listening, limits, &mut |_| ());
        [accepted, other.join().unwrap()]
    })
}

/// Two ends that have greeted each other.
fn pair([listening, connecting]: &[Security; 2]) -> (TcpChannel, TcpChannel) {
    let (listener, address) = bind();
    let (mut a, mut b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut other = connect(&address, connecting, LIMITS).unwrap();
            other.send(Tag::Hello, 0, MAGIC.to_vec()).unwrap();
            other
        });
        let accepted = listener.accept(listening, LIMITS, &mut |_| ()).unwrap();
        (accepted, other.join().unwrap())
    });
    a.send(Tag::Hello, 0, MAGIC.to_vec()).unwrap();
    assert!([&mut a, &mut b].map(|end| end.expect(Tag::Hello).is_ok()) == [true; 2]);
    (a, b)
}

/// The error of a connecting server that was refused.
fn refusal(result: Result<TcpChannel, NetError>) -> Refusal {
    match result.err() {
        Some(NetError::Handshake { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

/// The sentence of a listener to which nobody came.
fn waited(result: Result<TcpChannel, NetError>) -> String {
    match result.err() {
        Some(error @ NetError::NobodyCame { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Both send more than any socket buffer holds before either receives.
#[test]
fn large_exchanges_do_not_deadlock() {
    for security in both_modes() {
        let (mut a, mut b) = pair(&security);
        let size = 40 << 20;
        let other = std::thread::spawn(move || {
            let got = b.exchange(Tag::Weights, &vec![2; size]).unwrap();
            (got, b.traffic())
        });
        assert!(a.exchange(Tag::Weights, &vec![1; size]).unwrap().iter().all(|&v| v == 2));
        let (got, traffic) = other.join().unwrap();
        assert!(got.len() == size && got.iter().all(|&v| v == 1));
        assert_eq!(a.traffic(), traffic);
        let greeting = HEADER_LEN + MAGIC.len();
        assert_eq!(traffic.bytes_sent, (size + 10 * HEADER_LEN + greeting) as u64);
    }
}

/// As the rule of `send` says: everything may be queued before anything is received.
#[test]
fn both_may_queue_everything_first() {
    for security in both_modes() {
        let (mut a, mut b) = pair(&security);
        let frames = 5;
        for channel in [&mut a, &mut b] {
            for i in 0..frames {
                channel.send(Tag::Opening, i, vec![i as u8; 8 << 20]).unwrap();
            }
        }
        for channel in [&mut a, &mut b] {
            for i in 0..frames {
                let frame = channel.expect(Tag::Opening).unwrap();
                assert!(frame.batch == i && frame.payload.iter().all(|&v| v == i as u8));
            }
        }
    }
}

#[test]
fn a_reason_survives_the_close() {
    for security in both_modes() {
        let (mut a, mut b) = pair(&security);
        // Unread bytes at b when it closes must not cost a the reason.
        a.send(Tag::Opening, 0, vec![0; 1000]).unwrap();
        b.send(Tag::Abort, 0, b"wrong model".to_vec()).unwrap();
        let closing = std::thread::spawn(move || drop(b));
        assert!(matches!(a.recv(), Err(NetError::Refused { reason }) if reason == "wrong model"));
        assert!(matches!(a.recv(), Err(NetError::Closed(text)) if text.is_empty()));
        drop(a);
        closing.join().unwrap();
    }
}

/// The connecting end of a TLS connection, without its channel.
fn raw_end(address: &str) -> (TcpStream, rustls::Connection) {
    let stream = TcpStream::connect(address).unwrap();
    match HalfOpen::connected(stream, &tls(1, 0), LIMITS.handshake).unwrap() {
        Accepted::Tls { stream, connection } => {
            stream.set_nonblocking(false).unwrap();
            (stream, *connection)
        }
        Accepted::Plain { .. } => unreachable!(),
    }
}

/// A listener's channel, and the connecting end without one.
fn with_raw_end() -> (TcpChannel, TcpStream, rustls::Connection) {
    let (listener, address) = bind();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| raw_end(&address));
        let channel = listener.accept(&tls(0, 1), LIMITS, &mut |_| ()).unwrap();
        let (stream, connection) = other.join().unwrap();
        (channel, stream, connection)
    })
}

fn records(connection: &mut rustls::Connection, bytes: &[u8]) -> Vec<u8> {
    connection.writer().write_all(bytes).unwrap();
    let mut records = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut records).unwrap();
    }
    records
}

/// Between frames or within one: an end without a close_notify is no end.
#[test]
fn a_stream_that_is_cut_off_is_an_error_of_its_own() {
    for kept in [HEADER_LEN + 4, HEADER_LEN + 2, 3] {
        let (mut channel, mut stream, mut connection) = with_raw_end();
        let frame = [&frame::header(Tag::Done, 0, 4)[..], b"done"].concat();
        stream.write_all(&records(&mut connection, &frame[..kept])).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        if kept == frame.len() {
            assert_eq!(channel.recv().unwrap().payload, b"done");
        }
        let error = channel.recv().unwrap_err();
        assert!(error.to_string().contains("without ending the session"), "{error}");
    }
}

#[test]
fn changed_bytes_are_noticed() {
    let (mut channel, mut stream, mut connection) = with_raw_end();
    let mut bytes = records(&mut connection, &frame::header(Tag::Done, 0, 0));
    *bytes.last_mut().unwrap() ^= 1;
    stream.write_all(&bytes).unwrap();
    assert!(matches!(channel.recv(), Err(NetError::Changed(_))));
}

/// Each end alone has another key than the one pinned, or pins another.
#[test]
fn wrong_keys_are_refused_at_both_ends() {
    let [listener, other] = meet(&tls(0, 1), &tls(2, 0));
    assert_eq!(refusal(other), Refusal::KeyNotAccepted);
    let text = waited(listener);
    assert!(text.contains("one connection was refused: it proved another key"), "{text}");
    let [listener, other] = meet(&tls(2, 1), &tls(1, 0));
    assert_eq!(refusal(other), Refusal::WrongKey);
    let text = waited(listener);
    assert!(text.contains("does not accept this server's key"), "{text}");
    // Two servers of one party, and a key folder whose public keys are swapped.
    let [_, other] = meet(&tls(0, 1), &tls(0, 1));
    assert_eq!(refusal(other), Refusal::OwnKey);
    assert!(matches!(TlsKeys::new(&SEEDS[0], &public(&SEEDS[0])), Err(NetError::Keys(_))));
    assert!(meet(&tls(0, 1), &tls(1, 0)).iter().all(Result::is_ok));
}

#[test]
fn secure_and_insecure_servers_tell_each_other() {
    let [listener, other] = meet(&Security::Insecure, &tls(1, 0));
    assert_eq!(refusal(other), Refusal::NotTls);
    let text = waited(listener);
    assert!(text.contains("it speaks TLS, and this server was started with --insecure"), "{text}");

    let (listener, address) = bind();
    let limits = Limits { wait: Duration::from_secs(2), ..LIMITS };
    let other = std::thread::spawn(move || {
        let mut channel = connect(&address, &Security::Insecure, limits).unwrap();
        channel.send(Tag::Hello, 0, MAGIC.to_vec()).unwrap();
        channel.recv().unwrap_err().to_string()
    });
    let text = waited(listener.accept(&tls(0, 1), limits, &mut |_| ()));
    assert!(text.contains("it speaks without TLS, as with --insecure"), "{text}");
    let text = other.join().unwrap();
    assert!(text.contains("it demands TLS; start this server without --insecure"), "{text}");
}

/// A client of TLS 1.2: a ClientHello without the extension of supported versions.
fn tls12_hello() -> Vec<u8> {
    let suites = [0xc0, 0x2f, 0xc0, 0x30];
    let extensions = [0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 4, 0, 2, 8, 7];
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, suites.len() as u8]);
    body.extend(suites);
    body.extend([1, 0, 0, extensions.len() as u8]);
    body.extend(extensions);
    let length = body.len() as u8;
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn other_versions_and_protocols_are_refused() {
    let (listener, address) = bind();
    let limits = Limits { wait: Duration::from_secs(2), ..LIMITS };
    let mut raw = TcpStream::connect(&address).unwrap();
    raw.write_all(&tls12_hello()).unwrap();
    let text = waited(listener.accept(&tls(0, 1), limits, &mut |_| ()));
    assert!(text.contains("TLS"), "{text}");
    let mut alert = Vec::new();
    raw.read_to_end(&mut alert).unwrap();
    // A fatal alert: protocol_version.
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 70]);

    // Another version's client, and one that names no protocol and does not care.
    let TlsKeys { server, client } = TlsKeys::new(&SEEDS[1], &public(&SEEDS[0])).unwrap();
    let mut other = (*client).clone();
    other.alpn_protocols = vec![b"ppdenoise/2".to_vec()];
    let keys = TlsKeys { server, client: other.into() };
    let [listener, other] = meet(&tls(0, 1), &Security::Tls(keys));
    let expected = "another version of the protocol; this one is ppdenoise/9";
    assert!(refusal(other).to_string().contains(expected));
    let text = waited(listener);
    assert!(text.contains(expected), "{text}");

    let mut other = (*client).clone();
    other.alpn_protocols = Vec::new();
    let (listener, address) = bind();
    let careless = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let name = "ppdenoise".try_into().unwrap();
        let mut connection = rustls::ClientConnection::new(other.into(), name).unwrap();
        // Until the listener has closed: then nothing more is read.
        while matches!(connection.complete_io(&mut stream), Ok((read, sent)) if read + sent > 0) {}
    });
    let text = waited(listener.accept(&tls(0, 1), limits, &mut |_| ()));
    assert!(text.contains(expected), "{text}");
    careless.join().unwrap();
}

/// Strangers who say nothing or nonsense come first; the other server is found all the same.
#[test]
fn strangers_do_not_keep_the_peer_out() {
    for [listening, connecting] in both_modes() {
        let (listener, address) = bind();
        let limits = Limits { handshake: Duration::from_secs(2), ..LIMITS };
        let _silent = TcpStream::connect(&address).unwrap();
        let mut rude = TcpStream::connect(&address).unwrap();
        rude.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        drop(TcpStream::connect(&address).unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let accepted = scope.spawn(|| {
                listener.accept(&listening, limits, &mut |text| tell.send(text).unwrap()).unwrap()
            });
            // Only when each of them has been refused does the other server come.
            let mut notes: Vec<String> = told.iter().take(3).collect();
            notes.sort_by_key(|text| text.len());
            assert!(notes.iter().all(|t| t.starts_with("refused a connection from 127.0.0.1:")));
            assert!(notes.iter().any(|t| t.contains("did not complete the handshake within")));
            assert!(notes.iter().any(|t| t.contains("closed the connection during the handshake")));
            let mut other = connect(&address, &connecting, limits).unwrap();
            other.send(Tag::Hello, 0, MAGIC.to_vec()).unwrap();
            let mut accepted = accepted.join().unwrap();
            assert_eq!(accepted.expect(Tag::Hello).unwrap().payload, MAGIC);
        });
    }
}

/// A flood of connections that say nothing: few are kept, the newest is heard, little is told.
#[test]
fn a_flood_of_strangers_is_bounded() {
    let (listener, address) = bind();
    let (tell, notes) = std::sync::mpsc::channel();
    let (flood, ends) = std::thread::scope(|scope| {
        let accepted = scope.spawn(move || {
            let mut note = |text| tell.send(text).unwrap();
            listener.accept(&tls(0, 1), LIMITS, &mut note).unwrap()
        });
        let flood: Vec<TcpStream> =
            (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
        let other = connect(&address, &tls(1, 0), LIMITS).unwrap();
        (flood, [accepted.join().unwrap(), other])
    });
    let notes: Vec<String> = notes.iter().collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("before many others came"), "{notes:?}");
    for mut stream in flood {
        stream.set_read_timeout(Some(LIMITS.silence)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    let [mut a, mut b] = ends;
    a.send(Tag::Done, 0, vec![]).unwrap();
    b.expect(Tag::Done).unwrap();
}

/// While they are half open: the oldest have been closed, as many as are allowed have not.
#[test]
fn as_many_are_half_open_as_is_said() {
    let (listener, address) = bind();
    let limits = Limits { wait: Duration::from_secs(5), ..LIMITS };
    let waiting = std::thread::spawn(move || listener.accept(&tls(0, 1), limits, &mut |_| ()));
    let flood: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for (i, mut stream) in flood.iter().enumerate().take(200 - HALF_OPEN) {
        stream.set_read_timeout(Some(LIMITS.silence)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "connection {i} gave way");
    }
    for mut stream in &flood[200 - HALF_OPEN..] {
        stream.set_nonblocking(true).unwrap();
        let kept = stream.read(&mut [0]).unwrap_err();
        assert_eq!(kept.kind(), std::io::ErrorKind::WouldBlock);
    }
    let text = waited(waiting.join().unwrap());
    assert!(text.contains("168 connections were refused"), "{text}");
}

#[test]
fn oversized_frames_are_refused_before_allocation() {
    let (mut channel, mut stream, mut connection) = with_raw_end();
    stream.write_all(&records(&mut connection, &[0xff; HEADER_LEN])).unwrap();
    let error = channel.recv().unwrap_err();
    assert!(matches!(error, NetError::Protocol(text) if text.contains("4294967295")));
    // Without TLS such a frame is no greeting.
    let (listener, address) = bind();
    let mut raw = TcpStream::connect(address).unwrap();
    raw.write_all(&[0xff; HEADER_LEN]).unwrap();
    let limits = Limits { wait: Duration::from_millis(300), ..LIMITS };
    let text = waited(listener.accept(&Security::Insecure, limits, &mut |_| ()));
    assert!(text.contains("no greeting"), "{text}");
}

#[test]
fn absent_peers_are_reported_with_address_and_time() {
    let at_once = Limits { wait: Duration::ZERO, ..LIMITS };
    let (listener, address) = bind();
    let silent = waited(listener.accept(&tls(0, 1), at_once, &mut |_| ()));
    assert!(silent.ends_with("within 0 s"), "{silent}");
    drop(listener);
    let error = connect(&address, &tls(1, 0), at_once).err().unwrap();
    assert!(error.to_string().contains(&address), "{error}");
    assert!(matches!(Listener::bind("127.0.0.1:x"), Err(NetError::Listen { .. })));
}

/// A listener that never answers costs the connecting server its handshake time, not more.
#[test]
fn a_listener_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let limits = Limits { handshake: Duration::from_millis(200), ..LIMITS };
    let started = Instant::now();
    let refusal = refusal(connect(&address, &tls(1, 0), limits));
    assert_eq!(refusal, Refusal::Stalled { seconds: 0 });
    assert!(started.elapsed() < LIMITS.handshake);
}

/// A peer that stops reading is given up when it has been silent for long enough.
#[test]
fn a_peer_that_does_not_read_holds_nobody() {
    let (listener, address) = bind();
    let limits = Limits { silence: Duration::from_millis(300), ..LIMITS };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| raw_end(&address));
        let mut channel = listener.accept(&tls(0, 1), limits, &mut |_| ()).unwrap();
        let _held = other.join().unwrap();
        for i in 0..8 {
            let _ = channel.send(Tag::Opening, i, vec![0; 8 << 20]);
        }
        assert!(matches!(channel.recv(), Err(NetError::Silent { .. } | NetError::Closed(_))));
        drop(channel);
    });
}

/// A listener for several keys tells which one came, refuses others, and goes on with those who are still in
/// their handshake.
#[test]
fn one_of_several_keys_comes_through_the_door() {
    let (listener, address) = bind();
    let keys = [public(&SEEDS[1]), public(&SEEDS[2])];
    let several = |keys: &[[u8; 32]]| Security::Tls(TlsKeys::any_of(&SEEDS[0], keys).unwrap());
    let both = several(&keys);
    let mut door = listener.door();
    let soon = || Instant::now() + Duration::from_secs(20);
    // Whoever stays in the handshake is in nobody's way, and keeps its place.
    let mut idle = TcpStream::connect(&address).unwrap();
    for number in [2, 1] {
        let (accepted, connected) = std::thread::scope(|scope| {
            let address = &address;
            let user = scope.spawn(move || connect(address, &tls(number, 0), LIMITS).unwrap());
            let accepted = door.next(&both, LIMITS, soon(), &mut |_| ()).unwrap().unwrap();
            (accepted, user.join().unwrap())
        });
        assert_eq!(accepted.peer_key(), Some(keys[number - 1]));
        assert_eq!(connected.peer_key(), Some(public(&SEEDS[0])));
    }
    idle.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(idle.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // Without its key, and without any.
    for known in [&keys[..1], &[]] {
        let security = several(known);
        let end = Instant::now() + Duration::from_secs(2);
        let limits = Limits { wait: Duration::from_secs(1), ..LIMITS };
        let mut notes = Vec::new();
        std::thread::scope(|scope| {
            let address = &address;
            let stranger = scope.spawn(move || connect(address, &tls(2, 0), limits));
            let mut note = |text: String| notes.push(text);
            let mut door = listener.door();
            assert!(door.next(&security, limits, end, &mut note).unwrap().is_none());
            let found = refusal(stranger.join().unwrap());
            assert_eq!(found, Refusal::KeyNotAccepted);
        });
        assert!(notes.iter().any(|text| text.contains("another key")), "{notes:?}");
    }
    assert!(matches!(TlsKeys::any_of(&SEEDS[1], &keys), Err(NetError::Keys(_))));
}

/// A connection is cut while its owner waits for the peer.
#[test]
fn a_connection_is_cut_from_another_thread() {
    let (mut a, mut b) = pair(&both_modes()[0]);
    let cutter = a.cutter().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || a.recv().map(|frame| frame.tag));
        std::thread::sleep(Duration::from_millis(50));
        cutter.cut();
        assert!(matches!(waiting.join().unwrap(), Err(NetError::Closed(_))));
    });
    assert!(matches!(b.recv(), Err(NetError::Closed(_))));
}
