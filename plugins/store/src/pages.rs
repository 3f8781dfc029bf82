//! Page after page of a listing, for as long as it leads on.

use std::collections::{BTreeMap, BTreeSet};

use opendal_core::Result;

use crate::response::{Broken, StoreError};
use crate::wire::typed;

/// So many pages in a row may bring nothing new: a store passes over what was deleted, but not for ever.
const EMPTY: u32 = 1000;

/// A part of a listing, and what the next one is asked for with; None: it was the last.
pub(crate) struct Page<K, V, M> {
    pub entries: Vec<(K, V)>,
    pub next: Option<M>,
}

/// Everything that `ask` gives, page by page. A listing that leads back to where it was, or on to nothing new for too
/// long, is an error.
pub(crate) async fn all<K: Ord, V, M: Ord + Clone>(
    mut ask: impl AsyncFnMut(Option<&M>) -> Result<Page<K, V, M>>,
) -> Result<BTreeMap<K, V>> {
    let (mut found, mut asked, mut marker, mut empty) = (BTreeMap::new(), BTreeSet::new(), None, 0);
    loop {
        let Page { entries, next } = ask(marker.as_ref()).await?;
        let before = found.len();
        found.extend(entries);
        let Some(next) = next else { return Ok(found) };
        empty = if found.len() == before { empty + 1 } else { 0 };
        if empty > EMPTY {
            return Err(endless(&format!("{EMPTY} pages in a row bring nothing new")));
        }
        if !asked.insert(next.clone()) {
            return Err(endless("a page leads back to an earlier one"));
        }
        marker = Some(next);
    }
}

fn endless(why: &str) -> opendal_core::Error {
    typed(&StoreError::broken(Broken::Foreign, format!("the listing does not end: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is listed by pages of these entries and markers, which are numbers of pages.
    fn list(pages: impl Fn(usize) -> (Vec<u32>, Option<usize>)) -> Result<Vec<u32>> {
        let ask = async |marker: Option<&usize>| {
            let (entries, next) = pages(marker.copied().unwrap_or_default());
            Ok(Page { entries: entries.into_iter().map(|key| (key, ())).collect(), next })
        };
        let listed = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(all(ask));
        listed.map(|found| found.into_keys().collect())
    }

    #[test]
    fn pages_are_joined_and_empty_ones_passed_over() {
        let pages = |page| match page {
            0 => (vec![1, 2], Some(1)),
            500 => (vec![3], None),
            page => (vec![], Some(page + 1)),
        };
        assert_eq!(list(pages).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        let back = list(|page| (vec![u32::try_from(page).unwrap()], Some((page + 1) % 3))).unwrap_err();
        assert!(back.to_string().contains("back to an earlier one"), "{back}");
        let on = list(|page| (vec![7], Some(page + 1))).unwrap_err();
        assert!(on.to_string().contains("nothing new"), "{on}");
    }
}
