//! RS256 by WebCrypto, some fifteen times as fast as Rust in WebAssembly. Keys are imported once for each isolate.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use portico_core::auth::keys::{PrivateKey, PublicKey};
use portico_core::ports::signer::{Signer, SignerError};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{CryptoKey, SubtleCrypto};
use worker::js_sys::{Array, Object, Promise, Reflect, Uint8Array, global};
use worker::send::{SendFuture, SendWrapper};

const ALGORITHM: &str = "RSASSA-PKCS1-v1_5";

/// How many public keys are kept: our own, and Google's few.
const MAX_KEPT: usize = 32;

/// Signs with one key; verifies with any.
pub(super) struct WebCryptoSigner {
    private: PrivateKey,
    signing: Mutex<Option<SendWrapper<CryptoKey>>>,
    verifying: Mutex<HashMap<String, SendWrapper<CryptoKey>>>,
}

impl WebCryptoSigner {
    /// Signs with this key; it is imported when it is first needed.
    pub(super) fn new(private: PrivateKey) -> Self {
        Self { private, signing: Mutex::default(), verifying: Mutex::default() }
    }

    async fn signing_key(&self) -> Result<CryptoKey, JsValue> {
        if let Some(key) = &*self.signing.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(key.0.clone());
        }
        let der = self.private.expose_pkcs8().map_err(|error| JsValue::from(error.to_string()))?;
        let key = import("pkcs8", &Uint8Array::from(&der[..]), "sign").await?;
        *self.signing.lock().unwrap_or_else(PoisonError::into_inner) = Some(SendWrapper::new(key.clone()));
        Ok(key)
    }

    async fn verifying_key(&self, public: &PublicKey) -> Result<CryptoKey, JsValue> {
        // The id is a hash of the key's numbers.
        let kept = self.verifying.lock().unwrap_or_else(PoisonError::into_inner).get(&public.kid).cloned();
        if let Some(key) = kept {
            return Ok(key.0);
        }
        let key = import("jwk", &jwk(public)?, "verify").await?;
        let mut kept = self.verifying.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(public.kid.clone(), SendWrapper::new(key.clone()));
        Ok(key)
    }

    async fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, JsValue> {
        let key = self.signing_key().await?;
        let signature = settled(subtle()?.sign_with_str_and_u8_array(ALGORITHM, &key, message)?).await?;
        Ok(Uint8Array::new(&signature).to_vec())
    }

    async fn try_verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
        let key = self.verifying_key(key).await?;
        let promise =
            subtle()?.verify_with_str_and_u8_array_and_u8_array(ALGORITHM, &key, signature, message)?;
        Ok(settled(promise).await?.is_truthy())
    }
}

#[async_trait]
impl Signer for WebCryptoSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        SendFuture::new(self.try_sign(message)).await.map_err(refused)
    }

    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, SignerError> {
        SendFuture::new(self.try_verify(key, message, signature)).await.map_err(refused)
    }
}

/// Imports a key that cannot be taken out again.
async fn import(format: &str, data: &Object, usage: &str) -> Result<CryptoKey, JsValue> {
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &ALGORITHM.into())?;
    Reflect::set(&algorithm, &"hash".into(), &"SHA-256".into())?;
    let usages = Array::of1(&usage.into());
    let promise = subtle()?.import_key_with_object(format, data, &algorithm, false, &usages)?;
    settled(promise).await?.dyn_into()
}

fn jwk(public: &PublicKey) -> Result<Object, JsValue> {
    let text = serde_json::to_string(&public.to_jwk()).map_err(|error| JsValue::from(error.to_string()))?;
    worker::js_sys::JSON::parse(&text)?.dyn_into()
}

fn subtle() -> Result<SubtleCrypto, JsValue> {
    let crypto: web_sys::Crypto = Reflect::get(&global(), &"crypto".into())?.unchecked_into();
    Ok(crypto.subtle())
}

async fn settled(promise: Promise) -> Result<JsValue, JsValue> {
    JsFuture::from(promise).await
}

fn refused(error: JsValue) -> SignerError {
    SignerError(format!("WebCrypto refuses: {error:?}"))
}

impl fmt::Debug for WebCryptoSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebCryptoSigner").field("private", &self.private).finish_non_exhaustive()
    }
}
