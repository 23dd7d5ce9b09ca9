// kysely with kysely-data-api, as their users use them.
import { RDSData } from '@aws-sdk/client-rds-data';
import { Kysely, sql } from 'kysely';
import { DataApiDialect } from 'kysely-data-api';
import { check, refusal, report } from './checks.mjs';

// The dialect reads a timestamp as a local time.
process.env.TZ = 'UTC';

const db = new Kysely({
  dialect: new DataApiDialect({
    mode: 'postgres',
    driver: {
      client: new RDSData({ maxAttempts: 1 }),
      database: process.env.DATABASE,
      resourceArn: process.env.RESOURCE_ARN,
      secretArn: process.env.SECRET_ARN,
    },
  }),
});

await db.schema.dropTable('kysely_things').ifExists().execute();
await db.schema.dropTable('kysely_counted').ifExists().execute();
await db.schema.dropType('kysely_mood').ifExists().execute();
await db.schema.createType('kysely_mood').asEnum(['happy', 'sad']).execute();
await db.schema.createTable('kysely_things')
  .addColumn('id', 'serial', (column) => column.primaryKey())
  .addColumn('small', 'int2')
  .addColumn('whole', 'integer')
  .addColumn('large', 'bigint')
  .addColumn('exact', 'numeric(20, 4)')
  .addColumn('double', 'double precision')
  .addColumn('single', 'real')
  .addColumn('truth', 'boolean')
  .addColumn('label', 'text', (column) => column.unique())
  .addColumn('short', 'varchar(20)')
  .addColumn('key', 'uuid')
  .addColumn('document', 'jsonb')
  .addColumn('text_document', 'json')
  .addColumn('at', 'timestamp')
  .addColumn('at_zone', 'timestamptz')
  .addColumn('day', 'date')
  .addColumn('clock', 'time')
  .addColumn('bytes', 'bytea')
  .addColumn('mood', sql`kysely_mood`)
  .addColumn('tags', sql`text[]`)
  .addColumn('numbers', sql`bigint[]`)
  .execute();
await db.schema.createTable('kysely_counted').addColumn('number', 'integer', (column) => column.primaryKey()).execute();

// Each type, with values at their limits.
const one = async (column, value) => {
  const { id } = await db.insertInto('kysely_things').values({ [column]: value }).returning('id').executeTakeFirstOrThrow();
  return (await db.selectFrom('kysely_things').select(column).where('id', '=', id).executeTakeFirstOrThrow())[column];
};
const hinted = (typeHint, stringValue) => ({ typeHint, value: { stringValue } });
for (const [column, values] of Object.entries({
  small: [-32768, 32767, null],
  whole: [-2147483648, 2147483647, 0],
  large: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  double: [1.5, -0.1, 5e-324],
  truth: [true, false],
  label: ['', "it's :a $1 \\ é 日本 😀"],
  short: ['x'.repeat(20)],
})) {
  for (const value of values) await check(`${column} ${JSON.stringify(value)}`, value, () => one(column, value));
}
for (const [column, hint, values] of [
  ['exact', 'DECIMAL', ['9999999999999999.9999', '-0.0001']],
  ['key', 'UUID', ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']],
  ['clock', 'TIME', ['00:00:00', '23:59:59.999']],
]) {
  for (const value of values) await check(`${column} ${value}`, value, () => one(column, hinted(hint, value)));
}
for (const value of [{ a: [1, 2.5, null, { b: 'c d' }] }, [1, 'two'], {}]) {
  const text = JSON.stringify(value);
  await check(`document ${text}`, value, () => one('document', hinted('JSON', text)));
  await check(`text_document ${text}`, value, () => one('text_document', sql`cast(${text} as json)`));
}
for (const moment of ['2024-02-29T10:00:00.120Z', '1969-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z']) {
  for (const column of ['at', 'at_zone']) {
    await check(`${column} ${moment}`, moment, async () => (await one(column, new Date(moment))).toISOString());
  }
}
for (const day of ['2024-02-29', '9999-12-31']) {
  await check(`day ${day}`, day, async () => (await one('day', hinted('DATE', day))).toISOString().slice(0, 10));
}
await check('a fraction of microseconds is kept', '2024-01-01 00:00:00.000001', async () =>
  (await sql`select cast(timestamp '2024-01-01 00:00:00.000001' as text) as at`.execute(db)).rows[0].at);
await check('a real is widened', 0.10000000149011612, () => one('single', 0.1));
await check('bytes', Buffer.from([0, 1, 127, 128, 255]).toString('hex'), async () =>
  Buffer.from(await one('bytes', Buffer.from([0, 1, 127, 128, 255]))).toString('hex'));
await check('an enum needs a cast', true, async () =>
  (await refusal(() => db.insertInto('kysely_things').values({ mood: 'happy' }).execute())).includes('SQLState: 42804'));
await check('an enum with a cast', 'sad', () => one('mood', sql`cast(${'sad'} as kysely_mood)`));

// Arrays: they come out, and go in as SQL or as text.
await check('an array of texts', ['a', 'b c', ''], () => one('tags', sql`array['a', 'b c', '']`));
await check('an array that is cast', ['it\'s', null, 'x,y'], () => one('tags', sql`cast(${'{it\'s,NULL,"x,y"}'} as text[])`));
await check('an array of longs', [Number.MIN_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER], () =>
  one('numbers', sql`array[${Number.MIN_SAFE_INTEGER}, 0, ${Number.MAX_SAFE_INTEGER}]::bigint[]`));
await check('an array parameter', 'Array parameters are not supported.', () =>
  refusal(() => sql`select ${{ value: { arrayValue: { stringValues: ['a'] } } }} as v`.execute(db)));

// A list of 1,000 rows, conditions, changes.
await check('1,000 rows in one insert', 1000n, async () => {
  const rows = Array.from({ length: 1000 }, (_, number) => ({ number }));
  return (await db.insertInto('kysely_counted').values(rows).executeTakeFirstOrThrow()).numInsertedOrUpdatedRows;
});
await check('a list of 1,000 rows', Array.from({ length: 1000 }, (_, number) => ({ number })), () =>
  db.selectFrom('kysely_counted').selectAll().orderBy('number').execute());
await check('conditions', [{ number: 8 }, { number: 9 }], () =>
  db.selectFrom('kysely_counted').selectAll().where('number', '>', 7).where('number', 'in', [5, 8, 9]).orderBy('number').execute());
await check('a limit and an offset', [{ number: 500 }], () =>
  db.selectFrom('kysely_counted').selectAll().orderBy('number').limit(1).offset(500).execute());
await check('a group', [{ rest: 0, many: 334 }, { rest: 1, many: 333 }, { rest: 2, many: 333 }], () =>
  db.selectFrom('kysely_counted')
    .select([sql`number % 3`.as('rest'), (eb) => eb.fn.countAll().as('many')]).groupBy(sql`1`).orderBy('rest').execute());
await check('no rows', [], () => db.selectFrom('kysely_counted').selectAll().where('number', '=', -1).execute());
await check('an update that counts', 10n, async () =>
  (await db.updateTable('kysely_things').set({ whole: 7 }).where('id', '<=', 10).executeTakeFirstOrThrow()).numUpdatedRows);
await check('an update that returns', [{ id: 1, whole: 8 }], () =>
  db.updateTable('kysely_things').set({ whole: 8 }).where('id', '=', 1).returning(['id', 'whole']).execute());
await check('an upsert', { label: 'upsert', whole: 2 }, async () => {
  await db.insertInto('kysely_things').values({ label: 'upsert', whole: 1 }).execute();
  return db.insertInto('kysely_things').values({ label: 'upsert', whole: 1 })
    .onConflict((conflict) => conflict.column('label').doUpdateSet({ whole: 2 })).returning(['label', 'whole']).executeTakeFirst();
});
await check('a delete that counts', 1n, async () =>
  (await db.deleteFrom('kysely_counted').where('number', '=', 999).executeTakeFirstOrThrow()).numDeletedRows);
await check('a table and its columns', [{ name: 'number', dataType: 'int4', isNullable: false, isAutoIncrementing: false }], async () => {
  const { columns } = (await db.introspection.getTables()).find((table) => table.name === 'kysely_counted');
  return columns.map(({ name, dataType, isNullable, isAutoIncrementing }) => ({ name, dataType, isNullable, isAutoIncrementing }));
});

// Transactions.
const count = async (number) => (await db.selectFrom('kysely_counted').selectAll().where('number', '=', number).execute()).length;
await check('a commit', 1, async () => {
  await db.transaction().execute((tx) => tx.insertInto('kysely_counted').values({ number: 2000 }).execute());
  return count(2000);
});
await check('a rollback', ['given up', 0], async () => {
  const told = await refusal(() => db.transaction().execute(async (tx) => {
    await tx.insertInto('kysely_counted').values({ number: 2001 }).execute();
    throw new Error('given up');
  }));
  return [told, await count(2001)];
});
await check('an error inside a transaction',
  ['given up', 'ERROR: current transaction is aborted, commands ignored until end of transaction block; SQLState: 25P02', 0],
  async () => {
    let later;
    const told = await refusal(() => db.transaction().execute(async (tx) => {
      await tx.insertInto('kysely_counted').values({ number: 2002 }).execute();
      await refusal(() => tx.insertInto('kysely_counted').values({ number: 1 }).execute());
      later = await refusal(() => tx.selectFrom('kysely_counted').selectAll().execute());
      throw new Error('given up');
    }));
    return [told, later, await count(2002)];
  });
await check('a commit after an error has rolled back', 0, async () => {
  await db.transaction().execute(async (tx) => {
    await tx.insertInto('kysely_counted').values({ number: 2003 }).execute();
    await refusal(() => sql`selekt 1`.execute(tx));
  });
  return count(2003);
});
await check('a savepoint', [1, 0], async () => {
  await db.transaction().execute(async (tx) => {
    await tx.insertInto('kysely_counted').values({ number: 2004 }).execute();
    await sql`savepoint inner_one`.execute(tx);
    await tx.insertInto('kysely_counted').values({ number: 2005 }).execute();
    await refusal(() => tx.insertInto('kysely_counted').values({ number: 1 }).execute());
    await sql`rollback to savepoint inner_one`.execute(tx);
  });
  return [await count(2004), await count(2005)];
});

// An error's text.
await check('an error is one line',
  'ERROR: duplicate key value violates unique constraint "kysely_counted_pkey"; SQLState: 23505', () =>
    refusal(() => db.insertInto('kysely_counted').values({ number: 1 }).execute()));
await check('an error with a hint',
  'ERROR: column "lable" does not exist; Hint: Perhaps you meant to reference the column "kysely_things.large" or the column "kysely_things.label".; Position: 8; SQLState: 42703', () =>
    refusal(() => db.selectFrom('kysely_things').select('lable').execute()));
await check('a text is no uuid', 'SQLState: 42883', async () =>
  (await refusal(() => db.selectFrom('kysely_things').selectAll().where('key', '=', 'x').execute())).slice(-15));

report('kysely');
