//! Names of files: kept as given where people read them, harmless where machines do.

use crate::text::is_unprintable;

/// The longest name that is kept, in characters.
pub const MAX_CHARS: usize = 255;

/// The longest name in a key, in bytes.
const MAX_SAFE_BYTES: usize = 100;

/// The longest extension that is spared when a name is cut, in characters.
const MAX_EXTENSION_CHARS: usize = 16;

/// What a file is called if its name is nothing.
const NAMELESS: &str = "file";

/// Names that are devices to Windows, whatever their extension.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A name for people: the last part of a path, without characters that do not show, cut to [`MAX_CHARS`].
#[must_use]
pub fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !is_unprintable(*c)).collect();
    match shown.trim() {
        "" | "." | ".." => NAMELESS.to_owned(),
        kept => cut(kept, MAX_CHARS),
    }
}

/// A name for keys and folders: ASCII letters, digits, `.`, `_` and `-`, neither hidden nor a device, at most
/// 100 bytes.
#[must_use]
pub fn safe(name: &str) -> String {
    let plain: String = clean(name).chars().map(plain).collect();
    let short = shorten(&plain);
    if short.is_empty() {
        NAMELESS.to_owned()
    } else if is_reserved(&short) {
        shorten(&format!("_{short}"))
    } else {
        short
    }
}

fn shorten(plain: &str) -> String {
    cut(plain.trim_matches('.'), MAX_SAFE_BYTES).trim_matches('.').to_owned()
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }
}

fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let bare = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    RESERVED.contains(&bare) && stem.len() <= 4
}

/// Shortens a name, sparing its extension.
fn cut(name: &str, max_chars: usize) -> String {
    let length = name.chars().count();
    if length <= max_chars {
        return name.to_owned();
    }
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.chars().count() + 1);
    let spared = extension.filter(|chars| *chars <= MAX_EXTENSION_CHARS).unwrap_or(0);
    let head = name.chars().take(max_chars - spared);
    head.chain(name.chars().skip(length - spared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::blobs::BlobKey;

    #[test]
    fn x7_hostile_names_are_harmless() {
        let (long, device) = ("a".repeat(10_000), format!("con.{}", "x".repeat(96)));
        for (name, shown, key) in [
            ("report.pdf", "report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd", "passwd"),
            ("..\\..\\windows\\win.ini", "win.ini", "win.ini"),
            ("/", "file", "file"),
            ("", "file", "file"),
            ("..", "file", "file"),
            (".", "file", "file"),
            ("...", "...", "file"),
            (".htaccess", ".htaccess", "htaccess"),
            ("a\0b.txt", "ab.txt", "ab.txt"),
            ("a\r\nb", "ab", "ab"),
            ("\u{202e}fdp.exe", "fdp.exe", "fdp.exe"),
            ("Con.txt", "Con.txt", "_Con.txt"),
            ("COM1", "COM1", "_COM1"),
            ("NUL", "NUL", "_NUL"),
            ("console.log", "console.log", "console.log"),
            ("a b%20c?d#e", "a b%20c?d#e", "a_b_20c_d_e"),
            ("日本.png", "日本.png", "__.png"),
            ("name. ", "name.", "name"),
            (&long, &long[..255], &long[..100]),
            (&device, &device, &format!("_{}", &device[..99])),
        ] {
            assert_eq!((clean(name).as_str(), safe(name).as_str()), (shown, key), "{name:?}");
            assert!(BlobKey::parse(&format!("files/01ADA/01FILE/{key}")).is_some());
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = format!("{}.jpeg", "ä".repeat(10_000));
        assert_eq!(clean(&name).chars().count(), MAX_CHARS);
        assert!(clean(&name).ends_with("ä.jpeg") && safe(&name).ends_with("_.jpeg"));
        assert_eq!(safe(&name).len(), MAX_SAFE_BYTES);
        let device = format!("CON.{}", "a".repeat(10_000));
        assert_eq!(safe(&device), format!("_CON.{}", "a".repeat(MAX_SAFE_BYTES - 5)));
    }
}
