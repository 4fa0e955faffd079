//! Aggregates: results, retraction, merging.

use super::aggregate;

#[test]
fn results_keep_the_type_of_their_values() {
    let cases = [
        ("COUNT", "INT", "1 NULL 3", "2 BIGINT NOT NULL"),
        ("SUM", "TINYINT", "127 1 NULL", "-128 TINYINT"),
        ("AVG", "INT", "-1 -2", "-1 INT"),
        ("AVG", "DECIMAL(10, 2)", "1.00 2.00 2.00", "1.666667 DECIMAL(38, 6)"),
        ("SUM", "DECIMAL(10, 2)", "1.00 2.50", "3.50 DECIMAL(38, 2)"),
        ("SUM", "INT", "NULL", "NULL INT"),
        ("MIN", "STRING", "b a NULL", "a STRING"),
        ("MAX", "TIMESTAMP(3)", "2024-01-01", "2024-01-01 00:00:00.000 TIMESTAMP(3)"),
        ("MIN", "DOUBLE", "2 1", "1.0 DOUBLE"),
        ("STDDEV_POP", "INT", "2 4 4 4 5 5 7 9", "2 INT"),
        ("VAR_SAMP", "DOUBLE", "1 2 3", "1.0 DOUBLE"),
        ("VAR_POP", "DECIMAL(10, 2)", "1.00 2.00", "0.250000 DECIMAL(38, 6)"),
        ("VAR_SAMP", "INT", "1", "NULL INT"),
        // In floating point, and cut to the type's width at the end alone.
        ("STDDEV_POP", "TINYINT", "100 -100", "100 TINYINT"),
        ("VAR_POP", "TINYINT", "20 0", "100 TINYINT"),
        ("VAR_POP", "TINYINT", "40 0", "-112 TINYINT"),
        ("VAR_POP", "INT", "100000 -100000", "2147483647 INT"),
        ("VAR_POP", "DOUBLE", "1e300", "0.0 DOUBLE"),
        ("$OVER_STDDEV_POP", "INT", "2 4 4 4 5 5 7 9", "2 INT"),
        ("$OVER_VAR_POP", "TINYINT", "100 -100", "16 TINYINT"),
        ("FIRST_VALUE", "STRING", "NULL b a", "b STRING"),
        ("LAST_VALUE", "STRING", "b a NULL", "a STRING"),
        ("LISTAGG", "STRING", "a NULL b", "a,b STRING"),
        ("ARRAY_AGG", "INT", "1 NULL 2", "[1, NULL, 2] ARRAY<INT>"),
        ("COLLECT", "STRING", "b a b", "{a=1, b=2} MULTISET<STRING> NOT NULL"),
        ("JSON_ARRAYAGG", "INT", "1 NULL 2", "[1,2] VARCHAR(2000) NOT NULL"),
        ("JSON_ARRAYAGG", "STRING", "[1] NULL", r#"["[1]"] VARCHAR(2000) NOT NULL"#),
        (
            "JSON_ARRAYAGG_NULL_ON_NULL_OF_JSON",
            "STRING",
            "[1] NULL",
            "[[1],null] VARCHAR(2000) NOT NULL",
        ),
        ("SINGLE_VALUE", "INT", "1 2", "SingleValueAggFunction received more than one element."),
    ];
    for (name, kind, values, expected) in cases {
        assert_eq!(aggregate(name, kind, values), expected, "{name} of {values}");
    }
}

#[test]
fn what_is_retracted_does_not_count() {
    let cases = [
        ("COUNT", "INT", "1 2 ~1", "1 BIGINT NOT NULL"),
        ("SUM", "INT", "1 2 ~1", "2 INT"),
        ("SUM", "INT", "1 ~1", "NULL INT"),
        ("MAX", "INT", "1 3 ~3", "1 INT"),
        ("MIN", "STRING", "a b ~a", "b STRING"),
        ("VAR_POP", "DOUBLE", "1 2 9 ~9", "0.25 DOUBLE"),
        ("VAR_POP", "DOUBLE", "1 ~1", "NULL DOUBLE"),
        ("VAR_POP", "DOUBLE", "~1 1 5", "0.0 DOUBLE"),
        ("COLLECT", "INT", "1 1 2 ~1", "{1=1, 2=1} MULTISET<INT> NOT NULL"),
    ];
    for (name, kind, values, expected) in cases {
        assert_eq!(aggregate(name, kind, values), expected, "{name} of {values}");
    }
}
