//! Uploads in S3's chunked forms: unsigned with a checksum behind the body, and with each chunk signed.

use crate::process::{Answer, Emulators};
use crate::s3::{call, with_bucket};
use crate::signer::signer;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

async fn put_with_trailer(emulators: &Emulators, content: &str, checksum: &str) -> Answer {
    let body = format!("{:x}\r\n{content}\r\n0\r\nx-amz-checksum-sha256:{checksum}\r\n\r\n", content.len());
    let length = content.len().to_string();
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", length.as_str()),
        ("x-amz-trailer", "x-amz-checksum-sha256"),
    ];
    let url = format!("{}/files/t", emulators.endpoint);
    let signed = SignableBody::StreamingUnsignedPayloadTrailer;
    signer("s3").sign_as("PUT", &url, &headers, body.as_bytes(), signed).send(emulators).await
}

#[tokio::test]
async fn a_checksum_behind_the_body_is_compared() {
    let emulators = with_bucket(&[]).await;
    let good = STANDARD.encode(Sha256::digest("hello"));
    let wrong = put_with_trailer(&emulators, "other", &good).await;
    assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (400, "BadDigest"), "{}", wrong.text());
    assert_eq!(call(&emulators, "GET", "/files/t", &[], b"").await.status, 404);
    let stored = put_with_trailer(&emulators, "hello", &good).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(call(&emulators, "GET", "/files/t", &[], b"").await.text(), "hello");
}

/// Puts an object in chunks signed with that secret.
async fn put_in_signed_chunks(emulators: &Emulators, content: &str, secret: &str) -> Answer {
    let signer = signer("s3");
    let headers =
        [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", &content.len().to_string())];
    let url = format!("{}/files/c", emulators.endpoint);
    let payload = SignableBody::Precomputed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned());
    let mut signed = signer.sign_as("PUT", &url, &headers, b"", payload);

    let header = |name: &str| signed.headers.iter().find(|(given, _)| given == name).unwrap().1.clone();
    let (date, authorization) = (header("x-amz-date"), header("authorization"));
    let scope = format!("{}/{}/s3/aws4_request", &date[..8], signer.region);
    let mut previous = authorization.split("Signature=").nth(1).unwrap().to_owned();
    let mut body = Vec::new();
    for chunk in [content, ""] {
        let hash =
            |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let to_sign = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{}\n{}",
            hash(b""),
            hash(chunk.as_bytes())
        );
        let key = v4::generate_signing_key(secret, signer.time, &signer.region, "s3");
        previous = v4::calculate_signature(key, to_sign.as_bytes());
        body.extend(format!("{:x};chunk-signature={previous}\r\n{chunk}\r\n", chunk.len()).into_bytes());
    }
    signed.body = body;
    signed.send(emulators).await
}

#[tokio::test]
async fn each_chunk_s_signature_is_checked() {
    let emulators = with_bucket(&[]).await;
    let wrong = put_in_signed_chunks(&emulators, "hello", "wrong").await;
    let refused = (wrong.status.as_u16(), wrong.code());
    assert_eq!((refused.0, refused.1.as_str()), (403, "SignatureDoesNotMatch"), "{}", wrong.text());
    assert_eq!(call(&emulators, "GET", "/files/c", &[], b"").await.status, 404);
    let stored = put_in_signed_chunks(&emulators, "hello", "test").await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(call(&emulators, "GET", "/files/c", &[], b"").await.text(), "hello");
}

#[tokio::test]
async fn an_unsigned_body_needs_a_signed_request_all_the_same() {
    let emulators = with_bucket(&[]).await;
    let url = format!("{}/files/u", emulators.endpoint);
    let put = signer("s3").sign_as("PUT", &url, &[], b"hello", SignableBody::UnsignedPayload);
    let moved = put.clone().replaced("authorization", "Signature=", "Signature=0").send(&emulators).await;
    assert_eq!(moved.code(), "SignatureDoesNotMatch");
    assert_eq!(put.send(&emulators).await.status, 200);
}
