//! Settings of what is at AWS.

use http::Uri;

use super::variables as v;
use super::{Variable, Vars};
use crate::dynamo::names::TableNames;
use crate::schema::{self, Table};
use crate::secret::Secret;

/// Which account is used, and where.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    /// The region.
    pub region: String,
    /// The address of an emulator; without one, AWS itself.
    pub endpoint_url: Option<String>,
    /// The credentials; without any, the host looks elsewhere, if it has where to.
    pub credentials: Option<AwsCredentials>,
    /// The region that SMS are sent from.
    pub sns_region: String,
    /// What recipients see as the sender of SMS, where a country allows it.
    pub sns_sender_id: Option<String>,
}

/// An access key.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// Its public half.
    pub access_key_id: String,
    /// Its secret half.
    pub secret_access_key: Secret,
    /// What temporary credentials come with.
    pub session_token: Option<Secret>,
}

/// What items and files are kept in.
#[derive(Clone, Debug)]
pub struct AwsStorage {
    /// The tables.
    pub tables: TableNames,
    /// The bucket.
    pub bucket: String,
}

/// The variable that names each table.
static TABLES: [(&Table, &Variable); 10] = [
    (&schema::USERS, &v::DYNAMO_TABLE_USERS),
    (&schema::SESSIONS, &v::DYNAMO_TABLE_SESSIONS),
    (&schema::STATUSES, &v::DYNAMO_TABLE_STATUSES),
    (&schema::DEVICES, &v::DYNAMO_TABLE_DEVICES),
    (&schema::NOTIFICATIONS, &v::DYNAMO_TABLE_NOTIFICATIONS),
    (&schema::FILES, &v::DYNAMO_TABLE_FILES),
    (&schema::USER_VERIFICATIONS, &v::DYNAMO_TABLE_USER_VERIFICATIONS),
    (&schema::APP_VERSIONS, &v::DYNAMO_TABLE_APP_VERSIONS),
    (&schema::OUTBOX, &v::DYNAMO_TABLE_OUTBOX),
    (&schema::COUNTERS, &v::DYNAMO_TABLE_COUNTERS),
];

impl AwsSettings {
    /// Reads them; half a pair of credentials is a problem only if they are `used`.
    pub fn read(vars: &Vars<'_>, used: bool) -> Self {
        Self {
            region: read_region(vars, &v::AWS_REGION),
            endpoint_url: read_endpoint_url(vars),
            credentials: read_credentials(vars, used),
            sns_region: read_region(vars, &v::SNS_REGION),
            sns_sender_id: read_sender_id(vars),
        }
    }
}

impl AwsStorage {
    /// Reads them.
    pub fn read(vars: &Vars<'_>) -> Self {
        Self { tables: read_tables(vars), bucket: read_bucket(vars) }
    }
}

fn read_region(vars: &Vars<'_>, variable: &Variable) -> String {
    let parse = |text: &str| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-').then(|| text.to_ascii_lowercase())
    };
    vars.parse(variable, "a region such as eu-central-1", parse).unwrap_or_default()
}

/// Reads a sender's id (Amazon SNS Developer Guide, "Sender IDs").
fn read_sender_id(vars: &Vars<'_>) -> Option<String> {
    vars.parse(&v::SNS_SENDER_ID, "1 to 11 letters and digits, of which one is a letter", |text| {
        let plain = (1..=11).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        (plain && text.bytes().any(|b| b.is_ascii_alphabetic())).then(|| text.to_owned())
    })
}

fn read_endpoint_url(vars: &Vars<'_>) -> Option<String> {
    vars.parse(&v::AWS_ENDPOINT_URL, "an address such as http://localhost:4566", |text| {
        let uri: Uri = text.parse().ok()?;
        let known = matches!(uri.scheme_str(), Some("https" | "http"));
        let clean = uri.query().is_none() && !uri.authority()?.as_str().contains('@');
        (known && clean).then(|| text.trim_end_matches('/').to_owned())
    })
}

fn read_credentials(vars: &Vars<'_>, used: bool) -> Option<AwsCredentials> {
    let id = vars.optional(&v::AWS_ACCESS_KEY_ID);
    let (secret, session_token) =
        (vars.secret(&v::AWS_SECRET_ACCESS_KEY), vars.secret(&v::AWS_SESSION_TOKEN));
    let has_token = session_token.is_some();
    match (id, secret) {
        (Some(access_key_id), Some(secret_access_key)) => {
            return Some(AwsCredentials { access_key_id, secret_access_key, session_token });
        }
        (Some(_), None) if used => {
            vars.problem(&v::AWS_SECRET_ACCESS_KEY, "needed with AWS_ACCESS_KEY_ID");
        }
        (None, Some(_)) if used => {
            vars.problem(&v::AWS_ACCESS_KEY_ID, "needed with AWS_SECRET_ACCESS_KEY");
        }
        (None, None) if used && has_token => {
            vars.problem(&v::AWS_SESSION_TOKEN, "needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        }
        _ => {}
    }
    None
}

fn read_tables(vars: &Vars<'_>) -> TableNames {
    let mut names: Vec<(&Table, &Variable, String)> = Vec::new();
    for (table, variable) in TABLES {
        let name = read_table(vars, variable);
        if let Some((_, other, _)) = names.iter().find(|(.., taken)| *taken == name) {
            let message = format!("`{name}` is the table of {} already: each needs its own", other.name);
            vars.problem(variable, message);
        }
        names.push((table, variable, name));
    }
    TableNames::from_fn(|table| {
        names.iter().find(|(named, ..)| named.name == table.name).map(|(.., name)| name.clone())
    })
}

/// Reads a table's name (Amazon DynamoDB Developer Guide, "Naming rules").
fn read_table(vars: &Vars<'_>, variable: &Variable) -> String {
    let parse = |text: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        ((3..=255).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
    };
    vars.parse(variable, "a table's name: 3 to 255 letters, digits, `_`, `-` or `.`", parse)
        .unwrap_or_default()
}

/// Reads a bucket's name (Amazon S3 User Guide, "General purpose bucket naming rules").
fn read_bucket(vars: &Vars<'_>) -> String {
    let parse = |text: &str| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        let ends = |c: char| c.is_ascii_alphanumeric();
        let right = (3..=63).contains(&text.len()) && text.bytes().all(fits) && !text.contains("..");
        (right && text.starts_with(ends) && text.ends_with(ends)).then(|| text.to_owned())
    };
    let expected = "a bucket's name: 3 to 63 lower-case letters, digits, `-` or `.`";
    vars.parse(&v::S3_BUCKET_NAME, expected, parse).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::ConfigError;

    use super::*;

    fn read(pairs: &[(&str, &str)], used: bool) -> Result<(AwsSettings, AwsStorage), ConfigError> {
        let vars = Vars::new(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        let settings = (AwsSettings::read(&vars, used), AwsStorage::read(&vars));
        vars.finish(settings)
    }

    fn problems(pairs: &[(&str, &str)]) -> Vec<&'static str> {
        read(pairs, true).unwrap_err().problems.iter().map(|problem| problem.variable).collect()
    }

    #[test]
    fn nothing_set_is_aws_itself_with_the_sdks_credentials_and_the_schemas_names() {
        let (settings, storage) = read(&[], true).unwrap();
        assert_eq!((settings.region.as_str(), settings.sns_region.as_str()), ("us-east-1", "us-east-1"));
        assert!(settings.endpoint_url.is_none() && settings.credentials.is_none());
        assert_eq!(storage.bucket, "go-api-files");
        for table in schema::TABLES {
            assert_eq!(storage.tables.of(table), table.name);
        }
    }

    #[test]
    fn every_table_can_be_named() {
        let named: Vec<_> = TABLES.iter().map(|(table, _)| table.name).collect();
        assert_eq!(named, schema::TABLES.map(|table| table.name));
        for (table, variable) in TABLES {
            let (_, storage) = read(&[(variable.name, "Prod_a-1.b")], true).unwrap();
            assert_eq!(storage.tables.of(table), "Prod_a-1.b");
            assert_eq!(variable.name, format!("DYNAMO_TABLE_{}", table.name.to_ascii_uppercase()));
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (name, value) in [
            ("AWS_REGION", "eu central"),
            ("SNS_REGION", "eu/1"),
            ("SNS_SENDER_ID", "12345"),
            ("AWS_ENDPOINT_URL", "localhost:4566"),
            ("AWS_ENDPOINT_URL", "http://me:you@localhost"),
            ("DYNAMO_TABLE_USERS", "ab"),
            ("DYNAMO_TABLE_USERS", "a/b/c"),
            ("DYNAMO_TABLE_SESSIONS", "users"),
            ("S3_BUCKET_NAME", "Files"),
            ("S3_BUCKET_NAME", "-files"),
            ("S3_BUCKET_NAME", "a..b"),
        ] {
            assert_eq!(problems(&[(name, value)]), [name], "{value}");
        }
    }

    #[test]
    fn half_a_key_is_refused_where_it_is_used() {
        for (given, wanted) in [
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
            ("AWS_SESSION_TOKEN", "AWS_SESSION_TOKEN"),
        ] {
            assert_eq!(problems(&[(given, "canary")]), [wanted]);
            assert!(read(&[(given, "canary")], false).unwrap().0.credentials.is_none());
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let key = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_SESSION_TOKEN", "canary"),
        ];
        let (settings, _) = read(&key, true).unwrap();
        let shown = format!("{settings:?}");
        assert!(shown.contains("AKIDEXAMPLE") && !shown.contains("canary"), "{shown}");
        assert_eq!(settings.credentials.unwrap().secret_access_key.expose(), "canary");
    }
}
