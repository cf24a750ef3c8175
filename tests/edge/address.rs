//! Whose address a request comes from.

use bytes::Bytes;
use http::Request;
use portico_tests::client::registration;
use portico_tests::edge::EdgeHost;
use portico_tests::emulators;

#[tokio::test(flavor = "multi_thread")]
async fn a4_the_platform_alone_tells_a_clients_address() {
    let host = EdgeHost::start().await;
    let url = format!("http://127.0.0.1:{}/v1/users", host.port());
    let address_of = async |username: &str, headers: &[(&str, &str)]| {
        let mut request = Request::post(&url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Bytes::from(registration(username).to_string());
        let account = emulators::send(request.body(body).unwrap()).await.expect(201).json();
        let token = account["access_token"].as_str().unwrap();
        let sessions =
            Request::get(format!("{url}/me/sessions")).header("authorization", format!("Bearer {token}"));
        let sessions = emulators::send(sessions.body(Bytes::new()).unwrap()).await.expect(200).json();
        sessions[0]["ip"].as_str().unwrap().to_owned()
    };
    for (n, theirs) in ["198.51.100.7", "2001:db8:1:2::9"].into_iter().enumerate() {
        let platform = ("cf-connecting-ip", theirs);
        assert_eq!(address_of(&format!("plain{n}"), &[platform]).await, theirs);
        for (m, name) in
            ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip"].into_iter().enumerate()
        {
            assert_eq!(
                address_of(&format!("user{n}{m}"), &[platform, (name, "203.0.113.9")]).await,
                theirs,
                "{name}"
            );
        }
    }
}
