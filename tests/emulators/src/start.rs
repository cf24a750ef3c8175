//! Opens the data and the ports. All ports are bound before anything is said to be ready.

use crate::calls::Calls;
use crate::connection;
use crate::dynamodb::DynamoDb;
use crate::faults::Faults;
use crate::front::Front;
use crate::mail::{Mailbox, Via};
use crate::options::Options;
use crate::s3::S3;
use crate::signature::Verifier;
use crate::smtp::{Certificates, Login, MailServer};
use crate::sns::Sns;
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use thiserror::Error;
use tokio::net::TcpListener;

/// Why the emulators cannot start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    #[error("cannot listen on {address}: {source}; choose another port with {option}")]
    Listen { address: SocketAddr, option: &'static str, source: io::Error },
    #[error("cannot use the folder {folder}: {source}; name another with --data")]
    Data { folder: PathBuf, source: io::Error },
    #[error("cannot write {file}: {source}; name another with --smtp-ca-file")]
    Authority { file: PathBuf, source: io::Error },
    #[error("cannot make certificates: {0}")]
    Certificates(Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What was started. A temporary folder goes with it.
#[derive(Debug)]
pub(crate) struct Running {
    http: SocketAddr,
    mail: Vec<(Via, SocketAddr)>,
    env: String,
    _temporary: Option<TempDir>,
}

impl Running {
    /// What tells whoever waits that, and where, all is ready.
    pub(crate) fn ready_line(&self) -> String {
        let mails: String =
            self.mail.iter().map(|(via, address)| format!(", {}://{address}", scheme(*via))).collect();
        format!("emulators listen on http://{} (DynamoDB, S3, SNS){mails}", self.http)
    }

    /// The variables that lead a client here, as a shell sets them.
    pub(crate) fn env(&self) -> &str {
        &self.env
    }
}

pub(crate) async fn start(options: Options) -> Result<Running, StartError> {
    let http = listen(options.host, options.port, "--port").await?;
    let mail_ports = listen_for_mail(&options).await?;
    let certificates = certificates(&options)?;
    let (temporary, objects) = folders(&options)?;
    let (faults, calls, mailbox) =
        (Arc::<Faults>::default(), Arc::<Calls>::default(), Arc::<Mailbox>::default());

    let mut mail = Vec::new();
    let login = Login { user: options.smtp_user.clone(), password: options.smtp_password.clone() };
    let server = MailServer {
        mailbox: Arc::clone(&mailbox),
        faults: Arc::clone(&faults),
        calls: Arc::clone(&calls),
        login,
    };
    let server = Arc::new(server);
    for (via, listener) in mail_ports {
        mail.push((via, listener.local_addr()?));
        let tls = certificates.as_ref().map(|certificates| certificates.acceptor.clone());
        tokio::spawn(Arc::clone(&server).serve(listener, via, tls.filter(|_| via != Via::Plain)));
    }

    let address = http.local_addr()?;
    let env = env(&options, address, &mail);
    let front = Front {
        s3: S3::open(&objects, &options.access_key, &options.secret_key)?,
        dynamodb: DynamoDb::start(options.data.as_deref()).await?,
        verifier: Verifier {
            access_key: options.access_key,
            secret_key: options.secret_key,
            session_token: options.session_token,
            region: options.region,
        },
        faults,
        calls,
        sns: Sns::default(),
        mailbox,
        mail_authority: certificates.map(|certificates| certificates.authority),
        addresses: addresses(address, &mail),
    };
    tokio::spawn(connection::serve(http, Arc::new(front)));
    Ok(Running { http: address, mail, env, _temporary: temporary })
}

async fn listen(host: IpAddr, port: u16, option: &'static str) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, option, source })
}

async fn listen_for_mail(options: &Options) -> Result<Vec<(Via, TcpListener)>, StartError> {
    let ports = [
        (Via::Plain, Some(options.smtp_port), "--smtp-port"),
        (Via::StartTls, options.smtp_starttls_port, "--smtp-starttls-port"),
        (Via::Tls, options.smtp_tls_port, "--smtp-tls-port"),
    ];
    let mut listeners = Vec::new();
    for (via, port, option) in ports {
        if let Some(port) = port {
            listeners.push((via, listen(options.host, port, option).await?));
        }
    }
    Ok(listeners)
}

fn certificates(options: &Options) -> Result<Option<Certificates>, StartError> {
    let ports = options.smtp_starttls_port.or(options.smtp_tls_port);
    if ports.is_none() && options.smtp_ca_file.is_none() {
        return Ok(None);
    }
    let certificates = Certificates::make(options.host).map_err(StartError::Certificates)?;
    if let Some(file) = &options.smtp_ca_file {
        let wrong = |source| StartError::Authority { file: file.clone(), source };
        std::fs::write(file, &certificates.authority).map_err(wrong)?;
    }
    Ok(Some(certificates))
}

/// The folder of objects, and the temporary one that it is in unless data is kept.
fn folders(options: &Options) -> Result<(Option<TempDir>, PathBuf), StartError> {
    let Some(data) = &options.data else {
        let temporary = tempfile::Builder::new().prefix("portico-emulators-").tempdir()?;
        let objects = temporary.path().to_owned();
        return Ok((Some(temporary), objects));
    };
    let objects = data.join("s3");
    std::fs::create_dir_all(&objects).map_err(|source| StartError::Data { folder: data.clone(), source })?;
    Ok((None, objects))
}

fn addresses(http: SocketAddr, mail: &[(Via, SocketAddr)]) -> Value {
    let mails: Vec<String> =
        mail.iter().map(|(via, address)| format!("{}://{address}", scheme(*via))).collect();
    json!({
        "status": "running",
        "endpoint": format!("http://{http}"),
        "services": { "dynamodb": "running", "s3": "running", "sns": "running" },
        "mail": mails,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn env(options: &Options, http: SocketAddr, mail: &[(Via, SocketAddr)]) -> String {
    let region = options.region.as_deref().unwrap_or("us-east-1");
    let mut env = vec![
        ("AWS_ENDPOINT_URL", format!("http://{http}")),
        ("AWS_REGION", region.to_owned()),
        ("AWS_ACCESS_KEY_ID", options.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", options.secret_key.clone()),
    ];
    env.extend(options.session_token.clone().map(|token| ("AWS_SESSION_TOKEN", token)));
    if let Some((_, address)) = mail.first() {
        env.push(("SMTP_HOST", address.ip().to_string()));
        env.push(("SMTP_PORT", address.port().to_string()));
    }
    env.into_iter()
        .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
        .collect()
}

fn scheme(via: Via) -> &'static str {
    match via {
        Via::Plain => "smtp",
        Via::StartTls => "smtp+starttls",
        Via::Tls => "smtps",
    }
}
