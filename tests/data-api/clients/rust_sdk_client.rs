//! The Rust SDK on the Data API, as its users use it. It takes the cluster, the secret and the database from its environment.

use std::fmt::Debug;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_rdsdata::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::{ExecuteStatementError, ExecuteStatementOutput};
use aws_sdk_rdsdata::primitives::Blob;
use aws_sdk_rdsdata::types::{
    ArrayValue, DecimalReturnType, Field, LongReturnType, RecordsFormatType, ResultSetOptions, SqlParameter,
    TypeHint,
};

type Executed = Result<ExecuteStatementOutput, SdkError<ExecuteStatementError>>;

struct Program {
    client: Client,
    cluster: String,
    secret: String,
    database: String,
    passed: usize,
    wrong: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut program = Program::new()?;
    program.values().await?;
    program.results().await?;
    program.lists().await?;
    program.transactions().await?;
    program.errors().await;
    for line in &program.wrong {
        println!("  {line}");
    }
    println!("Rust SDK: {} passed, {} failed", program.passed, program.wrong.len());
    let right = program.wrong.is_empty() && program.passed >= 30;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn environment(name: &'static str) -> anyhow::Result<String> {
    std::env::var(name).context(name)
}

fn parameter(name: &str, value: Field) -> SqlParameter {
    SqlParameter::builder().name(name).value(value).build()
}

fn hinted(name: &str, value: &str, hint: TypeHint) -> SqlParameter {
    SqlParameter::builder().name(name).value(text(value)).type_hint(hint).build()
}

fn text(value: &str) -> Field {
    Field::StringValue(value.to_owned())
}

fn first(answer: ExecuteStatementOutput) -> anyhow::Result<Field> {
    let row = answer.records.and_then(|rows| rows.into_iter().next()).context("no row")?;
    row.into_iter().next().context("no column")
}

/// An error as `code: message`.
fn refusal(outcome: Executed) -> String {
    match outcome {
        Ok(_) => "no error".to_owned(),
        Err(error) => format!("{}: {}", error.code().unwrap_or("?"), error.message().unwrap_or("?")),
    }
}

impl Program {
    fn new() -> anyhow::Result<Self> {
        let config = aws_sdk_rdsdata::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(environment("AWS_REGION")?))
            .credentials_provider(Credentials::new("local", "local", None, None, "program"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(environment("AWS_ENDPOINT_URL_RDS_DATA")?)
            .build();
        Ok(Self {
            client: Client::from_conf(config),
            cluster: environment("RESOURCE_ARN")?,
            secret: environment("SECRET_ARN")?,
            database: environment("DATABASE")?,
            passed: 0,
            wrong: Vec::new(),
        })
    }

    fn check<T: PartialEq + Debug>(&mut self, name: &str, expected: T, given: anyhow::Result<T>) {
        match given {
            Ok(given) if given == expected => self.passed += 1,
            given => self.wrong.push(format!("{name}: {given:?} instead of {expected:?}")),
        }
    }

    async fn execute(&self, sql: &str, parameters: Vec<SqlParameter>) -> Executed {
        self.execute_in(None, sql, parameters).await
    }

    async fn execute_in(
        &self,
        transaction: Option<&str>,
        sql: &str,
        parameters: Vec<SqlParameter>,
    ) -> Executed {
        self.client
            .execute_statement()
            .resource_arn(&self.cluster)
            .secret_arn(&self.secret)
            .database(&self.database)
            .set_transaction_id(transaction.map(str::to_owned))
            .set_parameters(Some(parameters))
            .sql(sql)
            .send()
            .await
    }

    async fn value(&self, sql: &str, parameters: Vec<SqlParameter>) -> anyhow::Result<Field> {
        first(self.execute(sql, parameters).await?)
    }

    /// Each type that it can bind, with values at their limits.
    async fn values(&mut self) -> anyhow::Result<()> {
        let all: Vec<u8> = (0..=255).collect();
        for (name, value) in [
            ("a text of nothing", text("")),
            ("a text", text("it's :a $1 \\ é 日本 😀")),
            ("a long text", text(&"x".repeat(500_000))),
            ("zero", Field::LongValue(0)),
            ("the largest long", Field::LongValue(i64::MAX)),
            ("the smallest long", Field::LongValue(i64::MIN)),
            ("a double", Field::DoubleValue(-0.5)),
            ("the largest double", Field::DoubleValue(f64::MAX)),
            ("the smallest double", Field::DoubleValue(5e-324)),
            ("true", Field::BooleanValue(true)),
            ("false", Field::BooleanValue(false)),
            ("no bytes", Field::BlobValue(Blob::new([]))),
            ("bytes", Field::BlobValue(Blob::new(all))),
        ] {
            let given = self.value("select :v", vec![parameter("v", value.clone())]).await;
            self.check(name, value, given);
        }
        let nothing = self.value("select :v::text", vec![parameter("v", Field::IsNull(true))]).await;
        self.check("a null", Field::IsNull(true), nothing);
        for (hint, value, kind) in [
            (TypeHint::Date, "2024-02-29", "date"),
            (TypeHint::Time, "23:59:59.999", "time without time zone"),
            (TypeHint::Timestamp, "1969-12-31 23:59:59.999", "timestamp without time zone"),
            (TypeHint::Decimal, "12345678901234567890.1234", "numeric"),
            (TypeHint::Uuid, "ffffffff-ffff-ffff-ffff-ffffffffffff", "uuid"),
            (TypeHint::Json, r#"{"a":[1,null]}"#, "jsonb"),
        ] {
            let given = self.value("select :v", vec![hinted("v", value, hint.clone())]).await;
            self.check(&format!("the hint {hint:?}"), text(value), given);
            let given =
                self.value("select pg_typeof(:v)::text", vec![hinted("v", value, hint.clone())]).await;
            self.check(&format!("the type of {hint:?}"), text(kind), given);
        }
        let pair = vec![parameter("1", Field::LongValue(1)), parameter("2", Field::LongValue(2))];
        let sum = self.value("select :1::int + :2::int", pair).await;
        self.check("a digit for a name", Field::LongValue(3), sum);
        Ok(())
    }

    /// What no parameter can be, and how a result may be asked for.
    async fn results(&mut self) -> anyhow::Result<()> {
        let words = ArrayValue::StringValues(vec![Some("a".to_owned()), None]);
        for (sql, value) in [
            ("select array['a', null]", Field::ArrayValue(words)),
            ("select array[1, 9223372036854775807]", longs(&[1, i64::MAX])),
            ("select array[0.5::float8]", Field::ArrayValue(ArrayValue::DoubleValues(vec![Some(0.5)]))),
            ("select array[true]", Field::ArrayValue(ArrayValue::BooleanValues(vec![Some(true)]))),
            ("select timestamptz '2024-01-01 12:00:00.000001+02'", text("2024-01-01 10:00:00.000001")),
            ("select timestamp '9999-12-31 23:59:59'", text("9999-12-31 23:59:59")),
            ("select 0.1::real", Field::DoubleValue(0.100_000_001_490_116_12)),
        ] {
            let given = self.value(sql, Vec::new()).await;
            self.check(sql, value, given);
        }
        let cast = self.value("select :v::int[]", vec![parameter("v", text("{1,2}"))]).await;
        self.check("an array that is cast", longs(&[1, 2]), cast);
        let options = ResultSetOptions::builder()
            .decimal_return_type(DecimalReturnType::DoubleOrLong)
            .long_return_type(LongReturnType::String)
            .build();
        let asked = self.client.execute_statement().resource_arn(&self.cluster).secret_arn(&self.secret);
        let asked = asked.database(&self.database).sql("select 1.5, 9::bigint").result_set_options(options);
        let rows = asked.send().await?.records;
        self.check("other kinds", Some(vec![vec![Field::DoubleValue(1.5), text("9")]]), Ok(rows));
        Ok(())
    }

    /// A list of 1,000 rows, and changes.
    async fn lists(&mut self) -> anyhow::Result<()> {
        self.execute("drop table if exists rust_things", Vec::new()).await?;
        let table = "create table rust_things (id serial primary key, number integer unique, note text)";
        self.execute(table, Vec::new()).await?;
        let sets = (0..1000).map(|number| vec![parameter("n", Field::LongValue(number))]).collect();
        let answer = self
            .client
            .batch_execute_statement()
            .resource_arn(&self.cluster)
            .secret_arn(&self.secret)
            .database(&self.database)
            .sql("insert into rust_things (number) values (:n)")
            .set_parameter_sets(Some(sets))
            .send()
            .await?;
        self.check("a batch of 1,000", 1000, Ok(answer.update_results().len()));
        let rows = self.execute("select number from rust_things order by number", Vec::new()).await?.records;
        let numbers = (0..1000).map(|number| vec![Field::LongValue(number)]).collect();
        self.check("a list of 1,000 rows", Some(numbers), Ok(rows));
        let changed = self.execute("update rust_things set note = 'x' where number < 10", Vec::new()).await?;
        self.check("a count of changes", 10, Ok(changed.number_of_records_updated));
        let asked = self.client.execute_statement().resource_arn(&self.cluster).secret_arn(&self.secret);
        let asked = asked.database(&self.database);
        let described = asked
            .clone()
            .sql("select * from rust_things limit 1")
            .include_result_metadata(true)
            .send()
            .await?;
        let kinds =
            described.column_metadata().iter().filter_map(|column| column.type_name()).collect::<Vec<_>>();
        self.check("metadata", vec!["serial", "int4", "text"], Ok(kinds));
        let formatted = asked
            .sql("select number, note from rust_things where number = 3")
            .format_records_as(RecordsFormatType::Json)
            .send()
            .await?;
        let document = formatted.formatted_records.context("no records")?;
        self.check("JSON records", r#"[{"number":3,"note":"x"}]"#.to_owned(), Ok(document));
        Ok(())
    }

    async fn transactions(&mut self) -> anyhow::Result<()> {
        for (name, commit, fails, left) in [
            ("a commit", true, false, 1),
            ("a rollback", false, false, 0),
            ("a commit after an error", true, true, 0),
            ("a rollback after an error", false, true, 0),
        ] {
            let outcome = self.transaction(commit, fails).await;
            let status = if commit { "Transaction Committed" } else { "Rollback Complete" };
            let told = if fails { "DatabaseErrorException, SQLState: 25P02" } else { "" };
            self.check(name, (status.to_owned(), left, told.to_owned()), outcome);
        }
        Ok(())
    }

    /// How a transaction ends, how many rows it leaves, and what a statement after an error gets as its answer.
    async fn transaction(&self, commit: bool, fails: bool) -> anyhow::Result<(String, i64, String)> {
        let begun = self.client.begin_transaction().resource_arn(&self.cluster).secret_arn(&self.secret);
        let id = begun.database(&self.database).send().await?.transaction_id.context("no transaction")?;
        self.execute_in(Some(&id), "insert into rust_things (number) values (5000)", Vec::new()).await?;
        let mut told = String::new();
        if fails {
            refusal(self.execute_in(Some(&id), "selekt 1", Vec::new()).await);
            let text = refusal(self.execute_in(Some(&id), "select 1", Vec::new()).await);
            let (code, text) = text.split_once(": ").context("no code")?;
            told = format!("{code}, {}", text.rsplit("; ").next().unwrap_or_default());
        }
        let status = if commit {
            let ended = self.client.commit_transaction().resource_arn(&self.cluster).secret_arn(&self.secret);
            ended.transaction_id(&id).send().await?.transaction_status
        } else {
            let ended =
                self.client.rollback_transaction().resource_arn(&self.cluster).secret_arn(&self.secret);
            ended.transaction_id(&id).send().await?.transaction_status
        };
        let left = self.execute("delete from rust_things where number = 5000", Vec::new()).await?;
        Ok((status.context("no status")?, left.number_of_records_updated, told))
    }

    /// An error's text, as the client shows it.
    async fn errors(&mut self) {
        let duplicate = r#"ERROR: duplicate key value violates unique constraint "rust_things_number_key"; SQLState: 23505"#;
        let hint = r#"ERROR: column "noted" does not exist; Hint: Perhaps you meant to reference the column "rust_things.note".; Position: 8; SQLState: 42703"#;
        for (sql, expected) in [
            ("insert into rust_things (number) values (1)", format!("DatabaseErrorException: {duplicate}")),
            ("select noted from rust_things", format!("DatabaseErrorException: {hint}")),
            ("select 1; select 2", "ValidationException: Multistatements aren't supported.".to_owned()),
            (
                "select '' from generate_series(1, 1000000)",
                "UnsupportedResultException: Database response exceeded size limit".to_owned(),
            ),
        ] {
            let told = refusal(self.execute(sql, Vec::new()).await);
            self.check(sql, expected, Ok(told));
        }
        let array = refusal(self.execute("select :v", vec![parameter("v", longs(&[1]))]).await);
        self.check(
            "an array parameter",
            "ValidationException: Array parameters are not supported.".to_owned(),
            Ok(array),
        );
        let unbound = refusal(self.execute("select :a::int", Vec::new()).await);
        self.check("no value at all", true, Ok(unbound.ends_with("SQLState: 08P01")));
        let insert = self.execute("insert into rust_things (number) values (1)", Vec::new()).await;
        let modelled = insert.map_err(|error| {
            let shown = DisplayErrorContext(&error).to_string();
            (shown.contains(duplicate), error.into_service_error().is_database_error_exception())
        });
        let modelled = modelled.err().ok_or_else(|| anyhow!("no error"));
        self.check("an error of its own kind, and its text shown", (true, true), modelled);
    }
}

fn longs(values: &[i64]) -> Field {
    Field::ArrayValue(ArrayValue::LongValues(values.iter().copied().map(Some).collect()))
}
