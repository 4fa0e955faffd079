//! SHOW CREATE, as Flink prints it.

use std::fmt::Write;

use hurtig_sql_parser::types::SqlDataType;

use crate::catalog::{
    ColumnDefinitionKind, ObjectPath, TableColumn, TableDefinition, ViewDefinition,
};

/// A quoted identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The type as Flink's serializable string: STRING and BYTES have lengths there.
pub(super) fn type_text(data_type: &SqlDataType) -> String {
    let shown = data_type.to_string();
    let mut out = String::with_capacity(shown.len());
    let mut quote = false;
    let mut word = String::new();
    for c in shown.chars().chain(std::iter::once(' ')) {
        if !quote && (c.is_ascii_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        out.push_str(match &*word {
            "STRING" => "VARCHAR(2147483647)",
            "BYTES" => "VARBINARY(2147483647)",
            other => other,
        });
        word.clear();
        quote ^= c == '`';
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

fn column(column: &TableColumn) -> String {
    let name = quoted(&column.name);
    let mut line = match &column.kind {
        ColumnDefinitionKind::Physical => format!("{name} {}", type_text(&column.data_type)),
        ColumnDefinitionKind::Computed(expr) => format!("{name} AS {expr}"),
        ColumnDefinitionKind::Metadata { key, is_virtual } => {
            let from = key.as_ref().map_or(String::new(), |key| format!(" FROM {}", text(key)));
            let virtual_word = if *is_virtual { " VIRTUAL" } else { "" };
            format!("{name} {} METADATA{from}{virtual_word}", type_text(&column.data_type))
        }
    };
    if let Some(comment) = &column.comment {
        line.push_str(&format!(" COMMENT {}", text(comment)));
    }
    line
}

fn path_text(path: &ObjectPath) -> String {
    [&path.catalog, &path.database, &path.name].map(|part| quoted(part)).join(".")
}

fn names(all: &[String]) -> String {
    all.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

pub(super) fn table(path: &ObjectPath, table: &TableDefinition, temporary: bool) -> String {
    let temporary = if temporary { "TEMPORARY " } else { "" };
    let mut lines: Vec<String> = table.columns.iter().map(column).collect();
    if let Some(watermark) = &table.watermark {
        let (name, expr) = (quoted(&watermark.column), &watermark.expression);
        lines.push(format!("WATERMARK FOR {name} AS {expr}"));
    }
    if let Some(key) = &table.primary_key {
        let (name, columns) = (quoted(&key.name), names(&key.columns));
        lines.push(format!("CONSTRAINT {name} PRIMARY KEY ({columns}) NOT ENFORCED"));
    }
    let mut out =
        format!("CREATE {temporary}TABLE {} (\n  {}\n)\n", path_text(path), lines.join(",\n  "));
    // Writing to a string cannot fail.
    if let Some(comment) = &table.comment {
        let _ = writeln!(out, "COMMENT {}", text(comment));
    }
    if !table.partition_keys.is_empty() {
        let _ = writeln!(out, "PARTITIONED BY ({})", names(&table.partition_keys));
    }
    if !table.options.is_empty() {
        let mut options: Vec<_> = table.options.iter().collect();
        options.sort();
        let shown: Vec<String> =
            options.iter().map(|(key, value)| format!("{} = {}", text(key), text(value))).collect();
        let _ = writeln!(out, "WITH (\n  {}\n)", shown.join(",\n  "));
    }
    out
}

pub(super) fn view(path: &ObjectPath, view: &ViewDefinition, temporary: bool) -> String {
    let temporary = if temporary { "TEMPORARY " } else { "" };
    let columns: Vec<String> =
        view.columns.iter().map(|(name, _)| format!("  {}", quoted(name))).collect();
    let comment =
        view.comment.as_ref().map_or(String::new(), |one| format!("COMMENT {}\n", text(one)));
    format!(
        "CREATE {temporary}VIEW {} (\n{}\n)\n{comment}AS {}\n",
        path_text(path),
        columns.join(",\n"),
        view.query
    )
}

#[cfg(test)]
mod tests {
    use hurtig_sql_parser::SqlParser;

    use super::type_text;

    #[test]
    fn texts_have_lengths_but_names_do_not_change() {
        let data_type =
            SqlParser::default().data_type("ROW<`STRING` STRING NOT NULL, b BYTES>").unwrap();
        let shown = "ROW<`STRING` VARCHAR(2147483647) NOT NULL, `b` VARBINARY(2147483647)>";
        assert_eq!(type_text(&data_type), shown);
    }
}
