//! One client's dialogue: reads its lines, lets rules misbehave, and hands the rest to mailin.
//!
//! Invariant: where TLS and a login are required, no mail is taken before both.

use super::MailServer;
use super::handler::{Catcher, Shared};
use crate::calls::Call;
use crate::faults::{Action, Code, Rule};
use crate::mail::Via;
use crate::service::Service;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailin::{Action as Next, AuthMechanism, Session, SessionBuilder};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// The longest line taken (RFC 5321 4.5.3.1.6 asks for 1000), and the largest mail.
const MAX_LINE: u64 = 64 * 1024;

/// How a dialogue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    /// It goes on in TLS.
    Upgrade,
    /// By force.
    Cut,
}

/// What to do after a line.
enum Turn {
    Go,
    End(End),
    /// Never answers again.
    Stall,
}

/// A client's dialogue.
pub(crate) struct Dialogue<'a> {
    server: &'a MailServer,
    session: Session<Catcher<'a>>,
    shared: Arc<Shared>,
    via: Via,
    in_mail: bool,
    in_login: bool,
}

impl<'a> Dialogue<'a> {
    pub(crate) fn new(server: &'a MailServer, client: IpAddr, via: Via) -> Self {
        let mut builder = SessionBuilder::new("portico-emulators");
        if via == Via::StartTls {
            builder.enable_start_tls();
        }
        if via != Via::Plain {
            builder.enable_auth(AuthMechanism::Plain).enable_auth(AuthMechanism::Login);
        }
        let shared = Arc::new(Shared::default());
        let session = builder.build(client, Catcher::new(server, Arc::clone(&shared), via));
        Self { server, session, shared, via, in_mail: false, in_login: false }
    }

    pub(crate) fn now_in_tls(&mut self) {
        self.session.tls_active();
    }

    /// Talks until an end. What the client sent ahead of its end is dropped with the reader, so that nothing
    /// said before TLS counts within it.
    pub(crate) async fn run<S>(&mut self, stream: S, greet: bool) -> io::Result<(S, End)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        let mut turn = if greet { self.greet(&mut stream).await? } else { Turn::Go };
        let mut line = Vec::new();
        loop {
            match turn {
                Turn::Go => {}
                Turn::End(end) => return Ok((stream.into_inner(), end)),
                Turn::Stall => {
                    tokio::io::copy_buf(&mut stream, &mut tokio::io::sink()).await?;
                    return Ok((stream.into_inner(), End::Closed));
                }
            }
            line.clear();
            let read = (&mut stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
            turn = if read == 0 { Turn::End(End::Closed) } else { self.hear(&line, &mut stream).await? };
        }
    }

    async fn greet<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<Turn> {
        let greeting = self.session.greeting().buffer()?;
        match self.server.draw("CONNECT") {
            None => {
                stream.write_all(&greeting).await?;
                Ok(Turn::Go)
            }
            Some(rule) => match rule.action {
                Action::Delay => {
                    wait(&rule).await;
                    stream.write_all(&greeting).await?;
                    Ok(Turn::Go)
                }
                Action::Stall => Ok(Turn::Stall),
                Action::Reply | Action::ApplyThen500 => {
                    stream.write_all(reply(&rule).as_bytes()).await?;
                    Ok(Turn::End(End::Closed))
                }
                _ => Ok(Turn::End(End::Cut)),
            },
        }
    }

    async fn hear<S: AsyncWrite + Unpin>(&mut self, line: &[u8], stream: &mut S) -> io::Result<Turn> {
        let Some(step) = self.step(line) else { return self.process(line, stream).await };
        match self.server.draw(&step) {
            None if step == "MAIL" && self.via != Via::Plain && self.shared.user().is_none() => {
                stream.write_all(b"530 5.7.0 Authentication required\r\n").await?;
                Ok(Turn::Go)
            }
            None => self.process(line, stream).await,
            Some(rule) => self.misbehave(&rule, line, stream).await,
        }
    }

    /// The command in a line, or `BODY` for a mail's end; none for what only continues.
    fn step(&self, line: &[u8]) -> Option<String> {
        if self.in_mail {
            return (line == b".\r\n").then(|| "BODY".to_owned());
        }
        if self.in_login {
            return None;
        }
        let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        Some(String::from_utf8_lossy(word).to_ascii_uppercase())
    }

    async fn misbehave<S: AsyncWrite + Unpin>(
        &mut self,
        rule: &Rule,
        line: &[u8],
        stream: &mut S,
    ) -> io::Result<Turn> {
        match rule.action {
            Action::Delay => {
                wait(rule).await;
                self.process(line, stream).await
            }
            Action::Stall => Ok(Turn::Stall),
            Action::Reply => self.refuse(rule, line, stream).await,
            Action::ApplyThen500 => {
                self.process(line, &mut tokio::io::sink()).await?;
                stream.write_all(reply(rule).as_bytes()).await?;
                Ok(Turn::Go)
            }
            Action::ApplyThenReset => {
                self.process(line, &mut tokio::io::sink()).await?;
                Ok(Turn::End(End::Cut))
            }
            _ => Ok(Turn::End(End::Cut)),
        }
    }

    async fn refuse<S: AsyncWrite + Unpin>(
        &mut self,
        rule: &Rule,
        line: &[u8],
        stream: &mut S,
    ) -> io::Result<Turn> {
        if self.in_mail {
            // mailin would go on waiting for the mail's end if it refused the mail itself.
            self.shared.discard(true);
            self.process(line, &mut tokio::io::sink()).await?;
            self.shared.discard(false);
        }
        stream.write_all(reply(rule).as_bytes()).await?;
        let closes = rule.code == Some(Code::Number(421));
        Ok(if closes { Turn::End(End::Closed) } else { Turn::Go })
    }

    async fn process<S: AsyncWrite + Unpin>(&mut self, line: &[u8], stream: &mut S) -> io::Result<Turn> {
        let response = self.session.process(line);
        self.in_login = response.code == 334;
        self.in_mail = response.code == 354 || (self.in_mail && response.action == Next::NoReply);
        if response.action != Next::NoReply {
            stream.write_all(&response.buffer()?).await?;
            stream.flush().await?;
        }
        if matches!(self.step(line).as_deref(), Some("RSET" | "EHLO")) {
            self.log_in_again();
        }
        Ok(match response.action {
            Next::Close => Turn::End(End::Closed),
            Next::UpgradeTls => Turn::End(End::Upgrade),
            Next::NoReply | Next::Reply => Turn::Go,
        })
    }

    /// mailin forgets at `RSET` who logged in; servers do not.
    fn log_in_again(&mut self) {
        if let Some(user) = self.shared.user() {
            let plain = format!("\0{user}\0{}", self.server.login.password);
            let line = format!("AUTH PLAIN {}\r\n", STANDARD.encode(plain));
            self.session.process(line.as_bytes());
        }
    }
}

impl MailServer {
    fn draw(&self, step: &str) -> Option<Rule> {
        let (writes, operation) = (Vec::new(), step.to_owned());
        self.calls.add(Call { service: Service::Smtp, operation, resource: None, writes, units: None });
        self.faults.draw(Service::Smtp, step)
    }
}

async fn wait(rule: &Rule) {
    tokio::time::sleep(Duration::from_millis(rule.delay_ms.unwrap_or_default())).await;
}

fn reply(rule: &Rule) -> String {
    let code = match rule.code {
        Some(Code::Number(code)) => code,
        _ => 451,
    };
    let text = rule.message.as_deref().unwrap_or("as the rule says").replace(['\r', '\n'], " ");
    format!("{code} {text}\r\n")
}
