//! TLS 1.3 with pinned raw public keys (RFC 7250): each end proves its Ed25519 key, and accepts
//! one key only, a listener for many one of theirs. There are no certificates, names, tickets or early data.

use super::{NetError, WIRE_VERSION};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group, sign::any_eddsa_type};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    DistinguishedName, Error, OtherError, ServerConfig, ServerConnection, SignatureScheme,
    SupportedCipherSuite,
};
use std::collections::HashSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of an Ed25519 key and of its seed.
const KEY_LEN: usize = 32;
/// What precedes an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What precedes an Ed25519 seed in a private key of PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The name of the protocol in the handshake (ALPN): a server of another version is refused there.
pub(super) fn protocol() -> String {
    format!("ppdenoise/{WIRE_VERSION}")
}

/// This server's key and those of which the other end must prove one.
#[derive(Clone, Debug)]
pub struct TlsKeys {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl TlsKeys {
    /// From this server's Ed25519 seed and the other's public key.
    ///
    /// # Errors
    /// [`NetError::Keys`] if the two are one pair.
    pub fn new(seed: &[u8; KEY_LEN], peer: &[u8; KEY_LEN]) -> Result<Self, NetError> {
        Self::any_of(seed, &[*peer])
    }

    /// As [`TlsKeys::new`], for a listener that many may connect to, each with a key of its own; which
    /// one was proved is told by [`super::TcpChannel::peer_key`]. Without any key nobody is let in.
    ///
    /// # Errors
    /// As [`TlsKeys::new`].
    pub fn any_of(seed: &[u8; KEY_LEN], peers: &[[u8; KEY_LEN]]) -> Result<Self, NetError> {
        let failed = |e: Error| NetError::Keys(e.to_string());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| NetError::Keys("the seed is no Ed25519 key".into()))?;
        let own = spki(pair.public_key().as_ref());
        let pinned: HashSet<Spki> = peers.iter().map(|peer| spki(peer)).collect();
        if pinned.contains(&own) {
            return Err(NetError::Keys("the other server's key is this server's own".into()));
        }
        let mut pkcs8 = Zeroizing::new([0; PKCS8_PREFIX.len() + KEY_LEN]);
        pkcs8[..PKCS8_PREFIX.len()].copy_from_slice(&PKCS8_PREFIX);
        pkcs8[PKCS8_PREFIX.len()..].copy_from_slice(seed);
        let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).map_err(failed)?;
        let key = Arc::new(CertifiedKey::new(vec![own.to_vec().into()], signer));
        let provider = Arc::new(provider());
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Arc::new(PinnedKey { pinned, own, algorithms });
        Ok(TlsKeys {
            server: Arc::new(server_config(&provider, &verifier, &key).map_err(failed)?),
            client: Arc::new(client_config(&provider, &verifier, &key).map_err(failed)?),
        })
    }

    /// The listener's end of a fresh connection.
    pub(super) fn listening(&self) -> Result<Connection, Error> {
        Ok(unbounded(ServerConnection::new(self.server.clone())?.into()))
    }

    /// The connecting server's end of a fresh connection.
    pub(super) fn connecting(&self) -> Result<Connection, Error> {
        // The name is neither sent nor compared: the key alone says who the peer is.
        let name = ServerName::try_from("ppdenoise").map_err(|e| Error::General(e.to_string()))?;
        Ok(unbounded(ClientConnection::new(self.client.clone(), name)?.into()))
    }
}

/// What is written at a time is bounded by the writer, which empties the buffer each time.
fn unbounded(mut connection: Connection) -> Connection {
    connection.set_buffer_limit(None);
    connection
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<PinnedKey>,
    key: &Arc<CertifiedKey>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier.clone())
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key.clone())));
    config.alpn_protocols = vec![protocol().into_bytes()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<PinnedKey>,
    key: &Arc<CertifiedKey>,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key.clone())));
    config.alpn_protocols = vec![protocol().into_bytes()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: cipher_suites(),
        kx_groups: vec![kx_group::X25519],
        ..default_provider()
    }
}

/// The fastest first, as measured with a processor's AES instructions and without
/// (docs/benchmarks.md); the connecting server's order counts.
fn cipher_suites() -> Vec<SupportedCipherSuite> {
    let aes = [cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_AES_256_GCM_SHA384];
    let chacha = [cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    match crate::kernels::AesBackend::active() {
        crate::kernels::AesBackend::Portable => [&chacha[..], &aes].concat(),
        _ => [&aes[..], &chacha].concat(),
    }
}

type Spki = [u8; SPKI_PREFIX.len() + KEY_LEN];

/// An Ed25519 key as SubjectPublicKeyInfo.
fn spki(key: &[u8]) -> Spki {
    let mut spki = [0; SPKI_PREFIX.len() + KEY_LEN];
    spki[..SPKI_PREFIX.len()].copy_from_slice(&SPKI_PREFIX);
    spki[SPKI_PREFIX.len()..].copy_from_slice(key);
    spki
}

/// The key that the other end proved in a handshake that is complete.
pub(super) fn proved(connection: &Connection) -> Option<[u8; KEY_LEN]> {
    let [key] = connection.peer_certificates()? else { return None };
    key.strip_prefix(&SPKI_PREFIX)?.try_into().ok()
}

/// Accepts these raw public keys and nothing else.
#[derive(Debug)]
struct PinnedKey {
    pinned: HashSet<Spki>,
    own: Spki,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The peer proved this server's own key.
#[derive(Debug, thiserror::Error)]
#[error("this server's own key")]
struct OwnKey;

impl PinnedKey {
    fn check(&self, key: &[u8], more: &[CertificateDer<'_>]) -> Result<(), Error> {
        let error = match key {
            _ if !more.is_empty() => CertificateError::BadEncoding,
            key if self.pinned.contains(key) => return Ok(()),
            key if key == self.own => CertificateError::Other(OtherError(Arc::new(OwnKey))),
            _ => CertificateError::ApplicationVerificationFailure,
        };
        Err(Error::InvalidCertificate(error))
    }

    fn signed(
        &self,
        message: &[u8],
        key: &[u8],
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key);
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("TLS 1.2 is not spoken here".into()))
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key, more).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for PinnedKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key, more).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
