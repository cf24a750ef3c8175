//! Mail over each kind of connection, and a mail server that misbehaves.

use crate::process::Emulators;
use lettre::message::MultiPart;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

fn start() -> Emulators {
    Emulators::start(&["--smtp-starttls-port", "0", "--smtp-tls-port", "0"])
}

async fn trust(emulators: &Emulators) -> TlsParameters {
    let pem = emulators.admin("GET", "/_mail/ca.pem", "").await;
    TlsParameters::builder("localhost".to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(&pem.body).unwrap())
        .build_rustls()
        .unwrap()
}

fn transport(port: u16, tls: Tls, login: Option<(&str, &str)>) -> Transport {
    let builder = Transport::builder_dangerous("localhost").port(port).tls(tls);
    match login {
        Some((user, password)) => {
            builder.credentials(Credentials::new(user.to_owned(), password.to_owned())).build()
        }
        None => builder.build(),
    }
}

fn plain(emulators: &Emulators) -> Transport {
    transport(emulators.port("smtp"), Tls::None, None)
}

fn message() -> Message {
    Message::builder()
        .from("Portico <noreply@example.org>".parse().unwrap())
        .to("Änne <user@example.org>".parse().unwrap())
        .subject("Dein Code für heute")
        .multipart(MultiPart::alternative_plain_html(
            "Grüße\r\n.\r\n..zwei".to_owned(),
            "<p>Grüße</p>".to_owned(),
        ))
        .unwrap()
}

/// Sends a mail, within a time of its own: lettre limits only how long it takes to connect.
async fn send(transport: &Transport) -> Result<(), Failure> {
    match tokio::time::timeout(Duration::from_secs(1), transport.send(message())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::Refused(error)),
        Err(_) => Err(Failure::Silence),
    }
}

/// Why a mail was not taken.
#[derive(Debug)]
enum Failure {
    Refused(Error),
    Silence,
}

impl Failure {
    fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(error) => error.status().map(u16::from),
            Self::Silence => None,
        }
    }
}

async fn mails(emulators: &Emulators) -> Vec<Value> {
    emulators.admin_json("/_mail").await.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_mail_is_kept_and_decoded() {
    let emulators = start();
    plain(&emulators).send(message()).await.unwrap();
    let mails = mails(&emulators).await;
    let mail = &mails[0];
    assert_eq!((&mail["from"], &mail["to"]), (&json!("noreply@example.org"), &json!(["user@example.org"])));
    assert_eq!(mail["subject"], "Dein Code für heute");
    assert_eq!(mail["text"], "Grüße\r\n.\r\n..zwei");
    assert_eq!(mail["html"], "<p>Grüße</p>");
    assert_eq!((&mail["via"], &mail["user"]), (&json!("plain"), &json!(null)));
    assert!(mail["headers"].as_array().unwrap().iter().any(|header| header[0] == "Subject"), "{mail}");
    assert!(mail["raw"].as_str().unwrap().contains("MIME-Version: 1.0"));

    assert_eq!(emulators.admin_json("/_mail?to=user@example.org").await.as_array().unwrap().len(), 1);
    assert_eq!(emulators.admin_json("/_mail?to=other@example.org").await, json!([]));
    assert_eq!(emulators.admin("DELETE", "/_mail", "").await.status, 204);
    assert_eq!(emulators.admin_json("/_mail").await, json!([]));
}

#[tokio::test]
async fn both_kinds_of_tls_take_a_mail_after_either_kind_of_login() {
    let emulators = start();
    let trusted = trust(&emulators).await;
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        for (scheme, tls) in
            [("smtp+starttls", Tls::Required(trusted.clone())), ("smtps", Tls::Wrapper(trusted.clone()))]
        {
            let transport = Transport::builder_dangerous("localhost")
                .port(emulators.port(scheme))
                .tls(tls)
                .authentication(vec![mechanism])
                .credentials(Credentials::new("test".to_owned(), "test".to_owned()))
                .build::<Tokio1Executor>();
            transport.send(message()).await.unwrap();
        }
    }
    let came: Vec<(Value, Value)> =
        mails(&emulators).await.iter().map(|mail| (mail["via"].clone(), mail["user"].clone())).collect();
    let expected = ["starttls", "tls", "starttls", "tls"].map(|via| (json!(via), json!("test")));
    assert_eq!(came, expected);
}

#[tokio::test]
async fn without_trust_tls_or_login_no_mail_is_taken() {
    let emulators = start();
    let (starttls, tls) = (emulators.port("smtp+starttls"), emulators.port("smtps"));
    let trusted = trust(&emulators).await;
    let strangers = TlsParameters::builder("localhost".to_owned())
        .certificate_store(CertificateStore::None)
        .build_rustls()
        .unwrap();
    let login = Some(("test", "test"));
    for (transport, what) in [
        (transport(starttls, Tls::Required(strangers.clone()), login), "an unknown authority, STARTTLS"),
        (transport(tls, Tls::Wrapper(strangers), login), "an unknown authority, TLS"),
        (transport(starttls, Tls::None, None), "no TLS"),
        (transport(starttls, Tls::None, login), "a login without TLS"),
        (transport(starttls, Tls::Required(trusted.clone()), None), "no login, STARTTLS"),
        (transport(tls, Tls::Wrapper(trusted.clone()), None), "no login, TLS"),
        (transport(tls, Tls::None, None), "plain words on the TLS port"),
        (transport(emulators.port("smtp"), Tls::None, login), "a login where none is offered"),
        (
            transport(emulators.port("smtp"), Tls::Required(trusted.clone()), None),
            "TLS where none is offered",
        ),
    ] {
        assert!(send(&transport).await.is_err(), "{what}");
    }
    for wrong in [("test", "wrong"), ("nobody", "test")] {
        for (port, tls) in [(starttls, Tls::Required(trusted.clone())), (tls, Tls::Wrapper(trusted.clone()))]
        {
            let error = send(&transport(port, tls, Some(wrong))).await.unwrap_err();
            assert_eq!(error.code(), Some(535), "{error:?}");
        }
    }
    assert_eq!(mails(&emulators).await, [json!(null); 0]);
}

/// Sends a mail while a rule holds.
async fn send_with(emulators: &Emulators, operation: &str, more: Value) -> Result<(), Failure> {
    let mut rule = json!({ "service": "smtp", "operation": operation, "times": 1 });
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    emulators.add_fault(rule).await;
    send(&plain(emulators)).await
}

#[tokio::test]
async fn refusals_come_where_they_are_asked_for() {
    let emulators = start();
    for step in ["CONNECT", "MAIL", "RCPT", "DATA", "BODY"] {
        for code in [550_u16, 451, 421] {
            let reply = json!({ "action": "reply", "code": code, "message": "no such luck" });
            let error = send_with(&emulators, step, reply).await.unwrap_err();
            assert_eq!(error.code(), Some(code), "{step}: {error:?}");
        }
    }
    assert_eq!(mails(&emulators).await, [json!(null); 0]);
    plain(&emulators).send(message()).await.unwrap();
    assert_eq!(mails(&emulators).await.len(), 1);
}

#[tokio::test]
async fn connections_are_dropped_with_the_mail_taken_or_not() {
    let emulators = start();
    for step in ["CONNECT", "EHLO", "RCPT", "BODY"] {
        assert!(send_with(&emulators, step, json!({ "action": "reset" })).await.is_err(), "{step}");
    }
    assert_eq!(mails(&emulators).await.len(), 0);
    assert!(send_with(&emulators, "BODY", json!({ "action": "apply_then_reset" })).await.is_err());
    assert_eq!(mails(&emulators).await.len(), 1);
    let error = send_with(&emulators, "BODY", json!({ "action": "apply_then_500" })).await.unwrap_err();
    assert_eq!(error.code(), Some(451));
    assert_eq!(mails(&emulators).await.len(), 2);
}

#[tokio::test]
async fn a_stalled_server_never_answers_and_a_slow_one_does() {
    let emulators = start();
    for step in ["CONNECT", "RCPT", "BODY"] {
        let error = send_with(&emulators, step, json!({ "action": "stall" })).await.unwrap_err();
        assert!(matches!(error, Failure::Silence), "{step}: {error:?}");
    }
    assert_eq!(mails(&emulators).await.len(), 0);
    send_with(&emulators, "RCPT", json!({ "action": "delay", "delay_ms": 200 })).await.unwrap();
    assert_eq!(mails(&emulators).await.len(), 1);
}

#[tokio::test]
async fn two_mails_go_over_one_connection_with_a_reset_between() {
    let emulators = start();
    let stream = TcpStream::connect(("127.0.0.1", emulators.port("smtp"))).await.unwrap();
    let mut stream = BufReader::new(stream);
    let mail =
        "MAIL FROM:<a@example.org>\r\n|RCPT TO:<b@example.org>\r\n|DATA\r\n|Subject: x\r\n\r\nx\r\n.\r\n";
    let script = format!("|EHLO here\r\n|{mail}|RSET\r\n|{mail}|QUIT\r\n");
    let mut codes = Vec::new();
    for words in script.split('|') {
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut line = String::new();
        while line.is_empty() || line.as_bytes().get(3) == Some(&b'-') {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        codes.push(line[..3].to_owned());
    }
    let of_mail = ["250", "250", "354", "250"];
    assert_eq!(codes, [&["220", "250"][..], &of_mail, &["250"], &of_mail, &["221"]].concat());
    assert_eq!(mails(&emulators).await.len(), 2);
}

#[tokio::test]
async fn a_mail_may_come_by_http_as_to_a_relay() {
    let emulators = start();
    let mail = json!({
        "from": "noreply@example.org", "to": "user@example.org", "subject": "Your code",
        "text": "ABC234", "html": "<p>ABC234</p>", "message_id": "01JZ",
    });
    let url = format!("{}/_mail", emulators.endpoint);
    let bearer = [("authorization".to_owned(), "Bearer anything".to_owned())];
    let mut statuses = Vec::new();
    for (headers, body) in [
        (&bearer[..], mail.to_string()),
        (&bearer, mail.to_string()),
        (&[], mail.to_string()),
        (&bearer, "{}".into()),
    ] {
        let answer = emulators.send("POST", &url, headers, body.as_bytes()).await.unwrap();
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [202, 202, 401, 422]);
    let kept = emulators.admin_json("/_mail?to=user@example.org").await;
    assert_eq!(kept.as_array().unwrap().len(), 1, "an id is one message");
    assert_eq!((&kept[0]["text"], &kept[0]["via"]), (&mail["text"], &json!("relay")));
}
