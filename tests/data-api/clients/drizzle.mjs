// drizzle-orm on the Data API, as its users use it.
import { RDSDataClient } from '@aws-sdk/client-rds-data';
import { and, asc, eq, gt, inArray, like, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/aws-data-api/pg';
import {
  bigint, boolean, date, doublePrecision, integer, jsonb, numeric, pgEnum, pgTable, real, serial, smallint, text, time, timestamp, uuid, varchar,
} from 'drizzle-orm/pg-core';
import { check, refusal, report } from './checks.mjs';

const db = drizzle({
  client: new RDSDataClient({ maxAttempts: 1 }),
  database: process.env.DATABASE,
  resourceArn: process.env.RESOURCE_ARN,
  secretArn: process.env.SECRET_ARN,
});

const mood = pgEnum('drizzle_mood', ['happy', 'sad']);
const things = pgTable('drizzle_things', {
  id: serial('id').primaryKey(),
  small: smallint('small'),
  whole: integer('whole'),
  large: bigint('large', { mode: 'number' }),
  exact: numeric('exact', { precision: 20, scale: 4 }),
  double: doublePrecision('double'),
  single: real('single'),
  truth: boolean('truth'),
  label: text('label').unique(),
  short: varchar('short', { length: 20 }),
  key: uuid('key'),
  document: jsonb('document'),
  at: timestamp('at'),
  day: date('day'),
  clock: time('clock'),
  mood: mood('mood'),
  tags: text('tags').array(),
});
const counted = pgTable('drizzle_counted', { number: integer('number').primaryKey() });

await db.execute(sql`drop table if exists drizzle_things, drizzle_counted`);
await db.execute(sql`drop type if exists drizzle_mood`);
await db.execute(sql`create type drizzle_mood as enum ('happy', 'sad')`);
await db.execute(sql`create table drizzle_things (
  id serial primary key, small smallint, whole integer, large bigint, exact numeric(20, 4), double double precision,
  single real, truth boolean, label text unique, short varchar(20), key uuid, document jsonb, at timestamp, day date,
  clock time, mood drizzle_mood, tags text[])`);
await db.execute(sql`create table drizzle_counted (number integer primary key)`);

// Each type, with values at their limits.
const one = async (column, value) => {
  const [row] = await db.insert(things).values({ [column]: value }).returning();
  const [read] = await db.select().from(things).where(eq(things.id, row.id));
  return read[column];
};
for (const [column, values] of Object.entries({
  small: [-32768, 32767, null],
  whole: [-2147483648, 2147483647, 0],
  large: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  exact: ['9999999999999999.9999', '-0.0001'],
  double: [1.5, -0.1, 5e-324],
  truth: [true, false],
  label: ['', "it's :a $1 \\ é 日本 😀"],
  short: ['x'.repeat(20)],
  key: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  document: [{ a: [1, 2.5, null, { b: 'c d' }] }, [1, 'two'], {}],
  day: ['2024-02-29', '9999-12-31', '0001-01-01'],
  clock: ['00:00:00', '23:59:59.999999'],
})) {
  for (const value of values) await check(`${column} ${JSON.stringify(value)}`, value, () => one(column, value));
}
await check('a real is widened', 0.10000000149011612, () => one('single', 0.1));
for (const moment of ['2024-02-29T10:00:00.120Z', '1969-12-31T23:59:59.999Z', '2024-01-01T00:00:00.000Z']) {
  await check(`timestamp ${moment}`, moment, async () => (await one('at', new Date(moment))).toISOString());
}
await check('an enum needs a cast', true, async () =>
  (await refusal(() => db.insert(things).values({ mood: 'happy' }))).includes('SQLState: 42804'));
await check('an enum with a cast', 'sad', async () => {
  const [row] = await db.insert(things).values({ mood: sql`'sad'::drizzle_mood` }).returning();
  return row.mood;
});
await check('an array that SQL makes', ['a', 'b c', ''], async () => {
  const [row] = await db.insert(things).values({ tags: sql`array['a', 'b c', '']` }).returning();
  return row.tags;
});

// A list of 1,000 rows, conditions, changes.
await check('1,000 rows in one insert', 1000, async () => {
  await db.insert(counted).values(Array.from({ length: 1000 }, (_, number) => ({ number })));
  return (await db.select().from(counted).orderBy(asc(counted.number))).length;
});
await check('conditions', [{ number: 8 }, { number: 9 }], () =>
  db.select().from(counted).where(and(gt(counted.number, 7), inArray(counted.number, [5, 8, 9]))).orderBy(counted.number));
await check('a limit and an offset', [{ number: 500 }], () =>
  db.select().from(counted).orderBy(counted.number).limit(1).offset(500));
await check('like', 1, async () => (await db.select().from(things).where(like(things.label, '%日本%'))).length);
await check('an update that returns', [{ whole: 7 }], async () => {
  const [{ id }] = await db.insert(things).values({ whole: 1 }).returning({ id: things.id });
  return db.update(things).set({ whole: 7 }).where(eq(things.id, id)).returning({ whole: things.whole });
});
await check('an upsert', [{ label: 'upsert', whole: 2 }], async () => {
  await db.insert(things).values({ label: 'upsert', whole: 1 });
  return db.insert(things).values({ label: 'upsert', whole: 1 })
    .onConflictDoUpdate({ target: things.label, set: { whole: 2 } }).returning({ label: things.label, whole: things.whole });
});
await check('a delete', 1, async () => (await db.delete(counted).where(eq(counted.number, 999)).returning()).length);

// Transactions.
await check('a commit', 1, async () => {
  await db.transaction(async (tx) => { await tx.insert(counted).values({ number: 2000 }); });
  return (await db.select().from(counted).where(eq(counted.number, 2000))).length;
});
await check('a rollback', 0, async () => {
  await refusal(() => db.transaction(async (tx) => {
    await tx.insert(counted).values({ number: 2001 });
    tx.rollback();
  }));
  return (await db.select().from(counted).where(eq(counted.number, 2001))).length;
});
await check('an error inside a transaction', true, async () => {
  let later;
  const first = await refusal(() => db.transaction(async (tx) => {
    await tx.insert(counted).values({ number: 2002 });
    await refusal(() => tx.insert(counted).values({ number: 1 }));
    later = await refusal(() => tx.select().from(counted));
    throw new Error('given up');
  }));
  const left = await db.select().from(counted).where(eq(counted.number, 2002));
  return first.includes('given up') && later.includes('SQLState: 25P02') && left.length === 0;
});
await check('a savepoint', [{ number: 2003 }], async () => {
  await db.transaction(async (tx) => {
    await tx.insert(counted).values({ number: 2003 });
    await refusal(() => tx.transaction(async (inner) => { await inner.insert(counted).values({ number: 1 }); }));
  });
  return db.select().from(counted).where(gt(counted.number, 2002));
});

// An error's text.
await check('an error is one line', true, async () => {
  const text = await refusal(() => db.insert(counted).values({ number: 1 }));
  return text.includes('ERROR: duplicate key value violates unique constraint "drizzle_counted_pkey"; SQLState: 23505');
});
await check('an error with a hint',
  'ERROR: column "lable" does not exist; Hint: Perhaps you meant to reference the column "drizzle_things.large" or the column "drizzle_things.label".; Position: 8; SQLState: 42703',
  async () => (await refusal(() => db.execute(sql`select lable from drizzle_things`))).split(' | ').at(-1));

report('drizzle-orm');
