//! What the native host takes of memory, of time to start, and of disk.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use portico_bench::connection::{Connection, open};
use portico_bench::scenario::Scenario;
use portico_bench::scenarios::Ping;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cores::Cores;
use crate::portico::{Portico, exchange};
use crate::table::{Figure, Measured, Row, Target, Unit};

const MIB: u64 = 1024 * 1024;

/// Connections that are kept alive and not used.
const IDLE: usize = 10_000;

/// Each source has some 28,000 ports, of which those that were used lately are not free.
const PER_SOURCE: usize = 2_500;

/// Uploads at once.
const UPLOADS: u64 = 10;

/// How large each upload is: as the aim says, or enough to show whether it is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadMib(pub(crate) u64);

/// Idle, with idle connections, and during uploads.
pub(crate) async fn measure(
    binary: &Path,
    scratch: &Path,
    cores: &Cores,
    settle: Duration,
    size: UploadMib,
) -> Vec<Row> {
    eprintln!("memory");
    let row = |what, measured, most| Row {
        what,
        measured,
        unit: Unit::Mebibytes,
        target: Some(Target::AtMost(most)),
    };
    vec![
        row("native: resident memory, idle", idle(binary, scratch, cores, settle).await, 15.0),
        row(
            "native: resident memory with 10,000 idle connections",
            connected(binary, scratch, cores, settle).await,
            150.0,
        ),
        row(
            "native: more memory at the height of ten uploads of 1 GiB",
            uploading(binary, scratch, cores, size).await,
            64.0,
        ),
    ]
}

/// The size of the binary without symbols.
pub(crate) fn size(binary: &Path, scratch: &Path) -> Row {
    let stripped = || {
        let copy = tempfile::NamedTempFile::new_in(scratch).map_err(|error| error.to_string())?;
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(copy.path()).arg(binary);
        let status = strip.status().map_err(|error| format!("strip: {error} (Debian's package binutils)"))?;
        let bytes =
            |path: &Path| std::fs::metadata(path).map(|file| file.len()).map_err(|error| error.to_string());
        if !status.success() {
            return Err(format!("strip ended with {status}"));
        }
        let unstripped = mebibytes(bytes(binary)?);
        Ok(Figure::new(mebibytes(bytes(copy.path())?), format!("{unstripped:.1} MiB with symbols")))
    };
    Row {
        what: "native: release binary, stripped",
        measured: stripped(),
        unit: Unit::Mebibytes,
        target: Some(Target::AtMost(25.0)),
    }
}

async fn idle(binary: &Path, scratch: &Path, cores: &Cores, settle: Duration) -> Measured {
    let portico = Portico::start(binary, scratch, &cores.servers, &[])?;
    tokio::time::sleep(settle).await;
    Ok(Figure::new(mebibytes(portico.process.resident()?), "after its first answer"))
}

async fn connected(binary: &Path, scratch: &Path, cores: &Cores, settle: Duration) -> Measured {
    allow_descriptors(IDLE as u64 + 500)?;
    let portico = Portico::start(binary, scratch, &cores.servers, &[])?;
    let before = mebibytes(portico.process.resident()?);
    let connections = (0..IDLE).map(|index| {
        let source = [127, 0, 0, 1 + (index / PER_SOURCE) as u8];
        Connection::new(portico.process.address, Duration::from_secs(30)).from(source.into())
    });
    let open: Vec<Connection> =
        stream::iter(connections).map(use_once).buffer_unordered(100).try_collect().await?;
    tokio::time::sleep(settle).await;
    let taken = mebibytes(portico.process.resident()?);
    let count = open.iter().filter(|connection| connection.is_open()).count();
    if count < IDLE {
        return Err(format!("of {IDLE} connections only {count} stayed open"));
    }
    Ok(Figure::new(taken, format!("{before:.1} MiB without them")))
}

/// A connection over which a request was answered.
async fn use_once(mut connection: Connection) -> Result<Connection, String> {
    exchange(&mut connection, Ping.next()).await?;
    Ok(connection)
}

async fn uploading(binary: &Path, scratch: &Path, cores: &Cores, size: UploadMib) -> Measured {
    let bytes = size.0 * MIB;
    let [most, quota] = [bytes + MIB, UPLOADS * 2 * bytes].map(|limit| limit.to_string());
    let limits = [("MAX_UPLOAD_BYTES", most.as_str()), ("USER_QUOTA_BYTES", quota.as_str())];
    let portico = Portico::start(binary, scratch, &cores.servers, &limits)?;
    let people = portico.register("uploader", 1).await?;
    let token = people.first().ok_or("nobody registered")?.access_token.clone();
    // What the first upload and the first password take does not count.
    upload(portico.process.address, &token, MIB).await?;
    portico.sign_in("uploader-0".to_owned()).await?;
    let before = portico.process.peak()?;
    try_join_all((0..UPLOADS).map(|_| upload(portico.process.address, &token, bytes))).await?;
    let grown = mebibytes(portico.process.peak()? - before);
    Ok(Figure::new(
        grown,
        format!("{UPLOADS} uploads of {} MiB each; {:.1} MiB before", size.0, mebibytes(before)),
    ))
}

/// Sends a file piece by piece, as fast as it is taken.
async fn upload(server: SocketAddr, token: &str, bytes: u64) -> Result<(), String> {
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large\"\r\n\r\n";
    let foot = "\r\n--edge--\r\n";
    let length = head.len() as u64 + bytes + foot.len() as u64;
    let request = format!(
        "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{head}"
    );
    let piece = vec![7; MIB as usize];
    let exchange = async {
        let mut stream = open(server, None).await?;
        stream.write_all(request.as_bytes()).await?;
        for _ in 0..bytes / MIB {
            stream.write_all(&piece).await?;
        }
        stream.write_all(foot.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = exchange.await.map_err(|error| format!("an upload breaks off: {error}"))?;
    if answer.starts_with("HTTP/1.1 201") { Ok(()) } else { Err(format!("an upload is answered {answer:?}")) }
}

/// Lets this process open so many files, and those that it starts.
fn allow_descriptors(wanted: u64) -> Result<(), String> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < wanted) {
            let refused =
                |error| format!("{wanted} files cannot be open at once ({error}): raise `ulimit -Hn`");
            setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).map_err(refused)?;
        }
    }
    let _as_it_is = wanted;
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
