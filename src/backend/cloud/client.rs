//! The clients of the clouds.
//!
//! Owns what the environment, the machine and the URL say about the way there, and in which order: the URL first, then the cloud's
//! own variables. No client sends anything twice: whether that is right only the journal knows.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientOptions, Error as Cause, ObjectStore, RetryConfig, StaticCredentialProvider};

use super::target::{Cloud, CloudUrl};

/// How long a service may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may say nothing while an answer is due.
const SILENCE: Duration = Duration::from_secs(15);

/// How long one request may take altogether, however large it is.
const LONGEST: Duration = Duration::from_secs(300);

/// The account of Azure's emulator, and its key, which is the same everywhere and printed in the emulator's manual.
const EMULATOR: (&str, &str) = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
);

/// The client of a bucket.
pub(super) fn client(target: &CloudUrl) -> Result<Arc<dyn ObjectStore>, Cause> {
    match target.cloud {
        Cloud::S3 => s3(target),
        Cloud::Gcs => gcs(target),
        Cloud::Azure => azure(target),
    }
}

/// What to look at where no client can be made.
pub(super) fn settings(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::S3 => "a setting cannot be used; look at the AWS_ variables, the endpoint and the region",
        Cloud::Gcs => {
            "a setting cannot be used; look at the GOOGLE_ variables, the file that GOOGLE_APPLICATION_CREDENTIALS names, and the \
             endpoint"
        }
        Cloud::Azure => {
            "a setting cannot be used; name the account by ?account= or AZURE_STORAGE_ACCOUNT_NAME, and look at the other AZURE_ \
             variables and the endpoint"
        }
    }
}

fn options(is_plain: bool) -> ClientOptions {
    ClientOptions::new()
        // Who names such an endpoint means it.
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT)
        .with_read_timeout(SILENCE)
        .with_timeout(LONGEST)
}

fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn is_plain(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|url| url.starts_with("http://"))
}

/// What a variable says, if it says anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn s3(target: &CloudUrl) -> Result<Arc<dyn ObjectStore>, Cause> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(&target.bucket);
    if let Some(region) = &target.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &target.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if target.is_anonymous {
        builder = builder.with_skip_signature(true);
    }
    if builder.get_config_value(&AmazonS3ConfigKey::Checksum).is_none() {
        // A bucket with object lock takes nothing without one.
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = keys.iter().find_map(|key| builder.get_config_value(key));
    let options = options(is_plain(endpoint.as_deref()));
    Ok(Arc::new(builder.with_client_options(options).with_retry(once()).build()?))
}

fn gcs(target: &CloudUrl) -> Result<Arc<dyn ObjectStore>, Cause> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&target.bucket);
    let emulator = if target.endpoint.is_none() { variable("STORAGE_EMULATOR_HOST") } else { None };
    // Google's own libraries take a host and a port as well.
    let emulator = emulator.map(|host| if host.contains("://") { host } else { format!("http://{host}") });
    let is_anonymous = target.is_anonymous || emulator.is_some();
    if let Some(endpoint) = target.endpoint.as_ref().or(emulator.as_ref()) {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    if is_anonymous {
        // The client asks for credentials before it writes even where it does not sign what it reads.
        let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
        builder = builder.with_skip_signature(true).with_credentials(Arc::new(nobody));
    }
    let options = options(is_plain(builder.get_config_value(&GoogleConfigKey::BaseUrl).as_deref()));
    Ok(Arc::new(builder.with_client_options(options).with_retry(once()).build()?))
}

fn azure(target: &CloudUrl) -> Result<Arc<dyn ObjectStore>, Cause> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(&target.bucket);
    // The names that the command line of Azure has for the same.
    for (key, name) in [
        (AzureConfigKey::AccountName, "AZURE_STORAGE_ACCOUNT"),
        (AzureConfigKey::AccessKey, "AZURE_STORAGE_KEY"),
    ] {
        if let (None, Some(value)) = (builder.get_config_value(&key), variable(name)) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(text) = variable("AZURE_STORAGE_CONNECTION_STRING") {
        let said = of_connection_string(&text);
        let theirs = said.iter().find(|(key, _)| *key == AzureConfigKey::AccountName).map(|(_, name)| name);
        let named = builder.get_config_value(&AzureConfigKey::AccountName);
        // Its key is of no use for another account.
        let is_meant = target.account.as_ref().or(named.as_ref()).is_none_or(|name| Some(name) == theirs);
        for (key, value) in if is_meant { said } else { Vec::new() } {
            if builder.get_config_value(&key).is_none_or(|there| there == "false") {
                builder = builder.with_config(key, value);
            }
        }
    }
    if let Some(account) = &target.account {
        builder = builder.with_account(account);
    }
    let account = builder.get_config_value(&AzureConfigKey::AccountName);
    if let Some(endpoint) = &target.endpoint {
        let is_emulator = account.as_deref() == Some(EMULATOR.0);
        builder = builder.with_use_emulator(false).with_endpoint(of_account(endpoint, is_emulator));
        let others = [AzureConfigKey::AccessKey, AzureConfigKey::SasKey, AzureConfigKey::Token];
        if is_emulator && others.iter().all(|key| builder.get_config_value(key).is_none()) {
            builder = builder.with_access_key(EMULATOR.1);
        }
    }
    if target.is_anonymous {
        builder = builder.with_skip_signature(true);
    }
    let is_emulator = builder.get_config_value(&AzureConfigKey::UseEmulator).as_deref() == Some("true");
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    let options = options(is_emulator || is_plain(endpoint.as_deref()));
    Ok(Arc::new(builder.with_client_options(options).with_retry(once()).build()?))
}

/// What a connection string says, in the form in which Azure's portal shows them.
fn of_connection_string(text: &str) -> Vec<(AzureConfigKey, String)> {
    let pairs = text.split(';').filter_map(|part| part.split_once('='));
    let pairs: Vec<_> = pairs.map(|(name, value)| (name.trim(), value.trim())).collect();
    let value = |name| pairs.iter().find(|(there, _)| *there == name).map(|(_, value)| (*value).to_owned());
    let account = value("AccountName");
    let of_suffix = || {
        let (account, suffix) = (account.as_ref()?, value("EndpointSuffix")?);
        let protocol = value("DefaultEndpointsProtocol").unwrap_or_else(|| "https".to_owned());
        Some(format!("{protocol}://{account}.blob.{suffix}"))
    };
    let said = [
        (AzureConfigKey::UseEmulator, value("UseDevelopmentStorage")),
        (AzureConfigKey::Endpoint, value("BlobEndpoint").or_else(of_suffix)),
        (AzureConfigKey::AccessKey, value("AccountKey")),
        (AzureConfigKey::SasKey, value("SharedAccessSignature")),
        (AzureConfigKey::AccountName, account),
    ];
    said.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// An endpoint with the account in its path, where it is the emulator's: that has no name of its own for each account.
fn of_account(endpoint: &str, is_emulator: bool) -> String {
    let has_path = endpoint.split_once("://").is_some_and(|(_, host)| host.contains('/'));
    if is_emulator && !has_path { format!("{endpoint}/{}", EMULATOR.0) } else { endpoint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_names_account_key_and_endpoint() {
        use AzureConfigKey::{AccessKey, AccountName, Endpoint, SasKey, UseEmulator};
        let text = "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=a+b/c==;EndpointSuffix=core.windows.net";
        let expected = [
            (Endpoint, "https://shop.blob.core.windows.net".to_owned()),
            (AccessKey, "a+b/c==".to_owned()),
            (AccountName, "shop".to_owned()),
        ];
        assert_eq!(of_connection_string(text), expected);
        let text = "BlobEndpoint=http://h/shop; SharedAccessSignature=sv=1&sig=2 ;QueueEndpoint=x;";
        let expected = [(Endpoint, "http://h/shop".to_owned()), (SasKey, "sv=1&sig=2".to_owned())];
        assert_eq!(of_connection_string(text), expected);
        assert_eq!(of_connection_string("UseDevelopmentStorage=true"), [(UseEmulator, "true".to_owned())]);
        assert_eq!(of_connection_string("nonsense"), []);
    }
}
