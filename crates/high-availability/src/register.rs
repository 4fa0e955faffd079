//! Fenced records: shared by leaders that follow one another, changed by the latest alone.
//!
//! A record holds the highest fencing token that has written it, a revision that counts its
//! writes, and a content. A handle writes with the token of its leader:
//!
//! 1. Read. A higher token in the record means that the handle's leader has been superseded.
//! 2. Decide, from the content that was read, what it should become.
//! 3. Write that, with the handle's token and the next revision, on condition that nothing has
//!    changed; after a conflict begin again.
//!
//! If a write may or may not have happened, the handle reads and decides again: decisions look for
//! their own effect and are content when they find it. So handles need no lock, and several may
//! be used at once.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use hurtig_cluster_api::FencingToken;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::HighAvailabilityError,
    options::RetryOptions,
    store::{Precondition, RecordStore, RecordStoreError, RecordVersion},
};

/// Format of the records.
const FORMAT: u32 = 1;
/// ZooKeeper refuses records of a mebibyte, so nobody writes them that large.
pub(crate) const MOST_RECORD_BYTES: usize = 900 * 1024;
/// Conflicts in a row after which a change is given up. Each means that another made progress.
const MOST_CONFLICTS: u32 = 1000;

/// What is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FencedRecord<C> {
    format: u32,
    pub token: u64,
    pub revision: u64,
    pub content: C,
}

impl<C> FencedRecord<C> {
    /// For tests and fuzzers.
    pub(crate) fn sample(token: FencingToken, revision: u64, content: C) -> Self {
        Self { format: FORMAT, token: token.0, revision, content }
    }
}

/// What a handle may do with a record. Pure.
pub(crate) enum Verdict<C> {
    /// A later leader owns it.
    Fenced(FencingToken),
    /// It may decide on this content, and write the next record.
    Mine { content: C, revision: u64, claimed: bool },
}

/// Judges a record for the leader of a token.
pub(crate) fn judge<C: Default>(record: Option<FencedRecord<C>>, mine: FencingToken) -> Verdict<C> {
    match record {
        None => Verdict::Mine { content: C::default(), revision: 0, claimed: false },
        Some(record) if record.token > mine.0 => Verdict::Fenced(FencingToken(record.token)),
        Some(FencedRecord { token, revision, content, .. }) => {
            Verdict::Mine { content, revision, claimed: token == mine.0 }
        }
    }
}

/// What a decision makes of a content.
#[derive(Debug)]
pub enum Change<C, R> {
    /// It becomes this, and the caller gets that.
    To(C, R),
    /// It stays, and the caller gets this.
    None(R),
}

/// A content as it was read, to be replaced if it has not changed.
#[derive(Debug)]
pub struct Seen<C> {
    /// The content.
    pub content: C,
    revision: u64,
    claimed: bool,
    precondition: Precondition,
}

/// A fenced record, as the leader of one token sees it. Cloning is cheap.
#[derive(Debug)]
pub struct FencedRegister<C> {
    store: Arc<dyn RecordStore>,
    key: Arc<str>,
    token: FencingToken,
    retry: RetryOptions,
    content: PhantomData<fn() -> C>,
}

impl<C> Clone for FencedRegister<C> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            key: self.key.clone(),
            token: self.token,
            retry: self.retry.clone(),
            content: PhantomData,
        }
    }
}

/// Reads a fenced record without being its leader.
pub(crate) async fn read_record<C: DeserializeOwned>(
    store: &dyn RecordStore,
    key: &str,
) -> Result<Option<(FencedRecord<C>, RecordVersion)>, HighAvailabilityError> {
    let Some(read) = store.get(key).await? else {
        return Ok(None);
    };
    Ok(Some((decode(key, &read.bytes)?, read.version)))
}

pub(crate) fn decode<C: DeserializeOwned>(
    key: &str,
    bytes: &[u8],
) -> Result<FencedRecord<C>, HighAvailabilityError> {
    let damaged = |problem| HighAvailabilityError::Damaged { key: key.to_owned(), problem };
    let record: FencedRecord<C> =
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if record.format != FORMAT {
        return Err(damaged(format!("format {} is not known", record.format)));
    }
    Ok(record)
}

impl<C: Serialize + DeserializeOwned + Clone + Default> FencedRegister<C> {
    /// The record of that key, for the leader of that token.
    pub fn new(
        store: Arc<dyn RecordStore>,
        key: impl Into<Arc<str>>,
        token: FencingToken,
        retry: RetryOptions,
    ) -> Self {
        Self { store, key: key.into(), token, retry, content: PhantomData }
    }

    /// The token that it writes with.
    pub fn token(&self) -> FencingToken {
        self.token
    }

    fn bytes(&self, content: C, revision: u64) -> Result<Bytes, HighAvailabilityError> {
        let record = FencedRecord { format: FORMAT, token: self.token.0, revision, content };
        let bytes = serde_json::to_vec(&record).map_err(|error| {
            let problem = error.to_string();
            HighAvailabilityError::Damaged { key: self.key.to_string(), problem }
        })?;
        if bytes.len() > MOST_RECORD_BYTES {
            return Err(HighAvailabilityError::TooLarge {
                key: self.key.to_string(),
                bytes: bytes.len(),
                limit: MOST_RECORD_BYTES,
            });
        }
        Ok(bytes.into())
    }

    async fn read_once(&self) -> Result<Seen<C>, HighAvailabilityError> {
        let read = read_record(&*self.store, &self.key).await?;
        let (record, precondition) = match read {
            None => (None, Precondition::Absent),
            Some((record, version)) => (Some(record), Precondition::Unchanged(version)),
        };
        match judge(record, self.token) {
            Verdict::Mine { content, revision, claimed } => {
                Ok(Seen { content, revision, claimed, precondition })
            }
            Verdict::Fenced(current) => Err(HighAvailabilityError::Fenced {
                key: self.key.to_string(),
                mine: self.token,
                current,
            }),
        }
    }

    /// Reads the content, unless a later leader owns it. Tries again while the store does not
    /// answer, as long as the options say.
    pub async fn read(&self) -> Result<Seen<C>, HighAvailabilityError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            match self.read_once().await {
                Err(HighAvailabilityError::Store(error @ RecordStoreError::Unavailable { .. })) => {
                    patience.wait(&self.key, error).await?;
                }
                result => return result,
            }
        }
    }

    /// Replaces a content that was read, once: a conflict and an uncertain answer are errors.
    pub async fn replace(&self, seen: Seen<C>, content: C) -> Result<(), HighAvailabilityError> {
        let bytes = self.bytes(content, seen.revision + 1)?;
        self.store.put(&self.key, bytes, seen.precondition).await?;
        Ok(())
    }

    /// Changes the content by a decision, which may be taken several times, also after it has
    /// come true already. See the module documentation. A record that is not there is made.
    pub async fn update<R>(
        &self,
        decide: impl FnMut(C) -> Result<Change<C, R>, HighAvailabilityError>,
    ) -> Result<R, HighAvailabilityError> {
        let answer = self.change(true, decide).await?;
        // Only records that must be there already can be missing.
        answer.ok_or_else(|| HighAvailabilityError::Damaged {
            key: self.key.to_string(),
            problem: "it was neither read nor made".to_owned(),
        })
    }

    /// As [`FencedRegister::update`], but a record that is not there stays so, and is `None`.
    pub async fn update_existing<R>(
        &self,
        decide: impl FnMut(C) -> Result<Change<C, R>, HighAvailabilityError>,
    ) -> Result<Option<R>, HighAvailabilityError> {
        self.change(false, decide).await
    }

    async fn change<R>(
        &self,
        create: bool,
        mut decide: impl FnMut(C) -> Result<Change<C, R>, HighAvailabilityError>,
    ) -> Result<Option<R>, HighAvailabilityError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            let seen = self.read().await?;
            if !create && !seen.exists() {
                return Ok(None);
            }
            let (content, answer) = match decide(seen.content.clone())? {
                Change::None(answer) => return Ok(Some(answer)),
                Change::To(content, answer) => (content, answer),
            };
            match self.replace(seen, content).await {
                Ok(()) => return Ok(Some(answer)),
                Err(error) => patience.after(&self.key, error).await?,
            }
        }
    }

    /// Makes the record this leader's, and returns its content: what all earlier leaders together
    /// have left. Their writes have no effect any more. A record that is not there is made only
    /// if `create` says so.
    pub async fn claim(&self, create: bool) -> Result<Option<C>, HighAvailabilityError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            let seen = self.read().await?;
            if seen.claimed {
                return Ok(Some(seen.content));
            }
            if !create && seen.precondition == Precondition::Absent {
                return Ok(None);
            }
            let content = seen.content.clone();
            match self.replace(seen, content.clone()).await {
                Ok(()) => return Ok(Some(content)),
                Err(error) => patience.after(&self.key, error).await?,
            }
        }
    }

    /// Whether the record is there, without regard to its leader.
    pub async fn exists(&self) -> Result<bool, HighAvailabilityError> {
        Ok(self.store.get(&self.key).await?.is_some())
    }
}

impl<C> Seen<C> {
    /// True if there is a record; else the content is the empty one.
    pub fn exists(&self) -> bool {
        self.precondition != Precondition::Absent
    }
}

/// How often and how long something is tried again.
pub(crate) struct Patience<'a> {
    retry: &'a RetryOptions,
    pause: Duration,
    waited: Duration,
    conflicts: u32,
}

impl<'a> Patience<'a> {
    pub fn new(retry: &'a RetryOptions) -> Self {
        Self { retry, pause: retry.first_pause, waited: Duration::ZERO, conflicts: 0 }
    }

    /// After a write that failed: returns if it may be tried again.
    pub async fn after(
        &mut self,
        key: &str,
        error: HighAvailabilityError,
    ) -> Result<(), HighAvailabilityError> {
        match error {
            HighAvailabilityError::Store(RecordStoreError::Conflict { .. })
                if self.conflicts < MOST_CONFLICTS =>
            {
                self.conflicts += 1;
                Ok(())
            }
            HighAvailabilityError::Store(error @ RecordStoreError::Unavailable { .. }) => {
                self.wait(key, error).await
            }
            error => Err(error),
        }
    }

    async fn wait(
        &mut self,
        key: &str,
        error: RecordStoreError,
    ) -> Result<(), HighAvailabilityError> {
        if self.waited >= self.retry.patience {
            return Err(HighAvailabilityError::Uncertain { key: key.to_owned(), source: error });
        }
        tracing::debug!(key, error = %error, "a record is not reachable, trying again");
        tokio::time::sleep(self.pause).await;
        self.waited += self.pause;
        self.pause = (self.pause * 2).min(self.retry.longest_pause);
        Ok(())
    }
}
