//! Pages of lists: `limit` and an opaque `cursor`.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::agent::FieldError;

/// Most elements of one page.
const MAX_LIMIT: usize = 200;
/// Elements of a page that says nothing.
const DEFAULT_LIMIT: usize = 50;

/// What a list without filters takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    /// Most elements of the page; 50 without it.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The page before this one's `next_cursor`.
    cursor: Option<String>,
}

impl PageParams {
    /// The size of the page asked for.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }

    /// The element behind which the page begins.
    pub(super) fn after<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        after(self.cursor.as_deref())
    }
}

/// The size of the page asked for.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("must be 1 to {MAX_LIMIT}");
    Err(Problem::invalid(vec![FieldError { pointer: "/limit".to_owned(), detail }]))
}

/// The element behind which the page begins.
pub(super) fn after<T: FromStr>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| {
        let detail = "is none that this list gave".to_owned();
        Problem::invalid(vec![FieldError { pointer: "/cursor".to_owned(), detail }])
    })
}

/// The cursor of a page that begins at this place.
pub(super) fn at(place: impl Display) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// Cuts what was read, one more than `limit`, to a page, and gives the cursor of the next one.
pub(super) fn page<T, P: Display>(
    mut items: Vec<T>,
    limit: usize,
    place: impl Fn(&T) -> P,
) -> (Vec<T>, Option<String>) {
    if items.len() <= limit {
        return (items, None);
    }
    items.truncate(limit);
    let next = items.last().map(|last| at(place(last)));
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let items = |from: u32| (from..7).take(4).collect::<Vec<_>>();
        let (first, next) = page(items(0), 3, |item| *item);
        assert_eq!(first, [0, 1, 2]);
        let after = after::<u32>(next.as_deref()).unwrap().unwrap();
        let (second, next) = page(items(after + 1), 3, |item| *item);
        assert_eq!((second, next.is_some()), (vec![3, 4, 5], true));
        let (last, next) = page(items(6), 3, |item| *item);
        assert_eq!((last, next), (vec![6], None));
    }

    #[test]
    fn limits_and_cursors_out_of_range_are_refused() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some(200)).unwrap(), 200);
        assert!(limit(Some(0)).is_err());
        assert!(limit(Some(201)).is_err());
        assert!(after::<u32>(Some("nonsense")).is_err());
        assert!(after::<u32>(Some("")).is_err());
    }
}
