// What every program does: compare, count, and say at the end what was wrong.
import assert from 'node:assert/strict';

let passed = 0;
const wrong = [];

export async function check(name, expected, ask) {
  try {
    assert.deepEqual(await ask(), expected);
    passed += 1;
  } catch (error) {
    wrong.push(`${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
}

/** The text of the error that it ends with, as the client shows it. */
export async function refusal(ask) {
  try {
    await ask();
  } catch (error) {
    const texts = [];
    for (let at = error; at; at = at.cause) texts.push(at.message);
    return texts.join(' | ');
  }
  return 'no error';
}

export function report(client) {
  for (const line of wrong) console.log(`  ${line}`);
  console.log(`${client}: ${passed} passed, ${wrong.length} failed`);
  process.exitCode = wrong.length === 0 && passed >= 30 ? 0 : 1;
}
