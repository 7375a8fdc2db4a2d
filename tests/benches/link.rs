//! The link between the servers on loopback, plain and under TLS, and the ciphers of TLS:
//! `cargo bench --bench link`.

use divan::Bencher;
use divan::counter::BytesCount;
use ppdenoise::internals::wire::{
    Channel, Limits, Listener, MAGIC, Security, Tag, TcpChannel, TlsKeys, connect,
};
use ring::aead;
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::time::Duration;

/// Bytes of a frame, as of a large opening.
const FRAME: usize = 1 << 20;
/// Frames of one sample, in each direction.
const FRAMES: u32 = 128;
/// Frames sent before the first is received.
const AHEAD: u32 = 4;
/// The largest record of TLS.
const RECORD: usize = 16 << 10;

fn main() {
    divan::main();
}

/// Bytes a second of one direction, while both are in use.
#[divan::bench(args = ["plain", "tls"], sample_count = 20, sample_size = 1)]
fn both_directions_at_once(bencher: Bencher<'_, '_>, mode: &str) {
    let (mut a, mut b) = pair(mode);
    bencher.counter(BytesCount::new(FRAME * FRAMES as usize)).bench_local(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| exchange(&mut a));
            exchange(&mut b);
        });
    });
}

/// Sealing in place, on one thread.
#[divan::bench(args = ["aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"])]
fn records(bencher: Bencher<'_, '_>, cipher: &str) {
    let algorithm = match cipher {
        "aes-128-gcm" => &aead::AES_128_GCM,
        "aes-256-gcm" => &aead::AES_256_GCM,
        _ => &aead::CHACHA20_POLY1305,
    };
    let key = aead::UnboundKey::new(algorithm, &vec![7; algorithm.key_len()]).unwrap();
    let key = aead::LessSafeKey::new(key);
    let (mut record, mut number) = (vec![1; RECORD], 0u64);
    bencher.counter(BytesCount::new(RECORD)).bench_local(|| {
        number += 1;
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_separate_tag(nonce, aead::Aad::from([0; 5]), &mut record).unwrap()
    });
}

fn exchange(channel: &mut TcpChannel) {
    let mut sent = 0;
    for received in 0..FRAMES {
        while sent < FRAMES && sent < received + AHEAD {
            channel.send(Tag::Opening, sent, vec![1; FRAME]).unwrap();
            sent += 1;
        }
        assert_eq!(channel.expect(Tag::Opening).unwrap().payload.len(), FRAME);
    }
}

fn pair(mode: &str) -> (TcpChannel, TcpChannel) {
    let seeds = [[1; 32], [2; 32]];
    let security = |own: usize| match mode {
        "tls" => {
            let peer = Ed25519KeyPair::from_seed_unchecked(&seeds[1 - own]).unwrap();
            let peer = peer.public_key().as_ref().try_into().unwrap();
            Security::Tls(TlsKeys::new(&seeds[own], peer).unwrap())
        }
        _ => Security::Insecure,
    };
    let limits = Limits::new(Duration::from_secs(20), Duration::from_secs(20));
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.address().to_string();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut other = connect(&address, &security(1), limits).unwrap();
            other.send(Tag::Hello, 0, MAGIC.to_vec()).unwrap();
            other
        });
        let mut accepted = listener.accept(&security(0), limits, &mut |_| ()).unwrap();
        accepted.expect(Tag::Hello).unwrap();
        (accepted, other.join().unwrap())
    })
}
