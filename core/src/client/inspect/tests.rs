use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn tags_are_ordered_as_people_count() {
    let mut tags = ["v10", "v2", "1.10", "latest", "v02", "1.9", "v2-rc1", "-1", "v0", "va", ""];
    tags.sort_by(|a, b| natural(a, b));
    assert_eq!(tags, ["", "1.9", "1.10", "-1", "latest", "v0", "v2", "v2-rc1", "v02", "v10", "va"]);
}
