"""The aws CLI on the Data API, as its users use it: parameters in its shorthand and as JSON, answers by --query."""

import json
import os
import subprocess
import sys

NAMES = ["--resource-arn", os.environ["RESOURCE_ARN"], "--secret-arn", os.environ["SECRET_ARN"]]
DATABASE = ["--database", os.environ["DATABASE"]]
SETTINGS = {**os.environ, "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull}
passed, wrong = 0, []


def check(name, expected, ask):
    global passed
    try:
        given = ask()
    except Exception as error:
        given = error
    if given == expected and type(given) is type(expected):
        passed += 1
    else:
        wrong.append(f"{name}: {given!r} instead of {expected!r}")


def aws(operation, *options):
    """Its exit status, its output and what it says of an error."""
    done = subprocess.run(["aws", "rds-data", operation, *NAMES, *options], env=SETTINGS, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.strip()


def call(operation, *options):
    status, output, told = aws(operation, *options)
    if status != 0:
        raise RuntimeError(told)
    return json.loads(output) if output.strip() else None


def execute(sql, *options):
    return call("execute-statement", *DATABASE, "--sql", sql, *options)


def refusal(sql, *options):
    status, _, told = aws("execute-statement", *DATABASE, "--sql", sql, *options)
    return told.removeprefix("aws: [ERROR]: ") if status != 0 else "no error"


def told(code, text):
    return f"An error occurred ({code}) when calling the ExecuteStatement operation: {text}"


def parameters(*given):
    sent = [{"name": name, "value": value, **({"typeHint": hint} if hint else {})} for name, value, hint in given]
    return ["--parameters", json.dumps(sent)]


execute("drop table if exists cli_things")
execute("create table cli_things (id serial primary key, number integer unique, note text)")

# Each type, with values at their limits: one call, a check for each column.
values = [
    ("a text of nothing", {"stringValue": ""}, None),
    ("a text", {"stringValue": "it's :a $1 \\ é 日本 😀"}, None),
    ("a long text", {"stringValue": "x" * 50_000}, None),
    ("zero", {"longValue": 0}, None),
    ("the largest long", {"longValue": 9223372036854775807}, None),
    ("the smallest long", {"longValue": -9223372036854775808}, None),
    ("a double", {"doubleValue": 0.5}, None),
    ("the largest double", {"doubleValue": 1.7976931348623157e308}, None),
    ("the smallest double", {"doubleValue": 5e-324}, None),
    ("true", {"booleanValue": True}, None),
    ("false", {"booleanValue": False}, None),
    ("a date", {"stringValue": "2024-02-29"}, "DATE"),
    ("a time", {"stringValue": "23:59:59.999"}, "TIME"),
    ("a timestamp", {"stringValue": "1969-12-31 23:59:59.999"}, "TIMESTAMP"),
    ("a decimal", {"stringValue": "12345678901234567890.1234"}, "DECIMAL"),
    ("a uuid", {"stringValue": "ffffffff-ffff-ffff-ffff-ffffffffffff"}, "UUID"),
    ("a document", {"stringValue": '{"a":[1,null]}'}, "JSON"),
]
columns = ", ".join(f":v{at}" for at in range(len(values)))
bound = [(f"v{at}", value, hint) for at, (_, value, hint) in enumerate(values)]
record = execute(f"select {columns}", *parameters(*bound))["records"][0]
for (name, value, _), given in zip(values, record, strict=True):
    check(name, value, lambda: given)
kinds = ["date", "time without time zone", "timestamp without time zone", "numeric", "uuid", "jsonb"]
hinted = [item for item in bound if item[2]]
columns = ", ".join(f"pg_typeof(:{name})::text" for name, _, _ in hinted)
record = execute(f"select {columns}", *parameters(*hinted))["records"][0]
for (_, _, hint), kind, given in zip(hinted, kinds, record, strict=True):
    check(f"the type of {hint}", {"stringValue": kind}, lambda: given)
# The first CLI takes a blob as it is and shows it in base64.
check("a blob", [{"blobValue": "YWJj"}, {"isNull": True}], lambda: execute("select :v, :n::text", *parameters(("v", {"blobValue": "abc"}, None), ("n", {"isNull": True}, None)))["records"][0])
check("its shorthand", [{"longValue": 7}, {"stringValue": "b c"}], lambda: execute("select :a, :b", "--parameters", "name=a,value={longValue=7}", "name=b,value={stringValue='b c'}")["records"][0])
given = {"database": os.environ["DATABASE"], "sql": "select :1", "parameters": [{"name": "1", "value": {"longValue": 7}}]}
check("its input as JSON", [[{"longValue": 7}]], lambda: call("execute-statement", "--cli-input-json", json.dumps(given))["records"])
record = execute("select array['a', null], array[1, 2], array[0.5::float8], array[true], :v::int[], timestamptz '2024-01-01 12:00:00.000001+02'", *parameters(("v", {"stringValue": "{1,2}"}, None)))["records"][0]
for name, value, given in zip(
    ["an array of texts", "an array of longs", "an array of doubles", "an array of booleans", "an array that is cast", "a time with a zone is in UTC"],
    [
        {"arrayValue": {"stringValues": ["a", None]}},
        {"arrayValue": {"longValues": [1, 2]}},
        {"arrayValue": {"doubleValues": [0.5]}},
        {"arrayValue": {"booleanValues": [True]}},
        {"arrayValue": {"longValues": [1, 2]}},
        {"stringValue": "2024-01-01 10:00:00.000001"},
    ],
    record,
    strict=True,
):
    check(name, value, lambda: given)


# A list of 1,000 rows, changes.
def batch():
    sets = [[{"name": "n", "value": {"longValue": number}}] for number in range(1000)]
    answer = call("batch-execute-statement", *DATABASE, "--sql", "insert into cli_things (number) values (:n)", "--parameter-sets", json.dumps(sets))
    return len(answer["updateResults"])


check("a batch of 1,000", 1000, batch)
check("a list of 1,000 rows", list(range(1000)), lambda: execute("select number from cli_things order by number", "--query", "records[][].longValue"))
check("a query", [3, 4], lambda: execute("select number from cli_things where number in (3, 4) order by number", "--query", "records[][].longValue"))
check("a text", "3\tNone", lambda: aws("execute-statement", *DATABASE, "--sql", "select number from cli_things where number = 3", "--output", "text", "--query", "[records[0][0].longValue, records[0][0].stringValue]")[1].strip())
check("a count of changes", 10, lambda: execute("update cli_things set note = 'x' where number < 10")["numberOfRecordsUpdated"])
check("metadata", ["serial", "int4", "text"], lambda: execute("select * from cli_things limit 1", "--include-result-metadata", "--query", "columnMetadata[].typeName"))
check("JSON records", '[{"number":3,"note":"x"}]', lambda: execute("select number, note from cli_things where number = 3", "--format-records-as", "JSON")["formattedRecords"])
check("decimals as texts", [[{"stringValue": "1.50"}, {"stringValue": "9"}]], lambda: execute("select 1.50, 9::bigint", "--result-set-options", "decimalReturnType=STRING,longReturnType=STRING")["records"])


def transaction(end, *statements):
    """How it ends, whether its row is there, and what its last statement said."""
    opened = ["--transaction-id", call("begin-transaction", *DATABASE)["transactionId"]]
    execute("insert into cli_things (number) values (5000)", *opened)
    last = [refusal(statement, *opened) for statement in statements]
    status = call(f"{end}-transaction", *opened)["transactionStatus"]
    return status, execute("delete from cli_things where number = 5000")["numberOfRecordsUpdated"], last[-1][-15:] if last else ""


check("a commit", ("Transaction Committed", 1, ""), lambda: transaction("commit"))
check("a rollback", ("Rollback Complete", 0, ""), lambda: transaction("rollback"))
check("an error inside a transaction", ("Rollback Complete", 0, "SQLState: 25P02"), lambda: transaction("rollback", "selekt 1", "select 1"))
check("a commit after an error", ("Transaction Committed", 0, "SQLState: 25P02"), lambda: transaction("commit", "selekt 1", "select 1"))

# An error's text.
check("a duplicate", told("DatabaseErrorException", 'ERROR: duplicate key value violates unique constraint "cli_things_number_key"; SQLState: 23505'), lambda: refusal("insert into cli_things (number) values (1)"))
check("an error with a hint", told("DatabaseErrorException", 'ERROR: column "noted" does not exist; Hint: Perhaps you meant to reference the column "cli_things.note".; Position: 8; SQLState: 42703'), lambda: refusal("select noted from cli_things"))
check("several statements", told("ValidationException", "Multistatements aren't supported."), lambda: refusal("select 1; select 2"))
check("an array parameter", told("ValidationException", "Array parameters are not supported."), lambda: refusal("select :v", *parameters(("v", {"arrayValue": {"longValues": [1]}}, None))))
check("a result that is too large", told("UnsupportedResultException", "Database response exceeded size limit"), lambda: refusal("select '' from generate_series(1, 1000000)"))
check("no value at all", "SQLState: 08P01", lambda: refusal("select :a::int")[-15:])

for line in wrong:
    print(f"  {line[:600]}")
print(f"aws CLI: {passed} passed, {len(wrong)} failed")
sys.exit(0 if not wrong and passed >= 30 else 1)
