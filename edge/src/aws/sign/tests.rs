use portico_core::memory::clock::ManualClock;
use portico_core::secret::Secret;
use portico_core::time::Timestamp;

use super::*;

/// A signer with the key of Amazon's examples, at one of their moments.
fn signer(secret: &str, service: &'static str, now: &str, token: Option<&str>) -> Signer {
    let key = AwsCredentials {
        access_key_id: if service == "s3" { "AKIAIOSFODNN7EXAMPLE" } else { "AKIDEXAMPLE" }.to_owned(),
        secret_access_key: Secret::new(secret),
        session_token: token.map(Secret::new),
    };
    let clock = Arc::new(ManualClock::at(Timestamp::parse(now).unwrap()));
    Signer::new(&key, service, "us-east-1".to_owned(), clock)
}

fn authorization(request: &Request<Bytes>) -> &str {
    request.headers()["authorization"].to_str().unwrap()
}

#[test]
fn the_vanilla_request_of_amazons_test_suite() {
    let signer = signer("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "service", "2015-08-30T12:36:00Z", None);
    let mut request = Request::get("https://example.amazonaws.com/").body(Bytes::new()).unwrap();
    signer.sign(&mut request).unwrap();
    assert_eq!(
        authorization(&request),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
}

#[test]
fn a_range_of_an_object_as_in_s3s_documentation() {
    let signer = signer("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3", "2013-05-24T00:00:00Z", None);
    let mut request = Request::get("https://examplebucket.s3.amazonaws.com/test.txt")
        .header("range", "bytes=0-9")
        .body(Bytes::new())
        .unwrap();
    signer.sign(&mut request).unwrap();
    assert_eq!(
        authorization(&request),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
}

#[test]
fn a_hash_that_is_known_makes_the_same_signature() {
    let signer = signer("secret", "s3", "2026-01-01T00:00:00Z", None);
    let signed = |hash: Option<[u8; 32]>| {
        let mut request = Request::put("https://s3.example.com/a").body(Bytes::new()).unwrap();
        match hash {
            Some(hash) => signer.sign_hashed(&mut request, &hash).unwrap(),
            None => signer.sign(&mut request).unwrap(),
        }
        request
    };
    let mut of_nothing = [0; 32];
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    base16ct::lower::decode(hex, &mut of_nothing).unwrap();
    assert_eq!(signed(Some(of_nothing)).headers()["x-amz-content-sha256"], hex);
    assert_eq!(authorization(&signed(Some(of_nothing))), authorization(&signed(None)));
    assert_ne!(authorization(&signed(Some([7; 32]))), authorization(&signed(None)));
}

#[test]
fn a_presigned_url_as_in_s3s_documentation() {
    let signer = signer("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3", "2013-05-24T00:00:00Z", None);
    let uri = Uri::from_static("https://examplebucket.s3.amazonaws.com/test.txt");
    let start = u64::try_from(Timestamp::parse("2013-05-24T00:00:00Z").unwrap().as_seconds()).unwrap();
    let period = Period { start, seconds: 86_400 };
    let url = signer.presign(http::Method::GET, uri, HeaderMap::new(), period).unwrap();
    assert!(url.contains("X-Amz-Expires=86400&X-Amz-SignedHeaders=host"), "{url}");
    let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert!(url.ends_with(&format!("X-Amz-Signature={signature}")), "{url}");
}

#[test]
fn temporary_credentials_bring_their_token() {
    let signer = signer("secret", "sns", "2026-01-01T00:00:00Z", Some("canary-token"));
    let mut request = Request::post("https://sns.us-east-1.amazonaws.com/").body(Bytes::new()).unwrap();
    signer.sign(&mut request).unwrap();
    assert_eq!(request.headers()["x-amz-security-token"], "canary-token");
    assert!(authorization(&request).contains("x-amz-security-token"));
    assert!(!format!("{signer:?}").contains("canary"));
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let signer = signer("secret", "sns", "2026-01-01T00:00:00Z", None);
    let mut request =
        Request::get("https://example.com/").header("x-bad", "\u{e9}").body(Bytes::new()).unwrap();
    assert!(signer.sign(&mut request).unwrap_err().to_string().contains("cannot be signed"));
}
