//! Checkers of OT correlations; every test of an OT ends in one of them.

use crate::garble::{Block, Delta};
use crate::numbers::bits::Bits;

/// The receiver has the chosen of the sender's two blocks, which differ.
pub(crate) fn ot(sender: &[[Block; 2]], choices: &Bits, received: &[Block]) {
    assert_eq!((sender.len(), received.len()), (choices.len(), choices.len()));
    for (i, (pair, &got)) in sender.iter().zip(received).enumerate() {
        assert!(pair[0] != pair[1], "transfer {i}: equal messages");
        assert!(got == pair[usize::from(choices.get(i))], "transfer {i}: not the chosen one");
    }
}

/// t = q xor c delta, and delta is coloured.
pub(crate) fn cot(q: &[Block], delta: &Delta, choices: &Bits, t: &[Block]) {
    assert_eq!((q.len(), t.len()), (choices.len(), choices.len()));
    assert!(delta.expose().colour());
    for (i, (&q, &t)) in q.iter().zip(t).enumerate() {
        assert!(t == q ^ delta.times(choices.get(i)), "transfer {i}: t is not q + c delta");
    }
}

/// The parties' outputs add up to the choice times the sender's number, mod 2^width.
pub(crate) fn product(
    width: u32,
    values: &[u64],
    sender: &[u64],
    choices: &Bits,
    receiver: &[u64],
) {
    assert_eq!([values.len(), sender.len(), receiver.len()], [choices.len(); 3]);
    let mask = u64::MAX >> (64 - width);
    for i in 0..choices.len() {
        let sum = sender[i].wrapping_add(receiver[i]) & mask;
        let expected = if choices.get(i) { values[i] & mask } else { 0 };
        assert_eq!(sum, expected, "transfer {i}: choice {}", choices.get(i));
    }
}

/// The parties' outputs add up to the chosen entry of each table, mod 2^width. Tables are
/// entry-major: entry j of table i is at j n + i.
pub(crate) fn selection(
    width: u32,
    tables: &[u64],
    sender: &[u64],
    choices: &[u64],
    receiver: &[u64],
) {
    let n = choices.len();
    assert_eq!([sender.len(), receiver.len()], [n; 2]);
    let mask = u64::MAX >> (64 - width);
    for i in 0..n {
        let sum = sender[i].wrapping_add(receiver[i]) & mask;
        assert_eq!(sum, tables[choices[i] as usize * n + i] & mask, "selection {i}");
    }
}
