//! TLS, by rustls.
//!
//! Owns what each mode proves of the server. The modes mean what they mean to every PostgreSQL client: only `verify-full`, and
//! `require` with a root certificate, prove that the server is the one that was named.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::target::{PostgresUrl, Tls};
use crate::error::{Error, ErrorKind, Result};

/// The driver's word for a mode.
pub(super) fn mode(tls: Tls) -> SslMode {
    match tls {
        Tls::Disable => SslMode::Disable,
        Tls::Prefer => SslMode::Prefer,
        Tls::Require | Tls::Verify => SslMode::Require,
    }
}

/// What encrypts the connections to a server.
pub(super) fn of(target: &PostgresUrl) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error| Error::new(ErrorKind::Failed, format!("cannot set TLS up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let proves = target.tls == Tls::Verify || target.root_certificate.is_some();
    let config = if proves {
        builder.with_root_certificates(roots(target.root_certificate.as_deref())?).with_no_client_auth()
    } else {
        let verifier = Arc::new(Unproved(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

/// The certificates that are trusted: those in a file, or those of the system.
fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let bad = |path: &Path, reason: String| {
        Error::invalid(format!("sslrootcert: {reason}; name a file with certificates in PEM")).at(path, None)
    };
    if let Some(path) = file {
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| bad(path, error.to_string()))?;
            store.add(certificate).map_err(|error| bad(path, error.to_string()))?;
        }
        if store.is_empty() {
            return Err(bad(path, "there is no certificate in it".to_owned()));
        }
    } else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            let reason = "sslmode=verify-full: the system has no certificates to prove the server's by; name a file \
                          with sslrootcert";
            return Err(Error::invalid(reason));
        }
    }
    Ok(store)
}

/// Takes every certificate. What is sent is encrypted, to whoever it is.
#[derive(Debug)]
struct Unproved(Arc<CryptoProvider>);

impl ServerCertVerifier for Unproved {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
