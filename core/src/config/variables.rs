//! Every variable that configures Portico, on whichever host: its name, its default and its reason.
//!
//! Nothing is read that is not listed here: readers take a [`Variable`], not a name.

/// One environment variable (or, on the edge, binding).
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// What an absent variable means, in the form it would be written; empty when that is nothing, or
    /// depends on others (which [`Variable::about`] tells).
    pub default: &'static str,
    /// What it sets, in a line or two.
    pub about: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
}

macro_rules! variables {
    ($($name:ident = $default:literal, $about:literal $(, $secret:ident)?;)*) => {
        $(
            #[doc = $about]
            pub static $name: Variable = Variable {
                name: stringify!($name),
                default: $default,
                about: $about,
                secret: variables!(@ $($secret)?),
            };
        )*

        /// Every variable, in the order of the documentation.
        pub static VARIABLES: &[&Variable] = &[$(&$name),*];
    };
    (@) => { false };
    (@ secret) => { true };
}

variables! {
    APP_PORT = "3000", "TCP port to listen on; 0 lets the system choose one.";
    APP_HOST = "127.0.0.1", "Address to listen on. The default is this machine only; 0.0.0.0 is every network.";
    APP_ENV = "development", "`development` or `production`. Production refuses what is only good for trying out: generated keys, outbox mailers, cheap hashing.";
    PUBLIC_URL = "", "Address under which clients reach the server, such as https://api.example.com. Absent: taken from each request's Host.";
    TLS_CERT_PATH = "", "PEM file with the certificate chain. With TLS_KEY_PATH, the server speaks TLS itself.";
    TLS_KEY_PATH = "", "PEM file with the certificate's private key.";
    METRICS_ADDR = "", "Address and port, such as 127.0.0.1:9090, that serves metrics as Prometheus text. Absent: none.";

    STORAGE_BACKEND = "", "`embedded` (one SQLite file and one folder under DATA_DIR) or `aws`. Absent: `aws` if AWS_ENDPOINT_URL or AWS_ACCESS_KEY_ID is set, else `embedded`.";
    DATA_DIR = "./data", "Folder of the embedded store, generated keys and outbox; created if absent, readable only by its owner.";
    AWS_ENDPOINT_URL = "", "Address of an AWS emulator, such as http://localhost:4566. Absent: AWS itself.";
    AWS_REGION = "us-east-1", "AWS region.";
    AWS_ACCESS_KEY_ID = "", "AWS credentials. Absent: the SDK's default chain; the edge has none and needs them.";
    AWS_SECRET_ACCESS_KEY = "", "Belongs to AWS_ACCESS_KEY_ID.", secret;
    AWS_SESSION_TOKEN = "", "Belongs to AWS_ACCESS_KEY_ID, for temporary credentials.", secret;
    DYNAMO_TABLE_USERS = "users", "DynamoDB table of users and of the claims to their names.";
    DYNAMO_TABLE_SESSIONS = "sessions", "DynamoDB table of sessions.";
    DYNAMO_TABLE_STATUSES = "statuses", "DynamoDB table of statuses.";
    DYNAMO_TABLE_DEVICES = "devices", "DynamoDB table of devices.";
    DYNAMO_TABLE_NOTIFICATIONS = "notifications", "DynamoDB table of notifications.";
    DYNAMO_TABLE_FILES = "files", "DynamoDB table of files.";
    DYNAMO_TABLE_USER_VERIFICATIONS = "user_verifications", "DynamoDB table of verification codes.";
    DYNAMO_TABLE_APP_VERSIONS = "app_versions", "DynamoDB table of app versions.";
    DYNAMO_TABLE_OUTBOX = "outbox", "DynamoDB table of messages that are still to be sent.";
    DYNAMO_TABLE_COUNTERS = "counters", "DynamoDB table of counters and idempotency records.";
    S3_BUCKET_NAME = "go-api-files", "S3 bucket of uploaded files.";
    SNS_REGION = "us-east-1", "AWS region that SMS are sent from.";
    SNS_SENDER_ID = "", "What recipients of SMS see as the sender, where their country allows it.";

    MAILER = "", "`smtp`, or `outbox`: .eml files under DATA_DIR, shown at /dev/outbox (development only). Absent: `smtp` if SMTP_HOST is set, else `outbox`. On the edge `relay` (the default) or `resend`.";
    SMTP_HOST = "localhost", "Mail server.";
    SMTP_PORT = "1025", "The mail server's port.";
    SMTP_FROM = "noreply@example.com", "Sender of all e-mail; `Name <address>` is accepted.";
    SMTP_USERNAME = "", "User at the mail server. Absent: no authentication.";
    SMTP_PASSWORD = "", "Belongs to SMTP_USERNAME.", secret;
    SMTP_TLS = "none", "`none`, `starttls` (required, never opportunistic) or `tls`; `true` is `tls`, `false` is `none`.";
    MAIL_RELAY_URL = "", "Edge only: address that mail is posted to, HTTPS in production: of `portico relay`, or of one like it. Absent with `resend`: that of Resend.";
    MAIL_RELAY_TOKEN = "", "Bearer token of the mail relay, 32 characters or more: the edge sends it, `portico relay` asks for it. With `resend`, its API key.", secret;
    RELAY_ADDR = "127.0.0.1:8025", "Address and port that `portico relay` listens on.";
    SMS_SENDER = "", "`sns`, `outbox` (JSON files under DATA_DIR, development only) or `none` (phone numbers cannot be confirmed). Absent: `sns` on `aws`, else `outbox`.";
    SMS_COUNTRIES = "", "Comma-separated ISO 3166 codes of the countries that SMS may go to. Absent: all, but never premium numbers.";
    SMS_DAILY_LIMIT = "1000", "Most SMS sent in one day (UTC), against fraud; 0 sends none.";

    JWT_PRIVATE_KEY_PATH = "./private_key.pem", "RSA key that signs access tokens (PEM, PKCS#1 or PKCS#8, 2048 bits or more). In development, an absent one is generated under DATA_DIR.";
    JWT_PUBLIC_KEY_PATH = "./public_key.pem", "Its public half; checked against it, and not needed otherwise.";
    JWT_PRIVATE_KEY = "", "Edge only: the private key's PEM text.", secret;
    JWT_PUBLIC_KEY = "", "Edge only: the public key's PEM text.";
    JWT_PREVIOUS_PUBLIC_KEYS = "", "Edge only: PEM texts, one after another, of public keys whose tokens are still accepted.";
    JWT_PREVIOUS_PUBLIC_KEYS_PATH = "", "PEM files (comma-separated, each with one or more public keys) whose tokens are still accepted, for rotation.";
    JWT_EXPIRY_DAYS = "7", "Days that an access token is valid.";
    JWT_EXPIRY = "", "The same more finely, such as 1h, 30m, 90s or 7d; overrides JWT_EXPIRY_DAYS.";
    ACCESS_TOKEN_CACHE = "10000", "Access tokens that a process remembers as verified, each by its digest, so that a token's signature is verified once; 0 verifies it with every request.";
    JWT_ISSUER = "portico", "`iss` of access tokens.";
    JWT_AUDIENCE = "portico", "`aud` of access tokens.";
    REFRESH_TOKEN_EXPIRY_DAYS = "30", "Days after which an unused refresh token expires.";
    REFRESH_GRACE_SECONDS = "60", "Seconds in which the refresh token before the present one still works, for clients that lost an answer.";
    SESSION_MAX_DAYS = "365", "Days after which a session ends however often it was refreshed.";
    SESSION_CACHE_SECONDS = "", "Seconds that a revocation may take to reach access tokens. Absent: 0 on `embedded`, 5 on `aws`.";
    TOKEN_SECRET = "", "Key of refresh tokens, codes and cursors, 32 bytes or more. Absent: derived from the private key. Set it to rotate that key without ending sessions.", secret;

    GOOGLE_CLIENT_ID = "", "OAuth client id for Google sign-in. Absent: that route answers 503.";
    ALLOWED_ORIGINS = "*", "Comma-separated origins whose browsers may call (CORS), such as https://app.example.com; `*` for any (harmless, for no credentials are ever allowed), `none` for none.";
    TRUSTED_PROXIES = "", "Comma-separated addresses or networks (CIDR) of reverse proxies; only theirs is X-Forwarded-For believed.";
    MAX_UPLOAD_BYTES = "33554432", "Largest multipart upload.";
    USER_QUOTA_BYTES = "1073741824", "Bytes that the files of one user may have in all.";
    USER_QUOTA_FILES = "1000", "Files that one user may have.";
    RATE_LIMIT_PER_SECOND = "5", "Requests a second that one address (IPv6: one /64) may make to sensitive public routes.";
    RATE_LIMIT_BURST = "10", "Requests that it may make at once after a pause.";
    PASSWORD_HASH = "argon2id,m=19456,t=2,p=1", "How new passwords are hashed: Argon2id with m KiB of memory, t passes, p lanes. Raising it upgrades older hashes at sign-in.";
    HIBP = "off", "`on` also refuses passwords known from leaks, by asking api.pwnedpasswords.com for the first 5 digits of their SHA-1.";

    ADMIN_EMAIL = "", "With ADMIN_PASSWORD: the first administrator, created at start-up if the store holds no user yet.";
    ADMIN_PASSWORD = "", "See ADMIN_EMAIL; remove both afterwards.", secret;
    LOG_FORMAT = "", "`text` or `json`. Absent: `text` on a terminal, else `json`.";
    LOG_LEVEL = "info", "`error`, `warn`, `info`, `debug` or `trace`.";
}
