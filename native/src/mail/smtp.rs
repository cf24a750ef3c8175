//! E-mail by SMTP.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use portico_core::ports::mailer::{Mail, Mailer, SendError};
use portico_core::secret::Secret;
use tokio::sync::Semaphore;

use super::compose;

/// The longest that handing one message over may take, and the longest that it may wait for its turn; together below
/// the outbox's first pause.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many messages are handed over at once, each on its connection: mail servers refuse those who open many.
const CONNECTIONS: u32 = 8;

/// The longest wait for one reply of the server.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// By STARTTLS, or not a word is sent (never opportunistic: RFC 8314, section 3).
    StartTls,
    /// From the first byte.
    Tls,
}

/// Where mail is handed over.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The sender of all mail.
    pub from: Mailbox,
    /// User and password, if the server wants them.
    pub credentials: Option<(String, Secret)>,
    /// How the connection is protected.
    pub tls: SmtpTls,
}

/// Hands messages to one mail server over a pool of connections.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// The pool bounds connections that rest, not those in use.
    turns: Semaphore,
    from: Mailbox,
}

impl SmtpMailer {
    /// Prepares connections; opens none.
    ///
    /// # Errors
    /// When TLS cannot be set up, such as on a system without certificate authorities.
    pub fn new(settings: SmtpSettings) -> Result<Self, smtp::Error> {
        let parameters = || TlsParameters::new_rustls(settings.host.clone());
        let tls = match settings.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::StartTls => Tls::Required(parameters()?),
            SmtpTls::Tls => Tls::Wrapper(parameters()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(COMMAND_TIMEOUT))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS));
        if let Some((user, password)) = &settings.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let turns = Semaphore::new(CONNECTIONS as usize);
        Ok(Self { transport: builder.build(), turns, from: settings.from })
    }

    /// Connects, greets and hangs up.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn test(&self) -> Result<(), SendError> {
        match tokio::time::timeout(TIMEOUT, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SendError::temporary("the mail server hung up")),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(SendError::temporary(format!("no answer within {TIMEOUT:?}"))),
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = compose(&self.from, mail)?;
        let Ok(Ok(_turn)) = tokio::time::timeout(TIMEOUT, self.turns.acquire()).await else {
            return Err(SendError::temporary(format!("other messages took more than {TIMEOUT:?}")));
        };
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_reply)) => Ok(()),
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(SendError::temporary(format!("not handed over within {TIMEOUT:?}"))),
        }
    }
}

/// Only a refusal of this very message is final. Replies about authentication and syntax (RFC 5321, section
/// 4.2.1: x0z, x3z) are the operator's to mend, and the message outlives the mending.
fn classify(error: &smtp::Error) -> SendError {
    let detail = without_addresses(&match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    });
    let code = error.status().map(u16::from);
    if code.is_some_and(|code| (550..560).contains(&code)) {
        SendError::permanent(detail)
    } else {
        SendError::temporary(detail)
    }
}

/// What a server said, but for the recipient's address, which servers like to repeat.
fn without_addresses(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("from", &self.from).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A mail server for one connection that answers `RCPT` with the given line.
    async fn serve(recipient: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 test ESMTP\r\n").await.unwrap();
            let mut in_data = false;
            while let Ok(Some(line)) = lines.next_line().await {
                let reply = match line.get(..4).unwrap_or(&line) {
                    "." if in_data => "250 taken",
                    _ if in_data => continue,
                    "RCPT" => recipient,
                    "DATA" => "354 go on",
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                in_data = reply.starts_with("354");
                write.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
            }
        });
        port
    }

    async fn send(recipient: &'static str, tls: SmtpTls) -> Result<(), SendError> {
        let settings = SmtpSettings {
            host: "127.0.0.1".to_owned(),
            port: serve(recipient).await,
            from: "noreply@example.com".parse().unwrap(),
            credentials: None,
            tls,
        };
        let text = "hello".to_owned();
        let mail = Mail {
            id: "01J".to_owned(),
            to: "ada@example.com".to_owned(),
            subject: text.clone(),
            text: text.clone(),
            html: text,
        };
        SmtpMailer::new(settings).unwrap().send(&mail).await
    }

    #[tokio::test]
    async fn replies_tell_whether_to_try_again() {
        send("250 ok", SmtpTls::None).await.unwrap();
        assert!(send("451 later", SmtpTls::None).await.unwrap_err().retry);
        assert!(!send("550 no such user", SmtpTls::None).await.unwrap_err().retry);
        assert!(send("530 authenticate first", SmtpTls::None).await.unwrap_err().retry);
    }

    #[tokio::test]
    async fn what_a_server_says_is_told_without_addresses() {
        let said = "550 5.1.1 <ada@example.com>: Recipient address rejected";
        let error = send(said, SmtpTls::None).await.unwrap_err();
        assert!(error.detail.contains("5.1.1 (address) Recipient address rejected"), "{error}");
    }

    #[tokio::test]
    async fn starttls_is_never_optional() {
        assert!(send("250 ok", SmtpTls::StartTls).await.unwrap_err().retry);
    }
}
