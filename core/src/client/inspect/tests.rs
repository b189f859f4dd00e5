use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn tags_are_ordered_as_people_count() {
    let mut tags = ["v10", "v2", "1.10", "latest", "v02", "1.9", "v2-rc1", "-1", "v0", "va", ""];
    tags.sort_by(|a, b| natural(a, b));
    assert_eq!(tags, ["", "1.9", "1.10", "-1", "latest", "v0", "v2", "v2-rc1", "v02", "v10", "va"]);
}

fn keys(signed: &[bool]) -> Vec<InspectedKey> {
    let id = |index| format!("{index:02x}").repeat(32);
    signed.iter().enumerate().map(|(index, &signed)| InspectedKey { id: id(index + 1), signed }).collect()
}

fn chain() -> Inspection {
    let day = |days: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400));
    let role = |name: &str, keys, version, expires| InspectedRole {
        name: name.into(),
        keys,
        threshold: 1,
        version,
        expires,
        ..InspectedRole::default()
    };
    let all = vec![String::new()];
    let targets = role(role::TARGETS, keys(&[true]), Some(4), day(20_010));
    let alice = role("targets/alice", keys(&[true, false]), Some(2), day(20_005));
    let below = role("targets/alice/qa", keys(&[]), None, None);
    let late = role("targets/late", keys(&[true]), Some(1), day(10_000));
    let roles = vec![
        InspectedRole { threshold: 2, ..role(role::ROOT, keys(&[true, true, true]), Some(1), day(20_100)) },
        InspectedRole { paths: all.clone(), ..targets },
        InspectedRole { tags: 12, paths: all.clone(), ..alice },
        InspectedRole { paths: vec!["qa-".into(), "rc-".into()], ..below },
        InspectedRole { tags: 1, paths: all, excluded: Some("it is expired".into()), ..late },
        role(role::SNAPSHOT, keys(&[true]), Some(9), day(20_010)),
        role(role::TIMESTAMP, keys(&[true]), Some(11), day(20_001)),
    ];
    Inspection { name: "registry.example/team/app".into(), roles, ..Inspection::default() }
}

#[test]
fn a_tree_shows_every_role_below_the_one_that_vouches_for_it() {
    let expected = "\
registry.example/team/app

ROLE                       VERSION  EXPIRES        TAGS  NEEDED  KEYS
root                       1        2025-01-12           2 of 3  010101010101, 020202020202
│                                                                030303030303
├─ targets                 4        2024-10-14     0     1 of 1  010101010101
│  ├─ targets/alice        2        2024-10-09     12    1 of 2  010101010101, (020202020202)
│  │  └─ targets/alice/qa           not published        1 of 0
│  └─ targets/late         1        1997-05-19     1     1 of 1  010101010101
│        does not count: it is expired
├─ snapshot                9        2024-10-14           1 of 1  010101010101
└─ timestamp               11       2024-10-05           1 of 1  010101010101

First to expire: timestamp, 2024-10-05
";
    assert_eq!(chain().to_tree(93), expected);
    assert!(chain().to_tree(usize::MAX).contains("020202020202, 030303030303\n"));
    assert!(
        chain()
            .to_tree(0)
            .contains("\n│                                                                020202020202\n")
    );
}

#[test]
fn a_picture_shows_every_role_and_key() {
    let svg = chain().to_svg();
    for role in &chain().roles {
        assert!(svg.contains(&format!("<title>{}</title>", role.name)));
    }
    let count = |what: &str| svg.matches(what).count();
    assert_eq!(
        (count("<path class=\"way\""), count("class=\"signed\""), count("class=\"unsigned\"")),
        (6, 8, 1)
    );
    for said in
        ["2 of 3 keys must sign:", "12 tags", "not published", "only qa-*, rc-*", "v11", "it is expired"]
    {
        assert!(svg.contains(said), "{said}");
    }
    assert!(svg.contains("<text class=\"soon\" x=\"16\" y=\"46\">expires 2024-10-05</text>"));
}

#[test]
fn names_from_elsewhere_are_only_text() {
    let mut hostile = chain();
    hostile.name = "a</title><script>alert(1)</script>&\"\u{1b}[2J\u{202e}\u{0}".into();
    for role in &mut hostile.roles {
        role.excluded = Some("<b>\n\u{7}".into());
        role.keys = vec![InspectedKey { id: "<i>&\u{9b}".into(), signed: true }];
        role.paths = vec!["\"><a href=".into()];
    }
    let (svg, tree) = (hostile.to_svg(), hostile.to_tree(80));
    for forbidden in ["<script", "<b>", "<i>", "<a ", "\u{1b}", "\u{202e}", "\u{0}", "\u{7}", "\u{9b}"] {
        assert!(!svg.contains(forbidden), "{forbidden:?}");
    }
    assert!(
        svg.contains("a&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;\\u{1b}[2J\\u{202e}\\0")
    );
    assert!(tree.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{tree}");
}

#[test]
fn an_empty_chain_can_be_drawn() {
    let empty = Inspection::default();
    assert!(empty.to_tree(80).starts_with("\n\nROLE"));
    assert!(empty.to_svg().ends_with("</svg>\n"));
}
