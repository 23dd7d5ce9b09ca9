"""aurora-data-api, by itself and under SQLAlchemy, as their users use them."""

import datetime
import decimal
import os
import sys
import uuid

import aurora_data_api
import boto3
import sqlalchemy as sa
from botocore.config import Config
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

names = {
    "aurora_cluster_arn": os.environ["RESOURCE_ARN"],
    "secret_arn": os.environ["SECRET_ARN"],
    "rds_data_client": boto3.client("rds-data", config=Config(retries={"total_max_attempts": 1})),
}
# Its 1,000 rows at once would be more text than a statement may have.
engine = sa.create_engine(f"postgresql+auroradataapi://:@/{os.environ['DATABASE']}", connect_args=names, insertmanyvalues_page_size=100)
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


def refusal(ask):
    """The error's class, and its first line as the client shows it."""
    try:
        ask()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return "no error"


class Base(orm.DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "sqlalchemy_things"
    id = sa.Column(sa.Integer, primary_key=True)
    small = sa.Column(sa.SmallInteger)
    whole = sa.Column(sa.Integer)
    large = sa.Column(sa.BigInteger)
    exact = sa.Column(sa.Numeric(20, 4))
    double = sa.Column(sa.Double)
    single = sa.Column(sa.REAL)
    truth = sa.Column(sa.Boolean)
    label = sa.Column(sa.Text, unique=True)
    short = sa.Column(sa.String(20))
    key = sa.Column(pg.UUID(as_uuid=False))
    document = sa.Column(pg.JSONB)
    text_document = sa.Column(sa.JSON)
    at = sa.Column(sa.DateTime)
    day = sa.Column(sa.Date)
    clock = sa.Column(sa.Time)
    bytes = sa.Column(sa.LargeBinary)
    mood = sa.Column(sa.Enum("happy", "sad", name="sqlalchemy_mood"))
    tags = sa.Column(pg.ARRAY(sa.Text))


class Counted(Base):
    __tablename__ = "sqlalchemy_counted"
    number = sa.Column(sa.Integer, primary_key=True, autoincrement=False)


Base.metadata.drop_all(engine)
Base.metadata.create_all(engine)


def one(column, value):
    with orm.Session(engine) as session:
        thing = Thing(**{column: value})
        session.add(thing)
        session.commit()
        return session.execute(sa.select(getattr(Thing, column)).where(Thing.id == thing.id)).scalar_one()


# Each type, with values at their limits.
for column, values in {
    "small": [-32768, 32767, None],
    "whole": [-2147483648, 2147483647, 0],
    "large": [-9223372036854775808, 9223372036854775807],
    # The dialect binds a double.
    "exact": [decimal.Decimal("99999999999.9999"), decimal.Decimal("-0.0001")],
    "double": [1.5, 1.7976931348623157e308, 5e-324],
    "truth": [True, False],
    "label": ["", "it's :a $1 \\ é 日本 😀"],
    "short": ["x" * 20],
    "key": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "document": [{"a": [1, 2.5, None, {"b": "c d"}]}, [1, "two"], {}],
    "text_document": [{"a": [1, 2.5, None, {"b": "c d"}]}, "it's :a $1 \\ é 日本"],
    "at": [
        datetime.datetime(2024, 2, 29, 10, 0, 0, 120_000),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999_000),
        datetime.datetime(9999, 12, 31, 23, 59, 59),
        datetime.datetime(1000, 1, 1),
    ],
    "day": [datetime.date(2024, 2, 29), datetime.date(1000, 1, 1), datetime.date(9999, 12, 31)],
    "clock": [datetime.time(0, 0), datetime.time(23, 59, 59, 999_000)],
    "bytes": [b"", bytes(range(256))],
    "mood": ["sad"],
    "tags": [["a", "b c", "it's"]],
}.items():
    for value in values:
        check(f"{column} {str(value)[:30]}", value, lambda: one(column, value))
check("a real is widened", 0.10000000149011612, lambda: one("single", 0.1))


def scalar(statement):
    with engine.connect() as connection:
        return connection.execute(statement).scalar_one()


check("a fraction of microseconds is kept", datetime.datetime(2024, 1, 1, 0, 0, 0, 1), lambda: scalar(sa.text("select timestamp '2024-01-01 00:00:00.000001'")))
check("a time with a zone is in UTC", "2024-01-01 10:00:00", lambda: scalar(sa.text("select timestamptz '2024-01-01 12:00:00+02'")))
check("an array of numbers", [1, 2, None], lambda: scalar(sa.text("select array[1, 2, null]")))
check("a literal with a colon", "a:b", lambda: scalar(sa.text(r"select 'a\:b'")))

# A list of 1,000 rows, conditions, changes.
def insert_many():
    with engine.begin() as connection:
        connection.execute(sa.insert(Counted), [{"number": number} for number in range(1000)])
    with orm.Session(engine) as session:
        return session.scalars(sa.select(Counted.number).order_by(Counted.number)).all()


def insert_returning():
    with orm.Session(engine) as session:
        things = [Thing(label=f"many {number}") for number in range(1000)]
        session.add_all(things)
        session.commit()
        pairs = [(thing.id, thing.label) for thing in session.scalars(sa.select(Thing).where(Thing.label.like("many %")).order_by(Thing.id))]
        return [label for _, label in pairs] == [f"many {number}" for number in range(1000)] and len({id for id, _ in pairs}) == 1000


check("a list of 1,000 rows", list(range(1000)), insert_many)
check("1,000 objects with ids of their own", True, insert_returning)


def scalars(statement):
    with orm.Session(engine) as session:
        return list(session.scalars(statement))


def changed(statement):
    with engine.begin() as connection:
        return connection.execute(statement).rowcount


check("conditions", [8, 9], lambda: scalars(sa.select(Counted.number).where(Counted.number > 7, Counted.number.in_([5, 8, 9])).order_by(Counted.number)))
check("a limit and an offset", [500], lambda: scalars(sa.select(Counted.number).order_by(Counted.number).limit(1).offset(500)))
check("no rows", [], lambda: scalars(sa.select(Counted.number).where(Counted.number == -1)))
check("an update that counts", 10, lambda: changed(sa.update(Thing).where(Thing.id <= 10).values(whole=7)))
check("an update that returns", [8], lambda: scalars(sa.update(Thing).where(Thing.id == 1).values(whole=8).returning(Thing.whole)))
check("a delete that counts", 1, lambda: changed(sa.delete(Counted).where(Counted.number == 999)))


def upsert():
    statement = pg.insert(Thing).values(label="upsert", whole=1)
    statement = statement.on_conflict_do_update(index_elements=["label"], set_={"whole": Thing.whole + 1})
    return changed(statement), changed(statement), scalars(sa.select(Thing.whole).where(Thing.label == "upsert"))


check("an upsert", (1, 1, [2]), upsert)
check("the names of tables", ["sqlalchemy_counted", "sqlalchemy_things"], lambda: [name for name in sorted(sa.inspect(engine).get_table_names()) if name.startswith("sqlalchemy_")])
check("a table's columns are of the type char", True, lambda: "unsupported data type char" in refusal(lambda: sa.inspect(engine).get_columns("sqlalchemy_counted")))


# Transactions.
def count(number):
    return len(scalars(sa.select(Counted.number).where(Counted.number == number)))


def transaction(number, end):
    with engine.connect() as connection:
        connection.execute(sa.insert(Counted).values(number=number))
        told = end(connection)
    return told, count(number)


def fail(connection):
    refusal(lambda: connection.execute(sa.text("select 1 / 0")))
    return refusal(lambda: connection.execute(sa.text("select 1")))


def nested(connection):
    inner = connection.begin_nested()
    connection.execute(sa.insert(Counted).values(number=2999))
    refusal(lambda: connection.execute(sa.text("select 1 / 0")))
    inner.rollback()
    connection.commit()
    return count(2999)


check("a commit", (None, 1), lambda: transaction(2000, lambda connection: connection.commit()))
check("a rollback", (None, 0), lambda: transaction(2001, lambda connection: connection.rollback()))
aborted = "ERROR: current transaction is aborted, commands ignored until end of transaction block; SQLState: 25P02"
check("an error inside a transaction", True, lambda: aborted in transaction(2002, fail)[0])
check("it has rolled back", 0, lambda: count(2002))
check("a commit after an error has rolled back", (None, 0), lambda: transaction(2003, lambda connection: (fail(connection), connection.commit())[1]))
check("a savepoint", (0, 1), lambda: transaction(2004, nested))

# An error's text.
duplicate = 'ERROR: duplicate key value violates unique constraint "sqlalchemy_counted_pkey"; SQLState: 23505'
check("a duplicate", True, lambda: refusal(lambda: changed(sa.insert(Counted).values(number=1))).endswith(duplicate))
hint = 'Hint: Perhaps you meant to reference the column "sqlalchemy_things.large" or the column "sqlalchemy_things.label".'
check("an error with a hint", True, lambda: f'ERROR: column "lable" does not exist; {hint}; Position: 8; SQLState: 42703' in refusal(lambda: scalar(sa.text("select lable from sqlalchemy_things"))))

# aurora-data-api by itself.
def cursor(sql, **parameters):
    with aurora_data_api.connect(database=os.environ["DATABASE"], **names) as connection, connection.cursor() as opened:
        opened.execute(sql, parameters)
        return opened.fetchone()[0], opened.description[0].type_code


moment = datetime.datetime(2024, 2, 29, 10, 0, 0, 123_456)
for given, expected in [
    (decimal.Decimal("12345678901234567890.1234"), decimal.Decimal("12345678901234567890.1234")),
    (datetime.date(2024, 2, 29), datetime.date(2024, 2, 29)),
    (datetime.time(23, 59, 59), datetime.time(23, 59, 59)),
    (moment, moment),
    (b"\x00\xff", b"\x00\xff"),
    (9223372036854775807, 9223372036854775807),
    (5e-324, 5e-324),
    (False, False),
    ("é 😀", "é 😀"),
]:
    check(f"by itself {given!r}", expected, lambda: cursor("select :v", v=given)[0])
check("by itself a uuid", str(uuid.UUID(int=1)), lambda: cursor("select :v::uuid", v=uuid.UUID(int=1))[0])
check("by itself a null", (None, str), lambda: cursor("select :v::text", v=None))
check("by itself the types", [int, float, bool, decimal.Decimal, datetime.datetime, str], lambda: [cursor(f"select null::{kind}")[1] for kind in ("int8", "float8", "bool", "numeric", "timestamp", "text")])


def many():
    with aurora_data_api.connect(database=os.environ["DATABASE"], **names) as connection, connection.cursor() as opened:
        opened.executemany("insert into sqlalchemy_counted (number) values (:number)", [{"number": number} for number in range(5000, 6500)])
        opened.execute("select number from sqlalchemy_counted where number >= 5000 order by number")
        return len(opened.fetchmany(1000)), len(opened.fetchall()), opened.rowcount


check("by itself 1,500 sets", (1000, 500, 1500), many)
check("by itself an error has its class", 'ER_UNDEF_COL: ERROR: column "nothing" does not exist; Position: 8; SQLState: 42703', lambda: refusal(lambda: cursor("select nothing")))

for line in wrong:
    print(f"  {line}")
print(f"aurora-data-api with SQLAlchemy: {passed} passed, {len(wrong)} failed")
sys.exit(0 if not wrong and passed >= 30 else 1)
