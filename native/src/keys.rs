//! The files that hold the keys for access tokens: reading, checking and making them.
//!
//! The `rsa` crate only makes numbers here; it never signs (RUSTSEC-2023-0071 is about signing and decrypting).

use std::io;
use std::path::{Path, PathBuf};

use portico_core::auth::keys::{KeyError, PrivateKey, PublicKey, SigningKeys};
use portico_core::config::{Environment, Variable, Vars, variables as v};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;

use crate::files;

/// The name of a key made without being asked for; production refuses it wherever it lies.
const DEVELOPMENT_KEY: &str = "development_private_key.pem";

/// Bits of a key that is made without a wish.
pub const DEFAULT_BITS: usize = 2048;

/// Where the signing keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Files that were read.
    Files(SigningKeys),
    /// A file that is made before serving, and the keys that still verify.
    Generate(PathBuf, Vec<PublicKey>),
    /// Nowhere: a problem was noted.
    Missing,
}

/// A new key pair in PEM form.
pub struct KeyPair {
    /// PKCS#8.
    pub private: rsa::pkcs8::der::zeroize::Zeroizing<String>,
    /// SPKI.
    pub public: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The keys could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The numbers could not be found.
    #[error("the key cannot be generated: {0}")]
    Generate(String),
    /// The file could not be written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// What was written cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl KeySource {
    /// The keys, generated if that is where they come from.
    ///
    /// # Errors
    /// [`MakeError`].
    pub fn obtain(self) -> Result<SigningKeys, MakeError> {
        match self {
            Self::Files(keys) => Ok(keys),
            Self::Generate(path, previous) => {
                let pair = generate(DEFAULT_BITS)?;
                let write = |source| MakeError::Write { path: path.clone(), source };
                files::create_private_dir(path.parent().unwrap_or(Path::new("."))).map_err(write)?;
                files::create_private(&path, pair.private.as_bytes()).map_err(write)?;
                Ok(SigningKeys { private: PrivateKey::from_pem(&pair.private)?, previous })
            }
            Self::Missing => Err(MakeError::Key(KeyError::Malformed)),
        }
    }
}

/// Makes a key pair.
///
/// # Errors
/// [`MakeError::Generate`].
pub fn generate(bits: usize) -> Result<KeyPair, MakeError> {
    let failed = |error: &dyn std::fmt::Display| MakeError::Generate(error.to_string());
    let private = rsa::RsaPrivateKey::new(&mut OsRng, bits).map_err(|error| failed(&error))?;
    Ok(KeyPair {
        private: private.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(&error))?,
        public: private.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|error| failed(&error))?,
    })
}

/// Finds the keys that the variables name; problems stay in `vars`.
pub fn find(vars: &Vars<'_>, environment: Environment, data_dir: &Path) -> KeySource {
    let previous = read_previous(vars);
    let private_path = PathBuf::from(vars.text(&v::JWT_PRIVATE_KEY_PATH));
    let generated_path = data_dir.join(DEVELOPMENT_KEY);
    let production = environment == Environment::Production;
    if production && private_path.file_name().is_some_and(|name| name == DEVELOPMENT_KEY) {
        vars.problem(
            &v::JWT_PRIVATE_KEY_PATH,
            "this key was generated for development: make one with `portico keys generate`",
        );
        return KeySource::Missing;
    }
    if vars.is_set(&v::JWT_PRIVATE_KEY_PATH) || private_path.exists() || production {
        return match read_pair(vars, &private_path) {
            Some(private) => KeySource::Files(SigningKeys { private, previous }),
            None => KeySource::Missing,
        };
    }
    check_public(vars, None);
    if !generated_path.exists() {
        return KeySource::Generate(generated_path, previous);
    }
    match read_key(vars, &v::JWT_PRIVATE_KEY_PATH, &generated_path, PrivateKey::from_pem) {
        Some(private) => KeySource::Files(SigningKeys { private, previous }),
        None => KeySource::Missing,
    }
}

fn read_pair(vars: &Vars<'_>, path: &Path) -> Option<PrivateKey> {
    let private = read_key(vars, &v::JWT_PRIVATE_KEY_PATH, path, PrivateKey::from_pem);
    check_public(vars, private.as_ref());
    private
}

/// Checks the public key's file against the private key, if both are there.
fn check_public(vars: &Vars<'_>, private: Option<&PrivateKey>) {
    let path = PathBuf::from(vars.text(&v::JWT_PUBLIC_KEY_PATH));
    if !vars.is_set(&v::JWT_PUBLIC_KEY_PATH) && (private.is_none() || !path.exists()) {
        return;
    }
    let public = read_key(vars, &v::JWT_PUBLIC_KEY_PATH, &path, PublicKey::from_pem);
    if let (Some(public), Some(private)) = (public, private)
        && public != *private.public()
    {
        vars.problem(&v::JWT_PUBLIC_KEY_PATH, format!("{}: {}", path.display(), KeyError::Mismatch));
    }
}

fn read_previous(vars: &Vars<'_>) -> Vec<PublicKey> {
    let variable = &v::JWT_PREVIOUS_PUBLIC_KEYS_PATH;
    let paths = vars.list(variable, "a path", |path| Some(PathBuf::from(path)));
    let keys = paths.iter().filter_map(|path| read_key(vars, variable, path, PublicKey::all_from_pem));
    keys.flatten().collect()
}

fn read_key<K>(
    vars: &Vars<'_>,
    variable: &Variable,
    path: &Path,
    parse: impl Fn(&str) -> Result<K, KeyError>,
) -> Option<K> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => rsa::pkcs8::der::zeroize::Zeroizing::new(text),
        Err(error) => {
            let message = format!("{}: {error}; make keys with `portico keys generate`", path.display());
            vars.problem(variable, message);
            return None;
        }
    };
    match parse(&text) {
        Ok(key) => Some(key),
        Err(error) => {
            vars.problem(variable, format!("{}: {error}", path.display()));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, name: &str, text: &str) -> String {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        }

        fn find(&self, environment: Environment, pairs: &[(&str, &str)]) -> Result<KeySource, Vec<String>> {
            let vars = Vars::new(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            });
            let source = find(&vars, environment, self.0.path());
            vars.finish(source).map_err(|error| error.problems.into_iter().map(|p| p.message).collect())
        }
    }

    fn kid(source: KeySource) -> String {
        source.obtain().unwrap().private.public().kid.clone()
    }

    #[test]
    fn development_makes_a_key_once_and_production_refuses_it() {
        let folder = Folder::new();
        let first = folder.find(Environment::Development, &[]).unwrap();
        assert!(matches!(first, KeySource::Generate(..)));
        let made = kid(first);
        assert_eq!(kid(folder.find(Environment::Development, &[]).unwrap()), made);
        let path = folder.0.path().join(DEVELOPMENT_KEY);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let pointed = [("JWT_PRIVATE_KEY_PATH", path.to_str().unwrap())];
        assert!(folder.find(Environment::Production, &pointed).unwrap_err()[0].contains("development"));
        assert!(folder.find(Environment::Production, &[]).is_err());
    }

    #[test]
    fn l4_halves_must_match_and_be_strong() {
        let folder = Folder::new();
        let (one, other) = (generate(2048).unwrap(), generate(2048).unwrap());
        let weak = folder.write("weak.pem", &generate(1024).unwrap().private);
        let private = folder.write("private.pem", &one.private);
        let public = folder.write("public.pem", &one.public);
        let foreign = folder.write("foreign.pem", &other.public);
        let find = |private: &str, public: &str| {
            let pairs = [("JWT_PRIVATE_KEY_PATH", private), ("JWT_PUBLIC_KEY_PATH", public)];
            folder.find(Environment::Production, &pairs)
        };
        assert!(matches!(find(&private, &public), Ok(KeySource::Files(_))));
        assert!(find(&private, &foreign).unwrap_err()[0].contains("does not belong"));
        assert!(find(&weak, "").unwrap_err()[0].contains("too weak"));
        assert!(find(&public, "").unwrap_err()[0].contains("keys generate"));
    }

    #[test]
    fn j5_files_of_several_previous_keys_are_read() {
        let folder = Folder::new();
        let private = folder.write("private.pem", &generate(2048).unwrap().private);
        let publics: Vec<_> = (0..3).map(|_| generate(2048).unwrap().public).collect();
        let two = folder.write("two.pem", &format!("# old\n{}\n{}", publics[0], publics[1]));
        let one = folder.write("one.pem", &publics[2]);
        let previous = format!("{two}, {one}");
        let pairs = [("JWT_PRIVATE_KEY_PATH", &*private), ("JWT_PREVIOUS_PUBLIC_KEYS_PATH", &*previous)];
        let keys = folder.find(Environment::Production, &pairs).unwrap().obtain().unwrap();
        let kids: Vec<_> = keys.previous.iter().map(|key| key.kid.clone()).collect();
        let expected: Vec<_> = publics.iter().map(|pem| PublicKey::from_pem(pem).unwrap().kid).collect();
        assert_eq!(kids, expected);
    }
}
