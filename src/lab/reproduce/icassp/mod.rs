//! "Toward Secure Image Denoising" (Zheng, Wang, Zhou; ICASSP 2018) to the letter, as a measured reproduction: one
//! cloud, a user who takes part, Paillier for linear layers, garbled circuits for tanh*.
//!
//! # Protocol
//!
//! The user has a Paillier key of 2,048 bits; [v] is v encrypted under it, mod N^2. The model owner encrypts every
//! weight and bias under it and leaves [w], [b] with the cloud, which never sees them. A patch:
//!
//! 1. The user sends [a] of every pixel a, in fixed point.
//! 2. A linear op, z = b + sum w a: for every weight the cloud gets [w a] by blinding with the user's help
//!    ([`multiply`]), and multiplies ciphertexts to add: [z] = [b] prod [w a].
//! 3. tanh*: the cloud masks z additively, the user decrypts and garbles a circuit that takes the mask (the cloud's
//!    input, by oblivious transfer) away, evaluates tanh* with its rescaling, and masks again; the result is
//!    encrypted for the next op ([`activation`], [`circuit`]).
//! 4. The sums of the last op go to the user.
//!
//! Signed numbers are residues mod N ([`paillier`]). The integers are those of the program's `gc` engine with the
//! paper's tanh* (`gc-zheng`), rounded to nearest: pre-activations below 2^31 at scale 2^25, pixels and results of
//! tanh* at 2^12 or so, far below N; a patch equals the integer twin exactly.
//!
//! Our reading, where the paper leaves it open: that the model is under the user's key and so shared anew for every
//! user; that each multiplication blinds both factors anew with fresh encryptions of the masks; that tanh* is evaluated
//! inside the circuit from the masked pre-activation, quadratics included, and its result goes on as Enc(-s) and y + s;
//! the fixed-point scales; masks of 80 bits more than what they cover ([`multiply::STATISTICAL`] says why 40 are
//! too few); the user's use of its secret key for faster encryption. Several products in a ciphertext are the
//! paper's future work ([`model::Form::Packed`]).
//!
//! # Who sees what
//!
//! The cloud: ciphertexts under a key that it has not, y + s, garbled tables and labels; sizes. The user: its
//! pixels and results, and masked numbers: a + r, w + s, z + r. The model owner: nothing. Masks are statistical, 2^-80
//! a number, or uniform mod N. Ciphertexts of the cloud go out under fresh randomness.
//!
//! Security: semi-honest parties that do not collude; decisional composite residuosity (Paillier), the garbling of
//! [`crate::crypto::garble`], the transfers of [`crate::crypto::ot`]. A laboratory's reproduction on one machine, not
//! the product: not audited, constant-time in the exponentiations alone. The product is [`crate::roles::one_cloud`].

mod activation;
mod circuit;
mod measure;
mod model;
mod multiply;
pub(super) mod one_cloud;
mod page;
mod paillier;
mod patch;
mod quality;
mod slots;
mod subject;

use super::Page;
use super::laboratory::Laboratory;
use crate::crypto::prg::Seed;
use crate::lab::bench::Machine;
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::model::FloatModel;
use measure::{Atomic, Effort, atomic};
use model::{EncryptedModel, Form, Shape, twin};
use one_cloud::OneCloudRun;
use page::{Measured, PatchRow};
use paillier::{KEY_BITS, SecretKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::time::Instant;
use subject::{Subject, tiny};

/// Measures everything and makes the page. In little time: the patch in the packed form alone, and no network of the
/// paper's size.
pub(super) fn page(lab: &Laboratory<'_>, observer: &mut dyn Observer) -> Result<Page, LabError> {
    let quick = lab.request.quick;
    observer.phase("quality of whole images");
    let (quality, stride) = quality::rows(lab, observer)?;
    observer.phase("a key, single operations");
    let key = SecretKey::generate(&mut ChaCha20Rng::from_seed(fresh()?), KEY_BITS);
    let subject = tiny()?;
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let forms = [Form::Literal, Form::Packed];
    let operations = forms.map(|form| atomic(&key, &subject.model, form, effort));
    let [literal, packed] = operations;
    let operations: [Atomic; 2] = [literal?, packed?];
    let mut patches = Vec::new();
    for form in forms.into_iter().filter(|form| !quick || *form == Form::Packed) {
        patches.push(run_patch(&key, &subject, form, observer)?);
    }
    let paper = FloatModel::paper_size();
    observer.phase("the same networks through the one-cloud service");
    let mut beside: Vec<(&str, OneCloudRun)> =
        vec![("tiny-9-5-24", one_cloud::run(&subject.float, &subject.image)?)];
    if !quick {
        beside.push(("the paper's", one_cloud::run(&paper, &page::smallest(&paper)?)?));
    }
    observer.pause();
    let machine = Machine::this();
    let request = lab.request;
    Ok(page::page(&Measured {
        request,
        machine,
        quality,
        stride,
        operations,
        patches,
        beside,
        paper: &paper,
    }))
}

/// One patch of the tiny model.
fn run_patch(
    key: &SecretKey,
    subject: &Subject,
    form: Form,
    observer: &mut dyn Observer,
) -> Result<PatchRow, LabError> {
    let shape = Shape::new(&subject.model, key.public(), form);
    observer.phase(&format!("the model under the user's key, {}", form.name()));
    let started = Instant::now();
    let seed = Seed::from_bytes(fresh()?);
    let encrypted = EncryptedModel::new(&subject.model, key.public(), &shape, &seed);
    let owner_seconds = started.elapsed().as_secs_f64();
    let multiplications = shape.multiplications();
    observer.phase(&format!("a patch, {}", form.name()));
    let mut done = 0;
    let mut progress = |count| {
        done += count;
        observer.progress(done as f64 / multiplications as f64);
    };
    let seed = Seed::from_bytes(fresh()?);
    let run = patch::run(&shape, &encrypted, key, &subject.patch, &seed, &mut progress)?;
    let equal = run.outputs == twin(&subject.model, &subject.patch);
    let ciphertexts = encrypted.ciphertexts();
    Ok(PatchRow { form, multiplications, ciphertexts, owner_seconds, run, equal })
}

fn fresh() -> Result<[u8; 32], LabError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| LabError::Randomness(e.to_string()))?;
    Ok(seed)
}
