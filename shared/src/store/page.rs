use serde::Deserialize;

/// Some of the rows that were found: as many as were asked for, and as fit one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether more follow after the last of them.
    pub more: bool,
}

/// A row, with how many were found together with it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line<T> {
    found: usize,
    pub(super) row: T,
}

impl<T> Page<T> {
    /// What is bound as the limit where at most `limit` rows are wanted: one more tells whether more follow.
    pub(super) const fn to_find(limit: u32) -> u32 {
        limit.saturating_add(1)
    }

    /// At most `limit` rows of those that [`Page::to_find`] found.
    pub(super) fn of(lines: Vec<Line<T>>, limit: u32) -> Self {
        let found = lines.first().map_or(0, |line| line.found);
        let rows: Vec<T> = lines.into_iter().take(limit as usize).map(|line| line.row).collect();
        Self { more: found > rows.len(), rows }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Page};

    #[test]
    fn a_page_says_whether_more_follow_also_where_not_all_fit() {
        for (limit, found, sent, kept, more) in [
            (2, 0, 0, 0, false),
            (2, 1, 1, 1, false),
            (2, 2, 2, 2, false),
            (2, 3, 3, 2, true),
            (2, 3, 2, 2, true),
            (2, 2, 1, 1, true),
            (2, 3, 1, 1, true),
            (u32::MAX, 1, 1, 1, false),
        ] {
            let lines = (0..sent).map(|row| Line { found, row }).collect();
            let page = Page::of(lines, limit);
            assert_eq!(
                (page.rows, page.more),
                ((0..kept).collect::<Vec<i32>>(), more),
                "{limit} {found} {sent}"
            );
        }
    }
}
