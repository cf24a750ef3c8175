//! Passwords: what is accepted, how they are hashed, which hashes are outdated.
//!
//! The hashing itself is pure; where it runs is the [`Hasher`](crate::ports::hasher::Hasher) port's decision.
//! Passwords are compared after NFKC (NIST SP 800-63B-4, section 3.1.1.2), so that every keyboard's form of a
//! character is the same; only hashes of the older system (bcrypt) saw the raw bytes.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization;

use crate::secret::Secret;
use crate::validate::{Invalid, InvalidCode};

/// The fewest characters (code points after NFKC) of a password.
pub const MIN_CHARS: usize = 8;
/// The most characters of a password.
pub const MAX_CHARS: usize = 128;

/// The commonest leaked passwords of eight or more characters, folded, sorted bytewise, one a line.
static COMMON: &str = include_str!("common_passwords.txt");

/// A password that was typed: anything at all, kept secret. Signing in takes it as it is; choosing one goes
/// through [`Password::check_new`].
#[derive(Clone, Debug)]
pub struct Password(Secret);

impl Password {
    /// Takes a typed password in.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Refuses a new password that is too short, too long, widely leaked, or one of the owner's own names.
    ///
    /// # Errors
    /// [`Invalid`] with `too_short`, `too_long`, `too_common` or `same_as_identity`.
    pub fn check_new(self, identities: &[&str]) -> Result<Self, Invalid> {
        let normalized = self.normalized();
        let chars = normalized.expose().chars().count();
        if chars < MIN_CHARS {
            return Err(Invalid::new(
                InvalidCode::TooShort,
                format!("a password has at least {MIN_CHARS} characters"),
            ));
        }
        if chars > MAX_CHARS {
            return Err(Invalid::new(
                InvalidCode::TooLong,
                format!("a password has at most {MAX_CHARS} characters"),
            ));
        }
        let folded = Secret::new(normalized.expose().to_lowercase());
        if is_common(folded.expose()) {
            return Err(Invalid::new(
                InvalidCode::TooCommon,
                "this password is among those that attackers try first; choose another",
            ));
        }
        if identities.iter().any(|identity| identity.to_lowercase() == folded.expose()) {
            return Err(Invalid::new(
                InvalidCode::SameAsIdentity,
                "a password must differ from the username and the e-mail address",
            ));
        }
        Ok(self)
    }

    /// The text that current hashes are made of.
    #[must_use]
    pub fn normalized(&self) -> Secret {
        Secret::new(self.0.expose().nfkc().collect::<String>())
    }

    fn raw(&self) -> &str {
        self.0.expose()
    }
}

/// Whether a folded password is in the embedded list.
fn is_common(folded: &str) -> bool {
    // The list is sorted, so its lines can be searched by halves without an index in memory.
    let (mut low, mut high) = (0, COMMON.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = COMMON[..middle].rfind('\n').map_or(0, |newline| newline + 1).max(low);
        let end = COMMON[start..].find('\n').map_or(COMMON.len(), |length| start + length);
        match COMMON[start..end].cmp(folded) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = (end + 1).min(COMMON.len()),
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

/// Argon2id parameters (RFC 9106; the default is OWASP's minimum).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for HashParams {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl HashParams {
    /// Tells whether Argon2id accepts the parameters.
    #[must_use]
    pub fn are_valid(self) -> bool {
        self.to_params().is_ok()
    }

    fn to_params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
    }

    /// Whether a hash with `other` costs an attacker less.
    fn exceed(self, other: &Params) -> bool {
        let cost = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
        cost(self.memory_kib, self.passes) > cost(other.m_cost(), other.t_cost())
    }
}

/// A piece of password hashing.
#[derive(Clone, Debug)]
pub enum HashWork {
    /// Makes a PHC string with the given salt.
    Hash { password: Password, salt: [u8; 16], params: HashParams },
    /// Compares with a stored hash: Argon2 in PHC form, or bcrypt.
    Verify { password: Password, hash: String, params: HashParams },
    /// Costs what a comparison costs and matches nothing: for accounts that do not exist.
    Decoy { password: Password, params: HashParams },
}

/// What a [`HashWork`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOutcome {
    /// The PHC string.
    Hashed(String),
    /// The password is the hash's; `outdated` when the hash should be made anew.
    Matches { outdated: bool },
    /// The password is another, or the hash is of no known form.
    Differs,
}

/// The memory that hashing fills, for one piece of work after another: to come by it takes longer than to use it where the
/// system hands it out anew each time.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// So many blocks of a KiB, in no particular state: what is hashed overwrites them before it reads them.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() != count {
            // What there was goes first.
            self.0 = Vec::new();
            self.0 = vec![Block::new(); count];
        }
        &mut self.0
    }
}

impl fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashMemory({} KiB)", self.0.len())
    }
}

impl HashWork {
    /// Does the work; takes tens of milliseconds.
    #[must_use]
    pub fn run(self) -> HashOutcome {
        self.run_in(&mut HashMemory::default())
    }

    /// Does the work in memory that was used before.
    #[must_use]
    pub fn run_in(self, memory: &mut HashMemory) -> HashOutcome {
        match self {
            Self::Hash { password, salt, params } => {
                hash(&password, &salt, params, memory).map_or(HashOutcome::Differs, HashOutcome::Hashed)
            }
            Self::Verify { password, hash, params } => verify(&password, &hash, params, memory),
            Self::Decoy { password, params } => {
                let _cost = hash(&password, &[0; 16], params, memory);
                HashOutcome::Differs
            }
        }
    }
}

fn hash(password: &Password, salt: &[u8; 16], params: HashParams, memory: &mut HashMemory) -> Option<String> {
    let params = params.to_params().ok()?;
    let hash = argon2(password, salt, Algorithm::Argon2id, Version::V0x13, &params, memory)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: Some(hash),
    };
    Some(phc.to_string())
}

/// The hash itself, as long as the parameters say.
fn argon2(
    password: &Password,
    salt: &[u8],
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    memory: &mut HashMemory,
) -> Option<Output> {
    let mut bytes = [0; Output::MAX_LENGTH];
    let hash = bytes.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
    let (normalized, blocks) = (password.normalized(), memory.blocks(params.block_count()));
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(normalized.expose().as_bytes(), salt, hash, blocks)
        .ok()?;
    Output::new(hash).ok()
}

fn verify(password: &Password, hash: &str, wanted: HashParams, memory: &mut HashMemory) -> HashOutcome {
    if hash.starts_with("$2") {
        return match bcrypt::verify(password.raw(), hash) {
            Ok(true) => HashOutcome::Matches { outdated: true },
            _ => HashOutcome::Differs,
        };
    }
    let Some(stored) = StoredHash::parse(hash) else { return HashOutcome::Differs };
    let StoredHash { algorithm, version, params, salt, hash } = stored;
    // Outputs compare in constant time.
    if argon2(password, &salt, algorithm, version, &params, memory) != Some(hash) {
        return HashOutcome::Differs;
    }
    let current = algorithm == Algorithm::Argon2id && !wanted.exceed(&params);
    HashOutcome::Matches { outdated: !current }
}

/// What a PHC string of Argon2 holds.
struct StoredHash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    hash: Output,
}

impl StoredHash {
    fn parse(text: &str) -> Option<Self> {
        let phc = PasswordHash::new(text).ok()?;
        Some(Self {
            algorithm: Algorithm::try_from(phc.algorithm.as_str()).ok()?,
            version: phc.version.map_or(Ok(Version::default()), Version::try_from).ok()?,
            params: Params::try_from(&phc).ok()?,
            salt: phc.salt?,
            hash: phc.hash?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashParams = HashParams { memory_kib: 64, passes: 1, lanes: 1 };

    fn password(text: &str) -> Password {
        Password::new(Secret::new(text))
    }

    fn hashed(text: &str) -> String {
        match (HashWork::Hash { password: password(text), salt: [7; 16], params: CHEAP }).run() {
            HashOutcome::Hashed(phc) => phc,
            other => panic!("{other:?}"),
        }
    }

    fn verified(text: &str, hash: &str, params: HashParams) -> HashOutcome {
        HashWork::Verify { password: password(text), hash: hash.to_owned(), params }.run()
    }

    #[test]
    fn p1_seven_characters_are_refused_and_eight_accepted() {
        assert_eq!(password("ärger-1").check_new(&[]).unwrap_err().code, InvalidCode::TooShort);
        assert!(password("ärger-12").check_new(&[]).is_ok());
    }

    #[test]
    fn p2_length_counts_code_points_after_nfkc_and_nothing_is_truncated() {
        assert!(password(&"語".repeat(128)).check_new(&[]).is_ok());
        assert_eq!(password(&"語".repeat(129)).check_new(&[]).unwrap_err().code, InvalidCode::TooLong);
        // U+FB03 becomes three letters.
        assert_eq!(password(&"ﬃ".repeat(43)).check_new(&[]).unwrap_err().code, InvalidCode::TooLong);
        for (one, other) in [(71, 72), (72, 73), (73, 74)] {
            assert_eq!(verified(&"a".repeat(other), &hashed(&"a".repeat(one)), CHEAP), HashOutcome::Differs);
        }
        assert_ne!(
            verified("語語語語語語語語a", &hashed("語語語語語語語語b"), CHEAP),
            HashOutcome::Matches { outdated: false }
        );
        assert_eq!(
            verified("ﬃciency", &hashed("fficiency"), CHEAP),
            HashOutcome::Matches { outdated: false }
        );
    }

    #[test]
    fn p3_any_composition_is_accepted() {
        for text in ["aaaabbbbccc", "        ", "98237498237", "пароль-мой", "🦀🦀🦀🦀🦀🦀🦀🦀"]
        {
            assert!(password(text).check_new(&[]).is_ok(), "{text}");
        }
    }

    #[test]
    fn p4_common_passwords_and_own_names_are_refused() {
        let lines: Vec<_> = COMMON.lines().collect();
        assert!(lines.len() >= 10_000, "{}", lines.len());
        assert!(lines.is_sorted());
        for line in &lines {
            assert!(is_common(line), "{line}");
        }
        for text in ["password", "PassWord", "12345678", "iloveyou1"] {
            assert_eq!(password(text).check_new(&[]).unwrap_err().code, InvalidCode::TooCommon, "{text}");
        }
        for absent in ["", "\n", "a", "zzzzzzzzzzzzzzzzz-not-there", "password\npassword1"] {
            assert!(!is_common(absent), "{absent:?}");
        }
        let own = password("Ada@Example.com").check_new(&["ada", "ada@example.com"]);
        assert_eq!(own.unwrap_err().code, InvalidCode::SameAsIdentity);
    }

    #[test]
    fn p6_older_hashes_verify_and_are_outdated() {
        let bcrypt = bcrypt::hash_with_salt("correct horse", 4, [3; 16]).unwrap().to_string();
        assert_eq!(verified("correct horse", &bcrypt, CHEAP), HashOutcome::Matches { outdated: true });
        assert_eq!(verified("incorrect horse", &bcrypt, CHEAP), HashOutcome::Differs);
        let phc = hashed("correct horse");
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert_eq!(verified("correct horse", &phc, CHEAP), HashOutcome::Matches { outdated: false });
        let stronger = HashParams { memory_kib: 128, ..CHEAP };
        assert_eq!(verified("correct horse", &phc, stronger), HashOutcome::Matches { outdated: true });
        assert_eq!(verified("correct horse", "", CHEAP), HashOutcome::Differs);
        assert_eq!(verified("correct horse", "$argon2id$garbage", CHEAP), HashOutcome::Differs);
    }
}
