//! Why the channel failed, and why a connection never became one.

/// Why the channel failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Nobody listened in time.
    #[error("no server at {address} after {seconds} s: {reason}")]
    NotThere {
        /// The address tried.
        address: String,
        /// Seconds waited.
        seconds: u64,
        /// The last error.
        reason: String,
    },
    /// The other server did not connect in time.
    #[error("the other server did not connect to {address} within {seconds} s{strangers}")]
    NobodyCame {
        /// The address listened at.
        address: String,
        /// Seconds waited.
        seconds: u64,
        /// How many others were refused and why, or nothing.
        strangers: String,
    },
    /// Whoever listens at the address is not the other server, or refuses this one.
    #[error("no link to the server at {address}: {refusal}")]
    Handshake {
        /// The address connected to.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The keys cannot be used for the link.
    #[error("the keys of the link cannot be used: {0}")]
    Keys(String),
    /// The connection ended.
    #[error("the other server closed the connection{0}")]
    Closed(String),
    /// Nothing arrived for too long.
    #[error("the other server sent nothing for {seconds} s")]
    Silent {
        /// Seconds waited.
        seconds: u64,
    },
    /// All that belongs together took too long, however much of it arrived.
    #[error("the other server took more than the {seconds} s that its request's size allows")]
    Slow {
        /// Seconds allowed.
        seconds: u64,
    },
    /// What arrived is not what the peer sent.
    #[error("the bytes of the other server were changed on their way: {0}")]
    Changed(String),
    /// The peer ended the session with a reason.
    #[error("the other server refused: {reason}")]
    Refused {
        /// Its reason, printable text of bounded length.
        reason: String,
    },
    /// The peer does not keep to the protocol.
    #[error("the other server broke the protocol: {0}")]
    Protocol(String),
}

/// Why a connection was refused before it was a channel. Nothing that depends on a share has been
/// sent or read by then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its key is not the pinned one.
    #[error("it proved another key than the other server's")]
    WrongKey,
    /// Its key is this server's own.
    #[error("it proved this server's own key, as if both were started as one party")]
    OwnKey,
    /// It proved no key.
    #[error("it proved no key")]
    NoKey,
    /// It refuses this server's key.
    #[error("it does not accept this server's key")]
    KeyNotAccepted,
    /// It speaks this protocol without TLS.
    #[error("it speaks without TLS, as with --insecure, and this server demands TLS")]
    Plain,
    /// It speaks TLS, which this server does not.
    #[error("it speaks TLS, and this server was started with --insecure")]
    SpeaksTls,
    /// It speaks something else.
    #[error("it is no ppdenoise server, or it was started with --insecure")]
    NotTls,
    /// It speaks something else, without TLS.
    #[error("it sent no greeting of a ppdenoise server")]
    NotPlain,
    /// It speaks TLS for another purpose, or another version of the wire.
    #[error("it speaks another version of the protocol; this one is {ours}")]
    OtherProtocol {
        /// The name and version of this protocol.
        ours: String,
    },
    /// It took too long.
    #[error("it did not complete the handshake within {seconds} s")]
    Stalled {
        /// Seconds given.
        seconds: u64,
    },
    /// It went away.
    #[error("it closed the connection during the handshake")]
    Closed,
    /// Too many others came after it.
    #[error("it did not complete the handshake before many others came")]
    Crowded,
    /// Any other failure of TLS.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
}

impl Refusal {
    /// What a refused peer is told in a plain [`super::Tag::Abort`]: only one that does not
    /// understand an alert of TLS, or expects none.
    pub(super) fn farewell(&self) -> Option<&'static str> {
        match self {
            Refusal::Plain => Some("it demands TLS; start this server without --insecure"),
            Refusal::SpeaksTls => Some("it was started with --insecure"),
            _ => None,
        }
    }
}
