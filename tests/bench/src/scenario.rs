//! What one connection asks for, request after request.

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::Value;

use crate::connection::Outcome;

/// A request, and the name under which it is counted.
#[derive(Debug)]
pub struct Call {
    /// The operation.
    pub name: &'static str,
    /// The request; its target is a path.
    pub request: Request<Bytes>,
}

/// Decides on the requests of one connection.
pub trait Scenario: Send + 'static {
    /// The next request.
    fn next(&mut self) -> Call;

    /// Takes note of what became of the last one.
    fn note(&mut self, _outcome: &Outcome) {}
}

impl<S: Scenario + ?Sized> Scenario for Box<S> {
    fn next(&mut self) -> Call {
        (**self).next()
    }

    fn note(&mut self, outcome: &Outcome) {
        (**self).note(outcome);
    }
}

impl Call {
    /// A request without a body.
    ///
    /// # Panics
    /// When the path or the token cannot stand in a request.
    #[must_use]
    pub fn get(name: &'static str, path: &str, token: Option<&str>) -> Self {
        Self::new(name, Method::GET, path, token, None, Bytes::new())
    }

    /// A request with a JSON body.
    ///
    /// # Panics
    /// As [`Self::get`].
    #[must_use]
    pub fn post(name: &'static str, path: &str, token: Option<&str>, body: &Value) -> Self {
        let bytes = Bytes::from(body.to_string());
        Self::new(name, Method::POST, path, token, Some("application/json"), bytes)
    }

    /// An upload of one file as a form.
    ///
    /// # Panics
    /// As [`Self::get`].
    #[must_use]
    pub fn upload(name: &'static str, token: &str, content: &[u8]) -> Self {
        let head = b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.bin\"\r\n\r\n";
        let form = [head, content, b"\r\n--edge--\r\n"].concat();
        let kind = Some("multipart/form-data; boundary=edge");
        Self::new(name, Method::POST, "/v1/files", Some(token), kind, form.into())
    }

    /// Any request.
    ///
    /// # Panics
    /// As [`Self::get`].
    #[must_use]
    pub fn new(
        name: &'static str,
        method: Method,
        path: &str,
        token: Option<&str>,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Self {
        let mut builder = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(content_type) = content_type {
            builder = builder.header(header::CONTENT_TYPE, content_type);
        }
        Self { name, request: builder.body(body).expect("a path and a token as they must be") }
    }
}
