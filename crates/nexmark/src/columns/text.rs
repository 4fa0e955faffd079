//! Text columns as Arrow views of the static tables, without a copy and without a check.
//!
//! Why unsafe: Arrow's checked constructor looks at every byte of every text again, which took
//! half of the time of generating a batch. The invariant that replaces it: a [`TextView`] is made
//! only here, from a text of its table `B` and that text's own offset, and all tables are ASCII;
//! so it is valid for the buffers of `B`. Debug builds, hence all tests, run the check as well.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use arrow_array::StringViewArray;
use arrow_array::builder::make_view;
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::ArrowError;

use crate::tables::{Span, Tables, url, urls};

/// A table that views refer to.
pub(super) trait TextTable: Copy {
    /// What the views of an array need.
    fn buffers() -> Arc<[Buffer]>;
}

/// The random letters.
#[derive(Clone, Copy)]
pub(super) struct Letters;

/// The addresses of the channels.
#[derive(Clone, Copy)]
pub(super) struct Urls;

/// Texts of at most 12 bytes, which the views themselves hold.
#[derive(Clone, Copy)]
pub(super) struct Short;

impl TextTable for Letters {
    fn buffers() -> Arc<[Buffer]> {
        Arc::clone(&SHARED.letters)
    }
}

impl TextTable for Urls {
    fn buffers() -> Arc<[Buffer]> {
        Arc::clone(&SHARED.urls)
    }
}

impl TextTable for Short {
    fn buffers() -> Arc<[Buffer]> {
        Arc::clone(&SHARED.none)
    }
}

/// An Arrow view of a text of the table `B`; the default is the empty text.
#[derive(Clone, Copy)]
pub(super) struct TextView<B>(u128, PhantomData<B>);

impl<B> Default for TextView<B> {
    fn default() -> Self {
        Self(0, PhantomData)
    }
}

impl TextView<Letters> {
    #[inline]
    pub(super) fn letters(span: Span) -> Self {
        let text = SHARED.tables.letters(span);
        Self(make_view(text.as_bytes(), 0, span.offset), PhantomData)
    }
}

impl TextView<Short> {
    #[inline]
    pub(super) fn channel_name(channel: u64) -> Self {
        SHARED.channels.get(channel as usize).map(|views| views.name).unwrap_or_default()
    }
}

impl TextView<Urls> {
    #[inline]
    pub(super) fn channel_url(channel: u64) -> Self {
        SHARED.channels.get(channel as usize).map(|views| views.url).unwrap_or_default()
    }
}

/// The column of these texts.
pub(super) fn text_array<B: TextTable>(
    views: Vec<TextView<B>>,
    nulls: Option<NullBuffer>,
) -> Result<StringViewArray, ArrowError> {
    // Same size and alignment: this reuses the vector's memory.
    let views: Vec<u128> = views.into_iter().map(|view| view.0).collect();
    if cfg!(debug_assertions) || nulls.as_ref().is_some_and(|nulls| nulls.len() != views.len()) {
        return StringViewArray::try_new(views.into(), B::buffers(), nulls);
    }
    // SAFETY: by the invariant of this module each view is valid for the buffers of its table,
    // and the null buffer is as long as the views, which is all that try_new asks for.
    Ok(unsafe { StringViewArray::new_unchecked(views.into(), B::buffers(), nulls) })
}

static SHARED: LazyLock<Shared> = LazyLock::new(Shared::build);

/// The tables as Arrow buffers, and the views of the channels.
struct Shared {
    tables: &'static Tables,
    letters: Arc<[Buffer]>,
    urls: Arc<[Buffer]>,
    none: Arc<[Buffer]>,
    channels: Vec<ChannelViews>,
}

struct ChannelViews {
    name: TextView<Short>,
    url: TextView<Urls>,
}

impl Shared {
    fn build() -> Self {
        let tables = Tables::get();
        let channels = tables.channels().iter().enumerate();
        let channels = channels.map(|(c, channel)| ChannelViews {
            name: TextView(make_view(channel.name.as_bytes(), 0, 0), PhantomData),
            url: TextView(make_view(channel.url.as_bytes(), 0, url(c).1), PhantomData),
        });
        Self {
            tables,
            letters: static_buffer(tables.text()),
            urls: static_buffer(urls()),
            none: Arc::new([]),
            channels: channels.collect(),
        }
    }
}

/// A buffer over the text itself, without a copy.
fn static_buffer(text: &'static str) -> Arc<[Buffer]> {
    Arc::new([Buffer::from(bytes::Bytes::from_static(text.as_bytes()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_fit_into_their_views() {
        let mut names = Tables::get().channels().iter().map(|channel| channel.name.len());
        assert!(names.all(|len| len <= 12));
    }
}
