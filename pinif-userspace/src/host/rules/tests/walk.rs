//! The walk through the rules, against one that knows the tables.

use std::net::IpAddr;

use super::*;

#[test]
fn the_rule_of_a_vrf_leads_to_its_table() {
    let l3mdev = rule(
        1000,
        Selector {
            l3mdev: true,
            ..all()
        },
        0,
    );
    let rules = Rules(vec![
        rule(0, all(), 255),
        l3mdev.clone(),
        rule(32766, all(), 254),
    ]);
    let bound = RouteQuery {
        output: Some(BLUE),
        ..query()
    };
    let inside = route_in(10, "10.0.0.0/24");
    assert_eq!(chosen(&rules, &bound, &inside), Some(l3mdev));
    let outside = route_in(254, "0.0.0.0/0");
    let fallen = chosen(&rules, &bound, &outside).expect("the rule for main");
    assert!(fallen.is_everywhere());
}

#[test]
fn suppressed_routes_and_jumps() {
    let suppressed = Rule {
        action: Action::Table {
            table: 254,
            suppressed_length: Some(0),
            suppressed_group: None,
        },
        ..rule(100, all(), 254)
    };
    let grouped = Rule {
        action: Action::Table {
            table: 254,
            suppressed_length: None,
            suppressed_group: Some(5),
        },
        ..rule(150, all(), 254)
    };
    let main = rule(32766, all(), 254);
    let rules = Rules(vec![suppressed.clone(), grouped.clone(), main.clone()]);
    let default = route_in(254, "0.0.0.0/0");
    let specific = route_in(254, "10.0.0.0/24");
    assert_eq!(chosen(&rules, &query(), &specific), Some(suppressed));
    let by_group = |group| {
        let links = links();
        let query = query();
        let flow = Flow::of(&query, &links);
        let chosen = rules.chosen(&flow, &default, &mut |_| group);
        chosen.map(|chosen| chosen.rule.clone())
    };
    assert_eq!(by_group(Some(0)), Some(grouped));
    assert_eq!(by_group(Some(5)), Some(main.clone()));
    assert_eq!(by_group(None), None);
    let jump = Rule {
        action: Action::Goto(300),
        ..rule(100, all(), 0)
    };
    let over = rule(200, all(), 254);
    let rules = Rules(vec![
        jump.clone(),
        over.clone(),
        rule(300, all(), 7),
        main.clone(),
    ]);
    assert_eq!(chosen(&rules, &query(), &default), Some(main.clone()));
    // A target that is not there is no jump.
    let rules = Rules(vec![jump, over.clone(), main]);
    assert_eq!(chosen(&rules, &query(), &default), Some(over));
}

/// The kernel's walk (`fib_rules_lookup`) through rules by mark and source, with tables that have these prefixes.
fn walk(rules: &[Rule], query: &RouteQuery, tables: &[(u32, Vec<u8>)]) -> Option<(usize, u32, u8)> {
    let mut at = 0;
    while at < rules.len() {
        let Rule {
            selector, action, ..
        } = &rules[at];
        let by_mark = selector
            .mark
            .is_none_or(|(mark, mask)| query.mark & mask == mark & mask);
        let by_source = match (selector.from, query.source) {
            (Some(network), Some(IpAddr::V4(source))) => network.contains(&IpAddr::V4(source)),
            (Some(_), _) => false,
            (None, _) => true,
        };
        let takes = (by_mark && by_source) != selector.inverted;
        at += 1;
        if !takes {
            continue;
        }
        match action {
            Action::Goto(target) => {
                if let Some(to) = (at..rules.len()).find(|to| rules[*to].priority == *target) {
                    at = to;
                }
            }
            Action::Table {
                table,
                suppressed_length,
                ..
            } => {
                let found = tables.iter().find(|(number, _)| number == table);
                // The longest that the table has.
                if let Some(length) = found.and_then(|(_, lengths)| lengths.iter().max())
                    && suppressed_length.is_none_or(|suppressed| *length > suppressed)
                {
                    return Some((at - 1, *table, *length));
                }
            }
            _ => {}
        }
    }
    None
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let selector = (
        any::<bool>(),
        prop::option::of((0u32..4, 0u32..4)),
        prop::option::of(prop_oneof![Just("10.0.0.0/24"), Just("10.0.0.1/32")]),
    );
    let selector = selector.prop_map(|(inverted, mark, from)| Selector {
        inverted,
        mark,
        from: from.map(|network| network.parse().expect("a network")),
        ..Selector::default()
    });
    let action = prop_oneof![
        5 => (1u32..5, prop::option::of(0u8..25)).prop_map(|(table, suppressed_length)| Action::Table {
            table,
            suppressed_length,
            suppressed_group: None,
        }),
        1 => (0u32..12).prop_map(Action::Goto),
        1 => Just(Action::Nop),
    ];
    (0u32..12, selector, action).prop_map(|(priority, selector, action)| Rule {
        priority,
        selector,
        action: match action {
            // The kernel refuses to jump back.
            Action::Goto(target) if target <= priority => Action::Nop,
            action => action,
        },
    })
}

proptest! {
    #[test]
    fn the_rule_is_the_one_that_the_walk_ended_at(
        mut rules in prop::collection::vec(any_rule(), 0..12),
        mark in 0u32..4,
        source in prop::option::of(0u8..3),
        lengths in prop::collection::vec(prop::collection::vec(0u8..=24, 0..3), 4),
    ) {
        rules.sort_by_key(|rule| rule.priority);
        let query = RouteQuery {
            mark,
            source: source.map(|last| [10, 0, 0, last].into()),
            ..RouteQuery::to([10, 0, 0, 2].into())
        };
        let tables: Vec<_> = (1..).zip(lengths).collect();
        let asked = Rules(rules.clone());
        if let Some((place, table, length)) = walk(&rules, &query, &tables) {
            let prefix = IpNet::new([10, 0, 0, 2].into(), length).expect("a length").trunc();
            let route = route_in(table, &prefix.to_string());
            let links = links();
            let flow = Flow::of(&query, &links);
            let chosen = asked.chosen(&flow, &route, &mut |_| Some(0)).expect("one is certain");
            prop_assert_eq!(chosen.rule, &rules[place]);
            // One before its place is asked first, also where the packet jumped over what is between.
            let first = rules.iter().position(|rule| rule.priority >= chosen.place);
            let mut with = rules.clone();
            with.insert(first.expect("it is there"), rule(chosen.place, all(), 9));
            let mut nine = tables.clone();
            nine.push((9, vec![0]));
            prop_assert_eq!(walk(&with, &query, &nine).map(|(_, table, _)| table), Some(9));
        }
    }
}
