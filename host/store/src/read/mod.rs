//! Reading: every operation is one bounded read transaction, or none.

mod agents;
mod api_keys;
mod configs;
mod files;
mod history;
mod log;
mod master_key;
mod plugins;
mod turns;
mod vault;
mod verdicts;

pub use history::LeafPage;
pub use log::MAX_ENTRIES;
pub use master_key::MAX_DATA_KEYS;
pub use turns::MAX_LOOKBACK;

/// Most elements of one page, whatever is asked for.
pub const MAX_PAGE: usize = 1000;
