//! The end of a role's work before it is done, because nobody wants its result any more.

use super::observer::Observer;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A wish that work ends, which any thread may have. As an [`Observer`] it ends the work of a role: at the next event
/// or progress the work unwinds, to [`Stop::within`].
///
/// That is where nothing is half done: outputs that are not complete are removed, slots of material that were marked
/// remain marked, and a channel is closed, so that the other party's call fails. Work is observed every few hundred
/// patches, which is far less than a second; in a program that is compiled to abort instead of unwinding it ends the
/// process.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

/// What unwinds.
struct Stopped;

impl Stop {
    /// Nobody wishes the end yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// From now on the work shall end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it shall.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Unwinds to [`Stop::within`] if the work shall end; also for loops of one's own.
    pub fn check(&self) {
        if self.is_stopped() {
            // No panic: its hook is not called, and nothing is printed.
            resume_unwind(Box::new(Stopped));
        }
    }

    /// Does work that this ends, whose result is then `None`. A panic goes on.
    pub fn within<T>(work: impl FnOnce() -> T) -> Option<T> {
        // Nothing that the work had in its hands is seen again.
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => Some(done),
            Err(unwound) if unwound.is::<Stopped>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl<E> Observer<E> for Stop {
    fn event(&mut self, _: E) {
        self.check();
    }

    fn progress(&mut self, _: f64) {
        self.check();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::container::no_passphrase;
    use crate::image::{Depth, GreyImage, Raster};
    use crate::model::{FloatModel, Method, QuantiseOptions, load_npz};
    use crate::numbers::ring::RingBits;
    use crate::roles::{
        Arithmetic, Deal, Dealer, Denoise, Implausibility, MaterialDemand, ModelOwner, NewKeys,
        ShareModel, Silent, denoise, make_keys,
    };
    use crate::size::Size;
    use std::io::Cursor;
    use std::path::Path;

    /// Ends the work at the n-th time it is told of progress.
    struct At(Stop, usize);

    impl<E> Observer<E> for At {
        fn event(&mut self, _: E) {}

        fn progress(&mut self, _: f64) {
            self.1 -= 1;
            if self.1 == 0 {
                self.0.stop();
            }
            self.0.check();
        }
    }

    fn tiny() -> FloatModel {
        let npz = include_bytes!("../../fixtures/models/tiny-9-5-24.npz");
        load_npz(Cursor::new(&npz[..]), None).unwrap()
    }

    #[test]
    fn work_that_nobody_stops_ends_with_its_result() {
        let stop = Stop::new();
        assert_eq!(Stop::within(|| stop.check()), Some(()));
        assert!(!stop.is_stopped());
        stop.clone().stop();
        assert_eq!(Stop::within(|| stop.check()), None);
    }

    #[test]
    #[should_panic(expected = "a bug")]
    fn a_panic_is_no_wish() {
        Stop::within(|| panic!("a bug"));
    }

    #[test]
    fn denoising_ends_in_the_middle() {
        let model = tiny();
        let image = GreyImage::new(96, 96, (0..96 * 96).map(|i| (i % 251) as f32).collect());
        let image = Raster::grey(image.unwrap(), Depth::Float);
        let request = Denoise {
            name: Path::new("image"),
            image: &image,
            average: Default::default(),
            arithmetic: Arithmetic::Float { model: &model, stand_in: None },
            levels: Default::default(),
            noise_map: None,
            implausibility: Implausibility::Accepted,
            strict: false,
        };
        let mut third = At(Stop::new(), 3);
        assert!(Stop::within(|| denoise(&request, &mut third)).is_none());
        assert!(Stop::within(|| denoise(&request, &mut Stop::new())).unwrap().is_ok());
    }

    /// The dealer writes with a thread of its own, to files that are not complete.
    #[test]
    fn dealing_ends_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, at) = (folder.path().join("keys"), |name: &str| folder.path().join(name));
        make_keys(&keys, &NewKeys::default()).unwrap();
        let (model, method) = (tiny(), Method::lut(2));
        let options = QuantiseOptions::guaranteed(RingBits::L32, method, 2.5);
        let share = ShareModel::new(&model, &options, at("model"));
        ModelOwner::open(&keys, &no_passphrase).unwrap().share(&share, &mut Silent).unwrap();
        let dealer = Dealer::open(&keys, &no_passphrase).unwrap();
        let deal = Deal::new(at("model.pub"), MaterialDemand::slots(Size::new(48, 48), 3));
        let out = at("out");
        std::fs::create_dir(&out).unwrap();
        let mut second = At(Stop::new(), 2);
        let ended = Stop::within(|| dealer.deal(&deal, out.join("triples"), &mut second));
        assert!(ended.is_none());
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
        let dealt = Stop::within(|| dealer.deal(&deal, out.join("triples"), &mut Stop::new()));
        assert_eq!(dealt.unwrap().unwrap().len(), 1);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    }
}
