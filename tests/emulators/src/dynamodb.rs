//! DynamoDB: dynoxide behind a loopback port of its own, and what it lacks, in front of it.

mod additions;
mod capacity;

use crate::answer::{self, Answer};
use crate::calls::Write;
use crate::refusal::AwsError;
use crate::service::Service;
use additions::Backups;
use bytes::Bytes;
use dynoxide::Database;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpListener;

/// What of the request the database needs to see.
const FORWARDED: [&str; 4] = ["authorization", "content-type", "x-amz-date", "x-amz-target"];

/// The database and the way to it.
pub(crate) struct DynamoDb {
    database: Database,
    backups: Backups,
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DynamoDb").field("address", &self.address).finish_non_exhaustive()
    }
}

impl DynamoDb {
    /// Opens the database in the folder, or in memory without one, and starts it.
    pub(crate) async fn start(folder: Option<&Path>) -> io::Result<Self> {
        let database = match folder {
            Some(folder) => Database::new(&folder.join("dynamodb.sqlite").to_string_lossy()),
            None => Database::memory(),
        };
        let database = database.map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { database, backups: Backups::default(), client, address })
    }

    /// Answers a request whose signature is good, and says how many units it consumed, if any.
    pub(crate) async fn answer(
        &self,
        request: &Parts,
        operation: &str,
        body: Bytes,
    ) -> (Answer, Option<f64>) {
        let added = match operation {
            "UpdateTimeToLive" => additions::refuse_same_time_to_live(&self.database, &body),
            "DescribeContinuousBackups" => Some(self.backups.describe(&self.database, &body)),
            "UpdateContinuousBackups" => Some(self.backups.update(&self.database, &body)),
            _ => None,
        };
        match added {
            Some(Ok(answer)) => {
                (answer::typed(StatusCode::OK, "application/x-amz-json-1.0", answer.to_string()), None)
            }
            Some(Err(error)) => (error.answer(Service::DynamoDb), None),
            None => {
                let body = capacity::asked(operation, body);
                self.forward(request, body).await.unwrap_or_else(|error| {
                    let error = AwsError::new(500, "InternalServerError", error.to_string());
                    (error.answer(Service::DynamoDb), None)
                })
            }
        }
    }

    async fn forward(&self, request: &Parts, body: Bytes) -> Result<(Answer, Option<f64>), answer::BoxError> {
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut forwarded =
            Request::builder().method(&request.method).uri(format!("http://{}{path}", self.address));
        for name in FORWARDED {
            if let Some(value) = request.headers.get(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        let (parts, body) = self.client.request(forwarded.body(Full::new(body))?).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let units = capacity::consumed(&body);
        Ok((Answer::from_parts(parts, answer::whole(body)), units))
    }

    /// Deletes what has expired, and says how many items that were.
    pub(crate) async fn delete_expired(&self) -> io::Result<usize> {
        let database = self.database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await?;
        swept.map_err(io::Error::other)
    }
}

/// The table, or the index of it, that a request names.
pub(crate) fn resource(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Named {
        table_name: Option<String>,
        index_name: Option<String>,
    }
    let named: Named = serde_json::from_slice(body).ok()?;
    let table = named.table_name?;
    Some(named.index_name.map_or_else(|| table.clone(), |index| format!("{table}/index/{index}")))
}

/// What a transaction holds; nothing for other requests.
pub(crate) fn writes(body: &[u8]) -> Vec<Write> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Transaction {
        #[serde(default)]
        transact_items: Vec<Item>,
    }
    #[derive(Deserialize)]
    enum Item {
        Put(Named),
        Update(Named),
        Delete(Named),
        ConditionCheck(Named),
        Get(Named),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Named {
        table_name: String,
    }
    let transaction = serde_json::from_slice::<Transaction>(body);
    let items = transaction.map(|transaction| transaction.transact_items).unwrap_or_default();
    let write = |item| {
        let (operation, Named { table_name }) = match item {
            Item::Put(named) => ("PutItem", named),
            Item::Update(named) => ("UpdateItem", named),
            Item::Delete(named) => ("DeleteItem", named),
            Item::ConditionCheck(named) => ("ConditionCheckItem", named),
            Item::Get(named) => ("GetItem", named),
        };
        Write { operation, resource: table_name }
    };
    items.into_iter().map(write).collect()
}
