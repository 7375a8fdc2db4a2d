//! Where secrets of made material are computed with, what is branched on is public (R7 of docs/protocols.md).
//!
//! Every condition of `if`, `while` and `match` in these files is listed; a new one has to be looked at first.
//! What the compiler makes of code without branches, and which memory an index addresses, is not seen here.

use super::packages;

/// The files, and the conditions that stand in them: sizes, rounds, parties, public elements.
const PUBLIC: [(&str, &[&str]); 21] = [
    // How many limbs there are.
    ("crypto/rlwe/product.rs", &["match &g.limbs[..]", "match profile"]),
    // How many bits were rejected; it says nothing of those that were kept.
    ("crypto/rlwe/sample.rs", &["while len < N"]),
    ("crypto/rlwe/packing.rs", &[]),
    (
        "kernels/ntt/mod.rs",
        &[
            "while exponent > 0",
            "if exponent & 1 == 1",
            "match backend",
            "while half > 1",
            "if half == 1",
            "if columns.ilog2() % 2 == 1",
            "while half < columns",
        ],
    ),
    ("kernels/ntt/avx512.rs", &["if j % 2 == 0"]),
    (
        "material/pair/linear/sums.rs",
        &[
            "if self.depth + weights.inputs() > most",
            "match profile",
            "if sums.fine.is_empty()",
            // Whether there is noise, not what it is.
            "if let Some(flooding) = flooding",
            "if self.fine.is_empty()",
            "match sign",
        ],
    ),
    ("material/pair/linear/flooding.rs", &[]),
    ("protocol/blind_alarm.rs", &["match self.transfers.party"]),
    (
        "material/pair/linear/holder.rs",
        &[
            "match self",
            // Of an index, not of a coefficient.
            "if wraps",
            "while !rest.is_empty()",
            "if self.received == group.elements.end",
            "if self.plan.packing == Packing::Columns",
        ],
    ),
    (
        "material/pair/linear/encryptor.rs",
        &["if hints.len() != piece.rows.start", "if found != expected"],
    ),
    (
        "material/pair/lookup/mod.rs",
        &[
            "match party",
            "if found != self.transfers()",
            "if message.len() != expected",
            "if self.round < hi",
            "if self.round == hi",
        ],
    ),
    (
        "material/pair/lookup/shape.rs",
        &["if round < self.hi", "if round == self.hi", "if k + 1 == one_hot_words(level)"],
    ),
    (
        "material/pair/lookup/levels.rs",
        &[
            "if side.party == Party::S1",
            "if side.party == Party::S0",
            "if level >= 7",
            "if level == 6",
        ],
    ),
    ("material/pair/lookup/low.rs", &["if side.party == Party::S1", "if side.party == Party::S0"]),
    ("material/pair/lookup/signs.rs", &[]),
    ("material/pair/square.rs", &["match party", "if found != expected", "if expected != found"]),
    ("crypto/alarm.rs", &[]),
    (
        "kernels/relu/mod.rs",
        &[
            "match party",
            // Of the shape.
            "match $shape",
            "if is(usual!($bits), shape)",
            "if let Some($known) = usual!($bits)",
            "if slope == Slope::RELU",
        ],
    ),
    (
        "kernels/relu/element.rs",
        &[
            "if piece.bits > 0",
            "if j + 1 < count",
            "if j == 0",
            "if let Some((zone, at)) = shape.alarm",
            // Of the subset's number, not of what its bits select.
            "if set.is_power_of_two()",
            "if !set.is_power_of_two()",
        ],
    ),
    ("material/relu/deal.rs", &[]),
    ("crypto/ot/payload.rs", &["if found > MAX_BATCH", "if expected == found"]),
];

/// The conditions of a text: the keyword, and all before what it leads to.
fn conditions(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    for (at, c) in code.char_indices() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if ["if", "while", "match"].contains(&word.as_str()) {
            let rest = &code[at..];
            let end = rest.find('{').unwrap_or(rest.len());
            let end = rest.find("=>").map_or(end, |arrow| end.min(arrow));
            let condition: Vec<&str> = rest[..end].split_whitespace().collect();
            found.push(format!("{word} {}", condition.join(" ")));
        }
        word.clear();
    }
    found
}

/// What is not listed, and what is listed and not there.
fn unlisted(code: &str, listed: &[&str]) -> Vec<String> {
    let found = conditions(code);
    let new = found.iter().filter(|c| !listed.contains(&c.as_str())).cloned();
    let gone = listed.iter().filter(|l| !found.iter().any(|c| c == *l));
    new.chain(gone.map(|l| format!("listed, but gone: {l}"))).collect()
}

#[test]
fn secrets_of_made_material_are_not_branched_on() {
    let sources = packages();
    for (path, listed) in PUBLIC {
        let mut files = sources.iter().flat_map(|source| source.files().map(move |f| (source, f)));
        let (_, file) = files.find(|(source, file)| source.path(file) == path).expect(path);
        let code = file.without_tests();
        let wrong = unlisted(&code, listed);
        assert!(wrong.is_empty(), "{path}: {wrong:#?}");
    }
}

#[test]
fn a_branch_on_a_secret_is_found() {
    let code = "fn add(s: &[i8], a: &mut u64) { for &s in s { if s == 0 { continue; } *a += 1; } }";
    assert_eq!(unlisted(code, &[]), ["if s == 0"]);
    let guard = "match party { Party::S0 if secret & 1 == 1 => 3, _ => 4 }";
    assert_eq!(unlisted(guard, &["match party"]), ["if secret & 1 == 1"]);
    assert_eq!(unlisted("let iffy = 3;", &["if gone"]), ["listed, but gone: if gone"]);
}
