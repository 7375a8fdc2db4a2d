//! How a server reaches the other one.

use super::{PeerFacts, ServerError, ServerEvent};
use crate::ids::Fingerprint;
use crate::roles::observer::Observer;
use crate::wire::{Channel, Limits, Listener, Security, TcpChannel, connect};

/// The end of a TCP link that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meet {
    /// It listens at this address, `HOST:PORT`; port 0 takes a free one.
    Listen(String),
    /// It connects to this address.
    Connect(String),
}

/// A TCP link to the other server, made when a job needs it.
#[derive(Clone, Debug)]
pub struct Link {
    /// Which end.
    pub meet: Meet,
    /// How long to wait.
    pub limits: Limits,
    /// Plain TCP in place of TLS 1.3 with both servers' keys. For measurements and tests: whoever is on
    /// the way reads and changes what passes. Both servers must want it.
    pub insecure: bool,
}

/// How a job reaches the other server.
///
/// Security: a channel that is given must keep others from reading and changing what passes, and each
/// server must know that the other is at its end. A [`Link`] sees to both, unless it is insecure.
pub enum Peer<'a> {
    /// Over a channel that is there.
    Channel(&'a mut dyn Channel),
    /// Over a link that is made once this server's own inputs are found good.
    Link(&'a Link),
    /// Not at all: enough for what one server does alone.
    Nobody,
}

impl<'a, C: Channel> From<&'a mut C> for Peer<'a> {
    fn from(channel: &'a mut C) -> Self {
        Peer::Channel(channel)
    }
}

impl<'a> From<&'a Link> for Peer<'a> {
    fn from(link: &'a Link) -> Self {
        Peer::Link(link)
    }
}

impl<'a> From<Option<&'a Link>> for Peer<'a> {
    fn from(link: Option<&'a Link>) -> Self {
        link.map_or(Peer::Nobody, Peer::Link)
    }
}

/// A way to the other server whose keys are there.
pub(super) enum Route<'a> {
    Channel(&'a mut dyn Channel),
    Link(Joint<'a>),
    Nobody,
}

/// A link with what protects it.
pub(super) struct Joint<'a> {
    pub(super) link: &'a Link,
    pub(super) security: Security,
    /// The other server's key, which TLS proves.
    pub(super) key: Option<Fingerprint>,
}

/// The channel of a job.
pub(super) enum Linked<'a> {
    Given(&'a mut dyn Channel),
    Made(TcpChannel),
}

impl<'a> Route<'a> {
    /// Waits for the other server.
    ///
    /// # Errors
    /// [`ServerError::NoPeer`], [`super::ServiceError::Protocol`].
    pub(super) fn open(
        self,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Linked<'a>, ServerError> {
        match self {
            Route::Channel(channel) => {
                observer.event(ServerEvent::Linked(PeerFacts::default()));
                Ok(Linked::Given(channel))
            }
            Route::Link(joint) => {
                let channel = joint.open(observer)?;
                observer.event(ServerEvent::Linked(joint.facts(&channel)));
                Ok(Linked::Made(channel))
            }
            Route::Nobody => Err(ServerError::NoPeer),
        }
    }
}

impl Linked<'_> {
    pub(super) fn channel(&mut self) -> &mut dyn Channel {
        match self {
            Linked::Given(channel) => *channel,
            Linked::Made(channel) => channel,
        }
    }
}

impl Joint<'_> {
    /// The listener, if it is this server that listens.
    ///
    /// # Errors
    /// [`super::ServiceError::Protocol`].
    pub(super) fn begin(
        &self,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<Option<Listener>, ServerError> {
        let listener = match &self.link.meet {
            Meet::Listen(address) => {
                let listener = Listener::bind(address)?;
                observer.event(ServerEvent::Listening(listener.address()));
                Some(listener)
            }
            Meet::Connect(address) => {
                observer.event(ServerEvent::Connecting(address.clone()));
                None
            }
        };
        if self.link.insecure {
            observer.event(ServerEvent::Insecure);
        }
        Ok(listener)
    }

    /// Who is at the end of a channel of this link.
    pub(super) fn facts(&self, channel: &TcpChannel) -> PeerFacts {
        PeerFacts { address: channel.peer_address(), key: self.key }
    }

    fn open(&self, observer: &mut dyn Observer<ServerEvent>) -> Result<TcpChannel, ServerError> {
        let (listener, limits) = (self.begin(observer)?, self.link.limits);
        Ok(match (listener, &self.link.meet) {
            (Some(listener), _) => {
                let mut refused = |text: String| observer.event(ServerEvent::Stranger(text));
                listener.accept(&self.security, limits, &mut refused)?
            }
            (None, Meet::Listen(address) | Meet::Connect(address)) => {
                connect(address, &self.security, limits)?
            }
        })
    }
}
