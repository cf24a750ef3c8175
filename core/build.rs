//! Turns the contract, `openapi.yaml`, into what the service serves of it: `openapi.json`, compact, and
//! `docs.html`, a page for people, with the value of its `Content-Security-Policy` in `docs_csp.txt`.

#[path = "build/docs.rs"]
mod docs;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    rerun_if_changed(&["build.rs", "build", "openapi.yaml"]);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let contract = parse(&fs::read_to_string("openapi.yaml")?)?;
    check_references(&contract, &contract)?;
    fs::write(out.join("openapi.json"), contract.to_string())?;
    write_docs(&out, &contract)
}

/// Reads YAML 1.2, in which `n` and `off` are words like any other.
fn parse(yaml: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(yaml, serde_saphyr::options! { strict_booleans: true })
}

fn write_docs(out: &Path, contract: &Value) -> Result<(), Box<dyn Error>> {
    let style = fs::read_to_string("build/docs.css")?;
    fs::write(out.join("docs.html"), docs::page(contract, &style))?;
    fs::write(out.join("docs_csp.txt"), content_security_policy(&style))?;
    Ok(())
}

/// Allows the page its one style sheet, and nothing else at all.
fn content_security_policy(style: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Fails on a `$ref` that leads nowhere, so that the renderer may rely on every one.
fn check_references(root: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        target.ok_or_else(|| format!("openapi.yaml: {reference} leads nowhere"))?;
    }
    match value {
        Value::Object(members) => members.values().try_for_each(|member| check_references(root, member)),
        Value::Array(items) => items.iter().try_for_each(|item| check_references(root, item)),
        _ => Ok(()),
    }
}

fn rerun_if_changed(paths: &[&str]) {
    for path in paths {
        println!("cargo::rerun-if-changed={path}");
    }
}
