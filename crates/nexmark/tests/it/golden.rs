//! Result rows of Flink that follow from the records alone.

use hurtig_nexmark::NexmarkGenerator;

#[test]
fn q2_by_hand_gives_the_rows_of_flink() {
    let generator = NexmarkGenerator::new(0, 1, None).unwrap();
    let mut rows: Vec<String> = (0..200_000)
        .filter_map(|index| generator.lazy_bid(index))
        .filter(|bid| bid.auction() % 123 == 0)
        .map(|bid| format!("{}|{}", bid.auction(), bid.price()))
        .collect();
    rows.sort_unstable();
    let golden: Vec<&str> = include_str!("../../golden/q2.txt").lines().collect();
    assert_eq!(rows, golden);
}
