//! A bucket as the journal sees it.
//!
//! Owns the five verbs over the client, and the client's settings. The client itself sends nothing twice: whether that is right only
//! the journal knows.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Name;
use object_store::{
    ClientOptions, Error as Cause, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    UpdateVersion,
};

use super::errors::trouble;
use super::target::CloudUrl;
use crate::backend::calls::Calls;
use crate::backend::journal::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::error::{Error, ErrorKind, Result};

/// How long a service may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may say nothing while an answer is due.
const SILENCE: Duration = Duration::from_secs(15);

/// How long one request may take altogether, however large it is.
const LONGEST: Duration = Duration::from_secs(300);

/// A bucket.
pub(super) struct CloudBucket {
    target: CloudUrl,
    place: PathBuf,
    store: Arc<dyn ObjectStore>,
    calls: Calls,
}

impl fmt::Debug for CloudBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudBucket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl CloudBucket {
    /// The way to a bucket. Nothing is asked of it yet.
    pub(super) fn new(target: &CloudUrl) -> Result<Self> {
        let place = PathBuf::from(target.to_string());
        let store = client(target).map_err(|cause| {
            // What the crate says may repeat a setting.
            drop(cause);
            let reason = "a setting cannot be used; look at the AWS_ variables, the endpoint and the region";
            Error::new(ErrorKind::InvalidInput, format!("s3: {reason}")).at(&place, None)
        })?;
        Ok(Self { target: target.clone(), store, place, calls: Calls::new()? })
    }

    fn name(&self, name: &str) -> Answer<Name> {
        let unusable = |_| Trouble::Final(Error::invalid("the prefix holds what no object's name may hold"));
        Name::parse(self.target.name(name)).map_err(unusable)
    }

    fn wait<T: Send>(
        &self,
        future: impl Future<Output = Result<T, Cause>> + Send,
    ) -> Answer<Result<T, Cause>> {
        self.calls
            .wait(future)
            .ok_or_else(|| Trouble::Open(Error::new(ErrorKind::Failed, "the request was given up")))
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode) -> Answer<Written> {
        let (name, payload) = (self.name(name)?, PutPayload::from(bytes.to_vec()));
        match self.wait(self.store.put_opts(&name, payload, PutOptions::from(mode.clone())))? {
            Ok(_) => Ok(Written::Done),
            Err(Cause::AlreadyExists { .. }) if mode == PutMode::Create => Ok(Written::Refused),
            Err(Cause::Precondition { .. }) => Ok(Written::Refused),
            // What is gone is not as it was read.
            Err(Cause::NotFound { .. }) if mode != PutMode::Create => Ok(Written::Refused),
            Err(cause) => Err(trouble(&cause)),
        }
    }
}

/// The client, with what the environment, the URL and the machine say.
fn client(target: &CloudUrl) -> Result<Arc<dyn ObjectStore>, Cause> {
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
    let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = keys.iter().find_map(|key| builder.get_config_value(key));
    // Who names such an endpoint means it.
    let is_plain = endpoint.is_some_and(|url| url.starts_with("http://"));
    let options = ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT)
        .with_read_timeout(SILENCE)
        .with_timeout(LONGEST);
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    Ok(Arc::new(builder.with_client_options(options).with_retry(retry).build()?))
}

impl Objects for CloudBucket {
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written> {
        self.put(name, bytes, PutMode::Create)
    }

    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written> {
        self.put(name, bytes, PutMode::Update(UpdateVersion { e_tag: Some(read.0.clone()), version: None }))
    }

    fn get(&self, name: &str) -> Answer<Option<Found>> {
        let name = self.name(name)?;
        let answer = self.wait(async {
            let found = self.store.get(&name).await?;
            let version = Version(found.meta.e_tag.clone().unwrap_or_default());
            Ok((version, found.bytes().await?))
        })?;
        match answer {
            Ok((version, bytes)) => Ok(Some(Found { bytes: bytes.to_vec(), version })),
            Err(Cause::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => Ok(None),
            Err(cause) => Err(trouble(&cause)),
        }
    }

    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>> {
        // The client lists folders only; the names in them are told apart here.
        let within = self.name(prefix.rsplit_once('/').map_or("", |(folder, _)| folder))?;
        let offset = if behind.is_empty() { None } else { Some(self.name(behind)?) };
        let answer = self.wait(async {
            let listed = match &offset {
                Some(offset) => self.store.list_with_offset(Some(&within), offset),
                None => self.store.list(Some(&within)),
            };
            listed.try_collect::<Vec<_>>().await
        })?;
        let listed = answer.map_err(|cause| trouble(&cause))?;
        let own = self.target.name("");
        let names = listed.iter().filter_map(|meta| meta.location.as_ref().strip_prefix(&own));
        let is_meant = |name: &&str| name.starts_with(prefix) && *name > behind;
        let mut names: Vec<String> = names.filter(is_meant).map(str::to_owned).collect();
        // Not every server lists in the order of bytes.
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Answer<()> {
        let name = self.name(name)?;
        match self.wait(self.store.delete(&name))? {
            Ok(()) | Err(Cause::NotFound { .. }) => Ok(()),
            Err(cause) => Err(trouble(&cause)),
        }
    }

    fn pause(&self, tries: u32) -> bool {
        Calls::pause(tries)
    }

    fn place(&self) -> &Path {
        &self.place
    }
}
