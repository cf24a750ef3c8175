//! What cryptography costs by itself on this machine: no server can be faster than that.

use std::path::Path;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cores::on;

/// KiB and passes of the hash that is the server's default, on one lane.
const ARGON2ID: (u32, u32) = (19_456, 2);

/// As much as is signed of an access token.
const MESSAGE: [u8; 400] = [b'x'; 400];

/// How long one RS256 signature with a key takes on one of these cores, on average.
///
/// # Errors
/// When the key cannot be read or used.
pub(crate) fn signature(cores: &[usize], key: &Path, measure: Duration) -> Result<Duration, String> {
    let pem = std::fs::read_to_string(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let key = read_key(&pem).ok_or_else(|| format!("{} is no RSA key in PKCS#8", key.display()))?;
    let random = SystemRandom::new();
    let mut signature = vec![0; key.public_modulus_len()];
    each(cores, measure, move || key.sign(&RSA_PKCS1_SHA256, &random, &MESSAGE, &mut signature).is_ok())
}

/// How long one Argon2id hash of the default cost takes on one of these cores, on average.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn hash(cores: &[usize], measure: Duration) -> Result<Duration, String> {
    let (memory, passes) = ARGON2ID;
    let params = Params::new(memory, passes, 1, None).map_err(|error| error.to_string())?;
    // Asking the system for memory is not hashing.
    let mut blocks = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (password, mut hash) = (b"correct horse battery staple", [0; 32]);
    each(cores, measure, move || {
        argon2.hash_password_into_with_memory(password, &[7; 16], &mut hash, &mut blocks).is_ok()
    })
}

/// The average time of some work, after a first time that does not count.
fn each(
    cores: &[usize],
    measure: Duration,
    mut work: impl FnMut() -> bool + Send,
) -> Result<Duration, String> {
    on(cores, || {
        let mut done = work();
        let (begun, mut times) = (Instant::now(), 0);
        while done && begun.elapsed() < measure {
            done = work();
            times += 1;
        }
        if done && times > 0 { Ok(begun.elapsed() / times) } else { Err("cryptography fails".to_owned()) }
    })
}

fn read_key(pem: &str) -> Option<KeyPair> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(base64).ok()?;
    KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_measured() {
        let cores = crate::cores::Cores::deal().servers;
        let once = Duration::from_millis(1);
        let hash = hash(&cores, once).expect("a hash");
        assert!((1..10_000).contains(&hash.as_millis()), "{hash:?}");
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
        assert!(signature(&cores, Path::new(key), once).is_err());
        assert_eq!(each(&cores, once, || false), Err("cryptography fails".to_owned()));
    }
}
