//! What TLS adds to the protocol's bytes, counted outside the servers.

use crate::common::kill::{Trigger, Wire};
use crate::common::link::{Link, records};
use crate::common::{Job, Lab, traffic};
use ppdenoise_base::size::Size;

/// Bytes that each record takes beside its content.
const RECORD: usize = 22;
/// The frame Ready, which only a listener sends and no counter counts; the content of close_notify.
const READY: usize = 9;
const CLOSE: usize = 2;

/// `cargo test --test e2e wire:: -- --nocapture` prints the figures of docs/wire.md.
#[test]
fn tls_adds_a_handshake_and_22_bytes_a_record() {
    let lab = Lab::ready(Size::new(48, 48), 1);
    let link = Link::Tls(Default::default());
    let mut listening = lab.listen(&link.job(Job::new(0)));
    let address = listening.address();
    let wire = Wire::bind(&link);
    let connecting = lab.connect(&link.job(Job::new(1)), &wire.address);
    let killer = connecting.killer();
    let tap = wire.join(&lab, &address, [1, 0], (1, killer), Trigger::Never);
    let reports = [listening.end().report(), connecting.end().report()];
    let session = tap.end();
    for (party, name) in [(0, "listening"), (1, "connecting")] {
        let (setup, online) = (&reports[party]["setup"], &reports[party]["images"][0]["online"]);
        let counted = (traffic(setup).0 + traffic(online).0) as usize;
        let content = counted + CLOSE + if party == 0 { READY } else { 0 };
        let records = records(&session.sent[party]);
        let all = session.sent[party].len();
        assert_eq!(records.last().unwrap().end, all, "whole records");
        let behind = |i: usize| records[i..].iter().map(|record| record.content).sum::<usize>();
        let first = (0..records.len()).find(|&i| behind(i) == content);
        let first = first.expect("records that carry just what the server counted");
        let handshake = records[first].start;
        println!(
            "{name}: handshake {handshake} bytes in {first} records; {counted} bytes of frames, \
             {} records, {all} bytes in all",
            records.len() - first,
        );
        assert!((300..700).contains(&handshake), "{handshake}");
        assert_eq!(all, handshake + content + RECORD * (records.len() - first));
    }
}
