//! E-mail handed over to a mail server, by each kind of connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portico::mail::smtp::{SmtpMailer, SmtpSettings, SmtpTls};
use portico_core::ports::mailer::{Mail, Mailer, SendError};
use portico_tests::client::Client;
use portico_tests::emulators::Emulators;
use portico_tests::native::NativeHost;
use serde_json::{Value, json};

const TO: &str = "ada@example.com";

fn mailer(emulators: &Emulators) -> SmtpMailer {
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: emulators.smtp_port(),
        from: "Portico <noreply@example.com>".parse().unwrap(),
        credentials: None,
        tls: SmtpTls::None,
    };
    SmtpMailer::new(settings).unwrap()
}

async fn send(mailer: &SmtpMailer) -> Result<(), SendError> {
    let mail = Mail {
        id: "01KHXAZZ7M2V4S6T8R0P1Q3W5Y".to_owned(),
        to: TO.to_owned(),
        subject: "Gr\u{fc}\u{df}e".to_owned(),
        text: "Your code is 123456.\n.\nA line of one dot stands above.\n".to_owned(),
        html: "<p>Your code is <b>123456</b>.</p>".to_owned(),
    };
    mailer.send(&mail).await
}

async fn received(emulators: &Emulators) -> Vec<Value> {
    emulators.tell(&format!("/_mail?to={TO}")).await.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_message_arrives_as_it_was_written() {
    let emulators = Emulators::start();
    send(&mailer(&emulators)).await.unwrap();
    let mails = received(&emulators).await;
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!((&mail["subject"], &mail["to"]), (&json!("Gr\u{fc}\u{df}e"), &json!([TO])));
    assert_eq!((&mail["via"], &mail["user"]), (&json!("plain"), &Value::Null));
    assert_eq!(mail["from"], "noreply@example.com");
    let text = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), "Your code is 123456.\n.\nA line of one dot stands above.");
    assert!(mail["html"].as_str().unwrap().contains("<b>123456</b>"), "{mail}");
    assert!(mail["raw"].as_str().unwrap().contains("<01KHXAZZ7M2V4S6T8R0P1Q3W5Y@example.com>"), "{mail}");
}

#[tokio::test]
async fn what_goes_wrong_tells_whether_to_try_again_and_nothing_of_the_message() {
    let emulators = Emulators::start();
    let mailer = mailer(&emulators);
    for (operation, action, retry) in [
        ("CONNECT", json!({"action": "reply", "code": 421, "message": "busy"}), true),
        ("MAIL", json!({"action": "reply", "code": 451, "message": "later"}), true),
        ("RCPT", json!({"action": "reply", "code": 550, "message": "nobody"}), false),
        ("BODY", json!({"action": "reply", "code": 554, "message": "no"}), false),
        ("DATA", json!({"action": "reset"}), true),
        ("BODY", json!({"action": "apply_then_reset"}), true),
    ] {
        let mut rule = json!({"service": "smtp", "operation": operation});
        rule.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        emulators.misbehave(rule).await;
        let error = send(&mailer).await.unwrap_err();
        assert_eq!(error.retry, retry, "{operation} {action}: {error}");
        assert!(!error.detail.contains("123456"), "{error}");
        emulators.behave().await;
        send(&mailer).await.unwrap_or_else(|error| panic!("after {operation} {action}: {error}"));
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_longer_than_the_outbox_allows() {
    let emulators = Emulators::start();
    emulators.misbehave(json!({"service": "smtp", "operation": "BODY", "action": "stall"})).await;
    let begun = Instant::now();
    let error = send(&mailer(&emulators)).await.unwrap_err();
    assert!(error.retry, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn many_messages_at_once_take_turns_on_few_connections() {
    let emulators = Emulators::start();
    emulators
        .misbehave(json!({"service": "smtp", "operation": "BODY", "action": "delay", "delay_ms": 100}))
        .await;
    let mailer = mailer(&emulators);
    let sent = futures::future::join_all((0..40).map(|_| send(&mailer))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(received(&emulators).await.len(), 40);
    // A connection may be asked for before the last one is back in the pool.
    let connections = emulators.calls("smtp", "CONNECT").await;
    assert!((2..=16).contains(&connections), "{connections}");
}

/// A server of its own for each, for trust in an authority is a matter of the process.
#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_encrypted_and_logged_in_or_not_at_all() {
    for (tls, scheme) in [("starttls", "smtp+starttls://"), ("tls", "smtps://")] {
        let emulators = Emulators::start_with(&["--smtp-starttls-port", "0", "--smtp-tls-port", "0"]);
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, emulators.read("/_mail/ca.pem").await).unwrap();
        let addresses = emulators.tell("/_health").await;
        let mut ports = addresses["mail"].as_array().unwrap().iter().filter_map(|address| {
            address.as_str().unwrap().strip_prefix(scheme)?.rsplit_once(':').map(|(_, port)| port.to_owned())
        });
        let port = ports.next().unwrap();
        let trusted = [
            ("MAILER", "smtp"),
            ("SMTP_HOST", "localhost"),
            ("SMTP_PORT", port.as_str()),
            ("SMTP_TLS", tls),
            ("SMTP_USERNAME", "test"),
            ("SMTP_PASSWORD", "test"),
            ("SSL_CERT_FILE", authority.to_str().unwrap()),
        ];
        let host = Arc::new(NativeHost::start_with(&trusted).await);
        Client::new(host.clone()).register("ada").await;
        let mail = await_mail(&emulators).await;
        assert_eq!((&mail["via"], &mail["user"]), (&json!(tls), &json!("test")));
        host.run(&["doctor"], "").await;

        // Without trust in whoever certified the server, not a word is sent.
        let wary = host.command(&["doctor"]).env_remove("SSL_CERT_FILE").output().await.unwrap();
        let said = String::from_utf8_lossy(&wary.stdout).into_owned();
        assert!(!wary.status.success() && said.contains("PROBLEM  mail"), "{said}");
    }
}

async fn await_mail(emulators: &Emulators) -> Value {
    for _ in 0..200 {
        if let Some(mail) = received(emulators).await.into_iter().next() {
            return mail;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no mail arrived");
}
