"""boto3 on the Data API, as its users use it."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client("rds-data", config=Config(retries={"total_max_attempts": 1}))
NAMES = {"resourceArn": os.environ["RESOURCE_ARN"], "secretArn": os.environ["SECRET_ARN"]}
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


def execute(sql, parameters=(), **more):
    given = [{"name": name, **value} for name, value in dict(parameters).items()]
    return client.execute_statement(sql=sql, parameters=given, database=os.environ["DATABASE"], **NAMES, **more)


def value(sql, **parameters):
    return execute(sql, parameters)["records"][0][0]


def refusal(ask):
    try:
        ask()
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return "no error"


def field(member, given, hint=None):
    return {"value": {member: given}, **({"typeHint": hint} if hint else {})}


execute("drop table if exists boto3_things")
execute("create table boto3_things (id serial primary key, number integer unique, note text)")

for member, values in {
    "stringValue": ["", "it's :a $1 \\ é 日本 😀", "x" * 100_000],
    "longValue": [0, 9223372036854775807, -9223372036854775808],
    "doubleValue": [0.5, 1.7976931348623157e308, 5e-324],
    "booleanValue": [True, False],
    "blobValue": [b"", bytes(range(256))],
}.items():
    for given in values:
        check(f"{member} {str(given)[:20]}", {member: given}, lambda: value("select :v", v=field(member, given)))
check("a null", {"isNull": True}, lambda: value("select :v::text", v=field("isNull", True)))
for hint, given, kind in [
    ("DATE", "2024-02-29", "date"),
    ("TIME", "23:59:59.999", "time without time zone"),
    ("TIMESTAMP", "2024-02-29 10:00:00.120", "timestamp without time zone"),
    ("DECIMAL", "12345678901234567890.1234", "numeric"),
    ("UUID", "ffffffff-ffff-ffff-ffff-ffffffffffff", "uuid"),
    ("JSON", '{"a":[1,null]}', "jsonb"),
]:
    check(f"the hint {hint}", {"stringValue": given}, lambda: value("select :v", v=field("stringValue", given, hint)))
    check(f"the type of {hint}", {"stringValue": kind}, lambda: value("select pg_typeof(:v)::text", v=field("stringValue", given, hint)))
check("a time", {"stringValue": "1969-12-31 23:59:59.999999"}, lambda: value("select timestamp '1969-12-31 23:59:59.999999'"))
check("an array of texts", {"arrayValue": {"stringValues": ["a", None]}}, lambda: value("select array['a', null]"))
check("an array of numbers", {"arrayValue": {"longValues": [1, 2]}}, lambda: value("select array[1, 2]"))
check("an array that is cast", {"arrayValue": {"longValues": [1, 2]}}, lambda: value("select :v::int[]", v=field("stringValue", "{1,2}")))
check("a digit for a name", {"longValue": 3}, lambda: value("select :1::int + :2::int", **{"1": field("longValue", 1), "2": field("longValue", 2)}))


def batch():
    sets = [[{"name": "n", "value": {"longValue": number}}] for number in range(1000)]
    sql = "insert into boto3_things (number) values (:n)"
    answer = client.batch_execute_statement(sql=sql, parameterSets=sets, database=os.environ["DATABASE"], **NAMES)
    return len(answer["updateResults"]), len(execute("select number from boto3_things")["records"])


check("a batch of 1,000", (1000, 1000), batch)
check("a count of changes", 10, lambda: execute("update boto3_things set note = 'x' where number < 10")["numberOfRecordsUpdated"])
check("metadata", ["serial", "int4", "text"], lambda: [c["typeName"] for c in execute("select * from boto3_things limit 1", includeResultMetadata=True)["columnMetadata"]])
check("JSON records", '[{"number":3,"note":"x"}]', lambda: execute("select number, note from boto3_things where number = 3", formatRecordsAs="JSON")["formattedRecords"])


def transaction(end, fail=False):
    tx = client.begin_transaction(database=os.environ["DATABASE"], **NAMES)["transactionId"]
    execute("insert into boto3_things (number) values (5000)", transactionId=tx)
    told = ""
    if fail:
        refusal(lambda: execute("selekt 1", transactionId=tx))
        told = refusal(lambda: execute("select 1", transactionId=tx))[-5:]
    status = getattr(client, end)(transactionId=tx, **NAMES)["transactionStatus"]
    left = execute("delete from boto3_things where number = 5000")["numberOfRecordsUpdated"]
    return status, left, told


check("a commit", ("Transaction Committed", 1, ""), lambda: transaction("commit_transaction"))
check("a rollback", ("Rollback Complete", 0, ""), lambda: transaction("rollback_transaction"))
check("a rollback after an error", ("Rollback Complete", 0, "25P02"), lambda: transaction("rollback_transaction", fail=True))
check("a commit after an error", ("Transaction Committed", 0, "25P02"), lambda: transaction("commit_transaction", fail=True))
check("a database error", 'DatabaseErrorException: ERROR: duplicate key value violates unique constraint "boto3_things_number_key"; SQLState: 23505', lambda: refusal(lambda: execute("insert into boto3_things (number) values (1)")))
check("several statements", "ValidationException: Multistatements aren't supported.", lambda: refusal(lambda: execute("select 1; select 2")))
check("no value at all", True, lambda: refusal(lambda: execute("select :a::int")).endswith("SQLState: 08P01"))
check("a result that is too large", "UnsupportedResultException: Database response exceeded size limit", lambda: refusal(lambda: execute("select '' from generate_series(1, 1000000)")))
check("an array parameter", "ValidationException: Array parameters are not supported.", lambda: refusal(lambda: value("select :v", v=field("arrayValue", {"longValues": [1]}))))

for line in wrong:
    print(f"  {line}")
print(f"boto3: {passed} passed, {len(wrong)} failed")
sys.exit(0 if not wrong and passed >= 30 else 1)
