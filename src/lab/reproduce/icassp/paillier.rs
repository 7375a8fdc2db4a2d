//! Paillier's encryption (Eurocrypt 1999) with g = 1 + N, on `crypto-bigint`: Enc(m; r) = (1 + m N) r^N mod N^2.
//!
//! Plaintexts are residues mod N; a signed number v is v mod N, so that numbers below N/2 in magnitude come back
//! with their sign and sums and products are exact as long as they stay below it. The owner of the key encrypts
//! and decrypts by the Chinese remainder theorem, which changes the time and not the distribution.
//!
//! Security: indistinguishable under the decisional composite residuosity assumption (DCR). Exponentiation is
//! constant-time in `crypto-bigint`; nothing here was audited, key generation, rejection sampling and packing are
//! not constant-time, and key material is not wiped: this is a measurement, not the product.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero, Odd, RandomBits, RandomMod, Resize};
use crypto_primes::{Flavor, random_prime};
use rand_core::CryptoRng;

/// Bits of N. Nothing but tests makes shorter keys.
pub(super) const KEY_BITS: u32 = 2048;

/// A residue mod N.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Plain(BoxedUint);

/// An encrypted residue, in Montgomery form mod N^2.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ciphertext(BoxedMontyForm);

/// N and what follows from it.
#[derive(Clone)]
pub(super) struct PublicKey {
    bits: u32,
    n: Odd<BoxedUint>,
    /// Arithmetic mod N^2.
    square: BoxedMontyParams,
}

/// The factors of N and what follows from them.
pub(super) struct SecretKey {
    public: PublicKey,
    halves: [Half; 2],
    /// Joins residues mod p and q.
    join: Join,
    /// Joins residues mod p^2 and q^2.
    join_squares: Join,
}

/// One factor p of N.
struct Half {
    p: Odd<BoxedUint>,
    less_one: BoxedUint,
    /// Arithmetic mod p^2.
    square: BoxedMontyParams,
    /// 1 / L((1 + N)^(p - 1)) mod p, with L(u) = (u - 1) / p.
    scale: BoxedUint,
}

/// The Chinese remainder theorem for two odd moduli of one width.
struct Join {
    p: Odd<BoxedUint>,
    q: Odd<BoxedUint>,
    /// 1 / q mod p.
    inverse: BoxedUint,
}

/// The full product of two numbers, as wide as both together.
fn product(a: &BoxedUint, b: &BoxedUint) -> BoxedUint {
    a.concatenating_mul(b)
}

fn odd(v: BoxedUint) -> Odd<BoxedUint> {
    Odd::new(v).into_option().expect("a product of odd primes")
}

/// Uniform in 1 .. p.
fn below(rng: &mut impl CryptoRng, p: &Odd<BoxedUint>) -> BoxedUint {
    loop {
        let v = BoxedUint::random_mod_vartime(rng, p.as_nz_ref());
        if v.is_nonzero().to_bool() {
            return v;
        }
    }
}

impl Plain {
    /// Uniform bits.
    pub(super) fn random_bits(rng: &mut impl CryptoRng, key: &PublicKey, bits: u32) -> Plain {
        Plain(BoxedUint::random_bits(rng, bits).resize(key.bits))
    }

    /// The number in words of 64 bits, the lowest first.
    pub(super) fn words(&self) -> &[u64] {
        self.0.as_words()
    }
}

impl PublicKey {
    fn new(n: BoxedUint) -> PublicKey {
        let bits = n.bits_precision();
        let square = BoxedMontyParams::new(odd(product(&n, &n)));
        PublicKey { bits, n: odd(n), square }
    }

    /// Bits of N.
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    pub(super) fn ciphertext_bytes(&self) -> usize {
        self.bits as usize / 4
    }

    /// A signed number.
    pub(super) fn plain(&self, v: i128) -> Plain {
        let magnitude = Plain(BoxedUint::from(v.unsigned_abs()).resize(self.bits));
        if v < 0 { self.minus(&magnitude) } else { magnitude }
    }

    /// The number of these words, which is below N.
    pub(super) fn of_words(&self, words: Vec<u64>) -> Plain {
        Plain(BoxedUint::from_words_with_precision(words, self.bits))
    }

    /// The signed number; none beyond 127 bits.
    pub(super) fn signed(&self, v: &Plain) -> Option<i128> {
        let small = |v: &BoxedUint| {
            let [low, high, rest @ ..] = v.as_words() else { return None };
            let value = u128::from(*high) << 64 | u128::from(*low);
            (rest.iter().all(|word| *word == 0)).then(|| i128::try_from(value).ok())?
        };
        small(&v.0).or_else(|| small(&self.minus(v).0).map(|v| -v))
    }

    /// a + b mod N.
    pub(super) fn sum(&self, a: &Plain, b: &Plain) -> Plain {
        Plain(a.0.add_mod(&b.0, self.n.as_nz_ref()))
    }

    /// -a mod N.
    pub(super) fn minus(&self, a: &Plain) -> Plain {
        Plain(a.0.neg_mod(self.n.as_nz_ref()))
    }

    /// a b mod N.
    pub(super) fn product(&self, a: &Plain, b: &Plain) -> Plain {
        Plain(a.0.mul_mod(&b.0, self.n.as_nz_ref()))
    }

    /// Uniform mod N.
    pub(super) fn random(&self, rng: &mut impl CryptoRng) -> Plain {
        Plain(BoxedUint::random_mod_vartime(rng, self.n.as_nz_ref()))
    }

    /// An encryption without randomness, which hides nothing: for constants that are added to a ciphertext.
    pub(super) fn constant(&self, m: &Plain) -> Ciphertext {
        let one = BoxedUint::one_with_precision(2 * self.bits);
        Ciphertext(BoxedMontyForm::new(product(&m.0, &self.n).wrapping_add(&one), &self.square))
    }

    /// A fresh encryption. Cost: an exponent of |N| bits mod N^2.
    pub(super) fn encrypt(&self, rng: &mut impl CryptoRng, m: &Plain) -> Ciphertext {
        let r = BoxedMontyForm::new(below(rng, &self.n).resize(2 * self.bits), &self.square);
        let residue = Ciphertext(r.pow_bounded_exp(&self.n, self.bits));
        self.add(&self.constant(m), &residue)
    }

    /// Of the sum. Cost: a product mod N^2.
    pub(super) fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Ciphertext {
        Ciphertext(a.0.mul(&b.0))
    }

    /// Of the negative; none of a number that shares a factor with N, which only the owner of the key can make.
    /// Cost: an inverse mod N^2.
    pub(super) fn negate(&self, a: &Ciphertext) -> Option<Ciphertext> {
        a.0.invert().into_option().map(Ciphertext)
    }

    /// Of the product with `factor`, which has `bits` bits. Cost: an exponent of so many bits mod N^2.
    pub(super) fn times(&self, a: &Ciphertext, factor: &Plain, bits: u32) -> Ciphertext {
        Ciphertext(a.0.pow_bounded_exp(&factor.0, bits))
    }

    /// Appends a ciphertext to a message.
    pub(super) fn write(&self, a: &Ciphertext, out: &mut Vec<u8>) {
        out.extend_from_slice(&a.0.retrieve().to_le_bytes());
    }

    /// The ciphertexts of a message; none unless each is a number from 1 to N^2 - 1.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Vec<Ciphertext>> {
        let (each, modulus) = (self.ciphertext_bytes(), self.square.modulus());
        let one = |bytes: &[u8]| {
            let v = BoxedUint::from_le_slice(bytes, 2 * self.bits).ok()?;
            let fits = v.is_nonzero().to_bool() && v < *modulus.as_ref();
            fits.then(|| Ciphertext(BoxedMontyForm::new(v, &self.square)))
        };
        bytes.len().is_multiple_of(each).then(|| bytes.chunks_exact(each).map(one).collect())?
    }
}

impl SecretKey {
    /// A key of so many bits, a multiple of 128.
    ///
    /// Cost: two primes of half the bits, seconds for [`KEY_BITS`].
    pub(super) fn generate(rng: &mut impl CryptoRng, bits: u32) -> SecretKey {
        loop {
            let [p, q] = [0; 2]
                .map(|_| random_prime::<BoxedUint, _>(rng, Flavor::Any, bits / 2).resize(bits / 2));
            let n = product(&p, &q);
            // Factors of one width, so that N has no factor in common with (p - 1)(q - 1).
            if p != q && n.bits() == bits {
                return SecretKey::of([p, q], n);
            }
        }
    }

    fn of([p, q]: [BoxedUint; 2], n: BoxedUint) -> SecretKey {
        let halves = [(&p, &q), (&q, &p)].map(|(p, q)| Half::new(p, q));
        let join = Join::new(p.clone(), q.clone());
        let join_squares = Join::new(product(&p, &p), product(&q, &q));
        SecretKey { public: PublicKey::new(n), halves, join, join_squares }
    }

    /// The public part.
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// As [`PublicKey::encrypt`]. Cost: two exponents of |N|/2 bits modulo numbers of |N| bits.
    pub(super) fn encrypt(&self, rng: &mut impl CryptoRng, m: &Plain) -> Ciphertext {
        // The N-th powers mod p^2 are the p-th powers, and x^p mod p^2 depends on x mod p alone.
        let [p, q] = self.halves.each_ref().map(|half| half.residue(rng));
        let residue = self.join_squares.join(&p, &q);
        let residue = Ciphertext(BoxedMontyForm::new(residue, &self.public.square));
        self.public.add(&self.public.constant(m), &residue)
    }

    /// The plaintext. Cost: as [`SecretKey::encrypt`].
    pub(super) fn decrypt(&self, c: &Ciphertext) -> Plain {
        let c = c.0.retrieve();
        let [p, q] = self.halves.each_ref().map(|half| half.decrypt(&c));
        Plain(self.join.join(&p, &q))
    }
}

impl Half {
    /// The factor p of p q.
    fn new(p: &BoxedUint, q: &BoxedUint) -> Half {
        let p = odd(p.clone());
        // (1 + N)^(p - 1) = 1 + (p - 1) N mod p^2, so L of it is (p - 1) q = -q mod p.
        let minus_q = q.rem(p.as_nz_ref()).neg_mod(p.as_nz_ref());
        let scale = minus_q.invert_odd_mod(&p).into_option().expect("q is another prime");
        let less_one = p.as_ref().wrapping_sub(BoxedUint::one_with_precision(p.bits_precision()));
        let square = BoxedMontyParams::new(odd(product(&p, &p)));
        Half { p, less_one, square, scale }
    }

    /// A uniform N-th power mod p^2.
    fn residue(&self, rng: &mut impl CryptoRng) -> BoxedUint {
        let bits = self.p.bits_precision();
        let base = BoxedMontyForm::new(below(rng, &self.p).resize(2 * bits), &self.square);
        base.pow_bounded_exp(&self.p, bits).retrieve()
    }

    /// The plaintext mod p.
    fn decrypt(&self, c: &BoxedUint) -> BoxedUint {
        let bits = self.p.bits_precision();
        let c = c.rem(self.square.modulus().as_nz_ref());
        let power = BoxedMontyForm::new(c, &self.square).pow_bounded_exp(&self.less_one, bits);
        let one = BoxedUint::one_with_precision(2 * bits);
        let (quotient, _) = power.retrieve().wrapping_sub(&one).div_rem(self.p.as_nz_ref());
        quotient.resize_unchecked(bits).mul_mod(&self.scale, self.p.as_nz_ref())
    }
}

impl Join {
    fn new(p: BoxedUint, q: BoxedUint) -> Join {
        let (p, q) = (odd(p), odd(q));
        let reduced = q.rem(p.as_nz_ref());
        let inverse = reduced.invert_odd_mod(&p).into_option().expect("coprime moduli");
        Join { p, q, inverse }
    }

    /// The number that is `a` mod p and `b` mod q.
    fn join(&self, a: &BoxedUint, b: &BoxedUint) -> BoxedUint {
        let p: &NonZero<BoxedUint> = self.p.as_nz_ref();
        let lift = a.sub_mod(&b.rem(p), p).mul_mod(&self.inverse, p);
        let bits = 2 * self.p.bits_precision();
        product(&self.q, &lift).wrapping_add(b.resize(bits))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use std::sync::LazyLock;

    /// A short key, which hides nothing from anybody: for tests alone.
    pub(in crate::lab::reproduce::icassp) static SHORT: LazyLock<SecretKey> =
        LazyLock::new(|| SecretKey::generate(&mut rng(1), 512));

    pub(in crate::lab::reproduce::icassp) fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    #[test]
    fn signed_numbers_come_back() {
        let (key, rng) = (&*SHORT, &mut rng(2));
        let public = key.public();
        for v in [0, 1, -1, 4097, -(1 << 40), i128::MAX, -i128::MAX] {
            let m = public.plain(v);
            assert_eq!(public.signed(&m), Some(v));
            for c in [public.encrypt(rng, &m), key.encrypt(rng, &m), public.constant(&m)] {
                assert_eq!(public.signed(&key.decrypt(&c)), Some(v));
            }
        }
        let large = public.product(&public.plain(i128::MAX), &public.plain(4));
        assert_eq!(public.signed(&large), None);
    }

    #[test]
    fn encryptions_are_fresh_and_no_plaintexts() {
        let (key, rng) = (&*SHORT, &mut rng(3));
        let m = key.public().plain(7);
        let both = [key.public().encrypt(rng, &m), key.encrypt(rng, &m)];
        assert!(both[0] != both[1] && both.iter().all(|c| *c != key.public().constant(&m)));
        // What the owner of the key makes is an N-th power like any other: order (p - 1)(q - 1).
        let zero = key.encrypt(rng, &key.public().plain(0));
        let order = product(&key.halves[0].less_one, &key.halves[1].less_one);
        let one = BoxedMontyForm::one(&key.public().square);
        assert!(zero.0.pow(&order) == one);
    }

    #[test]
    fn the_widest_plaintexts_come_back() {
        let (key, rng) = (&*SHORT, &mut rng(4));
        let public = key.public();
        for _ in 0..20 {
            let m = public.random(rng);
            assert!(key.decrypt(&public.encrypt(rng, &m)) == m);
            let sum = public.add(&key.encrypt(rng, &m), &key.encrypt(rng, &public.minus(&m)));
            assert_eq!(public.signed(&key.decrypt(&sum)), Some(0));
        }
    }

    #[test]
    fn messages_are_ciphertexts_or_refused() {
        let (key, rng) = (&*SHORT, &mut rng(5));
        let public = key.public();
        let sent = [1, -2, 3].map(|v| public.encrypt(rng, &public.plain(v)));
        let mut message = Vec::new();
        sent.iter().for_each(|c| public.write(c, &mut message));
        assert_eq!(message.len(), 3 * public.ciphertext_bytes());
        assert!(public.read(&message).unwrap() == sent);
        assert!(public.read(&message[1..]).is_none());
        assert!(public.read(&vec![0xff; public.ciphertext_bytes()]).is_none(), "beyond N^2");
        assert!(public.read(&vec![0; public.ciphertext_bytes()]).is_none(), "zero");
        // A multiple of N is no ciphertext either, which shows when it is inverted.
        let mut multiple = key.public().n.as_ref().to_le_bytes().to_vec();
        multiple.resize(public.ciphertext_bytes(), 0);
        assert!(public.negate(&public.read(&multiple).unwrap()[0]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_done_to_ciphertexts_is_done_to_numbers(
            a in -(1i128 << 90)..(1i128 << 90), b in -(1i128 << 90)..(1i128 << 90), f in 0u32..(1 << 30)
        ) {
            let (key, rng) = (&*SHORT, &mut rng(a as u64));
            let public = key.public();
            let [ca, cb] = [a, b].map(|v| public.encrypt(rng, &public.plain(v)));
            let open = |c: &Ciphertext| public.signed(&key.decrypt(c));
            prop_assert_eq!(open(&public.add(&ca, &cb)), Some(a + b));
            prop_assert_eq!(open(&public.negate(&ca).unwrap()), Some(-a));
            let times = public.times(&ca, &public.plain(f.into()), 30);
            prop_assert_eq!(open(&times), Some(a * i128::from(f)));
        }
    }
}
