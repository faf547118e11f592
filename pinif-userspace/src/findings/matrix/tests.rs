use super::*;

fn cell(bound: Option<&str>, egress: &str, packets: u64, verdict: Option<Kind>) -> Cell {
    Cell {
        netns: "card".to_owned(),
        bound_device: bound.map(str::to_owned),
        egress_interface: egress.to_owned(),
        packets,
        bytes: packets * 100,
        verdict: verdict.map_or(CellVerdict::Contained, CellVerdict::Found),
        origin: SentBy::Socket,
        carried: false,
        dropped: false,
    }
}

fn by_column(sums: Vec<Option<Sum>>) -> BTreeMap<usize, Sum> {
    let sums = sums.into_iter().enumerate();
    sums.filter_map(|(column, sum)| Some((column, sum?)))
        .collect()
}

fn of(cells: &[Cell]) -> Vec<Matrix> {
    Matrix::of(cells, |_, kind| kind.row().severity)
}

#[test]
fn the_diagonal_is_a_diagonal_and_verdicts_are_summed() {
    let leak = Some(Kind::DeviceEscape);
    let note = Some(Kind::CrossedBind);
    let cells = [
        cell(None, "eth10", 5, None),
        Cell {
            origin: SentBy::None,
            ..cell(None, "eth2", 7, None)
        },
        cell(Some("eth10"), "eth10", 1, None),
        cell(Some("eth2"), "eth10", 3, note),
        cell(Some("eth2"), "eth10", 2, leak),
        cell(Some("eth2"), "eth10", 10, None),
        cell(Some("eth2"), "eth10", 4, leak),
        cell(Some("eth2"), "eth2", 9, None),
    ];
    let sum = |packets, gravest| {
        Some(Sum {
            packets,
            bytes: packets * 100,
            gravest,
            allowed: 0,
            dropped: 0,
        })
    };
    let row = |sender, sums: Vec<Option<Sum>>| Row {
        sender,
        sums: by_column(sums),
    };
    assert_eq!(
        of(&cells),
        [Matrix {
            netns: "card".to_owned(),
            columns: vec!["eth2".to_owned(), "eth10".to_owned()],
            rows: vec![
                row(
                    Sender::Bound("eth2".to_owned()),
                    vec![sum(9, None), sum(19, Some((Severity::Leak, 6)))]
                ),
                row(Sender::Bound("eth10".to_owned()), vec![None, sum(1, None)]),
                row(Sender::Unpinned, vec![None, sum(5, None)]),
                row(Sender::NoSocket, vec![sum(7, None), None]),
            ],
        }]
    );
}

#[test]
fn what_was_dropped_is_beside_what_left() {
    let leak = Some(Kind::DeviceEscape);
    let dropped = Cell {
        dropped: true,
        ..cell(Some("fab0"), "eth1", 7, leak)
    };
    let sums = |cells: &[Cell]| {
        of(cells)[0].rows[0]
            .sums
            .values()
            .copied()
            .collect::<Vec<_>>()
    };
    let alone = Sum {
        dropped: 7,
        ..Sum::default()
    };
    assert_eq!(sums(std::slice::from_ref(&dropped)), [alone]);
    let both = Sum {
        packets: 2,
        bytes: 200,
        gravest: Some((Severity::Leak, 2)),
        allowed: 0,
        dropped: 7,
    };
    let left = cell(Some("fab0"), "eth1", 2, leak);
    assert_eq!(sums(&[dropped, left]), [both]);
}

#[test]
fn what_was_kept_out_is_in_a_row_of_its_own() {
    let kept_out = Cell {
        dropped: true,
        ..cell(Some("fab0"), "eth1", 7, Some(Kind::IngressEscape))
    };
    let cells = [cell(Some("fab0"), "eth1", 2, None), kept_out];
    let [matrix] = &of(&cells)[..] else {
        panic!("one namespace");
    };
    let rows = matrix.rows.iter();
    let rows: Vec<_> = rows
        .map(|row| {
            (
                row.sender.name(),
                row.sums[&0].packets,
                row.sums[&0].dropped,
            )
        })
        .collect();
    assert_eq!(rows, [("fab0", 2, 0), ("arriving", 0, 7)]);
}

#[test]
fn what_a_rule_allows_is_counted_apart() {
    let allowed = Cell {
        verdict: CellVerdict::Allowed,
        ..cell(Some("fab0"), "eth1", 7, None)
    };
    let contained = cell(Some("fab0"), "eth1", 2, None);
    let sum = Sum {
        packets: 9,
        bytes: 900,
        allowed: 7,
        ..Sum::default()
    };
    let rows = &of(&[allowed, contained])[0].rows;
    assert_eq!(rows[0].sums, by_column(vec![Some(sum)]));
}

#[test]
fn each_namespace_has_its_own() {
    let cells = [
        cell(None, "eth0", 1, None),
        Cell {
            netns: "b".to_owned(),
            ..cell(None, "eth0", 1, None)
        },
    ];
    let names: Vec<String> = of(&cells).into_iter().map(|matrix| matrix.netns).collect();
    assert_eq!(names, ["b", "card"]);
    assert_eq!(of(&[]), []);
}

#[test]
fn a_device_named_like_a_row_is_another_row() {
    let cells = [
        cell(None, "eth0", 1, None),
        cell(Some("unpinned"), "eth0", 2, None),
    ];
    let senders: Vec<Sender> = of(&cells)[0]
        .rows
        .iter()
        .map(|row| row.sender.clone())
        .collect();
    assert_eq!(
        senders,
        [Sender::Bound("unpinned".to_owned()), Sender::Unpinned]
    );
}
