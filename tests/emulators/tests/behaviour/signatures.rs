//! What is refused, for each service in its own words.

use crate::process::Emulators;
use crate::signer::{Signed, Signer, signer};
use serde_json::json;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A service, and how it refuses: unsigned, garbled, unknown key, wrong scope, too old, wrong signature.
struct Words {
    service: &'static str,
    missing: (u16, &'static str),
    incomplete: (u16, &'static str),
    unknown: (u16, &'static str),
    scope: (u16, &'static str),
    old: (u16, &'static str),
    wrong: (u16, &'static str),
}

const SERVICES: [Words; 3] = [
    Words {
        service: "dynamodb",
        missing: (400, "MissingAuthenticationTokenException"),
        incomplete: (400, "IncompleteSignatureException"),
        unknown: (400, "UnrecognizedClientException"),
        scope: (400, "InvalidSignatureException"),
        old: (400, "InvalidSignatureException"),
        wrong: (400, "InvalidSignatureException"),
    },
    Words {
        service: "sns",
        missing: (403, "MissingAuthenticationToken"),
        incomplete: (400, "IncompleteSignature"),
        unknown: (403, "InvalidClientTokenId"),
        scope: (403, "SignatureDoesNotMatch"),
        old: (403, "SignatureDoesNotMatch"),
        wrong: (403, "SignatureDoesNotMatch"),
    },
    Words {
        service: "s3",
        missing: (403, "AccessDenied"),
        incomplete: (400, "AuthorizationHeaderMalformed"),
        unknown: (403, "InvalidAccessKeyId"),
        scope: (400, "AuthorizationHeaderMalformed"),
        old: (403, "RequestTimeTooSkewed"),
        wrong: (403, "SignatureDoesNotMatch"),
    },
];

fn request(signer: &Signer, service: &str, emulators: &Emulators) -> Signed {
    match service {
        "dynamodb" => signer.dynamodb(emulators, "ListTables", &json!({})),
        "sns" => signer.sns(emulators, &[("Action", "ListTopics"), ("Version", "2010-03-31")]),
        _ => signer.s3(emulators, "GET", "/", &[], b""),
    }
}

async fn assert_refused(emulators: &Emulators, signed: Signed, expected: (u16, &str), what: &str) {
    let answer = signed.send(emulators).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{what}: {}", answer.text());
}

#[tokio::test]
async fn the_known_key_passes_in_any_region() {
    let emulators = Emulators::start(&[]);
    for words in SERVICES {
        for region in ["us-east-1", "eu-central-1"] {
            let signer = Signer { region: region.to_owned(), ..signer(words.service) };
            let answer = request(&signer, words.service, &emulators).send(&emulators).await;
            assert_eq!(answer.status, 200, "{}: {}", words.service, answer.text());
        }
    }
}

#[tokio::test]
async fn another_secret_and_another_key_are_refused() {
    let emulators = Emulators::start(&[]);
    for words in SERVICES {
        let wrong = Signer { secret: "wrong".to_owned(), ..signer(words.service) };
        assert_refused(&emulators, request(&wrong, words.service, &emulators), words.wrong, "secret").await;
        let unknown = Signer { key: "nobody".to_owned(), ..signer(words.service) };
        assert_refused(&emulators, request(&unknown, words.service, &emulators), words.unknown, "key").await;
    }
}

#[tokio::test]
async fn a_configured_key_is_the_only_one() {
    let emulators = Emulators::start(&["--access-key", "AKIAOTHER", "--secret-key", "other/secret+key"]);
    for words in SERVICES {
        let own = Signer {
            key: "AKIAOTHER".to_owned(),
            secret: "other/secret+key".to_owned(),
            ..signer(words.service)
        };
        let answer = request(&own, words.service, &emulators).send(&emulators).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let default = signer(words.service);
        assert_refused(&emulators, request(&default, words.service, &emulators), words.unknown, "default")
            .await;
    }
}

#[tokio::test]
async fn another_service_or_region_in_the_scope_is_refused() {
    let emulators = Emulators::start(&["--region", "eu-central-1"]);
    for words in SERVICES {
        let good = request(&signer(words.service), words.service, &emulators).send(&emulators).await;
        assert_eq!(good.status, 200, "{}", good.text());
        let elsewhere = Signer { region: "us-west-2".to_owned(), ..signer(words.service) };
        assert_refused(&emulators, request(&elsewhere, words.service, &emulators), words.scope, "region")
            .await;
        let other = Signer { service: "execute-api".to_owned(), ..signer(words.service) };
        assert_refused(&emulators, request(&other, words.service, &emulators), words.scope, "service").await;
    }
}

#[tokio::test]
async fn a_signature_made_for_a_service_is_no_good_for_another() {
    let emulators = Emulators::start(&[]);
    let for_sns = signer("sns").dynamodb(&emulators, "ListTables", &json!({}));
    assert_refused(&emulators, for_sns, (400, "InvalidSignatureException"), "scope").await;
}

#[tokio::test]
async fn a_clock_an_hour_off_is_refused_both_ways() {
    let emulators = Emulators::start(&[]);
    for words in SERVICES {
        for time in [SystemTime::now() - HOUR, SystemTime::now() + HOUR] {
            let off = Signer { time, ..signer(words.service) };
            assert_refused(&emulators, request(&off, words.service, &emulators), words.old, "time").await;
        }
        let slow = Signer { time: SystemTime::now() - Duration::from_secs(120), ..signer(words.service) };
        let answer = request(&slow, words.service, &emulators).send(&emulators).await;
        assert_eq!(answer.status, 200, "two minutes are tolerated: {}", answer.text());
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_refused() {
    let emulators = Emulators::start(&[]);
    for words in SERVICES {
        let good = || request(&signer(words.service), words.service, &emulators);
        assert_refused(
            &emulators,
            good().replaced("authorization", "Signature=", "Signature=0"),
            words.wrong,
            "signature",
        )
        .await;
        let query = Signed { url: format!("{}?more=1", good().url), ..good() };
        assert_refused(&emulators, query, words.wrong, "query").await;
        let earlier = Signer { time: SystemTime::now() - Duration::from_secs(2), ..signer(words.service) };
        let dated = request(&earlier, words.service, &emulators);
        let now = good().headers.into_iter().find(|(name, _)| name == "x-amz-date").unwrap().1;
        assert_refused(&emulators, dated.with("x-amz-date", &now), words.wrong, "date").await;
    }
    for service in ["dynamodb", "sns"] {
        let mut tampered = request(&signer(service), service, &emulators);
        tampered.body.push(b' ');
        let words = SERVICES.into_iter().find(|words| words.service == service).unwrap();
        assert_refused(&emulators, tampered, words.wrong, "body").await;
    }
    let retargeted = signer("dynamodb").dynamodb(&emulators, "ListTables", &json!({}));
    let retargeted = retargeted.with("x-amz-target", "DynamoDB_20120810.DescribeLimits");
    assert_refused(&emulators, retargeted, (400, "InvalidSignatureException"), "target").await;
}

#[tokio::test]
async fn missing_and_garbled_headers_are_refused() {
    let emulators = Emulators::start(&[]);
    for words in SERVICES {
        let good = || request(&signer(words.service), words.service, &emulators);
        assert_refused(&emulators, good().without("authorization"), words.missing, "unsigned").await;
        for (from, to) in [
            ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-MD5 "),
            ("Credential=", "Nothing="),
            ("SignedHeaders=", "Nothing="),
            ("Signature=", "Nothing="),
            ("/aws4_request", "/aws4"),
            ("test/", "test"),
        ] {
            let garbled = good().replaced("authorization", from, to);
            assert_refused(&emulators, garbled, words.incomplete, &format!("{from}{to}")).await;
        }
        assert_refused(&emulators, good().with("authorization", "Bearer x"), words.incomplete, "bearer")
            .await;
        assert_refused(&emulators, good().without("x-amz-date"), words.incomplete, "no date").await;
        assert_refused(&emulators, good().with("x-amz-date", "today"), words.incomplete, "garbled date")
            .await;
    }
}

#[tokio::test]
async fn the_host_and_the_target_must_be_signed() {
    let emulators = Emulators::start(&[]);
    for name in ["host;", "x-amz-target"] {
        let signed = signer("dynamodb").dynamodb(&emulators, "ListTables", &json!({}));
        let signed = signed.replaced("authorization", name, "");
        assert_refused(&emulators, signed, (400, "IncompleteSignatureException"), name).await;
    }
}

#[tokio::test]
async fn a_session_token_is_needed_where_one_is_configured_and_refused_elsewhere() {
    let with_token = Emulators::start(&["--session-token", "token/with+signs="]);
    let without = Emulators::start(&[]);
    for words in SERVICES {
        let bad = if words.service == "s3" { (400, "InvalidToken") } else { words.unknown };
        let token = |token: &str| Signer { token: Some(token.to_owned()), ..signer(words.service) };
        let good = request(&token("token/with+signs="), words.service, &with_token).send(&with_token).await;
        assert_eq!(good.status, 200, "{}", good.text());
        assert_refused(&with_token, request(&signer(words.service), words.service, &with_token), bad, "none")
            .await;
        assert_refused(&with_token, request(&token("other"), words.service, &with_token), bad, "other").await;
        assert_refused(&without, request(&token("any"), words.service, &without), bad, "unexpected").await;
    }
}

#[tokio::test]
async fn a_signature_in_the_query_string_passes_until_it_expires() {
    let emulators = Emulators::start(&[]);
    for words in SERVICES {
        let minute = Some(Duration::from_secs(60));
        let presigner = Signer { expires: minute, ..signer(words.service) };
        let answer = request(&presigner, words.service, &emulators).send(&emulators).await;
        assert_eq!(answer.status, 200, "{}: {}", words.service, answer.text());

        let expired = Signer { time: SystemTime::now() - Duration::from_secs(90), ..presigner.clone() };
        let old = if words.service == "s3" { (403, "AccessDenied") } else { words.old };
        assert_refused(&emulators, request(&expired, words.service, &emulators), old, "expired").await;

        let wrong = Signer { secret: "wrong".to_owned(), ..presigner.clone() };
        assert_refused(&emulators, request(&wrong, words.service, &emulators), words.wrong, "secret").await;

        let mut longer = request(&presigner, words.service, &emulators);
        longer.url = longer.url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000");
        assert_refused(&emulators, longer, words.wrong, "lengthened").await;
    }
}
