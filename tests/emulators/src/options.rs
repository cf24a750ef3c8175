//! What the command line says: addresses, keys, and where data stays.

use clap::Parser;
use std::net::IpAddr;
use std::path::PathBuf;

/// Stands in for DynamoDB, S3, SNS and a mail server.
///
/// One HTTP endpoint answers for the three services, as LocalStack's does, and checks every signature. What
/// it received, and how it shall misbehave, is under /_health, /_calls, /_faults, /_mail and
/// /_aws/sns/sms-messages. A port of 0 lets the system choose; the line printed when all is ready names it.
#[derive(Debug, Parser)]
#[command(name = "portico-emulators", version)]
pub(crate) struct Options {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,

    /// Port of the HTTP endpoint
    #[arg(long, default_value_t = 4566)]
    pub(crate) port: u16,

    /// Folder that keeps tables and objects [default: memory and a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The one access key that is known
    #[arg(long, default_value = "test", value_name = "KEY")]
    pub(crate) access_key: String,

    /// Its secret
    #[arg(long, default_value = "test", value_name = "SECRET")]
    pub(crate) secret_key: String,

    /// The session token that requests must carry [default: none]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) session_token: Option<String>,

    /// The one region to answer for [default: any]
    #[arg(long)]
    pub(crate) region: Option<String>,

    /// Port for mail without TLS or login
    #[arg(long, default_value_t = 1025, value_name = "PORT")]
    pub(crate) smtp_port: u16,

    /// Port for mail that must begin TLS (STARTTLS) and log in [default: none]
    #[arg(long, value_name = "PORT")]
    pub(crate) smtp_starttls_port: Option<u16>,

    /// Port for mail in TLS from its first byte, with login [default: none]
    #[arg(long, value_name = "PORT")]
    pub(crate) smtp_tls_port: Option<u16>,

    /// File to write the certificate to that clients must trust, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) smtp_ca_file: Option<PathBuf>,

    /// Who may log in for mail
    #[arg(long, default_value = "test", value_name = "NAME")]
    pub(crate) smtp_user: String,

    /// With which password
    #[arg(long, default_value = "test", value_name = "PASSWORD")]
    pub(crate) smtp_password: String,

    /// Also print, once ready, the variables to set for a client
    #[arg(long)]
    pub(crate) print_env: bool,
}
