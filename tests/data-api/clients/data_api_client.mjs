// data-api-client on the Data API, as its users use it.
import { createRequire } from 'node:module';
import { check, refusal, report } from './checks.mjs';

const require = createRequire(import.meta.url);
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1';
const data = require('data-api-client')({
  secretArn: process.env.SECRET_ARN,
  resourceArn: process.env.RESOURCE_ARN,
  database: process.env.DATABASE,
  engine: 'pg',
  options: { endpoint: process.env.AWS_ENDPOINT_URL_RDS_DATA, maxRetries: 0, sslEnabled: false },
});

await data.query('drop table if exists client_things');
await data.query(`create table client_things (
  id serial primary key, whole integer, large bigint, exact numeric(20, 4), double double precision, single real,
  truth boolean, label text unique, key uuid, document jsonb, at timestamp, day date, clock time, bytes bytea,
  tags text[], numbers integer[])`);

// Each type that it binds, with values at their limits.
const value = async (expression, parameters) => (await data.query(`select ${expression} as v`, parameters)).records[0].v;
for (const [name, given] of Object.entries({
  zero: 0, large: Number.MAX_SAFE_INTEGER, least: Number.MIN_SAFE_INTEGER, fraction: 1.5, tiny: 5e-324,
  yes: true, no: false, empty: '', text: "it's :a $1 \\ é 日本 😀", nothing: null,
})) {
  await check(`a parameter: ${name}`, given, () => value(given === null ? ':v::text' : ':v', { v: given }));
}
await check('bytes', [0, 1, 255], async () => [...(await value(':v', { v: Buffer.from([0, 1, 255]) }))]);
for (const [cast, given, expected] of [
  ['uuid', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001'],
  ['jsonb', '{"a": [1, null]}', '{"a":[1,null]}'],
  ['date', '2024-02-29', new Date('2024-02-29T00:00:00Z')],
  ['time', '23:59:59.5', '23:59:59.500'],
  ['numeric', '12345678901234567890.1234', '12345678901234567890.1234'],
]) {
  await check(`a cast to ${cast}`, expected, () => value(':v', [{ name: 'v', value: given, cast }]));
  await check(`a cast in SQL to ${cast}`, expected, () => value(`:v::${cast}`, { v: given }));
}
await check('a string is no uuid', true, async () =>
  (await refusal(() => data.query('select 1 from client_things where key = :v', { v: 'x' }))).endsWith('; SQLState: 42883'));
await check('an array of texts', { stringValues: ['a', null, ''] }, () => value("array['a', null, '']"));
await check('an array of numbers', { longValues: [1, 2] }, () => value('array[1, 2]'));
await check('a real is widened', 0.10000000149011612, () => value('0.1::real'));
await check('void', '', () => value('pg_sleep(0)'));
await check('an oid', 1, () => value('1::oid'));

// Rows.
await check('an insert', 1, async () =>
  (await data.query('insert into client_things (label, whole) values (:label, :whole)', { label: 'one', whole: 1 })).numberOfRecordsUpdated);
await check('an insert that returns', [{ label: 'two' }], async () =>
  (await data.query('insert into client_things (label) values (:label) returning label', { label: 'two' })).records);
await check('a batch of 1,000 rows', 1000, async () => {
  await data.query('insert into client_things (whole, label) values (:whole, :label)',
    Array.from({ length: 1000 }, (_, whole) => [{ whole, label: `many ${whole}` }]));
  return (await data.query("select * from client_things where label like 'many %'")).records.length;
});
await check('a named parameter twice', [{ count: 1 }], async () =>
  (await data.query('select count(*) from client_things where label = :v and :v = label', { v: 'one' })).records);
await check('an update', 1, async () =>
  (await data.query('update client_things set whole = :w where label = :label', { w: 2147483647, label: 'one' })).numberOfRecordsUpdated);

// Transactions.
await check('a commit', 1, async () => {
  await data.transaction().query("insert into client_things (label) values ('kept')").commit();
  return (await data.query("select 1 as v from client_things where label = 'kept'")).records.length;
});
await check('a rollback after an error', [true, 0], async () => {
  let told;
  const text = await refusal(() => data.transaction()
    .query("insert into client_things (label) values ('dropped')")
    .query("insert into client_things (label) values ('one')")
    .rollback((error) => { told = error.message; })
    .commit());
  const left = (await data.query("select 1 as v from client_things where label = 'dropped'")).records.length;
  return [text.endsWith('; SQLState: 23505') && told === text, left];
});
await check('a transaction by hand', ['25P02', 0], async () => {
  const { transactionId } = await data.beginTransaction();
  await data.query({ sql: "insert into client_things (label) values ('by hand')", transactionId });
  await refusal(() => data.query({ sql: 'selekt 1', transactionId }));
  const text = await refusal(() => data.query({ sql: 'select 1 as v', transactionId }));
  await data.commitTransaction({ transactionId });
  const left = (await data.query("select 1 as v from client_things where label = 'by hand'")).records.length;
  return [text.slice(-5), left];
});

// An error's text.
await check('an error is one line', 'ERROR: relation "nowhere" does not exist; Position: 15; SQLState: 42P01', () =>
  refusal(() => data.query('select * from nowhere')));
await check('a result that is too large', true, async () =>
  (await refusal(() => data.query("select '' as v from generate_series(1, 1000000)"))).includes('exceeded size limit'));

report('data-api-client');
