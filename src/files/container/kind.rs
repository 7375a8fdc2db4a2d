//! What a file is: the kinds, their names and their makers.

use std::fmt;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`super::Body::PublicModel`].
    PublicModel,
    /// [`super::Body::ModelShare`].
    ModelShare,
    /// [`super::Body::ImageShare`].
    ImageShare,
    /// [`super::Body::Triples`].
    Triples,
    /// [`super::Body::ResultShare`].
    ResultShare,
    /// [`super::Body::OpenedWeights`].
    OpenedWeights,
    /// [`super::Body::PublicKey`].
    PublicKey,
    /// [`super::Body::SecretKey`].
    SecretKey,
    /// [`super::Body::Prepared`].
    Prepared,
    /// [`super::Body::WeightMask`].
    WeightMask,
    /// [`super::Body::Hints`].
    Hints,
}

impl Kind {
    /// The word before the name: "a", "an", or "a set of".
    pub fn article(self) -> &'static str {
        match self {
            Kind::ImageShare => "an",
            Kind::Triples | Kind::OpenedWeights | Kind::Prepared | Kind::Hints => "a set of",
            _ => "a",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::PublicModel => "public model description",
            Kind::ModelShare => "model share",
            Kind::ImageShare => "image share",
            Kind::Triples => "triples",
            Kind::ResultShare => "result share",
            Kind::OpenedWeights => "opened weights",
            Kind::PublicKey => "public key",
            Kind::SecretKey => "secret key",
            Kind::Prepared => "prepared products",
            Kind::WeightMask => "weight mask",
            Kind::Hints => "hints",
        })
    }
}
