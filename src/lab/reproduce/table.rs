//! A table as Markdown and CSV.

/// Columns with their names, and rows.
pub(super) struct Table {
    head: Vec<String>,
    /// Columns that hold words, from the left; the rest holds numbers.
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table whose first `words` columns hold words.
    pub(super) fn new(head: &[&str], words: usize) -> Table {
        let head = head.iter().map(|h| h.to_string()).collect();
        Table { head, words, rows: Vec::new() }
    }

    /// As [`Table::new`], with a column for each noise level after the words.
    pub(super) fn by_sigma(words: &[&str], sigmas: &[f64]) -> Table {
        let head = words.iter().map(|w| w.to_string()).chain(sigmas.iter().map(f64::to_string));
        Table { head: head.collect(), words: words.len(), rows: Vec::new() }
    }

    /// Adds columns.
    pub(super) fn head(&mut self, names: impl IntoIterator<Item = String>) {
        self.head.extend(names);
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// For people.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|c| c.replace('|', "/")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rules: String =
            (0..self.head.len()).map(|i| if i < self.words { "|---" } else { "|--:" }).collect();
        let rows: String = self.rows.iter().map(|r| line(r)).collect();
        format!("{}{rules}|\n{rows}", line(&self.head))
    }

    /// For programs.
    pub(super) fn csv(&self) -> String {
        csv_lines(std::iter::once(&self.head).chain(&self.rows))
    }
}

/// Lines of comma-separated fields, quoted where they must be (RFC 4180).
pub(super) fn csv_lines<F: AsRef<[u8]>>(
    rows: impl IntoIterator<Item = impl IntoIterator<Item = F>>,
) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("memory takes every record");
    }
    let bytes = writer.into_inner().expect("memory needs no flushing");
    String::from_utf8(bytes).expect("fields are text, or digits and names")
}

/// The mean; NaN for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// PSNR and SSIM as the paper prints them, with one digit more.
pub(super) fn both(psnr_db: f64, ssim: f64) -> String {
    format!("{psnr_db:.3} / {ssim:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_two_forms() {
        let mut table = Table::by_sigma(&["image"], &[15.0, 22.5]);
        table.row(["a|b, c".into(), "1".into(), both(30.12349, 0.98765)]);
        let markdown = "| image | 15 | 22.5 |\n|---|--:|--:|\n| a/b, c | 1 | 30.123 / 0.9877 |\n";
        assert_eq!(table.markdown(), markdown);
        assert_eq!(table.csv(), "image,15,22.5\n\"a|b, c\",1,30.123 / 0.9877\n");
    }

    #[test]
    fn averages() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert!(mean(&[]).is_nan());
    }
}
