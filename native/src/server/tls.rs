//! TLS for hosts that face their clients themselves.

use std::path::Path;
use std::sync::Arc;

use portico_core::config::{Variable, variables as v};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Reads a certificate chain and its key.
///
/// # Errors
/// The variable whose file is at fault, and what to do.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, (&'static Variable, String)> {
    let chain = read_chain(certificate)
        .map_err(|reason| (&v::TLS_CERT_PATH, format!("{}: {reason}", certificate.display())))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        (&v::TLS_KEY_PATH, format!("{}: no private key in PEM form: {error}", key.display()))
    })?;
    configure(chain, private).map_err(|error| {
        (&v::TLS_KEY_PATH, format!("{}: does not work with the certificate: {error}", key.display()))
    })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = match CertificateDer::pem_file_iter(path) {
        Ok(certificates) => certificates.collect(),
        Err(error) => return Err(error.to_string()),
    };
    match chain {
        Ok(chain) if chain.is_empty() => Err("no certificate in PEM form".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(error.to_string()),
    }
}

fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, tokio_rustls::rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
