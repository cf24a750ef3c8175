//! `portico keys generate`.

use std::io;
use std::path::Path;

use super::{Failure, say};
use crate::files;
use crate::keys;

/// Makes a key pair; never replaces one.
pub(super) fn generate(folder: &Path, bits: &str) -> Result<(), Failure> {
    let (private, public) = (folder.join("private_key.pem"), folder.join("public_key.pem"));
    for path in [&private, &public] {
        if path.exists() {
            return Err(taken(path));
        }
    }
    let pair = keys::generate(bits.parse()?)?;
    files::create_private_dir(folder)?;
    write(&private, &pair.private)?;
    write(&public, &pair.public)?;
    say(format_args!("{} (keep it secret; only you can read it)", private.display()));
    say(format_args!("{}", public.display()));
    say(format_args!("To use them: JWT_PRIVATE_KEY_PATH={}", private.display()));
    Ok(())
}

fn write(path: &Path, pem: &str) -> Result<(), Failure> {
    files::create_private(path, pem.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(path),
        _ => Failure(format!("{}: {error}", path.display())),
    })
}

fn taken(path: &Path) -> Failure {
    Failure(format!("{} exists and is left as it is: move it away, or choose another --out", path.display()))
}
