//! Stands in for DynamoDB, S3, SNS and a mail server, on one machine and without a network: for tests, and
//! for developers who have no Docker. What the services do comes from libraries; what is added here is the
//! one endpoint, the checking of signatures, and misbehaviour on request.
//!
//! - [`start`] opens the ports and the data; [`connection`] carries HTTP, [`smtp`] mail.
//! - [`front`] tells services apart ([`service`]), checks signatures ([`scope`], [`signature`]) and hands on
//!   to [`dynamodb`], [`s3`] and [`sns`]; refusals have AWS's forms ([`refusal`]).
//! - [`faults`] holds the rules of misbehaviour and [`misbehaviour`] carries them out.
//! - [`admin`] shows [`calls`], [`mail`] and text messages.
#![forbid(unsafe_code)]

mod admin;
mod answer;
mod calls;
mod connection;
mod dynamodb;
mod faults;
mod front;
mod mail;
mod misbehaviour;
mod options;
mod refusal;
mod s3;
mod scope;
mod service;
mod signature;
mod smtp;
mod sns;
mod start;

use clap::Parser;
use options::Options;
use std::io::Write;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "portico-emulators: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), start::StartError> {
    let stopped = stop_asked()?;
    let print_env = options.print_env;
    let running = start::start(options).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", running.ready_line())?;
    if print_env {
        write!(out, "{}", running.env())?;
    }
    out.flush()?;
    drop(out);
    stopped.await;
    Ok(())
}

/// Completes at SIGTERM or SIGINT.
fn stop_asked() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
