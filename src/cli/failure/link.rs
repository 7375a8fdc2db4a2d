//! The other server and the link to it: what to do about them.

use super::{Code, Failure};
use crate::protocol::{ProtocolError, SourceError};
use crate::wire::{NetError, Refusal};

impl From<NetError> for Failure {
    fn from(e: NetError) -> Self {
        let help = match &e {
            NetError::NotThere { .. } => {
                "start the other server with --listen at this address first, or wait longer with \
                 --wait"
            }
            NetError::NobodyCame { .. } => {
                "start the other server with --connect to this address, or wait longer with --wait"
            }
            NetError::Handshake { refusal, .. } => refused(refusal),
            NetError::Keys(_) => {
                "make new keys with `ppdenoise keygen`, and give each server both .pub"
            }
            NetError::Changed(_) => {
                "look for what is between the two servers, then run both again: the next free slot \
                 is used"
            }
            NetError::Listen { .. } => "choose another --listen address; port 0 takes a free one",
            NetError::Closed(_) | NetError::Refused { .. } => {
                "see the other server's message, then run both again: the next free slot is used"
            }
            NetError::Silent { .. } | NetError::Slow { .. } => {
                "check the other server and the link, then run both again"
            }
            _ => "make sure both servers run the same version of ppdenoise",
        };
        let code = match &e {
            NetError::Listen { .. } => Code::Failed,
            NetError::Keys(_) => Code::Input,
            _ => Code::Peer,
        };
        Failure::of(code, &e, Some(help.into()))
    }
}

/// What to do about a handshake that failed.
fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::WrongKey => {
            "check the address, and that --keys holds the other server's public key: compare what \
             `ppdenoise inspect` says of it at both servers"
        }
        Refusal::OwnKey => "start one server with --party 0 and the other with --party 1",
        Refusal::KeyNotAccepted => {
            "give the other server this server's public key: compare what `ppdenoise inspect` says \
             of it at both servers"
        }
        Refusal::NotTls => "check the address, and start both servers with --insecure or neither",
        Refusal::OtherProtocol { .. } => "make sure both servers run the same version of ppdenoise",
        _ => "check the address and the other server's message, then run both again",
    }
}

impl From<ProtocolError> for Failure {
    fn from(e: ProtocolError) -> Self {
        match e {
            ProtocolError::Net(e) => e.into(),
            ProtocolError::Source(e) => e.into(),
            ProtocolError::Network(e) => e.into(),
            ProtocolError::SameParty(_) => {
                let help = "start one server with --party 0 and the other with --party 1";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ProtocolError::Mismatch { .. } => {
                let help = "give both servers files of the same sharing, triples and images";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ProtocolError::Sacrifice { .. } => {
                let help = "run both again: no file was left; if it comes again, make sure both \
                            servers run the same version of ppdenoise, and check the machines";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            ProtocolError::Ot(_) => {
                let help = "make sure both servers run the same version of ppdenoise";
                Failure::of(Code::Peer, &e, Some(help.into()))
            }
            _ => Failure::of(Code::Input, &e, None),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(e: SourceError) -> Self {
        match e {
            SourceError::Format(e) => e.into(),
            SourceError::Ended => Failure::of(Code::Failed, &e, None),
        }
    }
}
