//! A hyper server that does nothing but answer, always the same: how fast a server in Rust can be on this machine.

use std::convert::Infallible;
use std::process::Command;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portico_bench::connection::Answer;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::process::Process;

/// The command of this program that serves.
pub(crate) const COMMAND: &str = "bare";

/// Starts it on these cores.
///
/// # Errors
/// In words for whoever runs this.
pub(crate) fn start(cores: &[usize], answer: &Answer) -> Result<Process, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg(COMMAND);
    let bare = Process::start_with(command, cores, &write(answer).to_string());
    bare.map_err(|error| format!("the bare server does not start: {error}"))
}

/// Serves the answer in the input, and tells where.
///
/// # Errors
/// When the input holds no answer, or there is no port.
pub(crate) async fn serve(input: &str) -> Result<(), String> {
    let answer = read(input).ok_or("the input holds no answer")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("{address}");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _slower = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |_| {
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// An answer as JSON. Hyper adds date and length by itself, as it does for every server.
fn write(answer: &Answer) -> Value {
    let own = [header::DATE, header::CONTENT_LENGTH, header::CONNECTION];
    let kept = answer.headers.iter().filter(|(name, _)| !own.contains(name));
    let headers: Vec<_> =
        kept.map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    json!({ "status": answer.status, "headers": headers, "body": String::from_utf8_lossy(&answer.body) })
}

fn read(input: &str) -> Option<Response<Full<Bytes>>> {
    let value: Value = serde_json::from_str(input).ok()?;
    let body = Bytes::from(value["body"].as_str()?.to_owned());
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = StatusCode::from_u16(value["status"].as_u64()?.try_into().ok()?).ok()?;
    for pair in value["headers"].as_array()? {
        let name = HeaderName::try_from(pair[0].as_str()?).ok()?;
        answer.headers_mut().append(name, HeaderValue::try_from(pair[1].as_str()?).ok()?);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn it_answers_as_the_other_did() {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_static("long ago"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from_static(b"{\"message\":\"pong\"}");
        let answer = Answer { status: 203, headers, body };
        let same = read(&write(&answer).to_string()).expect("an answer");
        assert_eq!(same.status(), 203);
        assert_eq!(same.headers().len(), 1);
        assert_eq!(same.headers()[header::CONTENT_TYPE], "application/json");
        assert!(read("{}").is_none() && read("").is_none());
    }
}
