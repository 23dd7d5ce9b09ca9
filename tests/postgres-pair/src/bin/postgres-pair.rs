//! Starts a pair, prints its two addresses as a JSON line, and keeps it until standard input ends.

use std::io::{Read, Write};

use anyhow::Context;
use postgres_pair::{Pair, PairOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let pair = Pair::start(PairOptions::default()).await?;
    let writer_pid = pair.writer().pid().await.context("the writer does not run")?;
    let reader_pid = pair.reader().pid().await.context("the reader does not run")?;
    writeln!(
        std::io::stdout(),
        r#"{{"writer_dsn":"{}","reader_dsn":"{}","pids":[{writer_pid},{reader_pid}],"folder":"{}"}}"#,
        pair.writer().dsn(),
        pair.reader().dsn(),
        pair.folder().display(),
    )?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    pair.stop().await
}
