//! A bucket as the journal sees it.
//!
//! Owns the five verbs over the client, and what tells one content of an object from the next in each cloud.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path as Name;
use object_store::{
    Attribute, Attributes, Error as Cause, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};

use super::client::{client, settings};
use super::errors::{Act, is_absence, is_refusal, trouble};
use super::target::{Cloud, CloudUrl};
use crate::backend::journal::objects::{Answer, Found, Objects, Trouble, Version, Written};
use crate::backend::pauses;
use crate::backend::runtime::Calls;
use crate::error::{Error, ErrorKind, Result};

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
            let (scheme, reason) = (target.cloud.scheme(), settings(target.cloud));
            Error::new(ErrorKind::InvalidInput, format!("{scheme}: {reason}")).at(&place, None)
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

    fn trouble(&self, act: Act, cause: &Cause) -> Trouble {
        trouble(self.target.cloud, act, cause)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode) -> Answer<Written> {
        let act = if mode == PutMode::Create { Act::Create } else { Act::Replace };
        let (name, payload) = (self.name(name)?, PutPayload::from(bytes.to_vec()));
        let mut options = PutOptions::from(mode);
        if self.target.cloud == Cloud::Gcs {
            // What everybody may read is kept for an hour by those in between, if nothing else is said.
            options.attributes = Attributes::from_iter([(Attribute::CacheControl, "no-store")]);
        }
        match self.wait(self.store.put_opts(&name, payload, options))? {
            Ok(_) => Ok(Written::Done),
            Err(cause) if is_refusal(self.target.cloud, act, &cause) => Ok(Written::Refused),
            Err(cause) => Err(self.trouble(act, &cause)),
        }
    }

    /// What tells the content that was read from the one that replaces it.
    fn version(&self, read: &GetResult) -> Version {
        let version = match self.target.cloud {
            Cloud::S3 | Cloud::Azure => &read.meta.e_tag,
            // The generation: a condition on the entity tag is none for a write there.
            Cloud::Gcs => &read.meta.version,
        };
        Version(version.clone().unwrap_or_default())
    }
}

impl CloudBucket {
    fn listed(&self, prefix: &str, behind: &str) -> Answer<Vec<(String, u64)>> {
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
        let listed = answer.map_err(|cause| self.trouble(Act::Read, &cause))?;
        let own = self.target.name("");
        let sized = listed.iter().map(|meta| (meta.location.as_ref().strip_prefix(&own), meta.size));
        let names = sized.filter_map(|(name, size)| Some((name?, size)));
        let is_meant = |(name, _): &(&str, u64)| name.starts_with(prefix) && *name > behind;
        let mut names: Vec<(String, u64)> =
            names.filter(is_meant).map(|(name, size)| (name.to_owned(), size)).collect();
        // Not every server lists in the order of bytes.
        names.sort_unstable();
        Ok(names)
    }
}

impl Objects for CloudBucket {
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written> {
        self.put(name, bytes, PutMode::Create)
    }

    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written> {
        if read.0.is_empty() {
            let reason = "the server does not say which version of an object it has, without which it cannot be written to";
            return Err(Trouble::Final(Error::new(ErrorKind::Unsupported, reason)));
        }
        let version = Some(read.0.clone());
        let version = match self.target.cloud {
            Cloud::S3 | Cloud::Azure => UpdateVersion { e_tag: version, version: None },
            Cloud::Gcs => UpdateVersion { e_tag: None, version },
        };
        self.put(name, bytes, PutMode::Update(version))
    }

    fn get(&self, name: &str) -> Answer<Option<Found>> {
        let name = self.name(name)?;
        let answer = self.wait(async {
            let found = self.store.get(&name).await?;
            let version = self.version(&found);
            Ok((version, found.bytes().await?))
        })?;
        match answer {
            Ok((version, bytes)) => Ok(Some(Found { bytes: bytes.to_vec(), version })),
            Err(cause) if is_absence(&cause) => Ok(None),
            Err(cause) => Err(self.trouble(Act::Read, &cause)),
        }
    }

    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>> {
        Ok(self.listed(prefix, behind)?.into_iter().map(|(name, _)| name).collect())
    }

    fn list_sized(&self, prefix: &str) -> Answer<Vec<(String, u64)>> {
        self.listed(prefix, "")
    }

    fn delete(&self, name: &str) -> Answer<()> {
        let name = self.name(name)?;
        match self.wait(self.store.delete(&name))? {
            Ok(()) => Ok(()),
            Err(cause) if is_absence(&cause) => Ok(()),
            Err(cause) => Err(self.trouble(Act::Delete, &cause)),
        }
    }

    fn pause(&self, tries: u32) -> bool {
        pauses::pause(tries)
    }

    fn place(&self) -> &Path {
        &self.place
    }
}
